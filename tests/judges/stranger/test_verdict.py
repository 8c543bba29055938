"""The judge has teeth: silence, the wrong part, the healthy twin, too early and too late are all complained of."""

from __future__ import annotations

import pytest

from tests.judges.stranger.gateways import HOUR, ILL, WELL, Story
from tests.judges.stranger.verdict import COMPONENT, Announced, complaints

STORY = Story(0, rounds=[(0, [])], crack_at=30 * HOUR, severe_at=50 * HOUR)
FOUND = Announced(ILL, COMPONENT, "lager_as/x/high", 48 * HOUR)


def test_in_time_and_alone_is_right() -> None:
    assert complaints(STORY, [FOUND]) == []


@pytest.mark.parametrize(
    "announced",
    [
        [],
        [Announced(ILL, "lager_gs", "lager_gs/x/high", 48 * HOUR)],
        [FOUND, Announced(WELL, COMPONENT, "lager_as/x/high", 48 * HOUR)],
        [FOUND, Announced(ILL, "", "/silent", 20 * HOUR)],
        [FOUND, Announced(ILL, COMPONENT, "lager_as/x/high", 20 * HOUR)],
        [Announced(ILL, COMPONENT, "lager_as/x/high", 52 * HOUR)],
    ],
    ids=["silence", "wrong part", "healthy twin", "connection", "before the fault", "after its limit"],
)
def test_anything_else_is_not(announced: list[Announced]) -> None:
    assert complaints(STORY, announced) != []

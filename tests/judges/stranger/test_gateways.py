"""The story is fair: what its gateways do is no fault that the platform would have to tell of."""

from __future__ import annotations

import pytest

from tests.judges.stranger.gateways import HOUR, ILL, LEITSTAND, STALE, VIBRO, WELL, tell


@pytest.mark.parametrize("seed", [1, 647_712], ids=["any", "spans that met"])
def test_no_topic_is_silent_for_as_long_as_the_type_calls_stale(seed: int) -> None:
    story = tell(seed)
    channels = {(machine, channel) for machine in (ILL, WELL) for channel in (*LEITSTAND, *VIBRO)}
    longest, heard = 0, dict[tuple[str, str], int]()
    for now, messages in story.rounds:
        for message in messages:
            machine, channel = message.topic.split("/")[-2:]
            if (machine, channel) in channels:
                longest = max(longest, now - heard.get((machine, channel), now))
                heard[machine, channel] = now
    assert heard.keys() == channels
    assert HOUR < longest < STALE

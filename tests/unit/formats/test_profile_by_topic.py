"""One value per topic, each with a unit of its own: points of a profile that stand only on certain topics."""

from __future__ import annotations

from typing import Any

import pytest

from formats.decoded import Decoded
from formats.profile import ProfileError, parse_profile

NOW = 1_800_000_000_000_000

BOILER: dict[str, Any] = {
    "profile": "boiler",
    "topic": "plant/{boiler}/{sensor}",
    "equipment": "{boiler}",
    "payload": "number",
    "decimal": ",",
    "points": [
        {"only": {"sensor": "t1"}, "path": "@", "point": "temperature", "unit": "[degF]"},
        {"only": {"sensor": "p1"}, "path": "@", "point": "pressure", "unit": "[psi]"},
    ],
}


def decode(topic: str, payload: bytes) -> Decoded:
    profile = parse_profile(BOILER)
    segments = profile.match(topic)
    assert segments is not None
    return profile.bind(segments).decode(payload, received_at=NOW)


@pytest.mark.parametrize(("sensor", "name", "unit"), [("t1", "temperature", "[degF]"), ("p1", "pressure", "[psi]")])
def test_a_topic_brings_only_its_own_point(sensor: str, name: str, unit: str) -> None:
    (block,) = decode(f"plant/k2/{sensor}", b"176,5").blocks
    assert (block.names, block.units, block.value.tolist()) == ((name,), (unit,), [[176.5]])


def test_a_topic_that_no_point_names_is_refused_with_a_reason() -> None:
    decoded = decode("plant/k2/spare", b"176,5")
    assert not decoded.blocks
    assert [(refusal.reason, refusal.readings) for refusal in decoded.refusals] == [("no-values", 1)]


def test_a_segment_that_the_topic_does_not_have_is_named() -> None:
    wrong = {**BOILER, "points": [{"only": {"sensr": "t1"}, "path": "@", "point": "temperature"}]}
    with pytest.raises(ProfileError) as caught:
        parse_profile(wrong)
    assert caught.value.where == "points/0/only"
    assert "sensor" in caught.value.hint

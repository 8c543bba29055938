"""The excavator: counters only rise, a shift is a shift, and where a run begins changes nothing."""

from __future__ import annotations

import numpy as np

from core.time import DAY, SECOND
from models.types import catalog
from simulators.excavator.fleet import ExcavatorFleet

MONDAY = 20_605 * DAY
"""2026-06-01."""


def columns(frames: np.ndarray) -> dict[str, np.ndarray]:
    return {spec.key: frames[:, 0, n] for n, spec in enumerate(ExcavatorFleet.POINTS)}


def test_a_week() -> None:
    frames = ExcavatorFleet([7], MONDAY, 600).advance(6 * 24 * 7)
    values = columns(frames.values)
    said = ~np.isnan(values["engine.hours"])
    for key in (
        "engine.hours",
        "engine.idle_hours",
        "engine.fuel_used",
        "machine.payload_total",
        "undercarriage.distance",
    ):
        assert (np.diff(values[key][said]) >= 0).all(), key
    rise = {key: values[key][said][-1] - values[key][said][0] for key in ("engine.hours", "engine.fuel_used")}
    assert 30 < rise["engine.hours"] < 55
    assert 7 < rise["engine.fuel_used"] / rise["engine.hours"] < 15
    weekend = frames.ts >= MONDAY + 5 * DAY + 6 * 3600 * SECOND
    assert np.nanmax(values["engine.running"][weekend]) == 0
    assert np.nanmax(values["engine.coolant_temperature"]) < 100
    assert np.nanmin(values["engine.fuel_level"]) > 20


def test_a_run_may_begin_anywhere() -> None:
    whole = ExcavatorFleet([3, 4], MONDAY, 60).advance(900)
    later = ExcavatorFleet([3, 4], MONDAY + 600 * 60 * SECOND, 60).advance(300)
    np.testing.assert_array_equal(whole.values[600:], later.values)


def test_its_type_has_every_point() -> None:
    known = {point.key: point for point in catalog()["excavator"].points}
    for spec in ExcavatorFleet.POINTS:
        assert known[spec.key].unit == spec.unit

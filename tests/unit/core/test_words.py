"""Time, quality, units and types: the small words everything else is written in."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import quality, units
from core.equipment import ComponentDef, EquipmentType, PointDef, PointKind
from core.errors import InvalidInputError, UnitError
from core.repeat import expand
from core.telemetry import TelemetryBatch
from core.time import DAY, HOUR, MINUTE, from_datetime, isoformat, parse_duration, to_datetime


@given(st.integers(min_value=-(10**15), max_value=4 * 10**15))
def test_time_survives_the_way_through_datetime_to_the_microsecond(ts):
    assert from_datetime(to_datetime(ts)) == ts
    assert from_datetime(datetime.fromisoformat(isoformat(ts))) == ts


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(InvalidInputError, match="zone"):
        from_datetime(datetime(2026, 1, 1))
    assert from_datetime(datetime(1970, 1, 1, tzinfo=UTC)) == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90 s", 90_000_000), ("1 h 30 min", 90 * MINUTE), ("7d", 7 * DAY), ("0.5 h", HOUR // 2), (3, 3_000_000)],
)
def test_durations_read_as_people_write_them(text, expected):
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "soon", "5 parsecs", "1 h and a bit", "-3 s"])
def test_no_duration_is_guessed(text):
    with pytest.raises(InvalidInputError, match="duration"):
        parse_duration(text)


def test_quality_by_class_decides_and_how_it_came_does_not():
    ranks = quality.rank(
        np.array([quality.GOOD, quality.GOOD | quality.LATE, quality.UNCERTAIN, quality.BAD], np.uint8)
    )
    assert ranks[0] == ranks[1] > ranks[2] > ranks[3]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (None, "good"),
        ("good", "good"),
        (192, "good"),
        ("bad", "bad (device)"),
        (0, "bad (device)"),
        ("?!", "uncertain (device)"),
    ],
)
def test_what_a_device_says_of_its_own_quality(said, meant):
    assert quality.describe(quality.parse(said)) == meant


@pytest.mark.parametrize(
    ("source", "target", "value", "expected"),
    [
        ("°F", "Cel", 212, 100),
        ("psi", "bar", 14.5037738, 1),
        ("m3/h", "m3/s", 3600, 1),
        ("Hz", "r/min", 50, 3000),
        ("K", "°C", 273.15, 0),
    ],
)
def test_units_convert_as_the_trade_writes_them(source, target, value, expected):
    conversion = units.conversion(source, target)
    assert value * conversion.scale + conversion.offset == pytest.approx(expected, rel=1e-8, abs=1e-9)


@pytest.mark.parametrize(("source", "target"), [("bar", "Cel"), ("nonsense", "bar")])
def test_units_that_do_not_convert_are_refused(source, target):
    with pytest.raises(UnitError):
        units.conversion(source, target)


def test_repeated_parts_are_written_once_and_stand_side_by_side():
    repeat = {"car": ("1", "2"), "box": ("1", "2")}
    kind = EquipmentType(
        key="wagon",
        name="Wagon",
        components=(ComponentDef("car{car}.box{box}", "Car {car}, box {box}", repeat=repeat),),
        points=(
            PointDef(
                "residual{car}_{box}", "car{car}.box{box}", "K", kind=PointKind.DERIVED, formula="0", repeat=repeat
            ),
            PointDef("t{car}_{box}", "car{car}.box{box}", "Cel", repeat=repeat),
        ),
    )
    assert [key for key, *_ in kind.component_instances()] == ["car1.box1", "car1.box2", "car2.box1", "car2.box2"]
    assert [p.key for p in kind.point_instances()][:4] == ["t1_1", "t1_2", "t2_1", "t2_2"]
    assert [p.column for p in kind.point_instances()] == list(range(8))
    assert [key for key, _ in expand("pump", {})] == ["pump"]


def test_a_batch_whose_arrays_differ_in_length_is_no_batch():
    with pytest.raises(ValueError, match="one length"):
        TelemetryBatch(np.zeros(2, np.int32), np.zeros(1, np.int64), np.zeros(2), np.zeros(2, np.uint8), 0)

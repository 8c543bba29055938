"""The demonstration's plan and its verdict: pure, so every promise can be asked for."""

from __future__ import annotations

import numpy as np
import orjson
import pytest

from core.time import DAY, HOUR, MINUTE
from models.types import catalog
from runtime.demo.fleet import DemoFleet, clock_message
from runtime.demo.plan import (
    COMPRESSORS,
    EXCAVATORS,
    INSTRUMENT_MODES,
    LEARNING,
    MENU,
    SERVICE_HOURS,
    SETTLING,
    TO_BE_TOLD,
    TYPES,
    Segment,
    from_json,
    plan_segment,
    to_json,
)
from runtime.demo.report import begun, owed, passed, verdict_lines
from runtime.demo.verdict import AlarmSeen, SeededFault, judge
from simulators.fleet import CompressorTrainFleet, MetroTrainFleet

START = 1_790_000_000_000_000 // DAY * DAY + 5 * HOUR
FAULT = SeededFault(
    "K-101", "lube_oil.filter", "filter_clogging", "machine", START, START + 10 * HOUR, "", ("lube_oil",)
)
SENSOR = SeededFault("K-103", "gearbox", "stuck", "instrument", START, START + HOUR, "gearbox.temperature_hs")


def alarm(
    equipment: str = "K-101",
    component: str = "lube_oil.filter",
    concern: str = "machine",
    at: int = START + HOUR,
    point: str | None = None,
) -> AlarmSeen:
    return AlarmSeen(equipment, component, f"{component}/x", concern, at, "something", point=point)


class TestPlan:
    @pytest.mark.parametrize("seed", range(5))
    @pytest.mark.parametrize("learned", [False, True])
    def test_faults_come_after_learning_and_are_due_before_the_end(self, seed: int, learned: bool) -> None:
        end = START + 30 * HOUR
        segment = plan_segment(seed, 1, START, end, 30, learned=learned)
        assert len(segment.faults) == 5
        for fault in segment.faults:
            assert fault.onset >= START + (SETTLING if learned else LEARNING)
            assert fault.onset + fault.horizon + TO_BE_TOLD <= end

    @pytest.mark.parametrize("seed", range(5))
    @pytest.mark.parametrize("hour", [0, 7, 13, 19])
    def test_a_trains_faults_grow_while_it_runs(self, seed: int, hour: int) -> None:
        start = START // DAY * DAY + hour * HOUR
        segment = plan_segment(seed, 3, start, start + 30 * HOUR, 30, learned=True)
        for fault in segment.faults:
            if fault.equipment not in COMPRESSORS:
                first, last = (moment % DAY / HOUR for moment in (fault.onset, fault.onset + fault.horizon))
                assert SERVICE_HOURS[0] <= first <= last <= SERVICE_HOURS[1]

    def test_seed_and_number_decide_everything(self) -> None:
        arguments = (START, START + 30 * HOUR, 30)
        again = [plan_segment(1, 2, *arguments, learned=True) for _ in range(2)]
        assert again[0] == again[1]
        assert plan_segment(1, 3, *arguments, learned=True) != again[0]

    def test_where_there_is_no_room_no_fault_is_seeded(self) -> None:
        assert plan_segment(1, 1, START, START + LEARNING + 30 * MINUTE, 30, learned=False).faults == ()

    def test_it_survives_the_file(self) -> None:
        segment = plan_segment(1, 1, START, START + 30 * HOUR, 30, learned=False)
        assert from_json(to_json(segment)) == segment

    def test_the_catalogue_knows_every_type_component_and_sensor_of_the_menu(self) -> None:
        types = catalog()
        assert set(TYPES.values()) <= set(types)
        for item in MENU:
            type_ = types[item.type_key]
            known = (
                {point.key for point in type_.point_instances()}
                if item.mode in INSTRUMENT_MODES
                else {key for key, _, _ in type_.component_instances()}
            )
            assert set(item.places) <= known, item

    def test_the_simulators_know_every_fault_of_the_menu(self) -> None:
        fleets = {"compressor-train": CompressorTrainFleet, "metro-train-6": MetroTrainFleet}
        for item in MENU:
            law = fleets[item.type_key].FAULTS[item.mode]
            assert item.mode in INSTRUMENT_MODES or set(item.places) <= set(law.components)


class TestFleet:
    def test_frames_are_native_telemetry_with_one_message_per_equipment(self) -> None:
        segment = Segment(1, START, START + 5 * MINUTE, 30, ())
        instants = list(DemoFleet(1, segment).instants())
        assert [instant.ts for instant in instants] == [START + i * 30_000_000 for i in range(1, 11)]
        for instant in instants:
            spoke = {topic.split("/")[3] for topic, _ in instant.messages}
            assert set(TYPES) - spoke <= set(EXCAVATORS)  # at rest one reports every quarter of an hour
            assert spoke <= set(TYPES)
            decoded = [orjson.loads(load) for topic, load in instant.messages if topic.endswith("/telemetry")]
            assert {frame["ts"] for frame in decoded} == {instant.ts // 1000}
            assert sum(len(frame["values"]) for frame in decoded) == instant.readings

    def test_it_is_the_same_fleet_every_time(self) -> None:
        segment = plan_segment(1, 1, START, START + 5 * MINUTE, 30, learned=False)
        first, second = ([instant.messages for instant in DemoFleet(1, segment).instants()] for _ in range(2))
        assert first == second

    def test_a_broken_transmitter_says_bad(self) -> None:
        fault = plan_segment(1, 1, START, START + 30 * HOUR, 30, learned=False).faults[0]
        planned = type(fault)("K-101", "open_circuit", "process.discharge_temperature", START + MINUTE, HOUR)
        fleet = DemoFleet(1, Segment(1, START, START + 5 * MINUTE, 30, (planned,)))
        last = list(fleet.instants())[-1]
        values = orjson.loads(dict(last.messages)["servitize/v1/demo/K-101/telemetry"])["values"]
        assert values["process.discharge_temperature"]["q"] == "bad"
        (truth,) = fleet.truth()
        assert (truth.kind, truth.point) == ("instrument", "process.discharge_temperature")

    def test_the_clock_is_in_milliseconds(self) -> None:
        topic, payload = clock_message(START)
        assert topic == "servitize/v1/demo/clock"
        assert orjson.loads(payload) == {"ts": START // 1000}


class TestVerdict:
    def test_an_alarm_on_the_component_is_what_is_owed(self) -> None:
        verdict = judge([FAULT], [alarm()])
        assert verdict.passed
        assert verdict.findings[0].delay == HOUR

    def test_the_first_one_counts(self) -> None:
        verdict = judge([FAULT], [alarm(at=START + 3 * HOUR), alarm(at=START + 2 * HOUR)])
        assert verdict.findings[0].delay == 2 * HOUR

    def test_none_is_a_miss(self) -> None:
        assert not judge([FAULT], []).passed

    @pytest.mark.parametrize(
        "wrong",
        [
            alarm(component="motor"),
            alarm(equipment="K-102"),
            alarm(at=START - 1),
            alarm(concern="instrument", point="lube_oil.filter.differential_pressure"),
        ],
        ids=["another component", "another machine", "before the onset", "only of the instrument"],
    )
    def test_what_does_not_fit_is_unexpected_and_tells_nothing(self, wrong: AlarmSeen) -> None:
        verdict = judge([FAULT], [wrong])
        assert verdict.findings[0].alarm is None
        assert verdict.unexpected == (wrong,)

    def test_what_the_fault_truly_disturbs_may_say_so_but_that_alone_is_not_enough(self) -> None:
        verdict = judge([FAULT], [alarm(component="lube_oil")])
        assert verdict.unexpected == ()
        assert verdict.findings[0].alarm is None

    def test_past_its_limit_a_component_is_broken_and_its_instruments_may_say_anything(self) -> None:
        late = alarm(concern="instrument", at=FAULT.limit_at, point="lube_oil.filter.differential_pressure")
        assert judge([FAULT], [alarm(), late]).passed

    def test_a_stuck_sensor_owes_an_instrument_alarm(self) -> None:
        told = alarm("K-103", "gearbox", "instrument", point="gearbox.temperature_hs")
        assert judge([SENSOR], [told]).passed

    def test_and_never_a_machine_alarm(self) -> None:
        told = alarm("K-103", "gearbox", "instrument", point="gearbox.temperature_hs")
        wrong = alarm("K-103", "gearbox", "machine", point="gearbox.temperature_hs")
        verdict = judge([SENSOR], [told, wrong])
        assert verdict.unexpected == (wrong,)

    def test_another_sensor_of_the_same_component_is_not_it(self) -> None:
        wrong = alarm("K-103", "gearbox", "instrument", point="gearbox.temperature_ls")
        assert judge([SENSOR], [wrong]).unexpected == (wrong,)


class TestReport:
    def test_a_fault_is_owed_only_when_its_limit_is_long_enough_past(self) -> None:
        assert owed([FAULT], FAULT.limit_at + TO_BE_TOLD) == [FAULT]
        assert owed([FAULT], FAULT.limit_at + TO_BE_TOLD - 1) == []
        assert begun([FAULT], START - 1) == []

    def test_a_growing_fault_does_not_fail_an_interrupted_demo(self) -> None:
        verdict = judge([FAULT], [])
        assert passed(verdict, [])
        assert "still growing" in "\n".join(verdict_lines(verdict, []))

    def test_a_miss_does(self) -> None:
        verdict = judge([FAULT], [])
        lines = verdict_lines(verdict, [FAULT])
        assert not passed(verdict, [FAULT])
        assert "MISSED" in lines[1]
        assert lines[-1].startswith("FAILED: 0 of 1")

    def test_what_nobody_should_have_been_told_is_listed(self) -> None:
        text = "\n".join(verdict_lines(judge([], [alarm()]), []))
        assert "told without a cause" in text
        assert "1 alarm without a cause" in text


def test_numpy_values_do_not_leak_into_the_truth() -> None:
    segment = plan_segment(1, 1, START, START + 30 * HOUR, 30, learned=False)
    fleet = DemoFleet(1, segment)
    for fault in fleet.truth():
        assert not isinstance(fault.limit_at, np.generic)

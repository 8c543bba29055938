"""What counts as found, late, wrong and false, told by examples."""

from __future__ import annotations

import pytest

from core.errors import InvalidInputError
from core.time import HOUR
from workbench.evaluate.report import parse_seeds
from workbench.evaluate.verdict import Announced, KnownFault, judge

CLOGGED = KnownFault("K-1", "lube_oil.filter", "filter_clogging", "machine", 10 * HOUR, 20 * HOUR, ("lube_oil",))
STUCK = KnownFault("K-1", "gearbox", "stuck", "instrument", 10 * HOUR, 20 * HOUR, point="gearbox.temperature_hs")


def alarm(component: str, at: float, concern: str = "machine", equipment: str = "K-1") -> Announced:
    return Announced(equipment, component, f"{component}/point/high", concern, round(at * HOUR))


def outcome(fault: KnownFault, *alarms: Announced) -> str:
    return judge([fault], alarms).findings[0].outcome


def test_an_alarm_on_the_component_between_onset_and_limit_finds_the_fault():
    verdict = judge([CLOGGED], [alarm("lube_oil.filter", 14)])
    assert [f.outcome for f in verdict.findings] == ["found"]
    assert verdict.by_kind == {"filter_clogging": {"n": 1, "found": 1, "median_delay_h": 4.0}}
    assert not verdict.wrong_component
    assert not verdict.false_alarms


def test_after_the_limit_is_late_and_never_is_missed():
    assert outcome(CLOGGED, alarm("lube_oil.filter", 20)) == "late"
    assert outcome(CLOGGED) == "missed"


def test_a_fault_is_not_found_by_what_was_said_before_it_began():
    verdict = judge([CLOGGED], [alarm("lube_oil.filter", 9)])
    assert verdict.findings[0].outcome == "missed"
    assert len(verdict.false_alarms) == 1


def test_a_broken_sensor_owes_an_instrument_alarm_and_no_other():
    assert outcome(STUCK, alarm("gearbox", 11, "instrument")) == "found"
    verdict = judge([STUCK], [alarm("gearbox", 11, "machine")])
    assert verdict.findings[0].outcome == "missed"
    assert len(verdict.wrong_component) == 1


def test_what_the_failure_mode_itself_disturbs_is_explained_but_finds_nothing():
    verdict = judge([CLOGGED], [alarm("lube_oil", 15)])
    assert verdict.findings[0].outcome == "missed"
    assert not verdict.wrong_component
    assert not verdict.false_alarms


def test_another_component_while_a_fault_is_there_is_wrong_and_another_equipment_is_false():
    verdict = judge([CLOGGED], [alarm("compressor.thrust", 15), alarm("lube_oil.filter", 15, equipment="K-2")])
    assert [a.component for a in verdict.wrong_component] == ["compressor.thrust"]
    assert [a.equipment for a in verdict.false_alarms] == ["K-2"]


def test_an_alarm_that_comes_back_counts_again():
    assert len(judge([], [alarm("gearbox", 1), alarm("gearbox", 5)]).false_alarms) == 2


def test_seeds_are_read_as_people_write_them():
    assert parse_seeds("4") == [4]
    assert parse_seeds("1-3, 2, 9") == [1, 2, 3, 9]
    for wrong in ("", "x", "3-1", "1-", "0-100000"):
        with pytest.raises(InvalidInputError):
            parse_seeds(wrong)

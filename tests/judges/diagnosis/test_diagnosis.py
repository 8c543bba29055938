"""The diagnosis, judged on machines drawn at the time of the test. Short here; ``make diagnosis`` draws many."""

from __future__ import annotations

import secrets
import time

import numpy as np
import pytest

from models.diagnosis import Channel, Machine, Record, diagnose
from models.diagnosis.knowledge import modes_of
from models.vibration.bearings import bearing, of_geometry
from models.vibration.features import features
from tests.judges.diagnosis.generator import CLASSES, draw
from tests.judges.diagnosis.judge import Judged, calibration_error, figures, judge

CLASS_GROUPS = {
    "rotor": ("unbalance", "misalignment", "looseness", "blade_pass", "electrical", "rotor_bars"),
    "bearing": ("bearing_outer", "bearing_inner", "bearing_element", "bearing_cage"),
    "gear and film": ("gear_wear", "gear_tooth", "rub", "oil_whirl", "oil_whip"),
    "else": ("healthy", "sensor", "two"),
}


def judged(kinds: tuple[str, ...], seed: int, each: int = 1) -> list[Judged]:
    found = []
    for kind in kinds:
        for k in range(each):
            case = draw(kind, seed + k)
            found.append(judge(case, diagnose(case.record, case.machine)))
    return found


def test_every_class_is_drawn() -> None:
    assert {kind for group in CLASS_GROUPS.values() for kind in group} | {"unlisted"} == set(CLASSES)


@pytest.mark.parametrize("group", list(CLASS_GROUPS))
def test_most_faults_are_decided_and_what_is_decided_is_right(group: str) -> None:
    seed = secrets.randbelow(2**31)
    found = judged(CLASS_GROUPS[group], seed)
    wrong = [one for one in found if one.decided and not one.right]
    # one case per class: a class at its promised 85 % is wrong now and then, most of a group at once is not
    assert len(wrong) <= 2, f"seed {seed}: {wrong}"
    assert sum(one.decided for one in found) >= len(found) // 2, f"seed {seed}: {figures(found)}"


def test_what_is_not_listed_is_not_given_a_name() -> None:
    seed = secrets.randbelow(2**31)
    found = judged(("unlisted",), seed, 5)
    assert sum(not one.decided for one in found) >= 3, f"seed {seed}: {found}"


def test_the_calibration_error_is_what_it_says() -> None:
    def claims(confidence: float, right: list[bool]) -> list[Judged]:
        return [Judged("x", "", 0.0, True, one, confidence, "") for one in right]

    assert calibration_error(claims(0.75, [True, True, True, False])) == pytest.approx(0.0)
    assert calibration_error(claims(0.95, [False] * 4)) == pytest.approx(0.95)


def noise(rng: np.random.Generator, seconds: float = 10.0, rate: float = 12_000.0) -> np.ndarray:
    t = np.arange(int(seconds * rate)) / rate
    fr = 29.95
    lines = sum(a * np.cos(2 * np.pi * k * fr * t + rng.uniform(0, 6)) for k, a in ((1, 0.01), (2, 0.005), (5, 0.005)))
    return np.asarray(lines + rng.normal(0, 0.1, len(t)))


def test_healthy_records_of_any_length_are_not_flagged() -> None:
    rng = np.random.default_rng(secrets.randbelow(2**31))
    machine = Machine("m", {"de": bearing("6205")}, modes=modes_of("bearing"))
    for seconds in (1.0, 1.0, 1.0, 1.0, 2.0, 4.0):
        record = Record(12_000.0, (Channel("DE", noise(rng, seconds), "g", "radial", "de"),), 1797.0)
        assert not diagnose(record, machine).decided


def test_a_wrong_geometry_finds_nothing_where_there_is_a_fault() -> None:
    rng = np.random.default_rng(secrets.randbelow(2**31))
    case = draw("bearing_outer", int(rng.integers(2**31)))
    true = case.machine.bearings["de"]
    shifted = of_geometry("wrong", 9, 0.2034, 1.0)
    order = true.multiples["BPFO"]
    wrong = {line: value * 1.11 * order / shifted.multiples["BPFO"] for line, value in shifted.multiples.items()}
    machine = Machine("m", {"de": type(true)("wrong", wrong, 9)}, modes=("bearing_outer",))
    assert not diagnose(case.record, machine).decided


def test_a_sensor_fault_is_told_by_name_before_anything_else() -> None:
    x = noise(np.random.default_rng(5))
    flat = Channel("a", np.zeros(len(x)), "g", "axial", "de")
    clipped = Channel("y", np.clip(x, -0.12, 0.12), "g", "radial", "de")
    said = diagnose(Record(12_000.0, (Channel("x", x, "g", "radial", "de"), clipped, flat), 1797.0), Machine("m"))
    assert said.verdict == "instrument"
    assert {(found.channel, found.fault) for found in said.instruments} == {("a", "flat"), ("y", "clipping")}


def test_a_diagnosis_says_what_it_stands_on() -> None:
    case = draw("bearing_inner", 7)
    said = diagnose(case.record, case.machine)
    finding = said.decided[0]
    line = finding.evidence[0]
    assert line.expected == pytest.approx(case.machine.bearings["de"].multiples["BPFI"] * said.speed / 60)
    assert abs(line.found / line.expected - 1) <= 0.02
    assert line.over_db > 10
    assert finding.confirm
    assert finding.refute
    assert finding.action
    document = said.document()
    assert document["decided"] == ["bearing_inner"]
    assert "BPFI" in document["findings"][0]["evidence"][0]["sentence"]


def test_without_a_speed_or_in_a_transient_nothing_is_claimed() -> None:
    x = noise(np.random.default_rng(6))
    channel = Channel("x", x, "g", "radial", "de")
    assert diagnose(Record(12_000.0, (channel,)), Machine("m")).abstained
    speed = np.linspace(900, 1800, len(x)) / 60
    tacho = ((np.cumsum(speed) / 12_000 % 1) < 0.1).astype(float)
    said = diagnose(Record(12_000.0, (channel,), 1500.0, tacho), Machine("m"))
    assert not said.decided


def test_ten_seconds_are_diagnosed_within_a_second_of_a_busy_machine() -> None:
    """The promise, 0.5 CPU-s and 50 ms of features, is for a quiet machine; here twice that, at best of three."""
    x = noise(np.random.default_rng(7))
    machine = Machine("m", {"de": bearing("6205")})
    record = Record(12_000.0, (Channel("DE", x, "g", "radial", "de"),), 1797.0)
    best_diagnosis = best_features = np.inf
    for _ in range(3):
        begun = time.process_time()
        diagnose(record, machine)
        best_diagnosis = min(best_diagnosis, time.process_time() - begun)
        begun = time.process_time()
        features(x, 12_000.0, unit="g", speed=1797.0, bearing=bearing("6205"))
        best_features = min(best_features, time.process_time() - begun)
    assert best_diagnosis < 1.0
    assert best_features < 0.15

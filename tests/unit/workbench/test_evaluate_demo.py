"""The evaluation itself: a seed through two days with every owed fault, one without, and what the command prints."""

import json

import pytest

from core.errors import InvalidInputError
from workbench.evaluate.demo import evaluate_demo
from workbench.evaluate.report import evaluate_demo_command

OWED = {
    "bias", "burst_hose", "converter_fan", "cooler_fouling", "drift", "filter_clogging", "hot_box", "lost_blade",
    "motor_bearing", "open_circuit", "stuck", "wiped_pad",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(900)  # half a minute on a machine of its own
def test_a_seed_through_two_days():
    """Readings every 40 s instead of 10 s, for the time it takes."""
    result = evaluate_demo([7], 2, period_s=40)
    assert set(result["by_kind"]) == OWED
    assert result["faults"] == 16
    assert result["equipment_days"] == 8
    assert result["found"] >= 14
    assert result["false_alarms"] == 0
    assert result["wrong_component"] <= 1


def test_without_faults_there_is_nothing_to_find_and_equal_arguments_give_equal_results():
    once, again = (evaluate_demo([3], 0.1, faults=False, period_s=60) for _ in range(2))
    assert once == again
    assert (once["faults"], once["found"], once["by_kind"]) == (0, 0, {})


def test_the_command_prints_one_json_object(capsys):
    assert evaluate_demo_command("2", 0.05, faults=False, as_json=True, jobs=1) == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result) == {
        "fleet", "faults", "found", "late", "wrong_component", "false_alarms", "equipment_days", "by_kind",
    }  # fmt: skip


def test_the_command_prints_a_table_for_people(capsys):
    assert evaluate_demo_command("2", 0.05, faults=False, jobs=1) == 0
    assert "0 false alarms in 0.2 equipment-days" in " ".join(capsys.readouterr().out.split())


def test_nothing_to_evaluate_is_refused():
    with pytest.raises(InvalidInputError):
        evaluate_demo([], 1)
    with pytest.raises(InvalidInputError):
        evaluate_demo([1], 0)

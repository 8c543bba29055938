"""The demonstration as a newcomer runs it: it ends by itself, every seeded fault was told, nothing healthy was."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import Servitize

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(600)]


def test_every_seeded_fault_is_told_on_its_component_and_nothing_healthy_is(servitize: Servitize) -> None:
    shown = servitize("demo", "--seconds", "60", "--seed", "1", "--api", "0", "--mqtt", "0", timeout=540)
    assert "PASSED: 5 of 5 seeded faults told on their component, 0 missed, 0 alarms without a cause" in shown
    truth = json.loads((servitize.home / "demo" / "truth-0001.json").read_text())
    assert {fault["mode"] for fault in truth} == {
        "filter_clogging", "motor_bearing", "stuck", "hot_box", "burst_hose",
    }  # fmt: skip
    progress = json.loads((servitize.home / "demo" / "progress.json").read_text())
    assert progress["done"] is True
    assert progress["waiting"] == 0
    assert servitize.state()["servers"] == {}


def test_another_seed_wants_a_directory_of_its_own(servitize: Servitize) -> None:
    refused = servitize("demo", "--seconds", "60", "--seed", "2", code=1)
    assert "was made with seed 1" in refused

"""The demonstration as a newcomer runs it: it ends by itself, every seeded fault was told, nothing healthy was."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx2
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


def test_the_bearings_fault_ends_in_a_case_that_names_it(servitize: Servitize) -> None:
    """The motor bearing of K-102, outer ring; the report stands by itself."""
    servitize.start()
    try:
        key = servitize.json("key", "create", "--name", "analyst", "--role", "engineer", "--tenant", "demo")["key"]
        with httpx2.Client(
            base_url=servitize.state()["instance"]["api"],
            headers={"Authorization": f"Bearer {key}"},
            timeout=120,
        ) as client:
            deadline = time.monotonic() + 120
            case: dict[str, Any] = {}
            while not case.get("said") and time.monotonic() < deadline:
                found = client.get("/v1/cases?equipment=K-102&component=motor.bearing_de").json()["items"]
                case = found[0] if found else {}
                time.sleep(1.0)
            first = client.get(f"/v1/cases/{case['id']}").json()["diagnosis"]["findings"][0]
            assert (first["mode"], first["component"], first["decided"]) == ("bearing_outer", "motor.bearing_de", True)
            report = client.get(f"/v1/cases/{case['id']}/report").text
            for words in ("Motor bearing de", first["title"], "envelope spectrum", "data:image/svg+xml"):
                assert words in report
    finally:
        servitize("down", code=None)


def test_a_second_demonstration_goes_on_after_the_repairs(servitize: Servitize) -> None:
    """The same machines, mended, and other faults; the pause is no alarm, and it hides none."""
    shown = servitize("demo", "--seconds", "30", "--api", "0", "--mqtt", "0", timeout=540)
    assert "PASSED: " in shown
    assert ", 0 missed, 0 alarms without a cause" in shown
    assert servitize.json("deadletter", "list") == []


def test_another_seed_wants_a_directory_of_its_own(servitize: Servitize) -> None:
    refused = servitize("demo", "--seconds", "60", "--seed", "2", code=1)
    assert "was made with seed 1" in refused

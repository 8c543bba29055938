"""The story of one bearing, told by a customer's client: alarm, advisory with a date, work, repair, proof, closed."""

from __future__ import annotations

import re

import pytest

from tests.e2e.conftest import Servitize

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]


def test_a_bearing_wears_is_replaced_and_proven_well(servitize: Servitize) -> None:
    shown = servitize("demo", "--story", "--seconds", "60", "--api", "0", "--mqtt", "0", timeout=840)
    told = [
        r"alarm +unacknowledged +K-101 motor\.bearing_de",
        r"advisory +open +K-101 motor\.bearing_de: .*  by \d{4}-\d\d-\d\d",
        r"because Motor bearing de",
        r"Replace the motor's rolling bearing \(de\): \d+ EUR",
        r"work order planned",
        r"work order approved",
        r"work order scheduled",
        r"work order in_progress",
        r"work order done",
        r"work order verified .*without the fault",
        r"work order closed",
        r"advisory +resting",
    ]
    place = 0
    for line in told:
        found = re.compile(line).search(shown, place)
        assert found, f"{line} is not told, or not in its place:\n{shown[-6000:]}"
        place = found.start()
    assert "PASSED: 1 of 1 seeded faults told on their component, 0 missed, 0 alarms without a cause" in shown
    assert "did not come to its end" not in shown

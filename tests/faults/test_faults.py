"""A small part of `make faults`: real processes are killed; nothing acknowledged is lost, nothing is doubled."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.faults import scenarios
from tests.faults.host import EmbeddedHost
from tests.faults.scenarios import Scenario, Stage

pytestmark = [pytest.mark.faults, pytest.mark.integration, pytest.mark.slow]


@pytest.fixture(scope="module")
def host() -> Iterator[EmbeddedHost]:
    with EmbeddedHost() as host:
        yield host


@pytest.mark.parametrize(
    "scenario", [scenarios.kills, scenarios.power_cut, scenarios.delivery], ids=lambda function: function.__name__
)
def test_nothing_is_lost_that_may_not_be(host: EmbeddedHost, scenario: Scenario) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    print(f"seed {seed}")
    result = scenario(Stage(host, seed, 0.02))
    assert result.problems == [], (seed, host.log())
    assert result.published > 0
    assert result.duplicated == 0
    assert result.lost == result.detected

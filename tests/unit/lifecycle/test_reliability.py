"""Weibull and availability against worked examples that others have published, to the digits they printed."""

from __future__ import annotations

import pytest

from core.errors import InvalidInputError
from models.reliability.dependability import dependability, inherent_availability, pareto
from models.reliability.life_data import fit

# NIST/SEMATECH e-Handbook of Statistical Methods, 8.4.1.3 "A Weibull maximum likelihood estimation example":
# ten failures, ten units taken off at 500 hours.
NIST = [54, 187, 216, 240, 244, 335, 361, 373, 375, 386]


def test_nist_weibull_with_suspensions() -> None:
    found = fit([*NIST, *[500] * 10], [True] * 10 + [False] * 10)
    # printed as 606.5280; the likelihood's own maximum is 606.52756 by three solvers, so its fourth decimal is padding
    assert f"{found.eta.value:.3f}" == "606.528"
    assert f"{found.beta.value:.4f}" == "1.7208"
    assert f"{found.log_likelihood:.3f}" == "-75.135"
    assert f"{found.aic:.2f}" == "154.27"
    assert f"{found.mean:.3f}" == "540.737"
    assert f"{found.deviation:.3f}" == "323.806"
    assert (found.failures, found.suspensions) == (10, 10)


# ReliaWiki, "Weibull Parameter Estimation" (Kececioglu's data): six units, all failed; maximum likelihood.
def test_reliawiki_weibull_of_complete_data() -> None:
    found = fit([16, 34, 53, 75, 93, 120], [True] * 6)
    assert f"{found.beta.value:.3f}" == "1.933"
    assert f"{found.eta.value:.3f}" == "73.526"


# "A device with an MTBF of 500,000 hours and a MTTR of four hours" (Zero Impact Tools, August 2011), and the reference
# guide of PTC Windchill, "Availability": 50 and 10 hours.
def test_availability() -> None:
    assert f"{inherent_availability(500_000, 4):.6f}" == "0.999992"
    assert f"{(1 - inherent_availability(500_000, 4)) * 365 * 24 * 60:.1f}" == "4.2"
    assert f"{inherent_availability(50, 10):.4f}" == "0.8333"
    found = dependability(150.0, [10.0, 8.0, 12.0])
    assert (found.mtbf, found.mttr) == (50.0, 10.0)
    assert found.availability == pytest.approx(150 / 180)


def test_bounds_hold_the_estimate_and_narrow_with_more_data() -> None:
    one = fit([*NIST, *[500] * 10], [True] * 10 + [False] * 10)
    ten = fit([*NIST, *[500] * 10] * 10, ([True] * 10 + [False] * 10) * 10)
    for a, b in ((one.beta, ten.beta), (one.eta, ten.eta), (one.b10, ten.b10)):
        assert a.low < a.value < a.high
        assert a.value == pytest.approx(b.value, rel=1e-9)
        assert b.high / b.low < a.high / a.low
    assert one.says().startswith("wears out")


def test_without_failures_only_a_lower_bound_is_told() -> None:
    found = dependability(1000.0, [])
    assert (found.mtbf, found.mtbf_high, found.mttr) == (None, None, None)
    assert found.mtbf_low == pytest.approx(1000 / 2.9957, rel=1e-3)  # 95 %: −ln 0.05
    with pytest.raises(InvalidInputError, match="fewer than two"):
        fit([10.0, 20.0], [True, False])


def test_pareto_adds_up() -> None:
    found = pareto({"filter": 5, "bearing": 12, "seal": 3})
    assert [s.key for s in found] == ["bearing", "filter", "seal"]
    assert found[1].cumulated == pytest.approx(0.85)
    assert found[-1].cumulated == pytest.approx(1.0)

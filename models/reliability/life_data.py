"""Weibull life of a kind of part from lives that ended in failure and lives that did not (suspensions).

Maximum likelihood by surpyval; bounds of parameters from the Fisher matrix on the logarithm, bounds of the life that a
share survives by the same normal approximation (Meeker, Escobar: Statistical Methods for Reliability Data, ch. 8).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from core.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class Bounded:
    """An estimate with its two-sided bounds."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Weibull:
    """Two-parameter Weibull: R(t) = exp(−(t/η)^β). ``b10``: the time by which a tenth has failed."""

    beta: Bounded
    eta: Bounded
    b10: Bounded
    mean: float
    deviation: float
    log_likelihood: float
    aic: float
    failures: int
    suspensions: int
    confidence: float

    def survival(self, t: float) -> float:
        return math.exp(-((t / self.eta.value) ** self.beta.value))

    def says(self) -> str:
        """What the shape means, as far as the bounds let it mean anything."""
        if self.beta.low > 1.0:
            return "wears out: failures become more frequent with age, so replacing in time helps"
        if self.beta.high < 1.0:
            return "fails early: the young fail most, so look at making and mounting, not at age"
        return "no clear change with age: replacing by age alone would not help"


def fit(times: Sequence[float], failed: Sequence[bool], confidence: float = 0.90) -> Weibull:
    """Of lives ``times`` (> 0), each ended by failure or still good when last seen.

    Raises :class:`~core.errors.InvalidInputError` for fewer than two different failures: no shape can be told then.
    """
    x, observed = np.asarray(times, np.float64), np.asarray(failed, bool)
    if x.shape != observed.shape or not np.isfinite(x).all() or (x <= 0).any():
        raise InvalidInputError("lives are finite and longer than nothing, each with its end")
    if len(np.unique(x[observed])) < 2:
        raise InvalidInputError(
            "fewer than two different failures: no life can be told from them", hint="wait, or pool"
        )
    # pandas and autograd come with it: who fits nothing does not wait for them
    from surpyval import Weibull as Estimator  # type: ignore[attr-defined]

    model = Estimator.fit(x=x, c=(~observed).astype(int))
    eta, beta = (float(p) for p in model.params)
    eta, beta = _polished(x, observed, eta, beta)
    covariance = np.asarray(np.linalg.inv(_information(x, observed, eta, beta)), np.float64)
    z = float(scipy.stats.norm.ppf(0.5 + confidence / 2))
    u = (x / eta) ** beta
    likelihood = float((np.log(beta / eta) * observed + (beta - 1) * np.log(x / eta) * observed - u).sum())
    gamma = math.gamma(1 + 1 / beta)
    return Weibull(
        beta=_log_bounds(beta, covariance[1, 1], z),
        eta=_log_bounds(eta, covariance[0, 0], z),
        b10=_quantile(0.10, eta, beta, covariance, z),
        mean=eta * gamma,
        deviation=eta * math.sqrt(math.gamma(1 + 2 / beta) - gamma**2),
        log_likelihood=likelihood,
        aic=4 - 2 * likelihood,
        failures=int(observed.sum()),
        suspensions=int((~observed).sum()),
        confidence=confidence,
    )


def _polished(x: NDArray[np.float64], observed: NDArray[np.bool_], eta: float, beta: float) -> tuple[float, float]:
    """Newton on the profile likelihood of β from the library's optimum to the last digit; η follows in closed form."""
    logs, failures = np.log(x), observed.sum()
    for _ in range(30):
        power = x**beta
        s0, s1, s2 = power.sum(), (power * logs).sum(), (power * logs**2).sum()
        slope = failures / beta + logs[observed].sum() - failures * s1 / s0
        curve = -failures / beta**2 - failures * (s2 / s0 - (s1 / s0) ** 2)
        step = slope / curve
        beta -= float(step)
        if abs(step) < 1e-12 * beta:
            break
    return float((np.sum(x**beta) / failures) ** (1 / beta)), beta


def _information(x: NDArray[np.float64], observed: NDArray[np.bool_], eta: float, beta: float) -> NDArray[np.float64]:
    """Observed Fisher information of (η, β)."""
    u, logs, failures = (x / eta) ** beta, np.log(x / eta), observed.sum()
    ee = -failures * beta / eta**2 + beta * (beta + 1) / eta**2 * u.sum()
    bb = failures / beta**2 + (u * logs**2).sum()
    eb = failures / eta - (u * (1 + beta * logs)).sum() / eta
    return np.array([[ee, eb], [eb, bb]])


def _log_bounds(value: float, variance: float, z: float) -> Bounded:
    factor = math.exp(z * math.sqrt(variance) / value)
    return Bounded(value, value / factor, value * factor)


def _quantile(p: float, eta: float, beta: float, covariance: NDArray[np.float64], z: float) -> Bounded:
    """t with F(t) = p, by the delta method on ln t."""
    w = math.log(-math.log(1 - p))
    value = eta * math.exp(w / beta)
    gradient = np.array([1 / eta, -w / beta**2])
    spread = math.sqrt(float(gradient @ covariance @ gradient))
    return Bounded(value, value * math.exp(-z * spread), value * math.exp(z * spread))

"""Seeded randomness: generators per unit and purpose, spread of parameters, slowly wandering quantities."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from simulators.contract import FloatArray


def generator(seed: int, *purpose: object) -> np.random.Generator:
    """A generator that depends on the seed and the purpose only, never on who else is simulated."""
    tag = zlib.crc32("/".join(map(str, purpose)).encode())
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence([seed, tag])))


class Spread:
    """Draws each unit's parameters: ``spread("load", 30.0)`` is 30·N(1, 0.02) per unit, [units] or [units, n].

    The draw depends on unit seed and name, so a new parameter leaves the others alone.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self._seeds = seeds

    def __call__(self, name: str, value: float, sigma: float = 0.02, size: int | None = None) -> FloatArray:
        return value * (1.0 + sigma * self.normal(name, size))

    def normal(self, name: str, size: int | None = None) -> FloatArray:
        return np.array([generator(seed, "normal", name).standard_normal(size) for seed in self._seeds])

    def uniform(self, name: str, low: float, high: float, size: int | None = None) -> FloatArray:
        return np.array([generator(seed, "uniform", name).uniform(low, high, size) for seed in self._seeds])


class Wander:
    """Ornstein-Uhlenbeck processes, one per seed, linear between knots ``step_s`` apart.

    Equal seeds share one course (one weather per site). Results do not depend on how the time axis is cut: knots are
    drawn in chunks of fixed length, in order.
    """

    _CHUNK = 256

    def __init__(
        self, seeds: Sequence[int], name: str, start_s: float, step_s: float, tau_s: float, sigma: float
    ) -> None:
        self._rngs = [generator(seed, "wander", name) for seed in seeds]
        self._start, self._step = start_s, step_s
        self._decay = float(np.exp(-step_s / tau_s))
        self._sigma = sigma
        first = np.array([rng.standard_normal() for rng in self._rngs]) * sigma
        self._knots = first[None, :]

    def at(self, t: FloatArray) -> FloatArray:
        """Values [n, seeds] at seconds ``t`` [n], none before the start."""
        position = (t - self._start) / self._step
        index = position.astype(np.int64)
        while int(index[-1]) + 2 > len(self._knots):
            self._extend()
        fraction = (position - index)[:, None]
        return self._knots[index] * (1.0 - fraction) + self._knots[index + 1] * fraction

    def _extend(self) -> None:
        kick = np.stack([rng.standard_normal(self._CHUNK) for rng in self._rngs], axis=1)
        kick *= self._sigma * np.sqrt(1.0 - self._decay**2)
        knots = np.empty_like(kick)
        value = self._knots[-1]
        for i in range(self._CHUNK):
            value = value * self._decay + kick[i]
            knots[i] = value
        self._knots = np.concatenate([self._knots, knots])

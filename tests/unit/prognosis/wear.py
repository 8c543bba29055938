"""A machine that wears: what the tests of prognosis are made from. Its own generator, not the data set's."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from models.prognosis.signals import Life


def life(rng: np.random.Generator, *, regimes: int = 1, sensors: int = 6, noise: float = 1.0) -> Life:
    """Flat, then exponential wear until failure, in sensors of different gain; each regime has its own levels."""
    steps = int(rng.integers(110, 220))
    left = steps - 1.0 - np.arange(steps)
    wear = 8.0 * np.exp(-left / rng.uniform(20.0, 32.0)) + rng.normal(0, 0.2)
    gain = np.linspace(-1.0, 1.0, sensors)
    load = rng.integers(0, regimes, steps)
    levels = 30.0 * np.outer(load, np.cos(np.arange(sensors)))
    values = (
        100.0 + levels + np.outer(wear, gain) * (1.0 + 0.3 * load[:, None]) + noise * rng.normal(size=(steps, sensors))
    )
    settings = np.stack([load * 10.0, load * -0.2, np.full(steps, 100.0)], axis=1) + rng.normal(0, 0.002, (steps, 3))
    return Life(settings, values)


def lives(n: int, seed: int, **how: float) -> list[Life]:
    rng = np.random.default_rng(seed)
    return [life(rng, **how) for _ in range(n)]  # type: ignore[arg-type]


def cut(whole: list[Life], seed: int) -> tuple[list[Life], np.ndarray]:
    """Each cut off at random, and what it had left."""
    rng = np.random.default_rng(seed)
    left = np.array([rng.integers(5, len(life) - 40) for life in whole])
    return [life.until(len(life) - int(rest)) for life, rest in zip(whole, left, strict=True)], left.astype(float)


def write_folder(folder: Path, name: str, *, machines: int, seed: int, regimes: int = 1) -> Path:
    """Files named as those of C-MAPSS."""
    train = lives(machines, seed, regimes=regimes)
    test, left = cut(lives(machines, seed + 1, regimes=regimes), seed)
    for part, histories in (("train", train), ("test", test)):
        rows = [
            np.column_stack([np.full(len(h), unit + 1.0), np.arange(1.0, len(h) + 1), h.settings, h.sensors])
            for unit, h in enumerate(histories)
        ]
        np.savetxt(folder / f"{part}_{name}.txt", np.concatenate(rows), fmt="%.4f")
    np.savetxt(folder / f"RUL_{name}.txt", left, fmt="%d")
    return folder

"""A small model of the pump's remaining life, learned once: what a registry with models looks like to the processor."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from sklearn.linear_model import Ridge

from core.learned import ModelEntry, ModelKind
from core.time import SECOND
from models.drift import reference
from models.prognosis.regression import LifeRegressor
from models.prognosis.signals import Life

SENSORS = ("pressure", "seal1.t", "seal2.t", "seal3.t")
STEP = 10 * SECOND


@cache
def regressor(seed: int = 0) -> LifeRegressor:
    """Pumps whose pressure falls and whose first seal warms as they wear."""
    rng = np.random.default_rng(seed)
    lives = []
    for length in rng.integers(40, 60, 6).tolist():
        wear = (np.arange(length) / length)[:, None] ** 2
        values = np.array([9.0, 42.0, 44.0, 41.0]) + wear * [-3.0, 9.0, 0.0, 0.0] + rng.normal(0, 0.3, (length, 4))
        lives.append(Life(rng.normal(3000.0, 5.0, (length, 1)), values))
    return LifeRegressor(horizon=40.0, signals=2, regressor=Ridge(), folds=2, least=5, unit="step").fit(lives)


def entry(name: str = "remaining-life/pump", version: int = 1, *, champion: bool = True, **features: Any) -> ModelEntry:
    rng = np.random.default_rng(1)
    return ModelEntry(
        name, version, champion, ModelKind.REMAINING_LIFE, "pump",
        {"points": SENSORS, "settings": ("speed",), "step_us": STEP, "component": "pump", **features},
        reference({key: rng.normal(40.0, 2.0, 500) for key in SENSORS[1:]}),
        regressor(version % 2),
    )  # fmt: skip


def models() -> tuple[ModelEntry, ...]:
    """A champion, and a challenger with steps of another length."""
    return entry(), entry(version=2, champion=False, step_us=7 * SECOND)

"""A small model of the pump's remaining life, learned once: what a registry with models looks like to the processor."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from sklearn.linear_model import Ridge

from core.learned import ModelEntry, ModelKind
from core.time import SECOND
from models.drift import reference
from models.normal.behaviour import History, NormalBehaviour
from models.prognosis.regression import LifeRegressor
from models.prognosis.signals import Life

SENSORS = ("pressure", "seal1.t", "seal2.t", "seal3.t")
STEP = 10 * SECOND
T0 = 1_700_000_000 * SECOND


@cache
def regressor() -> LifeRegressor:
    """Pumps whose pressure falls and whose first seal warms as they wear."""
    rng = np.random.default_rng(0)
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
        regressor(),
    )  # fmt: skip


@cache
def behaviour() -> NormalBehaviour:
    """Pumps whose three seals warm with each other, and whose pressure does so a little."""
    rng = np.random.default_rng(3)
    histories = []
    for _ in range(2):
        ts = T0 + np.arange(700) * STEP
        warm = np.sin(np.arange(700) / 40.0)[:, None] + rng.normal(0, 0.3, (700, 1))
        seals = np.array([42.0, 44.0, 41.0]) + 2.0 * warm + rng.normal(0, 0.1, (700, 3))
        sensors = np.column_stack([8.0 + 0.1 * warm + rng.normal(0, 0.02, (700, 1)), seals])
        histories.append(History(ts, rng.normal(3000.0, 5.0, (700, 1)), sensors))
    times: dict[str, Any] = {
        "smooth_s": 30.0,
        "settle_s": 20.0,
        "learn_s": 600.0,
        "recentre_s": 3600.0,
        "on_s": 20.0,
        "off_s": 20.0,
    }
    return NormalBehaviour(sensors=SENSORS, settings=("speed",), **times).fit(histories)


def normal(name: str = "normal/pump", version: int = 1, *, champion: bool = True) -> ModelEntry:
    features = {"points": SENSORS, "settings": ("speed",), "step_us": STEP}
    return ModelEntry(name, version, champion, ModelKind.NORMAL_BEHAVIOUR, "pump", features, {}, behaviour())


def models() -> tuple[ModelEntry, ...]:
    """A champion, a challenger with steps of another length, and two of normal behaviour."""
    return (
        entry(),
        entry(version=2, champion=False, step_us=7 * SECOND),
        normal(),
        normal("normal/pump-other", 4, champion=False),
    )

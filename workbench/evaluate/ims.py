"""``servitize evaluate ims``: bearings run until some of them fail, watched without knowing which.

The features of each bearing are judged by normal behaviour learned from the beginning of the same test (after the
run-in, all bearings together as machines of one type, no label): logarithm of the spread, crest factor and kurtosis
of each channel. The clock is running time: standstill between snapshots does not count. An alarm latches: a damaged
race does not heal, even if its edges are rounded and the shocks grow less for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInputError
from core.time import HOUR
from models.normal.behaviour import History, NormalBehaviour
from workbench.datasets import ims
from workbench.datasets.ims import Test
from workbench.evaluate.episodes import Tally, document

FloatArray = NDArray[np.float64]

RUN_IN: Final = 0.05
"""Share of the snapshots that is left out: bearings run in."""
LEARN: Final = 0.30
"""Share until which it is learned."""
EARLIEST_H: Final = 240.0
LATEST_H: Final = 48.0
"""Hours before the end: an alarm on a failing bearing counts in between; one on another bearing is forgiven after."""
_GAP: Final = 3.0
"""Usual intervals: a longer one was a standstill."""
_LEAST: Final = 100

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Watched:
    """A bearing: hours before the end at which it was first alarmed (None: never), and how much of the time from then
    on the
    alarm would have stood had it not been latched."""

    test: str
    bearing: int
    failed: bool | None
    first_alarm_h: float | None
    stood: float | None
    months: float


def model_for_ims() -> NormalBehaviour:
    """What is judged; looked at on test 1 more than once."""
    return NormalBehaviour(
        smooth_s=6 * 3600.0, settle_s=12 * 3600.0, learn_s=48 * 3600.0, recentre_s=200 * 3600.0, t_limit=3.0,
        q_limit=3.0, agree=True, calibrate=False,
    )  # fmt: skip


def evaluate_ims(folder: Path, wanted: Sequence[str] = (), *, progress: Progress | None = None) -> list[Watched]:
    """Every test of the folder, or the ``wanted``."""
    tell = progress or (lambda what: None)
    watched = []
    for name in wanted or ims.tests(folder):
        tell(name)
        watched += watch(ims.read(folder, name))
    return watched


def watch(test: Test) -> list[Watched]:
    """All bearings of a test. Raises for one that is too short."""
    n = len(test.ts)
    if n < _LEAST:
        raise InvalidInputError(f"{test.name} has {n} snapshots", hint=f"{_LEAST} at least")
    running = running_time(test.ts)
    first, until = int(RUN_IN * n), int(LEARN * n)
    histories = {
        b: History(running, np.empty((n, 0)), symptoms(test, b)).part(slice(first, None)) for b in test.features
    }
    model = model_for_ims().fit([h.part(slice(0, until - first)) for h in histories.values()])
    before_end = (test.ts[-1] - test.ts[first:]) / HOUR
    found = []
    for bearing, history in histories.items():
        alarm = model.run(history).alarm
        at = np.flatnonzero(alarm)
        found.append(
            Watched(
                test.name, bearing, None if test.failed is None else bearing in test.failed,
                round(float(before_end[at[0]]), 1) if len(at) else None,
                round(float(alarm[at[0] :].mean()), 3) if len(at) else None,
                float(before_end[0]) / 730.0,
            )
        )  # fmt: skip
    return found


def running_time(ts: NDArray[np.int64]) -> NDArray[np.int64]:
    """µs of running: an interval much longer than usual counts as three usual ones."""
    step = np.diff(ts)
    return np.concatenate([[0], np.cumsum(np.minimum(step, int(_GAP * np.median(step))))]).astype(np.int64)


def symptoms(test: Test, bearing: int) -> FloatArray:
    """[rows, 3 × channels]: how strong (log spread), how sharp (log crest), how impulsive (kurtosis, compressed)."""
    columns = []
    for features in test.features[bearing].values():
        spread = features.get("std", features.get("rms"))
        if spread is None:
            raise InvalidInputError(f"{test.name}: bearing {bearing} has neither std nor rms", hint="…_std or …_rms")
        safe = np.where(spread > 0, spread, np.nan)
        columns.append(np.log(safe))
        if "max" in features:
            with np.errstate(invalid="ignore", divide="ignore"):
                crest = np.log(features["max"] / safe)
            columns.append(np.where(np.isfinite(crest), crest, np.nan))
        if "kurt" in features:
            columns.append(np.arcsinh(features["kurt"]))
    return np.stack(columns, axis=1)


def figures(watched: Sequence[Watched]) -> dict[str, Any]:
    """The document of ``--json``. Tests whose truth is not known are shown, not counted."""
    known = [w for w in watched if w.failed is not None]
    leads, false = [], 0
    for w in known:
        at = w.first_alarm_h
        if w.failed:
            in_time = at is not None and LATEST_H <= at <= EARLIEST_H
            leads.append(at if in_time else None)
            false += at is not None and at > EARLIEST_H
        else:
            false += at is not None and at > LATEST_H
    found = document(Tally(tuple(leads), false, sum(w.months for w in known)))
    return {
        **found,
        "bearings": [
            {
                "test": w.test, "bearing": w.bearing, "failed": w.failed, "first_alarm_h": w.first_alarm_h,
                "alarm_stood_since": w.stood,
            }
            for w in watched
        ],
    }  # fmt: skip

"""``servitize evaluate azure``: failures of machines with hourly telemetry, errors and services, foretold.

*Supervised*: each machine is left out in turn; a hazard model (:mod:`models.prognosis.survival`) learns from the
others and alarms where the risk to fail within 24 h is worth a visit. *Unsupervised*: telemetry alone, no failure
known; normal behaviour of the other machines, the machine's own baseline. Beside them: the same hazard model learned
from all machines' past and judged on their future, and the naive rule "any error within 24 h".

What is known at an hour is telemetry and errors up to it, replacements before it. After a failure only what came
after it counts: the machine was repaired. No maintenance record at or after a failure is ever used to foretell it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2
from sklearn.ensemble import HistGradientBoostingClassifier

from core.errors import InvalidInputError
from models.normal.behaviour import History, NormalBehaviour
from models.prognosis.survival import HazardModel, Landmarks
from workbench.datasets import azure
from workbench.datasets.azure import Fleet, Machine
from workbench.evaluate.episodes import Told, document, held, tally

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LEAST_LEAD_H: Final = 2.0
WINDOW_H: Final = 72.0
"""An alarm that begins earlier before a failure is not that failure's."""
AHEAD_H: Final = 24.0
LOOK_BACK_H: Final = 24
LIKELY: Final = 0.25
"""Risk from which it alarms: a missed failure is taken to cost three times what a needless visit costs (1 / (1 + 3)).
"""
GOES: Final = 0.125
EDGES: Final = (0.0, 12.0, 24.0, 48.0)
SPLIT: Final = 2 / 3
"""Share of the time that the chronological split learns from."""
LOOKS: Final = 30.0
"""Days of which one may alarm without a reason: telemetry smoothed over half a day is a new look each day, and one
false
alarm a month is borne where nobody has said what a failure looks like."""
_FOLDS: Final = 20
_ROWS: Final = 30_000
_HOUR_US: Final = 3_600_000_000

Progress = Callable[[str], None]


def evaluate_azure(folder: Path, wanted: Sequence[str] = (), *, progress: Progress | None = None) -> dict[str, Any]:
    """The document of ``--json``: supervised at the top, the others below it. ``wanted``: numbers of machines, none
    for all;
    the others are then as if they were not there."""
    tell = progress or (lambda what: None)
    fleet = azure.read(folder)
    missing = sorted(set(wanted) - {str(m.number) for m in fleet.machines})
    if missing:
        raise InvalidInputError(f"there is no machine {', '.join(missing)}", hint="numbers as in PdM_telemetry.csv")
    if wanted:
        fleet = replace(fleet, machines=[m for m in fleet.machines if str(m.number) in wanted])
    if len(fleet.machines) < 2:
        raise InvalidInputError("there is one machine", hint="each is judged by a model of the others: two or more")
    known = {m.number: covariates(fleet, m) for m in fleet.machines}
    tell("each machine left out in turn")
    supervised, unsupervised = [], []
    for out in folds(fleet):
        others = [m for m in fleet.machines if m.number not in out]
        model = learn(others, known)
        normal = learn_normal(others)
        for machine in (m for m in fleet.machines if m.number in out):
            supervised.append(foretell(model, machine, known[machine.number]))
            unsupervised.append(watch(normal, machine))
    tell("past and future")
    return {
        **_figures(supervised),
        "unsupervised": _figures(unsupervised),
        "chronological": _chronological(fleet, known),
        "naive": _figures([naive(m) for m in fleet.machines]),
        "machines": len(fleet.machines),
        "window_h": WINDOW_H,
        "least_lead_h": LEAST_LEAD_H,
    }


def folds(fleet: Fleet) -> list[set[int]]:
    """One machine each; of more than twenty machines, twenty groups of them."""
    numbers = [m.number for m in fleet.machines]
    return [set(numbers[i::_FOLDS]) for i in range(min(len(numbers), _FOLDS))]


def _figures(told: Sequence[Told]) -> dict[str, Any]:
    return document(tally(told, least_lead_h=LEAST_LEAD_H, window_h=WINDOW_H))


# --- supervised ------------------------------------------------------------------------------------------------------


def covariates(fleet: Fleet, machine: Machine) -> FloatArray:
    """[hours, 4] as known at each hour: how far from its usual level is the farthest channel in the mean of a day and
    of six hours; how far it was when an error of the last day came; kinds of errors in that day.

    How far and how many, not which: a dozen failures cannot teach each component's signs, and one that has failed but
    once would never be foretold on a machine that was left out.
    """
    hours = len(machine.telemetry)
    begin = _since_failure(machine, hours)
    everything = np.concatenate([m.telemetry for m in fleet.machines])
    # the channels' usual level and spread are the type's; no label is in them
    z = (machine.telemetry - np.nanmedian(everything, axis=0)) / np.nanstd(everything, axis=0)
    day, quarter = (
        np.abs(np.nan_to_num(_mean_since(z, begin, length))).max(1) for length in (LOOK_BACK_H, LOOK_BACK_H // 4)
    )
    errors = np.stack(
        [_count_since(at, begin, LOOK_BACK_H) for at in machine.errors.values()] or [np.zeros(hours)], axis=1
    )
    then = np.zeros(hours)
    for at in np.unique(np.concatenate([*machine.errors.values(), np.zeros(0, np.int64)])).astype(int).tolist():
        if 0 <= at < hours:
            until = at + LOOK_BACK_H
            still = slice(at, until)
            then[still] = np.where(begin[still] <= at, np.maximum(then[still], day[at]), then[still])
    return np.stack([day, quarter, then, (errors > 0).sum(1)], axis=1)


def learn(machines: Sequence[Machine], known: dict[int, FloatArray], until: int | None = None) -> HazardModel:
    """From every hour of these machines up to ``until``; what failed later counts as still running then."""
    rows, time, failed = [], [], []
    for m in machines:
        end = len(m.telemetry) if until is None else until
        hours = np.arange(end)
        ahead = np.searchsorted(m.failures, hours, side="right")
        failures = np.concatenate([m.failures[m.failures < end], [end]])
        following = failures[np.minimum(ahead, len(failures) - 1)]
        rows.append(known[m.number][:end])
        time.append((following - hours).astype(float))
        failed.append(following < end)
    every = max(1, sum(len(r) for r in rows) // _ROWS)
    seen = Landmarks(*(np.concatenate(part)[::every] for part in (rows, time, failed)))
    # farther off and more kinds of errors never make a failure less likely; the interval's number and length may
    growing = HistGradientBoostingClassifier(
        max_iter=100, learning_rate=0.06, max_leaf_nodes=6, min_samples_leaf=50, early_stopping=False,
        monotonic_cst=[1] * seen.covariates.shape[1] + [0, 0], random_state=0,
    )  # fmt: skip
    return HazardModel(np.array(EDGES), growing, unit="h").fit(seen)


def foretell(model: HazardModel, machine: Machine, known: FloatArray, first: int = 0) -> Told:
    """Alarm where the risk of a failure within a day is worth a visit."""
    alarm = held(model.risk(known, AHEAD_H), LIKELY, GOES, machine.failures.tolist())
    return _told(machine, alarm, first)


def _chronological(fleet: Fleet, known: dict[int, FloatArray]) -> dict[str, Any]:
    """Learned from all machines' first two thirds, judged on their last third."""
    hours = len(fleet.machines[0].telemetry)
    until = int(SPLIT * hours)
    if not any((m.failures < until).any() for m in fleet.machines):
        return {"failures": 0, "detected": 0, "why": "nothing failed in the part to learn from"}
    model = learn(fleet.machines, known, until)
    return _figures([foretell(model, m, known[m.number], until) for m in fleet.machines])


# --- unsupervised, and naive -----------------------------------------------------------------------------------------


def learn_normal(machines: Sequence[Machine]) -> NormalBehaviour:
    """Telemetry of the other machines, all of it: failures are few, and nobody said when."""
    channels = machines[0].telemetry.shape[1]
    limit = float(np.sqrt(chi2.ppf(1.0 - 1.0 / LOOKS, channels) / channels))
    model = NormalBehaviour(
        smooth_s=12 * 3600.0, settle_s=24 * 3600.0, learn_s=7 * 86400.0, recentre_s=30 * 86400.0, t_limit=limit,
        q_limit=limit, on_s=6 * 3600.0, release=0.7, calibrate=False,
    )  # fmt: skip
    return model.fit([_history(m) for m in machines])


def watch(model: NormalBehaviour, machine: Machine) -> Told:
    """The machine from its first hour; what is smoothed begins anew after each repair, its baseline is kept."""
    history, state, row = _history(machine), model.start(1), np.zeros(1, np.intp)
    repaired = set(machine.failures.tolist())
    alarm = np.zeros(len(history), np.bool_)
    for i in range(len(history)):
        now = slice(i, i + 1)
        hour = int(history.ts[i] // _HOUR_US)
        scored = np.array([hour not in repaired])
        if not scored[0]:
            state.alarm[:] = False
        alarm[i] = model.step(state, row, history.ts[now], history.settings[now], history.sensors[now], scored).alarm[0]
    there = np.zeros(len(machine.telemetry), np.bool_)
    there[(history.ts // _HOUR_US).astype(np.intp)] = alarm
    return _told(machine, there)


def naive(machine: Machine) -> Told:
    """Any error within a day."""
    hours = len(machine.telemetry)
    begin = _since_failure(machine, hours)
    errors = sum((_count_since(at, begin, LOOK_BACK_H) for at in machine.errors.values()), np.zeros(hours))
    return _told(machine, held(errors, 0.5, 0.5, machine.failures.tolist()))


# --- within ----------------------------------------------------------------------------------------------------------


def _told(machine: Machine, alarm: NDArray[np.bool_], first: int = 0) -> Told:
    hours = np.arange(first, len(alarm), dtype=float)
    return Told(str(machine.number), hours, alarm[first:], machine.failures[machine.failures >= first].astype(float))


def _history(machine: Machine) -> History:
    hours = np.flatnonzero(np.isfinite(machine.telemetry).any(1))
    return History(hours.astype(np.int64) * _HOUR_US, np.empty((len(hours), 0)), machine.telemetry[hours])


def _since_failure(machine: Machine, hours: int) -> IntArray:
    """First hour whose telemetry and errors count at each hour: the one after the last failure."""
    begin = np.zeros(hours, np.int64)
    for failure in machine.failures.tolist():
        begin[failure:] = failure + 1  # at the hour of a failure itself nothing is known of the repaired machine
    return begin


def _mean_since(values: FloatArray, begin: IntArray, hours: int) -> FloatArray:
    """Mean of the last ``hours`` rows, this one included, none before ``begin``; NaN where there is none."""
    known = np.isfinite(values)
    total = np.vstack([np.zeros(values.shape[1]), np.cumsum(np.where(known, values, 0.0), axis=0)])
    count = np.vstack([np.zeros(values.shape[1]), np.cumsum(known, axis=0)])
    end = np.arange(1, len(values) + 1)
    start = np.minimum(np.maximum(np.maximum(end - hours, begin), 0), end)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: FloatArray = (total[end] - total[start]) / (count[end] - count[start])
    return mean


def _count_since(at: IntArray, begin: IntArray, hours: int) -> FloatArray:
    """Events of the last ``hours``, this one included, none before ``begin``."""
    now = np.arange(len(begin))
    start = np.maximum(now - hours + 1, begin)
    count = np.searchsorted(at, now, side="right") - np.searchsorted(at, start, side="left")
    known: FloatArray = np.maximum(count, 0).astype(float)
    return known

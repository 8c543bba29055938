"""``servitize evaluate skab``: anomalies of a water circuit, and false alarms on a long healthy recording.

Protocol of record: per file the first 400 rows are learned from, without labels; the rest is scored in the order of
time; all files are pooled; point by point F1, FAR (share of the normal rows alarmed) and MAR (share of the anomalous
rows not alarmed). Alarming always gives an F1 of 0.70 here: never read F1 without FAR.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInputError
from core.time import HOUR, SECOND
from models.normal.behaviour import History, NormalBehaviour
from workbench.datasets import skab
from workbench.datasets.skab import Recording
from workbench.evaluate.healthy import healthy_train

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

LEARN_ROWS: Final = 400
WARM_UP_ROWS: Final = 2000

REFERENCES: Final[dict[str, tuple[float, float, float]]] = {
    "Conv-AE": (0.78, 13.6, 28.0),
    "MSET": (0.78, 39.7, 14.1),
    "T²+Q (PCA)": (0.76, 26.6, 24.9),
    "LSTM-AE": (0.74, 30.0, 25.9),
    "isolation forest": (0.29, 2.6, 82.9),
}
"""F1, FAR %, MAR %, published for all 34 files (waico/SKAB)."""

CHOSEN_ON: Final = "valve1"
"""The subset by which :func:`model_for_skab` was chosen."""

Progress = Callable[[str], None]


def model_for_skab(step_s: float) -> NormalBehaviour:
    """What is judged; times in rows, so that a slower recording is judged alike. Chosen on ``valve1``, then frozen."""
    return NormalBehaviour(
        smooth_s=20 * step_s, settle_s=40 * step_s, learn_s=200 * step_s, recentre_s=200 * step_s,
        t_limit=3.0, q_limit=3.0, agree=True, ridge=0.1,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """A recording's rows after those that were learned from: what was true, what was said, and how far it was."""

    name: str
    ts: NDArray[np.int64]
    anomaly: BoolArray
    alarm: BoolArray
    distance: FloatArray


def evaluate_skab(folder: Path, wanted: Sequence[str] = (), *, progress: Progress | None = None) -> list[Watched]:
    """Every labelled recording below ``folder``, or of the ``wanted`` sub-folders."""
    tell = progress or (lambda what: None)
    watched = []
    for recording in skab.recordings(folder, tuple(wanted)):
        tell(recording.name)
        watched.append(watch(recording, LEARN_ROWS))
    return watched


def watch(recording: Recording, learn_rows: int) -> Watched:
    """Learn from the first rows, score the rest. Raises for a recording that is no longer than that."""
    if len(recording.ts) <= learn_rows:
        raise InvalidInputError(
            f"{recording.name} has {len(recording.ts)} rows", hint=f"{learn_rows} to learn from, and some to judge"
        )
    history = History(recording.ts, np.empty((len(recording.ts), 0)), recording.values)
    return watch_history(recording.name, history, learn_rows, recording.anomaly)


def watch_history(name: str, history: History, learn_rows: int, anomaly: BoolArray | None = None) -> Watched:
    """The same for a history, which may come with settings; no labels: all of it is healthy."""
    first = history.part(slice(0, learn_rows))
    step_s = float(np.median(np.diff(first.ts))) / SECOND
    scores = model_for_skab(step_s).fit([first]).run(history)
    truth = np.zeros(len(history), np.bool_) if anomaly is None else anomaly
    rest = slice(learn_rows, None)
    return Watched(name, history.ts[rest], truth[rest], scores.alarm[rest], scores.distance[rest])


def judge_healthy(path: Path | None) -> dict[str, Any]:
    """``{"rows", "far"}`` of a long healthy recording after its warm-up; None: a simulated train without a fault."""
    if path is None:
        watched = watch_history("simulated train", healthy_train(), WARM_UP_ROWS)
    else:
        watched = watch(skab.read(path), WARM_UP_ROWS)
    normal = ~watched.anomaly
    return {
        "recording": watched.name,
        "rows": int(normal.sum()),
        "far": round(float(watched.alarm[normal].mean()), 4) if normal.any() else None,
        "warm_up_rows": WARM_UP_ROWS,
    }


# --- figures ---------------------------------------------------------------------------------------------------------


def figures(watched: Sequence[Watched]) -> dict[str, Any]:
    """The document of ``--json``."""
    events = [event for one in watched for event in _events(one)]
    delays = [delay for delay in events if delay is not None]
    false = sum(_false_episodes(one) for one in watched)
    hours = sum(_normal_hours(one) for one in watched)
    found: dict[str, Any] = {
        "files": len(watched),
        **point_wise(watched),
        "per_file": {one.name: {"rows": len(one.ts), **point_wise([one])} for one in watched},
        "events": len(events),
        "events_detected": len(delays),
        "median_delay_s": round(float(np.median(delays)), 1) if delays else None,
        "false_episodes_per_hour": round(false / hours, 3) if hours else None,
        "chosen_on": CHOSEN_ON,
    }
    unseen = [one for one in watched if not one.name.startswith(f"{CHOSEN_ON}/")]
    if unseen and len(unseen) < len(watched):
        found["unseen"] = {"files": len(unseen), **point_wise(unseen)}
    return found


def point_wise(watched: Sequence[Watched]) -> dict[str, float | None]:
    """F1, FAR and MAR of all rows together; None where there are no rows of that kind."""
    said = np.concatenate([one.alarm for one in watched])
    true = np.concatenate([one.anomaly for one in watched])
    hit, false, missed = (int(x.sum()) for x in (said & true, said & ~true, ~said & true))

    def share(part: float, whole: float) -> float | None:
        return round(part / whole, 4) if whole else None

    return {
        "f1": share(2 * hit, 2 * hit + false + missed),
        "far": share(false, int((~true).sum())),
        "mar": share(missed, int(true.sum())),
    }


def _runs(mask: BoolArray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _events(one: Watched) -> list[float | None]:
    """Seconds from the beginning of each labelled stretch to its first alarmed row, None where there is none."""
    found: list[float | None] = []
    for first, end in _runs(one.anomaly):
        hits = np.flatnonzero(one.alarm[first:end])
        found.append(float(one.ts[first + hits[0]] - one.ts[first]) / SECOND if len(hits) else None)
    return found


def _false_episodes(one: Watched) -> int:
    """Alarms, from coming to going, that touch no labelled row."""
    return sum(not one.anomaly[first:end].any() for first, end in _runs(one.alarm))


def _normal_hours(one: Watched) -> float:
    step = np.minimum(np.diff(one.ts, prepend=one.ts[0]), 10 * np.median(np.diff(one.ts)) if len(one.ts) > 1 else 0)
    return float(step[~one.anomaly].sum()) / HOUR

"""``servitize train|models|promote|rollback``: from history to a model that speaks, each step on record."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
import psycopg
from rich.console import Console
from rich.table import Table

import models.prognosis
from core.equipment import EquipmentType
from core.errors import InvalidInputError, NotFoundError
from core.time import HOUR
from models import packing
from models.drift import reference
from models.prognosis.regression import LifeRegressor
from storage import models as registry
from storage.models import ModelStatus, NewModel
from workbench.evaluate.crossed import crossed, measures, score
from workbench.train.history import History, Wanted, read

REMAINING_LIFE: Final = "remaining-life"


def train(
    connection: psycopg.Connection[Any],
    wanted: Wanted,
    type_: EquipmentType,
    *,
    key: bytes,
    actor: str,
    horizon: float = 125.0,
    model: LifeRegressor | None = None,
) -> tuple[str, int, dict[str, Any]]:
    """Learn remaining life of the type from stored history and keep it as a candidate: (name, version, metrics).

    ``horizon`` in steps; ``key`` signs the file; ``model`` unfitted, in place of the usual one. Raises
    :class:`~core.errors.InvalidInputError` where too few lives came to an end.
    """
    history = read(connection, wanted, type_)
    unit = "h" if wanted.step == HOUR else f"{wanted.step / HOUR:g} h"
    fitted = (model or LifeRegressor(horizon=horizon, unit=unit)).fit(history.lives)
    metrics = judged(fitted, history)
    data = packing.dump(fitted)
    name = f"{REMAINING_LIFE}/{wanted.type_key}"
    version = registry.add(
        connection,
        NewModel(
            name, REMAINING_LIFE, wanted.type_key, history.window, history.machines,
            {"points": history.points, "settings": history.settings, "step_us": wanted.step, "component":
            wanted.component}, code_version(), metrics,
            {"levels": [0.1, 0.5, 0.9], "knots": fitted.intervals_.knots_.tolist(), "offsets":
            fitted.intervals_.offsets_.tolist(), "reference": learned_from(history)}, data, packing.sign(data, key),
        ),
        actor,
    )  # fmt: skip
    return name, version, metrics


def learned_from(history: History) -> dict[str, Any]:
    """How each point was distributed: what drift is later measured against."""
    settings = np.concatenate([life.settings for life in history.lives])
    sensors = np.concatenate([life.sensors for life in history.lives])
    columns = np.column_stack([settings, sensors]).T
    return reference(dict(zip((*history.settings, *history.points), columns, strict=True)))


def judged(fitted: LifeRegressor, history: History) -> dict[str, Any]:
    """Cross-validated figures, in steps: machines left out in turn."""
    across = crossed(fitted)
    true = np.minimum(across.left, fitted.horizon)
    return {
        "lives": len(history.lives),
        "failed": sum(life.failed for life in history.lives),
        "regimes": len(fitted.signals_.regimes_.centres_),
        "score_per_100": round(float(100 * np.average(score(across.expected, true), weights=across.weights)), 1),
        **measures(across.expected, across.quantiles, true, across.weights, low=0.4 * fitted.horizon),
    }


def load(connection: psycopg.Connection[Any], name: str, version: int, key: bytes) -> Any:
    """The fitted model, if the signature is this installation's; :class:`~core.errors.ForbiddenError` otherwise."""
    file = registry.file(connection, name, version)
    packing.verify(file.data, file.signature, key)
    return packing.load(file.data)


def code_version(package: ModuleType = models.prognosis) -> str:
    """The program's version, and a hash of the estimators' source: equal means equal code."""
    folder = Path(str(package.__file__)).parent
    state = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        state.update(path.read_bytes().replace(b"\r\n", b"\n"))
    try:
        version = metadata.version("servitize")
    except metadata.PackageNotFoundError:
        version = "0"
    return f"{version}+{state.hexdigest()[:12]}"


# --- faces -----------------------------------------------------------------------------------------------------------


def promote_command(
    connection: psycopg.Connection[Any], name: str, version: int, to: str, *, key: bytes, actor: str, reason: str
) -> str:
    """Make it speak (or be scored beside who speaks), after its file was seen to be good. A sentence."""
    if to not in (ModelStatus.CHAMPION, ModelStatus.CHALLENGER, ModelStatus.RETIRED):
        raise InvalidInputError(f"{to!r} is no place for a model", hint="champion, challenger or retired")
    load(connection, name, version, key)
    before = registry.promote(connection, name, version, ModelStatus(to), actor, reason)
    return f"{name} version {version} is {to} (was {before.value})"


def models_command(connection: psycopg.Connection[Any], name: str | None, *, as_json: bool) -> None:
    """What there is, newest first; with a name also who decided what."""
    found = registry.stored(connection, name)
    if name is not None and not found:
        raise NotFoundError(f"there is no model {name!r}", hint="see what there is: servitize models")
    steps = registry.steps(connection, name) if name is not None else []
    if as_json:
        json.dump(
            {"models": [_document(m) for m in found], "steps": [_step(s) for s in steps]},
            sys.stdout,
            indent=2,
            default=str,
        )
        sys.stdout.write("\n")
        return
    console = Console()
    if not found:
        console.print("no models yet: servitize train --type TYPE")
        return
    table = Table(box=None)
    for column in ("model", "version", "status", "machines", "learned from", "to", "RMSE", "P10–P90 holds", "made by"):
        table.add_column(column)
    for m in found:
        rmse, held = m.metrics.get("rmse"), m.metrics.get("coverage")
        table.add_row(
            m.name, str(m.version), m.status.value, str(m.machines),
            f"{m.window_from:%Y-%m-%d}", f"{m.window_to:%Y-%m-%d}",
            "–" if rmse is None else f"{rmse:.1f}", "–" if held is None else f"{100 * held:.0f} %", m.created_by,
        )  # fmt: skip
    console.print(table)
    for version, at, actor, before, after, reason in steps:
        console.print(
            f"{at:%Y-%m-%d %H:%M} version {version}: {before or '–'} → {after} by {actor}. {reason}", highlight=False
        )


def _document(m: registry.StoredModel) -> dict[str, Any]:
    return {field: getattr(m, field) for field in m.__dataclass_fields__ if field != "calibration"}


def _step(step: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(("version", "at", "actor", "from", "to", "reason"), step, strict=True))

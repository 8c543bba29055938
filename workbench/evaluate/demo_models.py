"""Models for ``servitize evaluate demo --models``: what is normal for the demo's machines, learned from fleets without
faults that are not the ones judged, by the same code as ``servitize train --kind normal``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from core.learned import ModelKind
from core.time import MINUTE
from models import packing
from stream_processors.learning import Learning
from workbench.evaluate.demo import PackedModel, Progress, World, type_of
from workbench.evaluate.verdict import Announced
from workbench.train.normal import NAME, fit, healthy

LEARN_SEEDS: Final = tuple(range(11, 21))
LEARN_DAYS: Final = 7.0
STEP: Final = 10 * MINUTE
"""What these models are for grows over hours."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a type's model looks at; chosen on the seeds it is learned from."""

    settings: tuple[str, ...]
    points: tuple[str, ...]
    alone: tuple[str, ...]
    parameters: Mapping[str, Any]


RECIPES: Final[Mapping[int, Recipe]] = {
    0: Recipe(
        ("train.speed", "train.ambient_temperature", "process.inlet_flow", "motor.current"),
        (
            "compressor.rotor.de_x_1x", "compressor.rotor.de_y_1x", "compressor.rotor.nde_x_1x",
            "compressor.rotor.nde_y_1x", "compressor.journal_de.temperature", "compressor.journal_nde.temperature",
            "compressor.thrust.temperature_active", "compressor.thrust.temperature_inactive",
            "gearbox.temperature_hs", "gearbox.temperature_ls",
            "motor.winding_temperature", "motor.bearing_de.temperature", "motor.bearing_nde.temperature",
            "motor.bearing_de.velocity", "motor.bearing_nde.velocity", "lube_oil.header_pressure",
            "lube_oil.supply_temperature", "lube_oil.tank_temperature", "lube_oil.filter.differential_pressure",
            "lube_oil.cooler.valve_position",
        ),
        (
            "lube_oil.filter.differential_pressure", "lube_oil.cooler.valve_position", "motor.bearing_de.velocity",
            "motor.bearing_nde.velocity",
        ),
        {},
    ),
}  # fmt: skip
"""By kind of the demo's fleets."""


def learn(
    seeds: Sequence[int] = LEARN_SEEDS,
    days: float = LEARN_DAYS,
    *,
    period_s: int = 60,
    progress: Progress | None = None,
) -> dict[str, list[PackedModel]]:
    """A model of normal behaviour per type that has a recipe, from fleets without faults."""
    found = {}
    for i, (kind, recipe) in enumerate(RECIPES.items()):
        known = type_of(kind)
        world = World.of(kind, seeds, days, False, known, period_s)
        learning = Learning(world.registry, known.key, (*recipe.settings, *recipe.points), STEP)

        def told(share: float, done: int = i) -> None:
            if progress is not None:
                progress((done + share) / len(RECIPES))

        for record in world.records(days, period_s, told):
            learning.feed([record.batch])
        steps = [healthy(s, (), 0) for s in learning.steps().values()]
        model, features, reference = fit(
            known, recipe.settings, recipe.points, steps, STEP, recipe.parameters, recipe.alone
        )
        found[known.key] = [
            PackedModel(
                f"{NAME}/{known.key}", ModelKind.NORMAL_BEHAVIOUR, known.key, features, reference, packing.dump(model)
            )
        ]
    return found


def kept(folder: Path, progress: Progress | None = None) -> dict[str, list[PackedModel]]:
    """The models in a folder; learned (minutes) and put there where there are none yet."""
    found: dict[str, list[PackedModel]] = {}
    for kind in RECIPES:
        key = type_of(kind).key
        told, file = folder / f"{key}.json", folder / f"{key}.skops"
        if told.is_file() and file.is_file():
            facts = json.loads(told.read_text(encoding="utf-8"))
            found[key] = [
                PackedModel(
                    f"{NAME}/{key}", ModelKind.NORMAL_BEHAVIOUR, key, facts["features"], facts["reference"],
                    file.read_bytes(),
                )
            ]  # fmt: skip
    if len(found) == len(RECIPES):
        return found
    found = learn(progress=progress)
    folder.mkdir(parents=True, exist_ok=True)
    for key, (model,) in found.items():
        facts = {"features": dict(model.features), "reference": dict(model.reference)}
        (folder / f"{key}.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
        (folder / f"{key}.skops").write_bytes(model.file)
    return found


def by_a_model(alarm: Announced) -> bool:
    """Whether a learned model raised it, not a limit."""
    return f"/{NAME}/" in alarm.condition

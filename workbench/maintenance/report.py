"""The trial of policies, and its page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Final

import numpy as np

from workbench.maintenance.fleet import World, draw
from workbench.maintenance.policies import POLICIES, SETTLING, YEAR, Year

FALSE_ALARMS: Final = (0.0, 0.02, 0.05, 0.1, 0.2)
"""Per machine and month."""
LEADS: Final = (2.0, 5.0, 10.0, 20.0, 40.0)
"""Median days from alarm to failure."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One policy over several drawn years: cost per machine and year with its standard error, and what happened."""

    policy: str
    cost: float
    error: float
    failures: float
    planned: float
    inspections: float
    left: float
    """Median days of life left at planned replacements."""


def trial(world: World, policy: str, seeds: Sequence[int]) -> Trial:
    """Each seed is a year of the whole fleet; policies of one seed meet the same lives."""
    years: list[Year] = []
    for seed in seeds:
        years.append(POLICIES[policy](world, draw(world, seed, SETTLING + YEAR)))
    costs = np.array([year.cost(world) / world.machines for year in years])
    left = [days for year in years for days in year.warned]
    return Trial(
        policy,
        float(costs.mean()),
        float(costs.std(ddof=1) / np.sqrt(len(costs))) if len(costs) > 1 else float("nan"),
        float(np.mean([y.failures for y in years])),
        float(np.mean([y.planned for y in years])),
        float(np.mean([y.inspections for y in years])),
        float(np.median(left)) if left else float("nan"),
    )


@dataclass(frozen=True, slots=True)
class Report:
    world: World
    best_age: float
    trials: tuple[Trial, ...]
    sensitivity: dict[tuple[float, float], float]
    """(false alarms per machine and month, lead days) → cost per machine and year of acting on advisories."""
    seeds: int
    sensitivity_seeds: int


def evaluate(seeds: int = 12, sensitivity_seeds: int = 3, world: World | None = None) -> Report:
    world = world or World.of_catalogue()
    trials = tuple(trial(world, policy, range(seeds)) for policy in POLICIES)
    grid = {
        (rate, lead): trial(world.but(false_alarms=rate, lead=lead), "advisories", range(sensitivity_seeds)).cost
        for rate in FALSE_ALARMS
        for lead in LEADS
    }
    return Report(world, world.best_age(), trials, grid, seeds, sensitivity_seeds)


def page(report: Report) -> str:
    """The page docs/reference/maintenance.md, out of ``page.md`` beside this module."""
    w = report.world
    by_name = {t.policy: t for t in report.trials}
    failing, bound = by_name["run to failure"].cost, by_name["perfect foresight"].cost
    age, ours = by_name["best age"].cost, by_name["advisories"].cost
    template = resources.files("workbench.maintenance").joinpath("page.md").read_text(encoding="utf-8")
    return template.format(
        **{name: getattr(w, name) for name in _SHOWN},
        missed=100 * w.missed,
        mean=w.mean_life(),
        seeds=report.seeds,
        settling=SETTLING // YEAR,
        table="\n".join(_row(t, report.best_age, failing) for t in report.trials),
        of_failing=100 * ours / failing,
        of_age=100 * ours / age,
        reached=100 * (failing - ours) / (failing - bound),
        sensitivity_seeds=report.sensitivity_seeds,
        failing=failing,
        age=age,
        grid="\n".join(_grid(report)),
        reading="\n".join(_reading(report, age)),
    )


_SHOWN: Final = (
    "machines planned failed stop inspected shape scale lead spread false_alarms parts delivery".split()  # noqa: SIM905
)


def _row(t: Trial, best_age: float, failing: float) -> str:
    name = f"{t.policy} ({best_age:.0f} d)" if t.policy == "best age" else t.policy
    left = "–" if np.isnan(t.left) else f"{t.left:.0f}"
    return (
        f"| {name} | {t.cost:,.0f} | {t.error:,.0f} | {100 * t.cost / failing:.0f} % | {t.failures:.1f} "
        f"| {t.planned:.1f} | {t.inspections:.1f} | {left} |"
    )


def _grid(report: Report) -> list[str]:
    lines = [
        "| false alarms per machine and month | " + " | ".join(f"{lead:g} days' warning" for lead in LEADS) + " |",
        "|---:|" + "---:|" * len(LEADS),
    ]
    for rate in FALSE_ALARMS:
        row = [report.sensitivity[rate, lead] for lead in LEADS]
        lines.append(f"| {rate:g} | " + " | ".join(f"{cost:,.0f}" for cost in row) + " |")
    return lines


def _reading(report: Report, age: float) -> list[str]:
    """What the table says, computed from it."""
    usual, lead = report.world.false_alarms, report.world.lead
    worse = [days for days in LEADS if report.sensitivity[usual, days] > age]
    costly = [rate for rate in FALSE_ALARMS if report.sensitivity[rate, lead] > age]
    short = "Even the shortest warning tried beats replacing at the best age."
    if worse:
        short = (
            f"With {usual:g} false alarms, a warning of {max(worse):g} days or less is worth less than replacing\n"
            "at the best age: an order waits for its window, and windows for parts."
        )
    often = f"With {lead:g} days' warning, none of the rates of false alarms tried uses up what the advisories gain."
    if costly:
        often = (
            f"With {lead:g} days' warning, {min(costly):g} false alarms per machine and month use up what the\n"
            "advisories gain."
        )
    return [short, often]

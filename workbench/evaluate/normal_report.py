"""What ``servitize evaluate skab|azure|ims|metropt3`` show: a table, JSON, and pictures."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table

_INK: Final = "#1b4f72"
_ACCENT: Final = "#c0392b"


def skab_command(
    folder: Path, subsets: str = "", *, healthy: str | None = None, as_json: bool = False, plots: Path | None = None
) -> int:
    """``healthy``: a recording's path, ``simulated``, or None: leave that part out."""
    from workbench.evaluate import skab

    watched = skab.evaluate_skab(folder, _names(subsets), progress=_tell)
    found = skab.figures(watched)
    if healthy is not None:
        _tell("healthy recording")
        found["healthy"] = skab.judge_healthy(None if healthy == "simulated" else Path(healthy))
    if plots is not None:
        _draw_skab(watched, plots)
    if as_json:
        return _json(found)
    table = _table("SKAB: point by point, all files pooled", "", "files", "F1", "FAR", "MAR")
    table.add_row("ours, all", str(found["files"]), *_three(found))
    if "unseen" in found:
        table.add_row(f"ours, without {found['chosen_on']}", str(found["unseen"]["files"]), *_three(found["unseen"]))
    for title, (f1, far, mar) in skab.REFERENCES.items():
        table.add_row(f"  {title}, published", "34", f"{f1:.2f}", f"{far:.1f} %", f"{mar:.1f} %", style="dim")
    for name, one in found["per_file"].items():
        table.add_row(f"  {name}", "", *_three(one))
    console = _console()
    console.print(table)
    console.print(
        f"{found['events_detected']} of {found['events']} anomalies noticed, "
        f"median after {_cell(found['median_delay_s'])} s; "
        f"{_cell(found['false_episodes_per_hour'])} false episodes per normal hour.",
        soft_wrap=True,
    )
    if "healthy" in found:
        h = found["healthy"]
        console.print(f"{h['recording']}: {_percent(h['far'])} of {h['rows']} healthy rows alarmed.", soft_wrap=True)
    return 0


def azure_command(folder: Path, subsets: str = "", *, as_json: bool = False) -> int:
    from workbench.evaluate.azure import evaluate_azure

    found = evaluate_azure(folder, _names(subsets), progress=_tell)
    if as_json:
        return _json(found)
    table = _table(
        "failures foretold at least 2 h before",
        "",
        "found",
        "95 %",
        "median lead",
        "false alarms",
        "per machine-month",
        "95 %",
    )
    for title, one in (
        ("supervised, each machine left out", found), ("supervised, past → future", found["chronological"]),
        ("unsupervised, telemetry alone", found["unsupervised"]), ("naive: any error in 24 h", found["naive"]),
    ):  # fmt: skip
        table.add_row(title, *_occasions(one))
    _console().print(table)
    return 0


def ims_command(folder: Path, subsets: str = "", *, as_json: bool = False) -> int:
    from workbench.evaluate.ims import evaluate_ims, figures

    found = figures(evaluate_ims(folder, _names(subsets), progress=_tell))
    if as_json:
        return _json(found)
    table = _table(
        "bearings run until some fail", "test", "bearing", "failed", "first alarm before the end", "stood since"
    )
    for b in found["bearings"]:
        first = b["first_alarm_h"]
        table.add_row(
            b["test"], str(b["bearing"]), {True: "yes", False: "no", None: "?"}[b["failed"]],
            "never" if first is None else f"{first:g} h", "–" if first is None else _percent(b["alarm_stood_since"]),
        )  # fmt: skip
    console = _console()
    console.print(table)
    console.print(
        f"{found['detected']} of {found['failures']} failing bearings first alarmed 48 to 240 h before the end; "
        f"{found['false_alarms']} false alarms in {found['unit_months']:g} bearing-months.",
        soft_wrap=True,
    )
    return 0


def metropt3_command(folder: Path, subsets: str = "", *, as_json: bool = False) -> int:
    from workbench.evaluate.metropt3 import evaluate_metropt3

    found = evaluate_metropt3(folder, _names(subsets))
    if as_json:
        return _json(found)
    table = _table("windows by fold (neighbours leak)", "", "AUC", "average precision", "FAR at 80 % recall")
    for title, one in ((found["estimator"], found), *found["others"].items()):
        table.add_row(title, f"{one['auc']:.3f}", f"{one['ap']:.3f}", _percent(one["far_at_80"]))
    _console().print(table)
    return 0


# --- within ----------------------------------------------------------------------------------------------------------


def _draw_skab(watched: Sequence[Any], folder: Path) -> None:
    """``skab_distance.png``: distance to normal along four recordings, the labelled stretch shaded."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    # the best, the worst and two in between, by share of rows judged right
    right = sorted(watched, key=lambda one: float((one.alarm == one.anomaly).mean()))
    shown = [right[i] for i in np.unique(np.linspace(0, len(right) - 1, 4).astype(int))]
    figure = Figure(figsize=(7.6, 4.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    for k, one in enumerate(shown):
        axes = figure.add_subplot(2, 2, k + 1)
        minutes = (one.ts - one.ts[0]) / 6e7
        axes.fill_between(minutes, 0, 5, where=one.anomaly, color="#f5b7b1", linewidth=0)
        axes.plot(minutes, np.clip(one.distance, 0, 5), color=_INK, linewidth=0.9)
        axes.axhline(1.0, color=_ACCENT, linewidth=0.8)
        axes.set_title(one.name, fontsize=9)
        axes.tick_params(labelsize=8)
        axes.set_ylim(0, 5)
    figure.supxlabel("minutes after the rows learned from (shaded: labelled anomalous)", fontsize=9)
    figure.supylabel("distance, 1 is the limit", fontsize=9)
    figure.savefig(folder / "skab_distance.png")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _tell(what: str) -> None:
    print(f"{what} …", file=sys.stderr)  # noqa: T201


def _json(found: dict[str, Any]) -> int:
    json.dump(found, sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 0


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 140)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right")
    return table


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _three(found: dict[str, Any]) -> list[str]:
    f1 = found["f1"]
    return ["–" if f1 is None else f"{f1:.2f}", _percent(found["far"]), _percent(found["mar"])]


def _occasions(found: dict[str, Any]) -> list[str]:
    if "unit_months" not in found:
        return [found.get("why", "–")]
    sure, rate = found["detected_95"], found["false_alarms_per_unit_month_95"]
    return [
        f"{found['detected']} of {found['failures']}",
        "–" if sure is None else f"{100 * sure[0]:.0f}–{100 * sure[1]:.0f} %",
        "–" if found["median_lead_h"] is None else f"{found['median_lead_h']:g} h",
        str(found["false_alarms"]),
        f"{found['false_alarms_per_unit_month']:.2f}",
        f"{rate[0]:.2f}–{rate[1]:.2f}",
    ]

"""What ``servitize evaluate cmapss`` shows: a table, JSON, and pictures."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from workbench.evaluate.cmapss import HORIZON, LOW, REFERENCES, Judged, evaluate_cmapss, figures

_INK: Final = "#1b4f72"
_ACCENT: Final = "#c0392b"
_PALE: Final = "#aed6f1"


def evaluate_cmapss_command(
    folder: Path, subsets: str = "", *, as_json: bool = False, plots: Path | None = None
) -> int:
    """Run, print, draw; the exit code. ``subsets`` separated by commas, none for all."""
    wanted = [name.strip() for name in subsets.split(",") if name.strip()]
    judged = evaluate_cmapss(folder, wanted, progress=lambda name: print(f"{name} …", file=sys.stderr))  # noqa: T201
    results = {name: figures(one) for name, one in judged.items()}
    if plots is not None:
        plots.mkdir(parents=True, exist_ok=True)
        for one in judged.values():
            draw(one, plots)
    if as_json:
        json.dump(results, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        _print(results)
    return 0


def _print(results: dict[str, dict[str, Any]]) -> None:
    console = Console(width=None if sys.stdout.isatty() else 140)
    table = Table(title="remaining life after the last cycle, both sides capped at 125 cycles", title_justify="left")
    for column in (
        "",
        "RMSE",
        "score",
        "raw RMSE",
        "raw score",
        "P10–P90 holds",
        "width",
        f"RMSE ≤ {LOW:g}",
        f"±10 at ≤ {LOW:g}",
    ):
        table.add_column(column, justify="left" if not column else "right")
    for name, found in results.items():
        across = found["cross_validated"]
        table.add_row(name, *(_cell(found[key]) for key in ("rmse", "score", "rmse_raw", "score_raw")), *_shares(found))
        table.add_row(
            "  cross-validated",
            _cell(across["rmse"]),
            f"{across['score_per_100']:g} per 100",
            "",
            "",
            *_shares(across),
            style="dim",
        )
        for title, published in REFERENCES.items():
            if name in published:
                rmse, points = published[name]
                table.add_row(f"  {title}", _cell(rmse), _cell(points), style="dim")
    console.print(table)
    for name, found in results.items():
        worst = "; ".join(f"unit {w['unit']}: said {w['said']:g}, was {w['true']:g}" for w in found["worst"])
        console.print(f"{name}: {found['regimes']} regime(s) found. Costliest: {worst}.", soft_wrap=True)


def _cell(value: Any) -> str:
    return "–" if value is None else f"{value:.4g}"


def _shares(found: dict[str, Any]) -> list[str]:
    share = [None if found[key] is None else f"{100 * found[key]:.0f} %" for key in ("coverage", "within10_low")]
    return [share[0] or "–", _cell(found["width"]), _cell(found["rmse_low"]), share[1] or "–"]


# --- pictures --------------------------------------------------------------------------------------------------------


def draw(judged: Judged, folder: Path) -> list[Path]:
    """``cmapss_<subset>_{predicted,coverage,lives}.png``."""
    # a canvas of its own: no display and no global state is touched
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = []
    for name, size, paint in (
        ("predicted", (5.2, 4.6), _predicted), ("coverage", (5.2, 3.4), _coverage), ("lives", (7.6, 4.6), _lives),
    ):  # fmt: skip
        figure = Figure(figsize=size, dpi=110, layout="constrained")
        FigureCanvasAgg(figure)
        paint(figure, judged)
        path = folder / f"cmapss_{judged.name}_{name}.png"
        figure.savefig(path)
        made.append(path)
    return made


def _predicted(figure: Any, judged: Judged) -> None:
    axes = figure.add_subplot()
    true, said = np.minimum(judged.left, HORIZON), judged.said
    axes.plot([0, HORIZON], [0, HORIZON], color="0.6", linewidth=1)
    axes.vlines(true, said.p10, said.p90, color=_PALE, linewidth=2, label="P10 to P90")
    axes.plot(true, judged.expected, "o", color=_INK, markersize=3.5, label="expected")
    axes.set(
        xlabel="true remaining life, cycles (capped)", ylabel="said", title=f"{judged.name}: after the last known cycle"
    )
    axes.legend(frameon=False, loc="upper left")


def _coverage(figure: Any, judged: Judged) -> None:
    axes = figure.add_subplot()
    crossed = judged.crossed
    edges = np.array([0, 25, 50, 75, 100, HORIZON + 1e-9])
    quantiles = np.stack([judged.said.p10, judged.said.p50, judged.said.p90], axis=1)
    for offset, label, colour, q, left in (
        (-1.8, "training machines, cross-validated", _INK, crossed.quantiles, crossed.left),
        (1.8, "test machines", _ACCENT, quantiles, judged.left),
    ):
        true = np.minimum(left, HORIZON)
        shares, centres = _by_range(q, true, edges)
        axes.plot(centres + offset, 100 * shares, "o-", color=colour, label=label, linewidth=1)
    axes.axhline(80, color="0.6", linewidth=1)
    axes.set(
        xlabel="true remaining life, cycles", ylabel="within P10 to P90, %", ylim=(0, 105),
        title=f"{judged.name}: do the intervals hold?",
    )  # fmt: skip
    axes.legend(frameon=False, loc="lower left")


def _by_range(
    quantiles: NDArray[np.float64], true: NDArray[np.float64], edges: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    inside = (true >= quantiles[:, 0]) & (true <= quantiles[:, 2])
    place = np.digitize(true, edges) - 1
    there = [k for k in range(len(edges) - 1) if (place == k).any()]
    return np.array([inside[place == k].mean() for k in there]), np.array(
        [(edges[k] + edges[k + 1]) / 2 for k in there]
    )


def _lives(figure: Any, judged: Judged) -> None:
    test, left = judged.data.test, judged.left
    # the longest watched of the machines that came near their end, and of those that did not
    near = [i for i in np.argsort([-len(life) for life in test]) if left[i] <= LOW][:4]
    far = [i for i in np.argsort([-len(life) for life in test]) if left[i] > LOW][:2]
    for k, i in enumerate([*near, *far]):
        axes = figure.add_subplot(2, 3, k + 1)
        said, n = judged.model.along(test[i]), len(test[i])
        cycles = np.arange(1, n + 1)
        axes.fill_between(cycles, said.p10, said.p90, color=_PALE, linewidth=0)
        axes.plot(cycles, said.p50, color=_INK, linewidth=1)
        axes.plot(cycles, np.minimum(left[i] + n - cycles, HORIZON), color=_ACCENT, linewidth=1)
        axes.set_title(f"unit {i + 1}", fontsize=9)
        axes.tick_params(labelsize=8)
        axes.set_ylim(0, HORIZON * 1.05)
    figure.supxlabel("cycle", fontsize=9)
    figure.supylabel("remaining life, cycles: true (red), said (blue, P10 to P90)", fontsize=9)

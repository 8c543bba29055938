"""One page that a person understands: verdict, waveform, spectrum, and the envelope with what was expected."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from models.diagnosis import Diagnosis
from models.diagnosis.views import Mark, View, Views

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INK: Final = "#1f2933"
_LINE: Final = "#0b5394"
_FOUND: Final = "#c1121f"
_EXPECTED: Final = "#8d99a6"
_HEAD: Final = {
    "fault": "Fault", "healthy": "No fault found", "instrument": "Look at the instrument", "abstained": "Not decided"
}  # fmt: skip


def draw(seen: Views, said: Diagnosis, name: str, path: Path) -> None:
    """Write the page as PNG or SVG, by the path's ending."""
    # a canvas of its own: no display and no global state is touched
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context({"font.size": 9, "svg.fonttype": "path", "svg.hashsalt": "servitize", "axes.edgecolor": _EXPECTED}):
        figure = Figure(figsize=(10, 9.2), dpi=110)
        FigureCanvasAgg(figure)
        grid = figure.add_gridspec(
            3, 1, left=0.08, right=0.97, top=0.80, bottom=0.06, hspace=0.42, height_ratios=(1, 1, 1.35)
        )
        head = f"{_HEAD[said.verdict]}: {said.reason}"
        sure = f", confidence {100 * said.confidence:.0f} %" if said.confidence else ""
        figure.text(
            0.08, 0.965, textwrap.shorten(head, 95, placeholder=" …"), fontsize=14, weight="bold", color=_INK, va="top"
        )
        figure.text(0.08, 0.930, f"{name}, channel {seen.channel}, {said.speed:.0f} r/min{sure}", color=_INK, va="top")
        figure.text(0.08, 0.905, _because(said), fontsize=8.5, color=_INK, va="top", linespacing=1.35)
        for i, view in enumerate((seen.waveform, seen.spectrum, seen.envelope)):
            axes = figure.add_subplot(grid[i])
            _panel(axes, view)
        figure.savefig(path)


def _because(said: Diagnosis) -> str:
    finding = next(iter(said.decided), said.findings[0] if said.findings else None)
    if finding is None:
        rest = [evidence.sentence() for evidence in said.unexplained[:3]]
        return "\n".join(textwrap.shorten(line, 140, placeholder=" …") for line in rest)
    lines = [evidence.sentence() for evidence in finding.evidence[:4]]
    if not finding.decided:
        lines.insert(0, f"{finding.title} is possible, but {finding.doubt}")
    else:
        lines = [*lines[:3], f"What to do: {finding.action}"]
    return "\n".join(textwrap.shorten(line, 145, placeholder=" …") for line in lines)


def _panel(axes: Axes, view: View) -> None:
    axes.plot(view.x, view.y, color=_LINE, linewidth=0.9, zorder=3)
    axes.set_title(view.title, loc="left", fontsize=10, weight="bold", color=_INK)
    axes.set_xlabel(view.xlabel)
    axes.set_ylabel(view.ylabel)
    axes.set_xlim(float(view.x[0]), float(view.x[-1]))
    axes.grid(color="#eef1f4")
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if view.kind == "waveform":
        return
    # room above for the names of lines
    top = float(np.max(view.y)) or 1.0
    axes.set_ylim(0, 1.28 * top)
    taken: list[float] = []
    width = float(view.x[-1] - view.x[0])
    for mark in sorted(view.marks, key=lambda m: (not m.found, m.x)):
        if not view.x[0] <= mark.x <= view.x[-1]:
            continue
        _mark(axes, mark, top, named=all(abs(mark.x - other) > 0.035 * width for other in taken))
        taken.append(mark.x)


def _mark(axes: Axes, mark: Mark, top: float, *, named: bool) -> None:
    colour = _FOUND if mark.found else _EXPECTED
    if mark.reach > 0:
        axes.axvspan(
            mark.x - mark.reach, mark.x + mark.reach, color=colour, alpha=0.15 if mark.found else 0.08, linewidth=0
        )
    axes.axvline(mark.x, ymax=0.8, color=colour, linewidth=0.9, linestyle="--" if mark.found else ":", zorder=1)
    if named:
        label = mark.label if len(mark.label) < 22 else mark.label[:20] + "…"
        axes.text(
            mark.x, 1.06 * top, label, color=colour, ha="center", va="bottom", fontsize=8,
            weight="bold" if mark.found else "normal",
        )  # fmt: skip

"""Curves as pictures: PNG or SVG of what ``models.vibration.curves`` describes, for reports and the API.

Pictures stand by themselves: a title that says what and where, axes with units, expected lines marked and named in one
colour per family. Takes any object with the fields of a curve; the plotting library is loaded by who draws.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core.time import to_datetime

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK: Final = "#1f2933"
_LINE: Final = "#0b5394"
_SECOND: Final = "#c14a00"
_GREY: Final = "#9aa5b1"
_FAMILY: Final = {
    "order": "#6f7b88",
    "GMF": "#7a5195",
    "BPFO": "#c1121f",
    "BPFI": "#b87a00",
    "BSF2": "#00785a",
    "FTF": "#7a74c9",
}
_DPI: Final = 110
MEDIA: Final = {"png": "image/png", "svg": "image/svg+xml"}


def draw(curve: Any, form: str = "png", *, wide: float = 9.0, high: float = 3.6) -> bytes:
    """The picture as ``png`` or ``svg``; ``wide`` and ``high`` in inches (orbits are square)."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    style: Any = {
        "font.size": 9,
        "axes.edgecolor": _GREY,
        "axes.labelcolor": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "svg.hashsalt": "servitize",
        "svg.fonttype": "path",
        "axes.grid": True,
        "grid.color": "#e4e7eb",
        "axes.axisbelow": True,
    }
    with rc_context(style):
        if curve.kind == "orbit":
            wide, high = 4.6, 4.6
        elif curve.kind in ("waterfall", "bode"):
            high = 5.2
        figure = Figure(figsize=(wide, high), layout="constrained")
        {"orbit": _orbit, "waterfall": _waterfall, "bode": _bode}.get(curve.kind, _plain)(figure, curve)
        buffer = io.BytesIO()
        metadata = {"Date": None} if form == "svg" else {"Software": None}
        figure.savefig(buffer, format=form, dpi=_DPI, metadata=metadata)
    return buffer.getvalue()


def _labels(axes: Axes, curve: Any) -> None:
    axes.set_title(curve.title, color=_INK)
    axes.set_xlabel(_with_unit(curve.x_title, curve.x_unit))
    axes.set_ylabel(_with_unit(curve.y_title, curve.y_unit))
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _with_unit(title: str, unit: str) -> str:
    spoken = {"m/s2": "m/s²", "um": "µm", "1": ""}.get(unit, unit)
    return f"{title}, {spoken}" if spoken else title


def _plain(figure: Figure, curve: Any) -> None:
    axes = figure.subplots()
    _labels(axes, curve)
    highest = 0.0
    for trace, colour in zip(curve.traces, (_LINE, _SECOND, _GREY), strict=False):
        label = trace.name if len(curve.traces) > 1 else None
        axes.plot(trace.x, trace.y, color=colour, linewidth=0.9, label=label)
        highest = max(highest, float(np.max(trace.y, initial=0.0)))
    axes.margins(x=0)
    if curve.kind in ("spectrum", "envelope"):
        axes.set_ylim(0, highest * 1.2 or 1.0)
        _marks(axes, curve.marks)
    elif len(curve.traces) > 1:
        axes.legend(loc="upper right", frameon=False)


def _marks(axes: Axes, marks: Any) -> None:
    """Dashed lines where something is expected, one colour per family, each named with its frequency in the legend."""
    low, high = axes.get_xlim()
    named: set[str] = set()
    for mark in marks:
        if not low <= mark.x <= high:
            continue
        label = None
        if mark.family not in named:
            named.add(mark.family)
            label = f"{mark.label}  {mark.x:.1f}"
        colour = _FAMILY.get(mark.family, _INK)
        axes.axvline(mark.x, color=colour, linewidth=1.0, linestyle=(0, (4, 3)), alpha=0.75, zorder=1, label=label)
    if named:
        axes.legend(loc="upper right", fontsize=8, framealpha=0.9, edgecolor="none", ncols=min(len(named), 5))


def _orbit(figure: Figure, curve: Any) -> None:
    axes = figure.subplots()
    _labels(axes, curve)
    path = curve.traces[0]
    axes.plot(path.x, path.y, color=_LINE, linewidth=0.8, alpha=0.85)
    for dots in curve.traces[1:]:
        axes.plot(dots.x, dots.y, "o", color=_SECOND, markersize=5, label=dots.name)
        axes.legend(loc="upper right", frameon=False)
    reach = 1.15 * max(float(np.max(np.abs(path.x), initial=0.0)), float(np.max(np.abs(path.y), initial=0.0)), 1e-9)
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-reach, reach)
    axes.set_aspect("equal")


def _waterfall(figure: Figure, curve: Any) -> None:
    axes = figure.subplots()
    _labels(axes, curve)
    count = len(curve.traces)
    highest = max((float(np.max(t.y, initial=0.0)) for t in curve.traces), default=1.0) or 1.0
    step = highest / 3.0
    for k, trace in enumerate(curve.traces):
        base = k * step
        axes.fill_between(trace.x, base, base + trace.y, color="white", linewidth=0, zorder=2 * (count - k))
        axes.plot(trace.x, base + trace.y, color=_LINE, linewidth=0.7, zorder=2 * (count - k) + 1)
    every = max(1, count // 8)
    places = list(range(0, count, every))
    axes.set_yticks([k * step for k in places], [f"{to_datetime(curve.traces[k].at):%m-%d %H:%M}" for k in places])
    axes.set_ylabel(f"moment (UTC); height: {_with_unit(curve.y_title, curve.y_unit)}")
    axes.margins(x=0)
    top = (count - 1) * step + highest
    axes.set_ylim(0, top * 1.12)
    _marks(axes, curve.marks)


def _bode(figure: Figure, curve: Any) -> None:
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1, 2))
    amplitude, phase = curve.traces
    above.plot(phase.x, phase.y, color=_SECOND, linewidth=1.0)
    above.set_ylabel("phase lag, °")
    above.set_title(curve.title, color=_INK)
    below.plot(amplitude.x, amplitude.y, color=_LINE, linewidth=1.0)
    below.set_xlabel(_with_unit(curve.x_title, curve.x_unit))
    below.set_ylabel(_with_unit(curve.y_title, curve.y_unit))
    below.margins(x=0)


def trend(series: Any, marked: int | None = None, *, wide: float = 9.0, high: float = 2.2, form: str = "svg") -> bytes:
    """Readings over time: ``series`` has ``title``, ``unit``, ``at`` (µs) and ``values``; a line at ``marked`` µs."""
    from matplotlib import rc_context
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure

    with rc_context({"font.size": 8, "svg.hashsalt": "servitize", "svg.fonttype": "path"}):
        figure = Figure(figsize=(wide, high), layout="constrained")
        axes = figure.subplots()
        times: list[Any] = [to_datetime(int(at)) for at in series["at"]]
        axes.plot(times, series["values"], color=_LINE, linewidth=1.0, marker=".", markersize=3)
        if marked is not None:
            moment: Any = to_datetime(marked)
            axes.axvline(moment, color="#c1121f", linewidth=1.0, linestyle=(0, (4, 3)))
        axes.set_title(_with_unit(series["title"], series["unit"]), loc="left", fontsize=9, color=_INK)
        locator = AutoDateLocator()  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        axes.grid(color="#e4e7eb")
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        buffer = io.BytesIO()
        figure.savefig(buffer, format=form, dpi=_DPI, metadata={"Date": None} if form == "svg" else {"Software": None})
    return buffer.getvalue()

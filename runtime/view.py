"""The live view of a terminal, and the plain line that stands in where nobody looks."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from core.time import isoformat
from runtime.status import EquipmentHealth, Snapshot

PLAIN_EVERY_SECONDS = 5.0
_HEALTH_WIDTHS = {"equipment": 9, "state": 8, "health": 14, "worst component": 20, "why": 10}
_PRIORITY_STYLE = {"urgent": "bold red", "high": "red", "medium": "yellow", "low": "cyan"}


def plain_line(snapshot: Snapshot) -> str:
    """One line for a log.

    ``06:12:01 | 240 msg/s 16.1k readings/s stored 1.2M | simulated 2026-10-01 07:20 | health K-101 97, … | 2 alarms``
    """
    totals, pace = snapshot.totals, snapshot.rates
    flow = f"{_count(pace.messages)} msg/s, {_count(pace.stored)} stored/s, {_count(totals.stored)} in all"
    parts = [flow + _lag(snapshot)]
    if totals.event_time is not None:
        parts.append(f"data at {_moment(totals.event_time)}")
    if snapshot.health:
        parts.append(", ".join(f"{line.equipment} {_index(line.index)}" for line in snapshot.health[:8]))
    parts.append(f"{snapshot.active_alarms} active alarm{'' if snapshot.active_alarms == 1 else 's'}")
    if totals.dead_letters:
        parts.append(f"{totals.dead_letters} dead letters")
    if totals.missing:
        parts.append(f"{totals.missing} messages missing")
    if (spb := _sparkplug(snapshot)) is not None:
        parts.append(spb)
    return " | ".join(parts)


def render(snapshot: Snapshot, title: str, footer: str = "") -> RenderableType:
    """The live view: processes, rates, health per equipment with its worst component, newest alarms."""
    parts: list[RenderableType] = [_head(snapshot, title)]
    if snapshot.health:
        parts.append(_health(snapshot.health))
    parts.append(_alarms(snapshot))
    if snapshot.news:
        parts.append(Text("\n".join(snapshot.news), style="yellow"))
    if footer:
        parts.append(Text(footer, style="dim"))
    return Group(*parts)


class LiveView:
    """Shows snapshots until the end: redrawn in place on a terminal, else a line every ``plain_every`` seconds.

    Use it as a context manager; ``show`` may be called as often as wanted.
    """

    def __init__(
        self,
        title: str,
        footer: str = "",
        *,
        plain_every: float = PLAIN_EVERY_SECONDS,
        console: Console | None = None,
    ) -> None:
        self._title, self._footer = title, footer
        self._console = console or Console()
        self._live: Live | None = None
        self._plain_every = plain_every
        self._last_line = 0.0
        self._now: Callable[[], float] = time.monotonic

    def show(self, snapshot: Snapshot) -> None:
        if self._live is not None:
            self._live.update(render(snapshot, self._title, self._footer), refresh=True)
        elif self._now() - self._last_line >= self._plain_every:
            self._last_line = self._now()
            self._console.print(plain_line(snapshot), markup=False, highlight=False, soft_wrap=True)

    def say(self, sentence: str) -> None:
        """A line that stays: above the live view, or in the log."""
        self._console.print(sentence, markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def _head(snapshot: Snapshot, title: str) -> RenderableType:
    totals, pace = snapshot.totals, snapshot.rates
    line = Text()
    line.append(title, style="bold")
    for part in snapshot.parts:
        good = part.state in ("running", "finished")
        line.append("  ")
        line.append("●" if good else "○", style="green" if good else "red")
        line.append(f" {part.name}" + (f" ×{part.restarts + 1}" if part.restarts else ""), style="" if good else "red")
    numbers = Text(
        f"{_count(pace.messages)} messages/s   {_count(pace.readings)} readings/s   {_count(pace.stored)} stored/s   "
        f"{_count(totals.stored)} stored{_lag(snapshot)}"
    )
    if totals.dead_letters:
        numbers.append(f"   {totals.dead_letters} dead letters", style="yellow")
    if totals.refused or totals.missing:
        numbers.append(
            f"\n{_count(totals.refused)} readings refused, {_count(totals.missing)} messages missing by the devices' "
            "own numbers: `servitize device list`",
            style="yellow",
        )
    if (flow := snapshot.flow) is not None:
        numbers.append(
            f"\ningest: {'connected' if flow.connected else 'NOT CONNECTED'}, {_count(flow.received)} messages since "
            f"its start, {_count(flow.acknowledged)} acknowledged, {flow.pending} pending "
            f"({_count(flow.pending_bytes)} bytes)" + (", holding the broker back" if flow.paused else ""),
            style="" if flow.connected else "red",
        )
    if (spb := _sparkplug(snapshot)) is not None:
        numbers.append(f"\n{spb}")
    if totals.event_time is not None:
        numbers.append(f"\ndata at {_moment(totals.event_time)}")
        if pace.time_factor > 1.5:
            numbers.append(f" (simulated, {pace.time_factor:.0f} × as fast as the clock)")
    return Group(line, numbers)


def _health(lines: tuple[EquipmentHealth, ...]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("equipment", "state", "health", "worst component", "why"):
        table.add_column(column, no_wrap=True, overflow="ellipsis", min_width=_HEALTH_WIDTHS[column])
    for line in lines:
        table.add_row(
            line.equipment,
            line.state or "?",
            Text(_bar(line.index), style=_health_style(line.index)),
            f"{line.worst} {_index(line.worst_index)}" if line.worst else "",
            line.reason,
        )
    return table


def _alarms(snapshot: Snapshot) -> RenderableType:
    if not snapshot.alarms:
        return Text("no alarms", style="dim")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("since", "equipment", "component", "alarm"):
        table.add_column(column, no_wrap=column != "alarm")
    for line in snapshot.alarms:
        style = _PRIORITY_STYLE.get(line.priority, "") if line.state != "normal" else "dim"
        title = line.title if line.state != "normal" else f"{line.title} (over)"
        table.add_row(_moment(line.at)[5:16], line.equipment, line.component, Text(title, style=style))
    return table


def _bar(index: float | None) -> str:
    if index is None:
        return "  ? " + "·" * 10
    full = round(index / 10)
    return f"{index:3.0f} " + "█" * full + "·" * (10 - full)


def _health_style(index: float | None) -> str:
    if index is None:
        return "dim"
    return "green" if index >= 80 else "yellow" if index >= 50 else "red"


def _index(index: float | None) -> str:
    return "?" if index is None else f"{index:.0f}"


def _lag(snapshot: Snapshot) -> str:
    committed = snapshot.totals.committed_at
    if committed is None:
        return ""
    age = time.time() - committed / 1e6
    return f", last commit {age:.0f} s ago" if age >= 3 else ""


def _sparkplug(snapshot: Snapshot) -> str | None:
    found = None if snapshot.flow is None else snapshot.flow.sparkplug
    if found is None:
        return None
    link = "" if found.connected else ", NOT CONNECTED"
    groups = f"{found.groups} group{'' if found.groups == 1 else 's'}"
    return f"sparkplug host {found.host_id!r}: {groups}, {found.online} of {found.nodes} edge nodes online{link}"


def _moment(ts: int) -> str:
    return isoformat(ts // 1_000_000 * 1_000_000).replace("T", " ").removesuffix("Z")


def _count(number: float) -> str:
    """``987``, ``12.3k``, ``4.56M``.

    >>> _count(987), _count(12345), _count(4_560_000)
    ('987', '12.3k', '4.56M')
    """
    if number >= 1e6:
        return f"{number / 1e6:.3g}M"
    if number >= 1e4:
        return f"{number / 1e3:.3g}k"
    return f"{number:.0f}"

"""The demonstration's files in the data directory (``demo/``): what was asked for, what was planned, what was true.

The publisher writes, the command reads; each file is replaced as a whole. Only the judge looks at the truth: no
process of the platform proper is given these files.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from runtime.demo.plan import Segment, to_json
from runtime.demo.verdict import SeededFault
from runtime.local.paths import DataDirectory


@dataclass(frozen=True, slots=True)
class PublisherOrder:
    """What the publisher shall do. Times µs UTC of event time; ``speed`` simulated seconds per second.

    ``start`` is where the first segment begins, ``learned`` whether baselines have been learned by then; ``seconds`` of
    the clock after which it ends (None: never). ``segment_length`` µs. ``number`` is the first segment's. ``story``:
    one bearing wears and is replaced.
    """

    seed: int
    host: str
    port: int
    client_id: str
    username: str
    password: str
    speed: float
    period_s: int
    start: int
    number: int
    learned: bool
    segment_length: int
    seconds: float | None = None
    story: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the publisher is: ``event_time`` of the newest frame (µs UTC), messages and readings sent."""

    number: int
    event_time: int
    messages: int
    readings: int
    waiting: int
    done: bool = False


class DemoFiles:
    """Reads and writes them."""

    def __init__(self, data: DataDirectory) -> None:
        self._data = data
        self._directory = data.directory("demo")

    def write_order(self, order: PublisherOrder) -> None:
        self._write("order.json", asdict(order))

    def order(self) -> PublisherOrder:
        return PublisherOrder(**self._read("order.json"))

    def write_progress(self, progress: Progress) -> None:
        self._write("progress.json", asdict(progress))

    def progress(self) -> Progress | None:
        found = self._read("progress.json")
        return Progress(**found) if found else None

    def clear_progress(self) -> None:
        (self._directory / "progress.json").unlink(missing_ok=True)

    def write_segment(self, segment: Segment) -> None:
        """One plan per segment is kept: what was asked of the simulators stays known."""
        self._data.write_private(self._directory / f"segment-{segment.number:04}.json", to_json(segment))

    def write_truth(self, number: int, faults: Sequence[SeededFault]) -> None:
        """The ground truth of a segment."""
        self._write(f"truth-{number:04}.json", [asdict(fault) for fault in faults])

    def truth(self, first: int) -> list[SeededFault]:
        """The ground truth of segment ``first`` and all later ones."""
        found: list[SeededFault] = []
        for path in sorted(self._directory.glob("truth-*.json")):
            if int(path.stem.removeprefix("truth-")) >= first:
                found += [
                    SeededFault(**{**fault, "shows_on": tuple(fault["shows_on"])})
                    for fault in json.loads(path.read_text())
                ]
        return found

    def ask_for_repair(self, equipment: str, component: str) -> None:
        """The crew's word to the simulators: make it new."""
        known = self._read("repairs.json") or []
        self._write("repairs.json", [*known, {"equipment": equipment, "component": component, "done_at": None}])

    def repairs(self) -> list[dict[str, Any]]:
        """What was asked for; ``done_at`` µs of event time once the simulators have said when."""
        return list(self._read("repairs.json") or [])

    def write_repairs(self, repairs: Sequence[dict[str, Any]]) -> None:
        self._write("repairs.json", list(repairs))

    def write_heard(self, event_time: int) -> None:
        """How far what was sent has been worked on; a story's publisher keeps near it."""
        self._write("heard.json", event_time)

    def heard(self) -> int | None:
        """µs of event time, None before the first word."""
        found = self._read("heard.json")
        return None if found is None else int(found)

    def clear_repairs(self) -> None:
        for name in ("repairs.json", "heard.json"):
            (self._directory / name).unlink(missing_ok=True)

    def write_memory(self, **values: Any) -> None:
        """What outlives a run: ``seed``, ``next_number``, ``learning_began`` (µs), merged into what is there."""
        self._write("memory.json", {**self.memory(), **values})

    def memory(self) -> dict[str, Any]:
        return dict(self._read("memory.json") or {})

    def _write(self, name: str, document: Any) -> None:
        self._data.write_private(self._directory / name, json.dumps(document, indent=1))

    def _read(self, name: str) -> Any:
        try:
            return json.loads((self._directory / name).read_text())
        except FileNotFoundError:
            return None

"""What a mapping profile does with a message: rows out of the payload, values out of the rows, numbers out of text."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from core import quality as q
from formats import strict_json
from formats.decoded import DEFAULT_LIMITS, Block, Decoded, DecodeLimits, Event, Refusal, harmless, shown
from formats.native import RECEIPT
from formats.paths import Budget, Path, PathTooCostlyError

_NUMBER: Final = {
    ".": re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"),
    ",": re.compile(r"[+-]?(\d+,?\d*|,\d+)([eE][+-]?\d+)?"),
}
_WORDS: Final = {"true": 1.0, "false": 0.0}
_MAX_NUMBER_TEXT: Final = 64
_NUMBERS: Final = frozenset((int, float))


@dataclass(frozen=True, slots=True)
class EventRule:
    """An event of ``kind`` happened in a row where ``when`` finds something; ``body``: its members and their paths."""

    kind: str
    when: Path
    body: tuple[tuple[str, Path], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """How messages of a profile are built; the same for all its topics."""

    payload: str
    decimal: str
    delimiter: str
    columns: tuple[str, ...]
    rows: Path | None
    time: Path | None
    parse_time: Callable[[Any], int]
    sequence: Path | None
    events: tuple[EventRule, ...]


@dataclass(frozen=True, slots=True, eq=False)
class MappedPoint:
    """Where a point's value is in a row, under which name it is registered and in which unit it comes."""

    path: Path
    name: str
    unit: str | None


class Mapping:
    """A profile on one topic: ``equipment`` is the key of the equipment its messages speak of."""

    def __init__(self, equipment: str, shape: Shape, points: tuple[MappedPoint, ...]) -> None:
        self.equipment = equipment
        self._shape = shape
        self._points = points
        self._names = tuple(point.name for point in points)
        self._units = tuple(point.unit for point in points)
        fields = [point.path.field for point in points]
        plain = shape.payload == "json" and not (shape.rows or shape.events or shape.sequence) and fields
        self._fields = [field for field in fields if field is not None] if plain and None not in fields else None

    def decode(
        self, payload: bytes, *, received_at: int, retained: bool = False, limits: DecodeLimits = DEFAULT_LIMITS
    ) -> Decoded:
        """As :func:`formats.native.decode_telemetry`, for the foreign form. A refused part is the whole payload.

        Only so can it be sent again under its own topic; whatever else was in it is already stored and stays as it is.
        """
        if len(payload) > limits.max_bytes:
            return Decoded.refused("too-large", f"{len(payload)} bytes; at most {limits.max_bytes} are taken")
        if self._fields is not None:
            quick = self._one_plain_row(payload, self._fields)
            if quick is not None:
                return quick
        decoded, budget = Decoded(), Budget()
        try:
            rows = self._rows(payload, budget, decoded)
            if len(rows) * max(1, len(self._points)) > limits.max_values:
                count = len(rows) * max(1, len(self._points))
                detail = (
                    f"{len(rows)} rows of {len(self._points)} points; at most {limits.max_values} readings are taken"
                )
                return Decoded.refused("too-many-points", detail, count)
            self._decode_rows(rows, received_at, retained, budget, decoded)
        except ValueError as error:
            return Decoded.refused("not-json", str(error))
        except PathTooCostlyError as error:
            return Decoded.refused(error.code, str(error))
        if not decoded.readings:
            return Decoded.refused("no-values", "nothing in it that the profile names")
        return decoded

    def _one_plain_row(self, payload: bytes, fields: list[str]) -> Decoded | None:
        """The usual message: one object with a time and a number in every field; None for anything else."""
        try:
            row = strict_json.fast(payload)
        except ValueError:
            return None
        time = self._shape.time
        if type(row) is not dict or time is None or time.field is None:
            return None
        cells = list(map(row.get, fields))
        if not _NUMBERS.issuperset(map(type, cells)):
            return None
        try:
            ts = self._shape.parse_time(row.get(time.field))
        except ValueError:
            return None
        return Decoded([Block(self._names, np.array([ts], np.int64), np.array([cells], np.float64), units=self._units)])

    def _rows(self, payload: bytes, budget: Budget, decoded: Decoded) -> list[Any]:
        shape = self._shape
        if shape.payload == "number":
            try:
                return [payload.decode().strip()]
            except UnicodeDecodeError:
                decoded.refusals.append(Refusal("not-a-number", f"{shown(payload)} is no number"))
                return []
        if shape.payload == "csv":
            return self._csv_rows(payload, decoded)
        try:
            message = strict_json.fast(payload)
        except ValueError:
            message = strict_json.slow(payload)
        if shape.rows is not None:
            message = shape.rows(message, budget)
            if message is None:
                return []
        return message if isinstance(message, list) else [message]

    def _csv_rows(self, payload: bytes, decoded: Decoded) -> list[Any]:
        try:
            text = payload.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            decoded.refusals.append(Refusal("not-csv", f"not UTF-8 at byte {error.start}"))
            return []
        rows, columns = [], self._shape.columns
        try:
            for cells in csv.reader(io.StringIO(text, newline=""), delimiter=self._shape.delimiter):
                if len(cells) == len(columns):
                    rows.append({name: cell for name, cell in zip(columns, cells, strict=True) if cell.strip()})
                elif cells:
                    detail = f"a line of {len(cells)} cells for {len(columns)} columns: {shown(cells)}"
                    line = self._shape.delimiter.join(cells).encode()
                    decoded.refusals.append(Refusal("length-mismatch", detail, line, max(1, len(self._points))))
        except csv.Error as error:
            decoded.refusals.append(Refusal("not-csv", str(error)))
        return rows

    def _decode_rows(self, rows: list[Any], received_at: int, retained: bool, budget: Budget, decoded: Decoded) -> None:
        shape, points = self._shape, self._points
        times: list[int] = []
        numbers: list[list[float]] = []
        found: list[list[bool]] = []
        grades: list[int] = []
        refused: dict[str, list[str]] = {}
        for row in rows:
            raw = shape.time(row, budget) if shape.time is not None else None
            cells = [point.path(row, budget) for point in points]
            # null under its own name is a bad value; a path that finds nothing is none
            nulls = [
                c is None and isinstance(row, dict) and p.path.field in row for c, p in zip(cells, points, strict=True)
            ]
            happened = [(rule, rule.when(row, budget)) for rule in shape.events]
            happened = [(rule, what) for rule, what in happened if what is not None]
            claimed = sum(c is not None for c in cells) + sum(nulls) + len(happened)
            if raw is None and retained:
                decoded.ignored += claimed
                continue
            try:
                ts = received_at if raw is None else shape.parse_time(raw)
            except ValueError as error:
                refused.setdefault("bad-timestamp", []).extend([str(error)] * max(1, claimed))
                continue
            row_numbers, row_found = self._numbers(cells, nulls, refused)
            if any(row_found):
                times.append(ts)
                numbers.append(row_numbers)
                found.append(row_found)
                grades.append(RECEIPT if raw is None else q.GOOD)
            for rule, _ in happened:
                self._event(rule, row, ts, budget, decoded, refused)
            if shape.sequence is not None:
                count = shape.sequence(row, budget)
                if isinstance(count, int) and not isinstance(count, bool) and 0 <= count < 2**63:
                    decoded.sequences.append(count)
        for reason, details in refused.items():
            decoded.refusals.append(Refusal(reason, "; ".join(dict.fromkeys(details[:3])), None, len(details)))
        if times:
            present = np.array(found, np.bool_)
            quality = np.repeat(np.array(grades, np.uint8)[:, None], len(points), axis=1)
            decoded.blocks.append(
                Block(
                    self._names,
                    np.array(times, np.int64),
                    np.array(numbers, np.float64),
                    quality,
                    None if present.all() else present,
                    self._units,
                )
            )

    def _numbers(
        self, cells: list[Any], nulls: list[bool], refused: dict[str, list[str]]
    ) -> tuple[list[float], list[bool]]:
        numbers, found = [], []
        for name, cell, null in zip(self._names, cells, nulls, strict=True):
            number = cell if type(cell) is float else None if cell is None else _number(cell, self._shape.decimal)
            if number is not None and math.isfinite(number):
                numbers.append(number)
                found.append(True)
                continue
            numbers.append(0.0)
            found.append(False)
            if number is not None:
                refused.setdefault("not-finite", []).append(f"{shown(name)} is {number}")
            elif cell is not None or null:
                refused.setdefault("not-a-number", []).append(f"{shown(name)} is {shown(cell)}, not a number")
        return numbers, found

    def _event(
        self, rule: EventRule, row: Any, ts: int, budget: Budget, decoded: Decoded, refused: dict[str, list[str]]
    ) -> None:
        body = {key: path(row, budget) for key, path in rule.body}
        why = harmless(body)
        if why:
            refused.setdefault("bad-body", []).append(f"the event {rule.kind} holds {why}")
        else:
            decoded.events.append(Event(rule.kind, ts, body))


def _number(value: Any, decimal: str) -> float | None:
    """A number, a boolean, or a text that is one with the given decimal mark; None for anything else."""
    if isinstance(value, str):
        text = value.strip()
        if len(text) <= _MAX_NUMBER_TEXT and _NUMBER[decimal].fullmatch(text):
            return float(text.replace(",", "."))
        if text.lower() in ("nan", "inf", "+inf", "-inf", "infinity", "-infinity"):
            return math.nan
        return _WORDS.get(text.lower())
    if isinstance(value, (bool, int, float)):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    return None

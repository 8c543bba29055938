"""What a birth certificate defines: the metrics of a node or device, and how values of them become readings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core import quality as q
from core.time import MINUTE, isoformat
from formats.decoded import ABSENT, Block, Decoded, Event, RefusedValues, Text, printable, shown
from formats.sparkplug.datatypes import FLOATS, REASONS, Verdict, convert
from formats.sparkplug.decode import (
    BAD_TIME,
    HISTORICAL,
    NO_ALIAS,
    NO_QUALITY,
    NO_TIME,
    NULL,
    TRANSIENT,
    Columns,
    SparkplugPayload,
)
from formats.sparkplug.profile import SparkplugProfile

MAX_NAME: Final = 400
_AMBIGUOUS: Final = -2
_UNKNOWN: Final = -1
_WIDE: Final = 4
"""A message with at least one in so many of a birth's metrics is laid out as all of them: their names are then looked
up once, not for every selection of them that ever comes."""
_AHEAD: Final = MINUTE
"""A node's clock may be ahead by so much and its death still be the last word on its values."""


@dataclass(slots=True, eq=False)
class Definitions:
    """n metrics of one birth. ``points``: the names they go on under; ``ignored``: the profile wants none of it.

    ``last`` NaN where no value is known; ``marked`` µs of the last stale mark, -1 where the value is fresh.
    ``floating``: its type is Float or Double, and it is not ignored. ``newest`` µs: the newest time that any of them
    came with.
    """

    names: list[str]
    points: tuple[str, ...]
    units: tuple[str | None, ...] | None
    datatype: NDArray[np.uint8]
    ignored: NDArray[np.bool_]
    by_alias: dict[int, int]
    by_name: dict[bytes, int]
    last: NDArray[np.float64]
    marked: NDArray[np.int64]
    floating: NDArray[np.bool_]
    texts: dict[int, str] = field(default_factory=dict)
    newest: int = -1

    def __len__(self) -> int:
        return len(self.names)

    def rows_of(self, columns: Columns) -> NDArray[np.intp]:
        """Which metric each value is of; -1 where no birth has named it, -2 where an alias means two."""
        by_alias, by_name = self.by_alias, self.by_name
        rows = [by_alias.get(alias, _UNKNOWN) for alias in columns.alias]
        if columns.named:
            for place, name in enumerate(columns.name):
                if not name:
                    continue
                named = by_name.get(name, _UNKNOWN)
                if columns.alias[place] == NO_ALIAS or rows[place] < 0:
                    rows[place] = named
                elif named != rows[place]:
                    rows[place] = _AMBIGUOUS
        return np.array(rows, np.intp)


def define(
    columns: Columns, profile: SparkplugProfile, holder: str, refused: RefusedValues, before: Definitions | None
) -> tuple[Definitions, NDArray[np.intp]]:
    """The definitions of a birth, and which metric of them each row of the birth is (-1: of none).

    What was known of the same metric ``before`` (its last value, its stale mark) stays known.
    """
    names: list[str] = []
    by_name: dict[bytes, int] = {}
    by_alias: dict[int, int] = {}
    types: list[int] = []
    units: list[str | None] = []
    points: list[str] = []
    ignored: list[bool] = []
    rows = np.full(len(columns), -1, np.intp)
    for row, raw in enumerate(columns.name):
        name, problem = _name(raw)
        if problem is not None:
            refused.add("bad-name", *_seen(columns, row, name), f"metric {row}: {problem}")
            continue
        place = by_name.get(raw)
        if place is None:
            place = by_name[raw] = len(names)
            point, unit = profile.mapped(name, holder)
            names.append(name)
            points.append(point or name)
            units.append(unit or _marked_unit(columns.unit.get(row)))
            types.append(int(columns.datatype[row]))
            ignored.append(profile.ignores(name))
        rows[row] = place
        alias = columns.alias[row]
        if alias != NO_ALIAS and by_alias.setdefault(alias, place) != place:
            by_alias[alias] = _AMBIGUOUS  # one alias for two metrics: better no value than one under a wrong name
    n = len(names)
    found = Definitions(
        names,
        tuple(points),
        tuple(units) if any(units) else None,
        np.array(types, np.uint8),
        np.array(ignored, np.bool_),
        by_alias,
        by_name,
        np.full(n, np.nan),
        np.full(n, -1, np.int64),
        np.array([kind in FLOATS and not skip for kind, skip in zip(types, ignored, strict=True)], np.bool_),
    )
    if before is not None:
        found.newest = before.newest
        for raw, old in before.by_name.items():
            place = by_name.get(raw, -1)
            if place >= 0:
                found.last[place], found.marked[place] = before.last[old], before.marked[old]
                if old in before.texts:
                    found.texts[place] = before.texts[old]
    return found, rows


PROPERTY: Final = "\0"
"""Before a unit that the device's own property says, as opposed to the profile; whoever looks units up takes it off."""


def _marked_unit(unit: str | None) -> str | None:
    return None if unit is None else PROPERTY + unit


def _name(raw: bytes) -> tuple[str, str | None]:
    if not raw:
        return "", "a metric of a birth has a name"
    try:
        name = raw.decode()
    except UnicodeDecodeError:
        return raw[:60].decode("utf-8", "backslashreplace"), "its name is not UTF-8"
    if len(name) > MAX_NAME or not printable(name) or any(ord(c) < 32 for c in name):
        return name[:60], f"a name has at most {MAX_NAME} characters and no control characters"
    return name, None


def _seen(columns: Columns, row: int, name: str) -> tuple[Any, str, Any]:
    ts = int(columns.ts[row])
    return (isoformat(ts) if ts >= 0 else ABSENT), name, columns.shown(row)


@dataclass(slots=True)
class Taken:
    """What became of the values of one message, beside ``decoded``: rows that name a metric of no birth, and counts."""

    decoded: Decoded
    unknown: int = 0
    nulls: int = 0
    transient: int = 0
    control: int = 0
    repeated: int = 0


def take_values(
    definitions: Definitions,
    rows: NDArray[np.intp],
    payload: SparkplugPayload,
    now: int,
    *,
    refused: RefusedValues,
    birth: bool = False,
    doubtful: bool = False,
    max_text: int = 4_096,
) -> Taken:
    """Readings, texts and refusals of one message; the definitions then know the newest values.

    ``doubtful``: a message that may have changed the aliases is missing, so the values are uncertain. Historical
    values come out with the quality bit LATE: whoever handles them later looks at them as at the past.
    """
    columns = payload.metrics
    taken = Taken(Decoded())
    n = len(columns)
    if columns.plain and not birth and not doubtful and n and int(rows.min()) >= 0:
        value = columns.real
        if bool(definitions.floating[rows].all()) and bool(np.isfinite(value).all()):
            _remember(definitions, rows, columns.ts, value, now)
            taken.decoded.blocks = _blocks(definitions, rows, columns.ts, value, None)
            return taken
    keep = rows >= 0
    if not birth and not keep.all():
        for row in np.flatnonzero(~keep).tolist():
            name = columns.name[row][:60].decode("utf-8", "backslashreplace") or f"alias {columns.alias[row]}"
            if rows[row] == _AMBIGUOUS:
                refused.add("ambiguous-alias", *_seen(columns, row, name), f"{shown(name)} may mean two metrics")
            else:
                taken.unknown += 1
                refused.add("unknown-metric", *_seen(columns, row, name), f"no birth has named {shown(name)}")
    place = np.where(keep, rows, 0)
    if n and definitions.ignored.any():
        ignored = keep & definitions.ignored[place]
        taken.control = int(np.count_nonzero(ignored))
        keep &= ~ignored
    flags = columns.flags
    if flags.any():
        transient = keep & ((flags & TRANSIENT) != 0)
        taken.transient = int(np.count_nonzero(transient))
        keep &= ~transient
    datatype = definitions.datatype[place] if len(definitions) else np.zeros(n, np.uint8)
    value, verdict = convert(datatype, columns.wire, columns.whole, columns.real)
    sent = columns.datatype
    if not birth and sent.any():
        verdict[(sent != 0) & (sent != datatype)] = Verdict.WRONG_FIELD
    ts, quality = _when(columns, payload.ts, now)
    null = (flags & NULL) != 0
    if null.any():
        # the device says that it does not know: the last value stands, as bad
        known = ~np.isnan(definitions.last[place]) if len(definitions) else np.zeros(n, np.bool_)
        nulls = keep & null
        verdict[nulls & known] = Verdict.NUMBER
        value = np.where(nulls & known, definitions.last[place] if len(definitions) else value, value)
        quality[nulls & known] = q.BAD | q.DEVICE
        taken.nulls = int(np.count_nonzero(nulls & ~known))
        keep &= ~(nulls & ~known)
    if columns.quality is not None:
        said = columns.quality != NO_QUALITY
        quality = np.where(said & ~null, columns.quality | (quality & q.RECEIPT_TIME), quality).astype(np.uint8)
    if doubtful:
        good = (quality & q.CLASS_MASK) == q.GOOD
        quality[good] = q.UNCERTAIN | q.DEVICE
    historical = (flags & HISTORICAL) != 0
    if historical.any():
        quality[historical] |= q.LATE
    _refuse(columns, definitions, place, keep, verdict, ts, refused)
    texts = keep & (verdict == Verdict.TEXT) & (ts >= 0)
    for row in np.flatnonzero(texts).tolist():
        _text(definitions, int(place[row]), columns, row, int(ts[row]), taken, refused, birth, max_text)
    numbers = keep & (verdict == Verdict.NUMBER) & (ts >= 0)
    if not numbers.any():
        return taken
    if not numbers.all():
        place, ts, value, quality = place[numbers], ts[numbers], value[numbers], quality[numbers]
        historical, null = historical[numbers], null[numbers]
    if birth:
        ts, quality = _restated(definitions, place, ts, quality, historical, payload.ts, now)
    fresh = ~historical & ~null
    if not fresh.all():
        _remember(definitions, place[fresh], ts[fresh], value[fresh], now)
    else:
        _remember(definitions, place, ts, value, now)
    taken.decoded.blocks = _blocks(definitions, place, ts, value, quality if (quality != q.GOOD).any() else None)
    return taken


def _remember(
    definitions: Definitions, place: NDArray[np.intp], ts: NDArray[np.int64], value: NDArray[np.float64], now: int
) -> None:
    if not len(place):
        return
    definitions.last[place] = value
    definitions.marked[place] = -1
    newest = int(ts.max())
    if newest > now + _AHEAD:
        newest = int(ts[ts <= now + _AHEAD].max(initial=-1))
    definitions.newest = max(definitions.newest, newest)


def _when(columns: Columns, payload_ts: int, now: int) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    ts, quality = columns.ts, np.full(len(columns), q.GOOD, np.uint8)
    absent = ts == NO_TIME
    if absent.any():
        ts = np.where(absent, payload_ts if payload_ts >= 0 else now, ts)
        if payload_ts < 0:
            quality[absent] = q.UNCERTAIN | q.RECEIPT_TIME
    return ts, quality


def _restated(
    definitions: Definitions,
    place: NDArray[np.intp],
    ts: NDArray[np.int64],
    quality: NDArray[np.uint8],
    historical: NDArray[np.bool_],
    payload_ts: int,
    now: int,
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """A birth says what holds *now*: values whose own time lies before the mark that made them stale hold since the
    birth, or they would look stale for ever."""
    marked = definitions.marked[place]
    old = (marked >= ts) & ~historical
    if not old.any():
        return ts, quality
    by_payload = old & (payload_ts > marked)
    by_receipt = old & ~by_payload
    ts = np.where(by_payload, payload_ts, np.where(by_receipt, np.maximum(now, marked + 1), ts))
    good = (quality & q.CLASS_MASK) == q.GOOD
    quality = np.where(by_receipt & good, q.UNCERTAIN | q.RECEIPT_TIME, quality).astype(np.uint8)
    return ts, quality


def _refuse(
    columns: Columns,
    definitions: Definitions,
    place: NDArray[np.intp],
    keep: NDArray[np.bool_],
    verdict: NDArray[np.uint8],
    ts: NDArray[np.int64],
    refused: RefusedValues,
) -> None:
    bad = keep & ((verdict > Verdict.TEXT) | (ts == BAD_TIME))
    if not bad.any():
        return
    for row in np.flatnonzero(bad).tolist():
        name = definitions.names[int(place[row])]
        if ts[row] == BAD_TIME:
            reason, why = "bad-timestamp", "has a time outside 1970 to 9999"
        else:
            reason, why = REASONS[Verdict(int(verdict[row]))]
        moment = isoformat(int(ts[row])) if ts[row] >= 0 else ABSENT
        refused.add(reason, moment, definitions.points[int(place[row])], columns.shown(row), f"{shown(name)} {why}")


def _text(
    definitions: Definitions,
    place: int,
    columns: Columns,
    row: int,
    ts: int,
    taken: Taken,
    refused: RefusedValues,
    birth: bool,
    max_text: int,
) -> None:
    point, raw = definitions.points[place], columns.other.get(row, b"")
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        refused.add("bad-text", isoformat(ts), point, columns.shown(row), f"{shown(point)} is not UTF-8")
        return
    if len(text) > max_text:
        why = f"{shown(point)} has {len(text)} characters; a text may have {max_text}"
        refused.add("bad-text", isoformat(ts), point, text[:200], why)
        return
    if birth and definitions.texts.get(place) == text:
        taken.repeated += 1  # a birth says again what we know
        return
    definitions.texts[place] = text
    taken.decoded.texts.append(Text(point, ts, text))


def _blocks(
    definitions: Definitions,
    place: NDArray[np.intp],
    ts: NDArray[np.int64],
    value: NDArray[np.float64],
    quality: NDArray[np.uint8] | None,
) -> list[Block]:
    """Readings by time; neighbours in time that hold the same metrics share a block. ``quality`` None: all are good."""
    first_ts = int(ts[0])
    if len(ts) == 1 or (int(ts[-1]) == first_ts and bool((ts == first_ts).all())):
        whole = slice(None)
        turns: list[Any] = [whole] if len(set(place.tolist())) == len(place) else _distinct(place)
        return [
            _frame(definitions, place[at], ts[:1], value[None, at], None if quality is None else quality[None, at])
            for at in turns
        ]
    order = np.lexsort((place, ts))
    place, ts, value = place[order], ts[order], value[order]
    quality = None if quality is None else quality[order]
    starts = np.flatnonzero(np.concatenate(([True], ts[1:] != ts[:-1])))
    bounds = [*starts.tolist(), len(ts)]
    places = place.tolist()
    found: list[Block] = []
    first = 0
    while first < len(bounds) - 1:
        here = places[bounds[first] : bounds[first + 1]]
        last = first + 1
        while last < len(bounds) - 1 and places[bounds[last] : bounds[last + 1]] == here:
            last += 1
        begin, end = bounds[first], bounds[last]
        shape = (last - first, len(here))
        times, values = ts[starts[first:last]], value[begin:end].reshape(shape)
        grades = None if quality is None else quality[begin:end].reshape(shape)
        columns = place[begin : begin + len(here)]
        for at in [slice(None)] if len(set(here)) == len(here) else _distinct(columns):
            found.append(
                _frame(definitions, columns[at], times, values[:, at], None if grades is None else grades[:, at])
            )
        first = last
    return found


def _distinct(place: NDArray[np.intp]) -> list[Any]:
    """Positions in rounds of which none holds a metric twice."""
    order = np.argsort(place, kind="stable")
    sorted_place = place[order]
    begins = np.concatenate(([True], sorted_place[1:] != sorted_place[:-1]))
    start = np.maximum.accumulate(np.where(begins, np.arange(len(place)), 0))
    turn = np.arange(len(place)) - start
    return [np.sort(order[turn == k]) for k in range(int(turn.max()) + 1)]


def _frame(
    definitions: Definitions,
    place: NDArray[np.intp],
    ts: NDArray[np.int64],
    value: NDArray[np.float64],
    quality: NDArray[np.uint8] | None,
) -> Block:
    n, points, units = len(definitions), definitions.points, definitions.units
    k, m = value.shape
    if m * _WIDE >= n and (k == 1 or m == n):
        wide = np.zeros((k, n))
        wide[:, place] = value
        present = grades = None
        if m < n:
            present = np.zeros((k, n), np.bool_)
            present[:, place] = True
        if quality is not None:
            grades = np.full((k, n), q.GOOD, np.uint8)
            grades[:, place] = quality
        return Block(points, ts, wide, grades, present, units)
    chosen = place.tolist()
    names = tuple([points[i] for i in chosen])
    return Block(names, ts, value, quality, None, None if units is None else tuple([units[i] for i in chosen]))


def stale_marks(definitions: Definitions, at: int, now: int, rows: NDArray[np.intp] | None = None) -> list[Block]:
    """The last known values once more, at ``at``, as bad by the device's own word: nobody vouches for them any more.
    Where its clock is ahead of ours they come right behind its newest value. Values that are marked already are not
    marked again."""
    at = max(min(at, now + _AHEAD), definitions.newest + 1)
    due = ~np.isnan(definitions.last) & (definitions.marked < 0) & ~definitions.ignored
    if rows is not None:
        chosen = np.zeros(len(definitions), np.bool_)
        chosen[rows] = True
        due &= chosen
    place = np.flatnonzero(due)
    if not len(place):
        return []
    definitions.marked[place] = at
    grade = np.full((1, len(place)), q.BAD | q.DEVICE, np.uint8)
    return [_frame(definitions, place, np.array([at], np.int64), definitions.last[None, place], grade)]


def connection_event(at: int, state: str, by: str, group: str, node: str, device: str | None) -> Event:
    """What happened to a node or device, for its equipment's history."""
    body: dict[str, Any] = {"state": state, "by": by, "group": group, "node": node}
    if device is not None:
        body["device"] = device
    return Event("connection", at, body)

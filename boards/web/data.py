"""Answers for panels: the reader's choices bound to their queries, rows out as JSON."""

from __future__ import annotations

import logging
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import orjson
import psycopg
from starlette.datastructures import QueryParams

from boards.definition import Annotation, Board, Kind, Panel, Value, Variable
from boards.queries import NOW, Range, Result, bind, fetch, panel_range
from core.errors import NotFoundError
from core.time import parse_duration
from core.units import shown_unit
from services.api.auth import Session
from services.api.errors import ParameterError
from services.api.moments import parse as parse_moment

log = logging.getLogger(__name__)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_US: Final = 86_400_000_000
_LONGEST_US: Final = 20 * 366 * _DAY_US
_PANELS_AT_ONCE: Final = 30


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


async def now_us(session: Session) -> int:
    """The tenant's now: the clock, or where its publisher's time has come."""
    found = await fetch(session.db.connection, NOW, {})
    moment = found.rows[0][0]
    return int(moment) if moment is not None else _micros(datetime.now(UTC))


def time_range(query: QueryParams, window: str, now: int) -> Range:
    """``from`` and ``to`` (ISO 8601 or epoch ms), else ``range`` (a duration such as ``24 h`` or ``7d``) or the board's
    ``window`` ending now."""
    pixels = query.get("pixels", "1000")
    if not (pixels.isascii() and pixels.isdigit() and 4 <= int(pixels[:6]) <= 4000):
        raise ParameterError("a number of pixels between 4 and 4000", parameter="pixels")
    start_text, end_text = query.get("from"), query.get("to")
    if start_text or end_text:
        if not (start_text and end_text):
            raise ParameterError("'from' and 'to' go together", parameter="from")
        try:
            start, end = _micros(parse_moment(start_text)), _micros(parse_moment(end_text))
        except ValueError as error:
            raise ParameterError(str(error), parameter="from") from None
    else:
        end = now
        start = now - parse_duration(query.get("range") or window)
    if not 0 < end - start <= _LONGEST_US:
        raise ParameterError("'from' lies before 'to', and not more than twenty years", parameter="from")
    return Range(start, end, int(pixels))


@dataclass(frozen=True, slots=True)
class Choice:
    """A variable, what may be chosen (value, text) and what is. ``unit``: that of the chosen row, where it has one."""

    variable: Variable
    options: tuple[tuple[Any, str], ...]
    chosen: Value
    unit: str


async def choices(session: Session, board: Board, query: QueryParams, span: Range) -> list[Choice]:
    """The board's variables in their order, each by those before it.

    Raises NotFoundError for a value that is not among what the tenant may choose: somebody else's machine is not there.
    """
    found: list[Choice] = []
    chosen: dict[str, Value] = {}
    for variable in board.variables:
        rows = await fetch(session.db.connection, variable.query, bind(variable, chosen, span))
        options = tuple((row["value"], str(row["text"])) for row in rows.mappings())
        units = {row["value"]: row.get("unit") or "" for row in rows.mappings()}
        given = query.get(variable.key) or None
        value: Value
        if given is None:
            value = None if variable.optional or not options else options[0][0]
        else:
            value = next((option for option, _ in options if str(option) == given), None)
            if value is None:
                raise NotFoundError("there is no such thing, or it is not yours to see")
        chosen[variable.key] = value
        found.append(Choice(variable, options, value, units.get(value, "")))
    return found


# --- rows as JSON -----------------------------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """What JSON can hold: moments as epoch milliseconds, numbers without NaN, everything else as it is."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return _micros(value) / 1000
    if isinstance(value, Decimal):
        return plain(float(value))
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value


def _series(result: Result) -> dict[str, Any]:
    """Curves by metric, each as two lists: a year's trend is then half as long as in rows."""
    time, metric, number = (result.columns.index(name) for name in ("time", "metric", "value"))
    curves: dict[str, tuple[list[Any], list[Any]]] = {}
    for row in result.rows:
        times, values = curves.setdefault(str(row[metric]), ([], []))
        times.append(plain(row[time]))
        values.append(plain(row[number]))
    return {"series": [{"metric": key, "t": times, "v": values} for key, (times, values) in curves.items()]}


def _rows(panel: Panel, result: Result) -> dict[str, Any]:
    units = {column.unit_column for column in panel.columns if column.unit_column}
    shown = [name in units for name in result.columns]
    return {
        "columns": result.columns,
        "rows": [
            [
                shown_unit(value) if unit and isinstance(value, str) else plain(value)
                for value, unit in zip(row, shown, strict=True)
            ]
            for row in result.rows
        ],
    }


def answer(panel: Panel, result: Result) -> dict[str, Any]:
    """A panel's rows, and a digest by which a page sees that nothing has changed."""
    body = _series(result) if panel.kind is Kind.TIMESERIES else _rows(panel, result)
    packed = orjson.dumps(body, default=str)
    return {**body, "digest": zlib.crc32(packed)}


async def panel_answer(session: Session, panel: Panel, chosen: Mapping[str, Value], span: Range) -> dict[str, Any]:
    """The panel's answer, or ``{"error": sentence}``: one that fails does not take its neighbours along."""
    own = panel_range(panel, span)
    try:
        async with session.db.connection.transaction():
            result = await fetch(session.db.connection, panel.query, bind(panel, chosen, span))
    except psycopg.errors.QueryCanceled:
        return {"error": "This question is too wide. Choose a shorter time."}
    except psycopg.OperationalError:
        raise
    except (psycopg.Error, KeyError) as error:
        log.error("panel %s failed", panel.key, exc_info=error)
        return {"error": "This panel failed. The log of the service says why."}
    return {**answer(panel, result), "from": own.from_us / 1000, "to": own.to_us / 1000}


def asked_panels(board: Board, query: QueryParams) -> Sequence[Panel]:
    """Those named in ``panels`` (comma-separated), or all of the board."""
    names = query.get("panels")
    if not names:
        return board.panels
    try:
        return [board.panel(name) for name in names.split(",")[:_PANELS_AT_ONCE]]
    except KeyError as error:
        raise NotFoundError(f"the board has no panel {error}") from None


async def marks(session: Session, annotation: Annotation, chosen: Mapping[str, Value], span: Range) -> list[list[Any]]:
    """``[time, end, title, text, tag]`` of each mark in the time range."""
    result = await fetch(session.db.connection, annotation.query, bind(annotation, chosen, span))
    return [
        [plain(row["time"]), plain(row["time_end"]), row["title"], row["text"], row["tag"]] for row in result.mappings()
    ]

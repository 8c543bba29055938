"""A statement as Grafana's PostgreSQL data source takes it: macros for the time range, variables, literals.

The tenant comes from the data source's login; a variable in a URL can therefore show nothing but the tenant's own
rows, whatever is written in it. It is quoted nevertheless.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from boards.definition import Annotation, Board, Kind, Panel, Query, Value, Variable
from boards.queries import MAX_PIXELS, PARAMETER, statement
from core.time import parse_duration

_FROM = "($__unixEpochNanoFrom() / 1000)"
_TO = "($__unixEpochNanoTo() / 1000)"
_PIXELS = (
    f"least({MAX_PIXELS}, greatest(4, ($__unixEpochNanoTo() - $__unixEpochNanoFrom()) / 1000000 / $__interval_ms))"
)
_WRAPPED = {
    Kind.TIMESERIES: "series",
    Kind.STATES: "series",
    Kind.GRID: "series",
    Kind.TREE: "tree",
}


def literal(value: Value) -> str:
    """SQL of a constant.

    >>> literal(("it's", "b"))
    "ARRAY['it''s', 'b']"
    """
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, tuple):
        return "ARRAY[" + ", ".join(literal(one) for one in value) + "]"
    return repr(value)


def of_panel(board: Board, panel: Panel) -> str:
    start = f"({_TO} - {parse_duration(panel.window)})" if panel.window else _FROM
    text = _fill(panel.query, {"from_us": start}, board, panel.parameters)
    return _wrap(_WRAPPED[panel.kind], text) if panel.kind in _WRAPPED else text


def of_variable(board: Board, variable: Variable) -> str:
    return _wrap("choice", _fill(variable.query, {}, board, variable.parameters))


def of_annotation(board: Board, annotation: Annotation) -> str:
    return _wrap("marks", _fill(annotation.query, {}, board, {}))


def _fill(query: Query, times: Mapping[str, str], board: Board, constants: Mapping[str, Value]) -> str:
    known = {"from_us": _FROM, "to_us": _TO, "pixels": _PIXELS, **times}
    # sqlstring quotes what a reader may have written into the address
    known |= {variable.key: f"${{{variable.key}:sqlstring}}" for variable in board.variables}
    known |= {name: literal(value) for name, value in constants.items()}
    return _substitute(statement(query), known)


def _wrap(name: str, inner: str) -> str:
    return _substitute(statement(Query("grafana", name)), {"inner": inner})


def _substitute(text: str, known: Mapping[str, str]) -> str:
    """Raises KeyError naming a parameter that nobody gave. Pieces between parameters lose psycopg's doubled %."""
    pieces = re.split(PARAMETER, text)
    for i in range(0, len(pieces), 2):
        pieces[i] = pieces[i].replace("%%", "%")
    for i in range(1, len(pieces), 2):
        pieces[i] = known[pieces[i]]
    return "".join(pieces).rstrip().removesuffix(";")

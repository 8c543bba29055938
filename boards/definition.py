"""The words in which a board is written down. Data only: nothing here asks a database or draws.

Texts are English and are their own message keys; :mod:`boards.texts` translates them. Units are UCUM codes. Colours
are named by what they mean, see :class:`Meaning`; a renderer knows how that looks, light and dark.

A query gives rows of named columns. Which names a panel's kind asks for is said at :class:`Kind`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

Value = int | float | str | tuple[str, ...] | None
"""A parameter of a query: bound by the web board, written as a literal or a variable into Grafana's SQL."""

NOTHING: Mapping[str, Value] = MappingProxyType({})

GRID = 24
"""Columns of the grid that panels are laid out on; a phone shows one panel per line whatever the width."""


class Meaning(StrEnum):
    """What a colour says. The first four are an order: a person may read them from far away."""

    HEALTHY = "healthy"
    ADVISORY = "advisory"
    WARNING = "warning"
    ALARM = "alarm"
    UNKNOWN = "unknown"
    """Nothing is known, or it is too old: never drawn as healthy."""
    INSTRUMENT = "instrument"
    """The instrument is the suspect, not the machine (NAMUR NE 107)."""
    NEUTRAL = "neutral"
    """Says nothing good or bad: states, counts, map lines."""


class Kind(StrEnum):
    """How a panel shows its rows, and the columns it needs."""

    STAT = "stat"
    """One row; each :class:`Column` is one big figure."""
    TABLE = "table"
    """Rows as they come; each :class:`Column` is one column."""
    TREE = "tree"
    """As TABLE, and ``depth`` (0 for the root) indents the first column; rows come in the order of the tree."""
    TIMESERIES = "timeseries"
    """``time`` (timestamptz), ``metric`` (text, the key of a :class:`Series` or a name to show), ``value``; by time."""
    STATES = "states"
    """Bands along time: ``time``, ``metric`` (which band), ``value`` (text, translated and coloured by ``values``). A
    value holds until the next of its band."""
    GRID = "grid"
    """Coloured cells along time: as STATES, with a number coloured by ``zones``; times are starts of equal steps."""
    MATRIX = "matrix"
    """Coloured cells: ``row``, ``column``, ``value``, coloured by ``zones``; NULL means unknown. Rows and columns come
    in the order in which they first appear."""
    BARS = "bars"
    """``label``, ``value``, longest first unless the query orders otherwise; coloured by ``zones``."""
    XY = "xy"
    """``series`` (key of a :class:`Series`), ``x``, ``y``: lines or points by :attr:`Series.style`, as they come."""


class Style(StrEnum):
    """How a series is drawn."""

    LINE = "line"
    DASHED = "dashed"
    POINTS = "points"
    BIG_POINT = "big_point"


class Format(StrEnum):
    """What a column holds."""

    TEXT = "text"
    NUMBER = "number"
    TIME = "time"
    """timestamptz; shown in the reader's time zone."""
    DURATION = "duration"
    """Seconds."""


class Action(StrEnum):
    """What a reader may do from a row where the page has his rights (the web board); rows carry ``alarm_id``."""

    ACKNOWLEDGE = "acknowledge"
    SHELVE = "shelve"


class Follow(StrEnum):
    """What makes a panel out of date before its :attr:`Panel.refresh` is over."""

    ALARMS = "alarms"
    """Events ``alarm`` and ``alarm_change`` of the event stream."""


@dataclass(frozen=True, slots=True)
class Query:
    """SQL by name: ``storage/queries/boards/<domain>.sql``. Its declared parameters are those it may be given."""

    domain: str
    name: str


@dataclass(frozen=True, slots=True)
class Zones:
    """Meaning of a number: ``steps`` are (from this value on, meaning), ascending; ``below`` is what lies before the
    first. NULL and NaN are unknown.

    >>> Zones(Meaning.HEALTHY, ((90, Meaning.WARNING), (105, Meaning.ALARM))).of(97.0).value
    'warning'
    """

    below: Meaning
    steps: tuple[tuple[float, Meaning], ...]

    def of(self, value: float | None) -> Meaning:
        if value is None or value != value:
            return Meaning.UNKNOWN
        found = self.below
        for start, meaning in self.steps:
            if value >= start:
                found = meaning
        return found


@dataclass(frozen=True, slots=True)
class Named:
    """How a stored word is shown."""

    text: str
    meaning: Meaning = Meaning.NEUTRAL


@dataclass(frozen=True, slots=True)
class Link:
    """To another board. ``variables``: its variable → the column of the row that has the value, or ``$variable`` of
    this board."""

    board: str
    variables: Mapping[str, str] = field(default_factory=dict)
    title: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table, or a figure of a stat.

    ``unit`` is a UCUM code; ``unit_column`` names a column that has each row's own. ``zones`` colour by the number,
    ``values`` name and colour stored words.
    """

    key: str
    title: str
    format: Format = Format.TEXT
    unit: str = ""
    unit_column: str = ""
    decimals: int | None = None
    zones: Zones | None = None
    values: Mapping[str, Named] | None = None
    link: Link | None = None
    width: int | None = None
    """Pixels in a table; None: what is left."""
    wide_only: bool = False
    """May be left out where there is little room (phone)."""


@dataclass(frozen=True, slots=True)
class Series:
    """How a series that the query calls ``key`` is shown; what has no Series is shown under its own name."""

    key: str
    title: str
    style: Style = Style.LINE
    meaning: Meaning | None = None
    """None: the next colour of the palette, which says nothing."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One question and its answer.

    ``key`` is unique on its board. ``parameters`` are what this panel gives the query beside the board's variables and
    ``from_us``, ``to_us``, ``pixels``. ``window`` (``"7 d"``) looks back that far from the end of the time range
    instead of using its start. ``unit``, ``decimals``, ``zones``, ``values`` are for kinds without columns; the zones
    of TIMESERIES and XY are drawn behind the curves. ``limits`` are (value, meaning) lines across a TIMESERIES, and
    with ``steps`` its values hold until the next. ``unit_of`` names a variable whose chosen row has the unit in a
    column ``unit``.
    ``empty`` says what an empty answer means, where it may be empty: good news should not look like a fault.
    ``links``: where a cell or bar leads (kinds without columns), by its row's columns.
    """

    key: str
    title: str
    question: str
    kind: Kind
    query: Query
    width: int
    height: int
    """Of the grid: 24 columns; a unit of height is about 38 pixels."""
    parameters: Mapping[str, Value] = field(default_factory=dict)
    columns: tuple[Column, ...] = ()
    series: tuple[Series, ...] = ()
    unit: str = ""
    unit_of: str = ""
    x_unit: str = ""
    x_title: str = ""
    y_title: str = ""
    decimals: int | None = None
    low: float | None = None
    high: float | None = None
    """Ends of the axis; None: by the data."""
    zones: Zones | None = None
    values: Mapping[str, Named] | None = None
    limits: tuple[tuple[float, Meaning], ...] = ()
    steps: bool = False
    legend: bool = True
    window: str = ""
    links: tuple[Link, ...] = ()
    actions: tuple[Action, ...] = ()
    refresh: int = 30
    """Seconds after which it is asked again."""
    follows: tuple[Follow, ...] = ()
    empty: str = ""


@dataclass(frozen=True, slots=True)
class Variable:
    """What the reader chooses. The query gives ``value`` and ``text``; the first row is the default.

    ``integer``: its values are identities, else texts. ``optional``: may be left empty (the parameter is then
    NULL), which is the default.
    """

    key: str
    title: str
    query: Query
    parameters: Mapping[str, Value] = field(default_factory=dict)
    integer: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Annotation:
    """Marks along time: the query gives ``time``, ``time_end`` (may be NULL), ``title``, ``text``, ``tag``; one row per
    mark. ``values`` name and colour the tags."""

    key: str
    title: str
    query: Query
    values: Mapping[str, Named]


@dataclass(frozen=True, slots=True)
class Row:
    """Panels side by side, wrapped at :data:`GRID`; ``title`` may be empty."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """A page of panels. ``question`` is the one that it answers within five seconds.

    ``points``: patterns (regular expressions) of which a machine's points must match one, or the board is not for it;
    empty: for any, or the whole fleet. So a type has the boards of what it has, whatever it is called.
    ``learned``: only for machines of which a learned model that speaks has said something. ``window``: the time range
    at the beginning, ending now (see ``boards.now`` in the queries: now of the tenant's timeline).
    """

    key: str
    title: str
    question: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = ()
    annotations: tuple[Annotation, ...] = ()
    points: tuple[str, ...] = ()
    learned: bool = False
    window: str = "24 h"
    refresh: int = 30

    @property
    def panels(self) -> tuple[Panel, ...]:
        return tuple(panel for row in self.rows for panel in row.panels)

    def panel(self, key: str) -> Panel:
        """Raises KeyError."""
        for panel in self.panels:
            if panel.key == key:
                return panel
        raise KeyError(key)

    def variable(self, key: str) -> Variable:
        """Raises KeyError."""
        for variable in self.variables:
            if variable.key == key:
                return variable
        raise KeyError(key)


def place(panels: Sequence[Panel]) -> list[tuple[Panel, int, int]]:
    """(panel, x, y) from left to right, a new line where the grid is full; y counts from 0."""
    placed: list[tuple[Panel, int, int]] = []
    x = y = line = 0
    for panel in panels:
        if x + panel.width > GRID:
            x, y, line = 0, y + line, 0
        placed.append((panel, x, y))
        x, line = x + panel.width, max(line, panel.height)
    return placed

"""Recorded files as MQTT messages: a row of a table is one JSON object under a topic of its mapping profile."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from core.errors import InvalidInputError
from formats.mapping import Mapping
from formats.profile import MappingProfile, bundled, check_profile

_NOT_A_NAME: Final = re.compile(r"[^a-z0-9]+")
_NOTHING: Final = frozenset(("", "nan", "null", "none", "na", "n/a"))
"""Cells in which nothing was measured: they are left out, as a device leaves out what it has not."""

_COLUMNS: Final = {"azure_pdm": {"machine": "machineID"}}
"""Segments of the topic that stand in a column of the recording instead of the file's name."""


@dataclass(frozen=True, slots=True)
class Message:
    """``ts`` µs of the row; ``cells`` readings and ``events`` events that the profile finds in it."""

    topic: str
    payload: bytes
    equipment: str
    ts: int
    cells: int
    events: int


@dataclass(frozen=True, slots=True)
class Recording:
    """Messages in order of their time, and what they speak of."""

    profile: MappingProfile
    messages: tuple[Message, ...]
    equipment: tuple[str, ...]

    @property
    def cells(self) -> int:
        return sum(message.cells for message in self.messages)

    @property
    def events(self) -> int:
        return sum(message.events for message in self.messages)


def load_profile(name: str) -> MappingProfile:
    """A profile that comes with the program by its name, or a YAML file of the user's."""
    path = Path(name)
    return check_profile(path) if path.suffix in (".yaml", ".yml") else bundled(name)


def read(files: Sequence[Path], profile: MappingProfile, *, limit: int | None = None) -> Recording:
    """All rows of ``files`` (at most ``limit`` of each); a folder stands for the CSV files in it.

    Raises :class:`~core.errors.InvalidInputError` for a file without a row that the profile can read.
    """
    tables = list(_tables(files))
    messages: list[Message] = []
    for path in tables:
        found = list(_messages(path, profile, limit))
        if not found and profile.name != "azure_pdm":
            raise InvalidInputError(
                f"{path} has no row that the profile {profile.name} can read", hint="is it the right profile?"
            )
        messages.extend(found)
    if not messages:
        raise InvalidInputError("there is nothing to replay in these files", hint="give the files with the readings")
    messages.sort(key=lambda message: message.ts)  # stable: rows of one time stay in the order of the files
    return Recording(profile, tuple(messages), tuple(sorted({message.equipment for message in messages})))


def _tables(files: Sequence[Path]) -> Iterator[Path]:
    for path in files:
        if path.is_dir():
            yield from sorted(path.rglob("*.csv"))
        elif path.is_file():
            yield path
        else:
            raise InvalidInputError(f"{path} is not there", hint="give files, or a folder with CSV files")


def recording_name(path: Path, among_folders: bool = False) -> str:
    """A file's name as a level of a topic: ``first_1000_rows.csv`` is ``first-1000-rows``; ``valve1/0.csv`` is
    ``valve1-0``, since a bare number says nothing without its folder.

    >>> recording_name(Path("skab/valve1/0.csv")), recording_name(Path("T1.csv"))
    ('valve1-0', 't1')
    """
    stem = f"{path.parent.name}-{path.stem}" if path.stem.isdigit() or among_folders else path.stem
    return _NOT_A_NAME.sub("-", stem.lower()).strip("-")


def _messages(path: Path, profile: MappingProfile, limit: int | None) -> Iterator[Message]:
    segments = dict.fromkeys(re.findall(r"\{(\w+)\}", profile.document["topic"]), recording_name(path))
    columns = _COLUMNS.get(profile.name, {})
    mappings: dict[str, Mapping] = {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        first = file.readline()
        file.seek(0)
        try:
            for number, row in enumerate(csv.DictReader(file, delimiter=_delimiter(first))):
                if limit is not None and number >= limit:
                    return
                named = {name: row[column] for name, column in columns.items() if row.get(column)}
                if len(named) < len(columns):
                    return  # a table without machines is none of readings or events
                topic = str(profile.document["topic"]).format_map(segments | named)
                mapping = mappings.get(topic)
                if mapping is None:
                    mapping = mappings[topic] = profile.bind(profile.match(topic) or {})
                message = _message(topic, row, mapping)
                if message is not None:
                    yield message
        except (csv.Error, UnicodeDecodeError) as error:
            raise InvalidInputError(f"{path} is no table in text form: {error}") from error


def _message(topic: str, row: dict[str | Any, str | Any], mapping: Mapping) -> Message | None:
    values = {name: _cell(cell) for name, cell in row.items() if name and isinstance(cell, str)}
    payload = orjson.dumps({name: value for name, value in values.items() if value is not None})
    # the profile itself says what of the row is a reading, so the count is of what ingest owes
    decoded = mapping.decode(payload, received_at=0)
    cells = sum(len(block) for block in decoded.blocks)
    times = [int(block.ts[0]) for block in decoded.blocks] + [event.ts for event in decoded.events]
    if not times:
        return None
    return Message(topic, payload, mapping.equipment, max(times), cells, len(decoded.events))


def _cell(text: str) -> str | float | None:
    """A number where it is one (its shortest form means the same double), else the text; None for an empty cell."""
    text = text.strip()
    if text.lower() in _NOTHING:
        return None
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) and "_" not in text else text


def _delimiter(header: str) -> str:
    return max((";", ",", "\t"), key=header.count)

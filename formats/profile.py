"""Mapping profiles: a YAML file that says how foreign topics and payloads become readings. Checked once, when loaded.

The language is described in docs/how-to/connect-a-device.md, its JSON Schema is ``profiles/schema.json``. What a
profile does with a message is in :mod:`formats.mapping`.
"""

from __future__ import annotations

import functools
import json
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path as FilePath
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import jsonschema
import yaml

from core import units
from core.errors import InvalidInputError, UnitError
from formats import timestamps
from formats.mapping import EventRule, MappedPoint, Shape
from formats.mapping import Mapping as MappedTopic
from formats.paths import Path
from formats.sparkplug import profile as sparkplug
from formats.sparkplug.profile import SparkplugProfile
from formats.sparkplug.topics import NAMESPACE

PROFILES: Final = FilePath(__file__).parent / "profiles"
MAX_FILE: Final = 262_144
_SEGMENT: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")


class ProfileError(InvalidInputError):
    """A mapping profile that is wrong; ``where`` is the path inside the document, e.g. ``points/3/unit``."""

    code = "invalid-profile"

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message, hint=hint)
        self.where = where


@dataclass(frozen=True, slots=True, eq=False)
class MappingProfile:
    """A checked profile. ``filter`` is the MQTT topic filter to subscribe to."""

    name: str
    filter: str
    type_key: str | None
    document: Mapping[str, Any]
    _pattern: re.Pattern[str]
    _shape: Shape
    _points: tuple[tuple[Path, str, str | None, Mapping[str, str]], ...]
    sparkplug: SparkplugProfile | None = None
    """Set where the profile maps a Sparkplug group; it then matches no topic, the Sparkplug host takes it."""

    def match(self, topic: str) -> dict[str, str] | None:
        """The named segments of ``topic``, or None where it is not one of this profile's."""
        found = self._pattern.fullmatch(topic)
        return found.groupdict() if found else None

    def bind(self, segments: Mapping[str, str]) -> MappedTopic:
        """The profile for one topic: the equipment it belongs to, and a decoder of its messages."""
        points = tuple(
            MappedPoint(path, point.format_map(segments), unit)
            for path, point, unit, only in self._points
            if all(segments[name] == value for name, value in only.items())
        )
        return MappedTopic(str(self.document["equipment"]).format_map(segments), self._shape, points)


def check_profile(path: FilePath | str) -> MappingProfile:
    """The profile in a YAML file; :class:`ProfileError` names the place and what to write instead."""
    path = FilePath(path)
    try:
        if path.stat().st_size > MAX_FILE:
            raise ProfileError(f"{path.name} is larger than {MAX_FILE} bytes")
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ProfileError(f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ProfileError(f"{path.name} is not YAML: {error}") from error
    return parse_profile(document)


def bundled(name: str) -> MappingProfile:
    """One of the example profiles that come with the program: skab, azure_pdm, wind_scada, metropt3."""
    known = sorted(file.stem for file in PROFILES.glob("*.yaml"))
    if name not in known:
        raise ProfileError(f"no profile {name!r} comes with the program", hint=f"there are: {', '.join(known)}")
    return check_profile(PROFILES / f"{name}.yaml")


@functools.cache
def schema() -> dict[str, Any]:
    """The JSON Schema of profiles."""
    loaded: dict[str, Any] = json.loads((PROFILES / "schema.json").read_text(encoding="utf-8"))
    return loaded


def parse_profile(document: Any) -> MappingProfile:
    """A profile from its document, as it stands in YAML or in the registry; :class:`ProfileError` where it is wrong."""
    if isinstance(document, Mapping) and "sparkplug" in document:
        return _sparkplug(document)
    _validate(document, schema(), "docs/how-to/connect-a-device.md has a full example")
    topic = document["topic"]
    names = _topic_names(topic)
    _check_template(document["equipment"], names, "equipment")
    points = []
    for i, entry in enumerate(document.get("points", ())):
        where = f"points/{i}"
        _check_template(entry["point"], names, f"{where}/point")
        unit = entry.get("unit")
        if unit is not None:
            try:
                units.check(unit)
            except UnitError as error:
                raise ProfileError(str(error), where=f"{where}/unit", hint=error.hint) from error
        only = entry.get("only", {})
        for name in only:
            _check_template(f"{{{name}}}", names, f"{where}/only")
        points.append((_path(entry["path"], f"{where}/path"), entry["point"], unit, only))
    return MappingProfile(
        document["profile"],
        _SEGMENT.sub("+", topic),
        document.get("type"),
        document,
        re.compile(_SEGMENT.sub(r"(?P<\1>[^/]+)", re.escape(topic).replace(r"\{", "{").replace(r"\}", "}"))),
        _shape(document),
        tuple(points),
    )


def _validate(document: Any, against: Mapping[str, Any], hint: str) -> None:
    validator = jsonschema.Draft202012Validator(against)
    problem = jsonschema.exceptions.best_match(validator.iter_errors(document))
    if problem is not None:
        where = "/".join(str(step) for step in problem.absolute_path)
        raise ProfileError(problem.message[:300], where=where, hint=hint)


def _sparkplug(document: Mapping[str, Any]) -> MappingProfile:
    common = {key: schema()["properties"][key] for key in ("profile", "description", "type")}
    whole = {
        "type": "object",
        "additionalProperties": False,
        "required": ["profile", "sparkplug"],
        "properties": {**common, "sparkplug": sparkplug.SCHEMA},
    }
    _validate(document, whole, "docs/reference/sparkplug.md has an example")
    try:
        found = sparkplug.parse_sparkplug(document["sparkplug"], document.get("type"))
    except sparkplug.SparkplugProfileError as error:
        raise ProfileError(error.message, where=error.where, hint=error.hint) from error
    return MappingProfile(
        document["profile"], found.filter, found.type_key, document, re.compile(r"(?!)"), _shape({}), (), found
    )


def _topic_names(topic: str) -> set[str]:
    levels = topic.split("/")
    if levels[0] == "servitize" or topic.startswith("$"):
        raise ProfileError("topics below servitize/ and $ are the platform's and the broker's own", where="topic")
    if levels[0] == NAMESPACE:
        raise ProfileError(
            "Sparkplug groups are mapped by a section of their own",
            where="topic",
            hint="write sparkplug: {group: …} instead of topic and equipment; see docs/reference/sparkplug.md",
        )
    names: set[str] = set()
    for level in levels:
        found = _SEGMENT.fullmatch(level)
        if found is None:
            if not level or set(level) & set("{}+#\0"):
                raise ProfileError(
                    f"{level!r} is no level of a topic",
                    where="topic",
                    hint="a name, or a segment in braces: plant/{line}",
                )
            continue
        if found[1] in names:
            raise ProfileError(f"{{{found[1]}}} stands twice", where="topic")
        names.add(found[1])
    if _SEGMENT.fullmatch(levels[0]) and len(levels) == 1:
        raise ProfileError(
            "this would take every topic of one level", where="topic", hint="begin with a constant level"
        )
    return names


def _check_template(template: str, names: set[str], where: str) -> None:
    try:
        used = [(field, spec, conversion) for _, field, spec, conversion in string.Formatter().parse(template)]
    except ValueError as error:
        raise ProfileError(f"{template!r}: {error}", where=where) from error
    for field, spec, conversion in used:
        if field is None:
            continue
        if field not in names or spec or conversion:
            known = ", ".join(sorted(names)) or "none"
            raise ProfileError(f"the topic has no segment {{{field}}}", where=where, hint=f"its segments: {known}")


def _path(expression: str, where: str) -> Path:
    try:
        return Path(expression)
    except InvalidInputError as error:
        raise ProfileError(str(error), where=where, hint=error.hint) from error


def _shape(document: Mapping[str, Any]) -> Shape:
    payload = document.get("payload", "json")
    table = document.get("csv")
    if (payload == "csv") != (table is not None):
        raise ProfileError("payload: csv and the section csv go together", where="csv")
    if payload == "number" and ("rows" in document or "time" in document or "events" in document):
        raise ProfileError("a bare number has no rows, time or events", where="payload")
    time = document.get("time")
    return Shape(
        payload=payload,
        decimal=document.get("decimal", "."),
        delimiter=table.get("delimiter", ",") if table else ",",
        columns=tuple(table["columns"]) if table else (),
        rows=_path(document["rows"], "rows") if "rows" in document else None,
        time=_path(time["path"], "time/path") if time else None,
        parse_time=_time_parser(time) if time else timestamps.parse,
        sequence=_path(document["sequence"], "sequence") if "sequence" in document else None,
        events=tuple(
            EventRule(
                entry["kind"],
                _path(entry["when"], f"events/{i}/when"),
                tuple((key, _path(path, f"events/{i}/body/{key}")) for key, path in entry.get("body", {}).items()),
            )
            for i, entry in enumerate(document.get("events", ()))
        ),
    )


def _time_parser(time: Mapping[str, Any]) -> Any:
    pattern, zone = time.get("format", "iso"), None
    if "zone" in time:
        try:
            zone = ZoneInfo(time["zone"])
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ProfileError(
                f"{time['zone']!r} is no time zone", where="time/zone", hint="for example UTC or Europe/Vienna"
            ) from error
    if pattern not in ("iso", "epoch_s", "epoch_ms", "epoch_us"):
        if "%" not in pattern:
            raise ProfileError(f"{pattern!r} is no format of a time", where="time/format", hint="e.g. %d.%m.%Y %H:%M")
        sample = datetime(2001, 2, 3, 4, 5, 6)  # noqa: DTZ001 (only to see whether the format can be read back)
        try:
            datetime.strptime(sample.strftime(pattern), pattern)  # noqa: DTZ007
        except ValueError as error:
            raise ProfileError(f"{pattern!r} cannot be read back: {error}", where="time/format") from error
        if zone is None and "%z" not in pattern:
            raise ProfileError(
                "a format without %z needs a zone", where="time", hint="add zone: UTC, or the plant's own"
            )
    return timestamps.parser(pattern, zone)

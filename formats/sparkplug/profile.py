"""The mapping profile of a Sparkplug group: whose it is, which equipment its devices are, which points their metrics.

A tenant owns whole groups. By default a device is the equipment of that key and a metric the point of that name, or
another name of it in the type (``names``), or the name with its folders dotted (``Motor/Speed`` is ``Motor.Speed``).
"""

from __future__ import annotations

import fnmatch
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from core import units
from core.errors import InvalidInputError, UnitError
from formats.sparkplug.topics import MAX_ID, NAMESPACE

ALWAYS_IGNORED: Final = ("bdSeq", "Node Control/*", "Device Control/*")
"""Part of the protocol, not measured on a machine."""

SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["group"],
    "properties": {
        "group": {"type": "string", "pattern": "^[^/+#\\x00-\\x1f]+$", "maxLength": MAX_ID},
        "device": {"type": "string", "minLength": 1, "maxLength": 200, "default": "{device}"},
        "node": {"type": "string", "minLength": 1, "maxLength": 200, "default": "{node}"},
        "metrics": {
            "type": "array",
            "maxItems": 5_000,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["metric"],
                "properties": {
                    "metric": {"type": "string", "minLength": 1, "maxLength": 500},
                    "point": {"type": "string", "minLength": 1, "maxLength": 200},
                    "unit": {"type": "string"},
                    "only": {"type": "string", "minLength": 1, "maxLength": 200},
                },
            },
        },
        "ignore": {"type": "array", "maxItems": 500, "items": {"type": "string", "minLength": 1, "maxLength": 500}},
    },
}
"""JSON Schema of the section ``sparkplug`` in a mapping profile."""


class SparkplugProfileError(InvalidInputError):
    """A section ``sparkplug`` that is wrong; ``where`` is the path inside it."""

    code = "invalid-profile"

    def __init__(self, message: str, *, where: str, hint: str = "") -> None:
        super().__init__(f"{where}: {message}", hint=hint)
        self.message = message
        self.where = where


@dataclass(frozen=True, slots=True)
class MappedMetric:
    """``point`` None: named as by default. ``unit`` None: what the device says, else the point's own. ``only``: of this
    device or node alone."""

    point: str | None
    unit: str | None
    only: str | None


@dataclass(frozen=True, slots=True, eq=False)
class SparkplugProfile:
    """A checked section. ``device`` and ``node`` are templates of equipment keys over {group}, {node}, {device}."""

    group: str
    device: str = "{device}"
    node: str = "{node}"
    type_key: str | None = None
    metrics: Mapping[str, tuple[MappedMetric, ...]] = field(default_factory=dict)
    _ignored: re.Pattern[str] = re.compile("|".join(fnmatch.translate(p) for p in ALWAYS_IGNORED))

    @property
    def filter(self) -> str:
        """What to subscribe to."""
        return f"{NAMESPACE}/{self.group}/#"

    def equipment(self, node: str, device: str | None) -> str:
        """Key of the equipment that a node's or device's metrics belong to."""
        names = {"group": self.group, "node": node}
        return self.node.format_map(names) if device is None else self.device.format_map({**names, "device": device})

    def ignores(self, metric: str) -> bool:
        """Whether this metric is nothing that anybody wants stored."""
        return self._ignored.fullmatch(metric) is not None

    def mapped(self, metric: str, holder: str) -> tuple[str | None, str | None]:
        """(point, unit) that the profile gives this metric of the device or node ``holder``; None where it says
        nothing."""
        for entry in self.metrics.get(metric, ()):
            if entry.only in (None, holder):
                return entry.point, entry.unit
        return None, None


def parse_sparkplug(document: Mapping[str, Any], type_key: str | None = None) -> SparkplugProfile:
    """The section ``sparkplug`` of a mapping profile whose shape the schema has checked."""
    device, node = document.get("device", "{device}"), document.get("node", "{node}")
    _check(device, {"group", "node", "device"}, "sparkplug/device")
    _check(node, {"group", "node"}, "sparkplug/node")
    metrics: dict[str, tuple[MappedMetric, ...]] = {}
    for place, entry in enumerate(document.get("metrics", ())):
        unit = entry.get("unit")
        if unit is not None:
            try:
                units.check(unit)
            except UnitError as error:
                where = f"sparkplug/metrics/{place}/unit"
                raise SparkplugProfileError(str(error), where=where, hint=error.hint) from error
        found = MappedMetric(entry.get("point"), unit, entry.get("only"))
        metrics[entry["metric"]] = (*metrics.get(entry["metric"], ()), found)
    patterns = (*ALWAYS_IGNORED, *document.get("ignore", ()))
    ignored = re.compile("|".join(fnmatch.translate(pattern) for pattern in patterns))
    if document["group"] == "STATE":
        raise SparkplugProfileError("STATE is where hosts say that they are online", where="sparkplug/group")
    return SparkplugProfile(document["group"], device, node, type_key, metrics, ignored)


def _check(template: str, known: set[str], where: str) -> None:
    try:
        fields = [(name, spec, conversion) for _, name, spec, conversion in string.Formatter().parse(template)]
    except ValueError as error:
        raise SparkplugProfileError(f"{template!r}: {error}", where=where) from error
    for name, spec, conversion in fields:
        if name is not None and (name not in known or spec or conversion):
            hint = f"there are: {', '.join(sorted(known))}"
            raise SparkplugProfileError(f"there is no {{{name}}} here", where=where, hint=hint)
    if set(template) & set("/+#"):
        raise SparkplugProfileError("an equipment key holds none of / + #", where=where)

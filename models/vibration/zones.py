"""From "this point is judged by ISO 20816" to derived points and limits, in the words of a type's document."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import yaml

from core.errors import TypeDefinitionError

Document = dict[str, Any]

_PASSED_ON = ("failure_mode", "component", "unless")


@cache
def tables() -> Mapping[str, Any]:
    """The data file; see there for references."""
    text = resources.files("models.vibration").joinpath("iso20816.yaml").read_text(encoding="utf-8")
    data: Mapping[str, Any] = yaml.safe_load(text)
    return data


def boundaries(quantity: str, group: int, support: str) -> tuple[float, float, float]:
    """A/B, B/C and C/D of ISO 20816-3: velocity in mm/s RMS, displacement in µm RMS.

    >>> boundaries("velocity", 1, "flexible")
    (3.5, 7.1, 11.0)
    """
    ab, bc, cd = tables()["iso20816-3"][quantity][group][support]
    return float(ab), float(bc), float(cd)


def shaft_boundaries(speed: float, clearance: float | None = None) -> tuple[float, float, float]:
    """A/B, B/C and C/D of relative shaft displacement, µm peak to peak, at r/min; ``clearance`` diametral, µm.

    >>> [round(b) for b in shaft_boundaries(10_728)]
    [46, 87, 127]
    """
    data = tables()["shaft-displacement"]
    found = [n / speed**0.5 for n in data["numerators"]]
    if clearance is not None:
        found = [min(f, s * clearance) for f, s in zip(found, data["clearance_shares"], strict=True)]
    return found[0], found[1], found[2]


def expand(entry: Mapping[str, Any], point: Mapping[str, Any], where: str) -> tuple[list[Document], list[Document]]:
    """(derived points, limits) that a ``zones`` entry of a type stands for. ``point`` is the entry of the point
    judged."""
    if entry["zones"] == "shaft-displacement":
        return _shaft(entry, point, where)
    return _housing(entry, point, where)


def _housing(entry: Mapping[str, Any], point: Mapping[str, Any], where: str) -> tuple[list[Document], list[Document]]:
    for needed in ("group", "support"):
        if needed not in entry:
            raise TypeDefinitionError(
                f"iso20816-3 zones need {needed!r}",
                where=where,
                hint="group: 1 (over 300 kW) or 2 (15-300 kW); support: rigid or flexible",
            )
    quantity = entry.get("quantity") or {"mm/s": "velocity", "um": "displacement", "µm": "displacement"}.get(
        point["unit"]
    )
    expected = tables()["iso20816-3"]["units"].get(quantity)
    if quantity is None or point["unit"].replace("µ", "u") != expected:
        raise TypeDefinitionError(
            f"{point['key']!r} is in {point['unit']!r}",
            where=f"{where}/point",
            hint="iso20816-3 judges RMS velocity in mm/s or RMS displacement in um",
        )
    _, bc, cd = boundaries(quantity, entry["group"], entry["support"])
    label = f"ISO 20816-3 group {entry['group']}, {entry['support']}"
    key = point["key"]
    limits = [
        _boundary(entry, "zone_c", key, bc, "high", f"in zone C ({label}): not for long-term operation"),
        _boundary(entry, "zone_d", key, cd, "urgent", f"in zone D ({label}): severe enough to cause damage"),
    ]
    if not entry.get("change", True):
        return [], limits
    share = float(tables()["change"]["share_of_bc"])
    learn = entry.get("learn", "24 h")
    change = _derived(
        entry, point, f"{key}_change", point["unit"], f"ewma({key}, '1 min') - baseline({key}, '{learn}')"
    )
    change["description"] = f"{point.get('description') or key}: change from baseline"
    return [change], limits + _changes(entry, change["key"], share * bc)


def _shaft(entry: Mapping[str, Any], point: Mapping[str, Any], where: str) -> tuple[list[Document], list[Document]]:
    if "speed" not in entry:
        raise TypeDefinitionError(
            "shaft-displacement zones need 'speed'", where=where, hint="the point with the shaft's r/min"
        )
    if point["unit"].replace("µ", "u") != "um":
        raise TypeDefinitionError(
            f"{point['key']!r} is in {point['unit']!r}",
            where=f"{where}/point",
            hint="shaft displacement is in um, peak to peak",
        )
    data = tables()["shaft-displacement"]
    key, speed = point["key"], entry["speed"]
    label = "ISO 20816-3, relative shaft displacement"

    def bound(i: int) -> str:
        at_speed = f"{data['numerators'][i]} / sqrt({speed})"
        if "clearance" not in entry:
            return at_speed
        return f"min({at_speed}, {round(data['clearance_shares'][i] * entry['clearance'], 6)})"

    derived = []
    for name, i in (("c", 1), ("d", 2)):
        of_zone = _derived(entry, point, f"{key}_of_zone_{name}", "1", f"{key} / {bound(i)}")
        of_zone["description"] = (
            f"{point.get('description') or key}, as a share of where zone {name.upper()} begins at this speed"
        )
        derived.append(of_zone)
    limits = [
        _boundary(
            entry, "zone_c", f"{key}_of_zone_c", 1.0, "high", f"in zone C ({label}): not for long-term operation"
        ),
        _boundary(
            entry, "zone_d", f"{key}_of_zone_d", 1.0, "urgent", f"in zone D ({label}): severe enough to cause damage"
        ),
    ]
    if entry.get("change", True):
        learn = entry.get("learn", "24 h")
        formula = f"(ewma({key}, '1 min') - baseline({key}, '{learn}')) / ({bound(1)})"
        change = _derived(entry, point, f"{key}_change", "1", formula)
        change["description"] = (
            f"{point.get('description') or key}: change from baseline, as a share of the B/C boundary"
        )
        derived.append(change)
        limits += _changes(entry, change["key"], float(tables()["change"]["share_of_bc"]))
    return derived, limits


def _derived(entry: Mapping[str, Any], point: Mapping[str, Any], key: str, unit: str, formula: str) -> Document:
    found: Document = {"key": key, "component": point["component"], "unit": unit, "formula": formula}
    if "states" in entry:
        found["when"] = entry["states"]
    if "states" in entry and "settle" in entry:
        found["settle"] = entry["settle"]
    if "repeat" in point:
        found["repeat"] = point["repeat"]
    return found


def _limit(entry: Mapping[str, Any], key: str, point: str) -> Document:
    found: Document = {"key": key, "point": point}
    for name in ("states", "settle"):
        if name in entry:
            found[name] = entry[name]
    return found | {name: entry[name] for name in _PASSED_ON if name in entry}


def _boundary(entry: Mapping[str, Any], key: str, point: str, value: float, priority: str, title: str) -> Document:
    return _limit(entry, key, point) | {
        "high": value,
        "deadband": round(0.05 * value, 6),
        "on_delay": entry.get("on_delay", "10 s"),
        "off_delay": "1 min",
        "priority": priority,
        "title": f"{{label}} {title}",
        "consequence": "Damage to bearings, seals and foundation if it goes on.",
        "action": "Compare with speed and load, look at the spectrum; plan or make a stop by the machine's manual.",
    }


def _changes(entry: Mapping[str, Any], point: str, by: float) -> list[Document]:
    base = {
        "deadband": round(0.2 * by, 6),
        "on_delay": entry.get("on_delay", "10 min"),
        "off_delay": "10 min",
        "priority": "medium",
        "absolute": False,
        "consequence": "A change of more than a quarter of the B/C boundary is significant even in zone A or B.",
        "action": "Find out what changed: load, speed, balance, alignment, a fastening, or the sensor.",
    }
    return [
        _limit(entry, "up", point) | base | {"high": by, "title": "{label} has risen"},
        _limit(entry, "down", point) | base | {"low": -by, "title": "{label} has fallen"},
    ]

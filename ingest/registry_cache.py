"""Names to point ids: which equipment a topic means, and which of its points a name in the payload."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core import units
from core.equipment import EquipmentType, PointKind
from core.errors import UnitError
from core.registry import EquipmentEntry, PointEntry, RegistrySnapshot, Tenant

MAX_NAMINGS: Final = 50_000
"""So many combinations of equipment and names are remembered: who always sends other names must not fill memory."""

_POINT_KEY: Final = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff/+#]{1,120}")


@dataclass(frozen=True, slots=True, eq=False)
class Naming:
    """What the names of a block are. Arrays are of one length m, the names that can be stored.

    ``columns``: their places in the block, None where it is all of them in order. ``scale``/``offset``: from the
    sender's unit to the point's, None where nothing is converted. ``refused``: (place, reason, sentence) of the others.
    ``unregistered``: names that an open type takes once they are registered.
    """

    point_id: NDArray[np.int32]
    columns: NDArray[np.intp] | None
    scale: NDArray[np.float64] | None
    offset: NDArray[np.float64] | None
    refused: tuple[tuple[int, str, str], ...] = ()
    unregistered: tuple[str, ...] = ()


class RegistryCache:
    """One registry snapshot with the look-ups that ingest needs. Made anew when the version changes."""

    def __init__(self, snapshot: RegistrySnapshot, *, points_per_equipment: int = 2_000) -> None:
        self.snapshot = snapshot
        self._points_per_equipment = points_per_equipment
        self._tenants = {tenant.slug: tenant for tenant in snapshot.tenants.values()}
        self._equipment = {(entry.tenant_id, entry.key): entry for entry in snapshot.equipment.values()}
        self._aliases: dict[str, Mapping[str, str]] = {}
        self._namings: dict[tuple[int, tuple[str, ...], tuple[str | None, ...] | None], Naming] = {}

    def tenant(self, slug: str) -> Tenant | None:
        return self._tenants.get(slug)

    def equipment(self, tenant: Tenant, key: str) -> EquipmentEntry | None:
        return self._equipment.get((tenant.id, key))

    def type_of(self, entry: EquipmentEntry) -> EquipmentType | None:
        return self.snapshot.types.get(entry.type_key)

    def has_point(self, entry: EquipmentEntry, name: str) -> bool:
        """Whether ``name`` is a measured point of the equipment, by its key or another name of it."""
        point = self.point(entry, name)
        return point is not None and point.kind is PointKind.MEASURED

    def point(self, entry: EquipmentEntry, name: str) -> PointEntry | None:
        """The point of that key or other name."""
        return entry.points.get(self._key(entry, name))

    def naming(
        self, entry: EquipmentEntry, names: tuple[str, ...], sent_in: tuple[str | None, ...] | None = None
    ) -> Naming:
        """How a block under ``names`` is stored; remembered, so a device that says the same again costs one look-up."""
        found = self._namings.get((entry.id, names, sent_in))
        if found is None:
            if len(self._namings) >= MAX_NAMINGS:
                self._namings.clear()
            found = self._namings[(entry.id, names, sent_in)] = self._name(entry, names, sent_in)
        return found

    def _key(self, entry: EquipmentEntry, name: str) -> str:
        if name in entry.points:
            return name
        aliases = self._aliases.get(entry.type_key)
        if aliases is None:
            aliases = self._aliases[entry.type_key] = _aliases(self.snapshot.types.get(entry.type_key))
        return aliases.get(name, name)

    def _name(self, entry: EquipmentEntry, names: tuple[str, ...], sent_in: tuple[str | None, ...] | None) -> Naming:
        kind = self.type_of(entry)
        room = self._points_per_equipment - len(entry.points)
        ids: list[int] = []
        columns: list[int] = []
        conversions: list[units.Conversion] = []
        refused: list[tuple[int, str, str]] = []
        unregistered: list[str] = []
        taken: set[int] = set()
        for place, name in enumerate(names):
            shown = ascii(name[:60])
            point = entry.points.get(self._key(entry, name))
            if point is None:
                if kind is not None and kind.open and _POINT_KEY.fullmatch(name):
                    if len(unregistered) < room:
                        unregistered.append(name)
                        refused.append((place, "unknown-point", f"{shown} could not be registered"))
                    else:
                        why = f"{shown}: {entry.key} already has {len(entry.points)} points"
                        refused.append((place, "too-many-points", why))
                else:
                    refused.append((place, "unknown-point", f"{entry.key} has no point {shown}"))
                continue
            if point.kind is PointKind.DERIVED:
                refused.append((place, "derived-point", f"{shown} is computed here from other points, not received"))
                continue
            if point.id in taken:
                refused.append((place, "duplicate-key", f"{shown} names a point that is in the message already"))
                continue
            conversion = units.IDENTITY
            unit = sent_in[place] if sent_in is not None else None
            if unit is not None:
                try:
                    conversion = units.conversion(unit, point.unit)
                except UnitError as error:
                    refused.append((place, "unit", f"{shown}: {error}"))
                    continue
            taken.add(point.id)
            ids.append(point.id)
            columns.append(place)
            conversions.append(conversion)
        plain = all(conversion == units.IDENTITY for conversion in conversions)
        return Naming(
            np.array(ids, np.int32),
            None if len(ids) == len(names) else np.array(columns, np.intp),
            None if plain else np.array([conversion.scale for conversion in conversions]),
            None if plain else np.array([conversion.offset for conversion in conversions]),
            tuple(refused),
            tuple(unregistered),
        )


def _aliases(kind: EquipmentType | None) -> dict[str, str]:
    """Other names of a type's points, e.g. tag numbers, by name; the first point of the type has it."""
    found: dict[str, str] = {}
    if kind is not None:
        for instance in kind.point_instances():
            for name in instance.definition.names:
                found.setdefault(name.format_map(instance.binding), instance.key)
    return found

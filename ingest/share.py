"""Several ingests side by side: each serves some tenants, always the same ones.

A share is static. MQTT's shared subscriptions are not loss-proof when a member goes (the broker hands what it had to
nobody), and a topic filter cannot hash; so an ingest subscribes to the topics of its tenants by name, under a session
of its own. Another number of ingests means other shares: stop all, then start them anew; what the sessions of before
still hold comes to whoever has their number.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

from core.errors import InvalidInputError
from core.ports import RegistryPort
from core.registry import RegistrySnapshot, Tenant
from ingest.routes import STATUS_TOPIC


@dataclass(frozen=True, slots=True)
class Share:
    """Ingest ``ordinal`` (from 0) of ``of``; the only one of 1 serves everybody, and topics of nobody's too."""

    ordinal: int = 0
    of: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.ordinal < self.of:
            raise InvalidInputError(f"ingest {self.ordinal} of {self.of}", hint="ordinals are counted from 0")

    @property
    def alone(self) -> bool:
        return self.of == 1

    @property
    def status_topic(self) -> str:
        """The first says its state where a single one does."""
        return STATUS_TOPIC if self.ordinal == 0 else f"{STATUS_TOPIC}/{self.ordinal}"

    def serves(self, tenant: str) -> bool:
        """By the tenant's slug.

        >>> [Share(n, 3).serves("acme") for n in range(3)].count(True)
        1
        """
        return zlib.crc32(tenant.encode()) % self.of == self.ordinal

    def of_registry(self, snapshot: RegistrySnapshot) -> RegistrySnapshot:
        """What of the registry is ours."""
        if self.alone:
            return snapshot
        tenants = {number: tenant for number, tenant in snapshot.tenants.items() if self.serves(tenant.slug)}
        return replace(
            snapshot,
            tenants=tenants,
            equipment={n: entry for n, entry in snapshot.equipment.items() if entry.tenant_id in tenants},
            profiles=tuple(profile for profile in snapshot.profiles if profile.tenant_id in tenants),
        )


class SharedRegistry:
    """A registry of which one sees one's share. Implements :class:`core.ports.RegistryPort`."""

    def __init__(self, registry: RegistryPort, share: Share) -> None:
        self._registry = registry
        self._share = share

    def version(self) -> int:
        return self._registry.version()

    def load(self) -> RegistrySnapshot:
        return self._share.of_registry(self._registry.load())

    def register_unknown(self, tenant: Tenant, equipment_key: str, type_key: str | None) -> None:
        self._registry.register_unknown(tenant, equipment_key, type_key)

    def register_points(self, equipment_id: int, keys: Iterable[str]) -> None:
        self._registry.register_points(equipment_id, keys)

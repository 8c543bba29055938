"""Several ingests side by side: every tenant has exactly one, always the same, and nobody asks for more than is his."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from core.errors import InvalidInputError
from core.registry import EquipmentEntry, EquipmentStatus, RegistrySnapshot, Tenant
from ingest.routes import STATUS_TOPIC, Kind, Router
from ingest.share import Share, SharedRegistry

SLUGS = [f"tenant-{number}" for number in range(40)]
TENANTS = {number: Tenant(number, slug, slug) for number, slug in enumerate(SLUGS, 1)}
EQUIPMENT = {n: EquipmentEntry(n, n, "press-1", "press", EquipmentStatus.APPROVED) for n in TENANTS}
WHOLE = RegistrySnapshot(7, TENANTS, {}, EQUIPMENT)


class Registry:
    def __init__(self) -> None:
        self.registered: list[tuple[str, str]] = []

    def version(self) -> int:
        return WHOLE.version

    def load(self) -> RegistrySnapshot:
        return WHOLE

    def register_unknown(self, tenant: Tenant, equipment_key: str, type_key: str | None) -> None:
        self.registered.append((tenant.slug, equipment_key))

    def register_points(self, equipment_id: int, keys: Iterable[str]) -> None: ...


@pytest.mark.parametrize("of", [2, 3, 5])
def test_every_tenant_is_served_once(of: int) -> None:
    served = [slug for n in range(of) for slug in SLUGS if Share(n, of).serves(slug)]
    assert sorted(served) == sorted(SLUGS)


def test_an_ingest_sees_and_asks_for_its_tenants_only() -> None:
    parts = [SharedRegistry(Registry(), Share(n, 3)).load() for n in range(3)]
    assert sum(len(part.equipment) for part in parts) == len(EQUIPMENT)
    for part in parts:
        assert {entry.tenant_id for entry in part.equipment.values()} <= set(part.tenants)
        assert Router(part, shared=True).filters == sorted(
            f"servitize/v1/{tenant.slug}/#" for tenant in part.tenants.values()
        )


def test_one_alone_serves_everybody_and_what_is_nobodys() -> None:
    assert Share().of_registry(WHOLE) is WHOLE
    assert Router(WHOLE).filters == ["servitize/#"]


def test_each_says_its_state_on_a_topic_of_its_own() -> None:
    assert Share(0, 2).status_topic == STATUS_TOPIC
    assert Share(1, 2).status_topic == f"{STATUS_TOPIC}/1"
    assert Router(WHOLE).route(Share(1, 2).status_topic).kind is Kind.OWN


def test_what_devices_bring_along_is_registered_for_all() -> None:
    registry = Registry()
    SharedRegistry(registry, Share(1, 2)).register_unknown(replace(TENANTS[1]), "press-9", None)
    assert registry.registered == [(TENANTS[1].slug, "press-9")]


@pytest.mark.parametrize(("ordinal", "of"), [(2, 2), (-1, 2), (0, 0)])
def test_a_share_of_nothing_is_refused(ordinal: int, of: int) -> None:
    with pytest.raises(InvalidInputError):
        Share(ordinal, of)

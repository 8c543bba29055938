"""Names to points: what is remembered, what is refused, and that a wrong unit is told and not guessed."""

from __future__ import annotations

import pytest

from ingest.registry_cache import MAX_NAMINGS, RegistryCache
from tests.unit.ingest.conftest import registry


@pytest.fixture
def cache() -> RegistryCache:
    return RegistryCache(registry())


def test_the_same_names_are_looked_up_once(cache: RegistryCache) -> None:
    entry = cache.snapshot.equipment[1]
    assert cache.naming(entry, ("pressure", "bearing1")) is cache.naming(entry, ("pressure", "bearing1"))


def test_units_that_do_not_convert_refuse_the_point_alone(cache: RegistryCache) -> None:
    naming = cache.naming(cache.snapshot.equipment[1], ("pressure", "bearing1"), ("Cel", "K"))
    assert naming.point_id.tolist() == [11]
    assert [(place, reason) for place, reason, _ in naming.refused] == [(0, "unit")]
    assert naming.scale is not None
    assert naming.offset is not None
    assert (naming.scale * 300 + naming.offset).tolist() == pytest.approx([26.85])


def test_without_a_unit_the_points_own_is_meant(cache: RegistryCache) -> None:
    naming = cache.naming(cache.snapshot.equipment[1], ("pressure",), (None,))
    assert naming.scale is None
    assert naming.columns is None


def test_ever_new_names_do_not_fill_memory(cache: RegistryCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.registry_cache.MAX_NAMINGS", 10)
    assert MAX_NAMINGS > 10
    for number in range(100):
        cache.naming(cache.snapshot.equipment[1], (f"x{number}",))
    assert len(cache._namings) <= 10

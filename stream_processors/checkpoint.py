"""What a host keeps of a stream every few seconds: the processor's state, and what else a recovery needs to be exact.

    0   4  magic  b"SVCK"
    4   1  version of this layout
    5   …  msgpack: {state, basis, sequences, clocks}; the two large ones come compressed

The *basis* is what the registry said of meaning when the state was made: the types, which equipment is of which, and
which models were at work.
The journal behind a checkpoint was processed with it, so it is stepped through with it again, even where somebody
published another type meanwhile; only then does today's registry count. Checkpoints of before there was a basis are
the processor's bare state; they are read, and their journal is stepped through with today's registry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

import msgspec
import structlog
import zstandard

from core.equipment import EquipmentType
from core.errors import InvalidInputError
from core.learned import ModelEntry
from core.registry import RegistrySnapshot

log = structlog.get_logger(__name__)

MAGIC: Final = b"SVCK"
VERSION: Final = 1
_BARE_STATE: Final = zstandard.FRAME_HEADER
_REPLAYED: Final = -1
"""No version of a registry, so that going on to today's is a change."""

Sequences = Mapping[int, tuple[int, int]]


class Basis(msgspec.Struct, frozen=True):
    """Types by key, the type of each equipment by id, and the models at work as (name, version, champion)."""

    types: dict[str, EquipmentType]
    assigned: dict[int, str]
    models: list[tuple[str, int, bool]] = []  # absent in checkpoints of before there were any

    @classmethod
    def of(cls, registry: RegistrySnapshot) -> Basis:
        return cls(
            dict(registry.types),
            {e.id: e.type_key for e in registry.equipment.values() if e.type_key},
            [(m.name, m.version, m.champion) for m in registry.models],
        )

    def means_the_same(self, registry: RegistrySnapshot) -> bool:
        """Whether everything it knows still is what it was; what is new beside it changes nothing of the past."""
        if sorted(self.models) != sorted((m.name, m.version, m.champion) for m in registry.models):
            return False
        return all(registry.types.get(key) == type_ for key, type_ in self.types.items()) and all(
            key == registry.equipment[number].type_key
            for number, key in self.assigned.items()
            if number in registry.equipment
        )

    def as_it_was(self, registry: RegistrySnapshot) -> RegistrySnapshot:
        """``registry`` with the meaning of then. Equipment and points added since stay: their readings may be there."""
        equipment = {
            number: replace(entry, type_key=self.assigned.get(number, entry.type_key))
            for number, entry in registry.equipment.items()
        }
        return replace(
            registry,
            version=_REPLAYED,
            types={**registry.types, **self.types},
            equipment=equipment,
            models=self._models(registry),
        )

    def _models(self, registry: RegistrySnapshot) -> tuple[ModelEntry, ...]:
        """Those of then; one that cannot be had any more is left out, and said."""
        known = {(m.name, m.version, m.champion): m for m in registry.models}
        found = []
        for name, version, champion in self.models:
            entry = known.get((name, version, champion))
            if entry is None and registry.recall is not None:
                entry = registry.recall(name, version, champion)
            if entry is None:
                log.warning("checkpoint.model_gone", model=name, version=version)
            else:
                found.append(entry)
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """``state`` of the processor, ``basis`` (None where unknown), how far each device's numbering had come, and each
    tenant's clock (µs of its last tick)."""

    state: bytes
    basis: Basis | None = None
    sequences: Sequences = field(default_factory=dict)
    clocks: Mapping[int, int] = field(default_factory=dict)


class _Stored(msgspec.Struct):
    state: bytes
    basis: bytes
    sequences: dict[int, tuple[int, int]]
    clocks: dict[int, int] = {}  # absent in checkpoints of before it was there


class Packer:
    """Checkpoints as bytes; the basis is encoded once per registry, since it hardly ever changes."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=1)
        self._encoder = msgspec.msgpack.Encoder()
        self._basis = b""

    def use(self, basis: Basis) -> None:
        """Checkpoints from now on rest on this."""
        self._basis = self._compressor.compress(self._encoder.encode(basis))

    def pack(self, state: bytes, sequences: Sequences, clocks: Mapping[int, int] = MappingProxyType({})) -> bytes:
        body = self._encoder.encode(_Stored(state, self._basis, dict(sequences), dict(clocks)))
        return MAGIC + bytes([VERSION]) + body


def unpack(data: bytes) -> Checkpoint:
    """A checkpoint of this version or an older one.

    Raises :class:`~core.errors.InvalidInputError` for one of a newer version, and for bytes that are none.
    """
    if data[:4] == _BARE_STATE:
        return Checkpoint(data)
    if data[:4] != MAGIC or len(data) < 5:
        raise InvalidInputError(
            "the stream's snapshot does not begin like one", hint="the database is damaged: restore a backup"
        )
    if data[4] != VERSION:
        raise InvalidInputError(
            f"the stream's snapshot has version {data[4]}; this program reads up to {VERSION}",
            hint="a newer servitize wrote it: run that one, or restore a backup of before the upgrade",
        )
    try:
        stored = msgspec.msgpack.decode(memoryview(data)[5:], type=_Stored)
    except msgspec.MsgspecError as error:
        raise InvalidInputError(
            f"the stream's snapshot is damaged: {error}", hint="restore a backup: servitize restore FILE"
        ) from error
    return Checkpoint(stored.state, _basis(stored.basis), stored.sequences, stored.clocks)


def _basis(data: bytes) -> Basis | None:
    """None for types written in words that this version no longer has: then today's types have to do."""
    try:
        return msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(data), type=Basis)
    except (msgspec.MsgspecError, zstandard.ZstdError) as error:
        log.warning("checkpoint.types_unknown", problem=str(error))
        return None

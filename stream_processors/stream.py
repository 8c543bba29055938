"""One stream on its way through the core: its processor, its place, its checkpoints. What every host has of each.

Recovery is exact: the newest checkpoint, then every record behind it stepped through with the effects discarded (they
are in the tables already) and with the types of then (:mod:`stream_processors.checkpoint`). So that there is one such
set of types per stretch, the first record after a change of meaning brings a checkpoint.
"""

from __future__ import annotations

import time
from typing import Final, Protocol

from core.outcome import CommitUnit, Outcome
from core.ports import StreamPosition
from core.registry import RegistrySnapshot
from core.telemetry import StreamRecord
from stream_processors.checkpoint import Basis, Packer, unpack

SNAPSHOT_SECONDS: Final = 5.0
"""A recovery steps through at most about this much of a stream."""
SNAPSHOT_SHARE: Final = 20
"""A snapshot is taken no oftener than twenty times what the last one took: large states must not stop the stream."""


class ProcessorLike(Protocol):
    """What a host needs of :class:`stream_processors.pipeline.processor.Processor`."""

    ticks: dict[int, int]
    """The last tick of each tenant's timeline."""

    def step(self, record: StreamRecord) -> Outcome: ...

    def snapshot(self) -> bytes: ...

    def reconfigure(self, registry: RegistrySnapshot) -> None: ...


class ProcessorFactory(Protocol):
    """The class itself: called it makes a new processor, ``restore`` one in an earlier state."""

    def __call__(self, registry: RegistrySnapshot, /) -> ProcessorLike: ...

    def restore(self, data: bytes, registry: RegistrySnapshot, /) -> ProcessorLike: ...


class StreamCore:
    """From a position taken (:meth:`core.ports.WriterPort.acquire`) on; used by one thread.

    First :meth:`replay` for what was committed after the checkpoint, then :meth:`go_live`, then :meth:`step`.
    ``offset`` is the place of the next record to be stepped; ``live`` after :meth:`go_live`.
    """

    def __init__(
        self,
        position: StreamPosition,
        registry: RegistrySnapshot,
        factory: ProcessorFactory,
        snapshot_seconds: float = SNAPSHOT_SECONDS,
    ) -> None:
        self.name = position.stream
        self.epoch = position.epoch
        self.offset = position.next_offset
        self.since_snapshot = 0
        self.live = False
        self.sequences: dict[int, tuple[int, int]] = {}
        self._snapshot_seconds = snapshot_seconds
        self._next_snapshot = 0.0
        self._packer = Packer()
        self._basis: Basis | None = None
        self._registry = registry
        self._then = registry
        if position.snapshot is None:
            self.processor = factory(registry)
            return
        checkpoint = unpack(position.snapshot)
        self.sequences.update(checkpoint.sequences)
        if checkpoint.basis is not None and not checkpoint.basis.means_the_same(registry):
            self._then = checkpoint.basis.as_it_was(registry)
        self.processor = factory.restore(checkpoint.state, self._then)

    def replay(self, record: StreamRecord) -> None:
        """A record that is committed already: its state, not its effects."""
        self.processor.step(record)
        self.sequences.update(record.sequences)
        self.since_snapshot += 1

    def go_live(self) -> None:
        """All that is committed was replayed: from here on today's registry counts."""
        self.live = True
        if self._then is not self._registry:
            self.processor.reconfigure(self._registry)
            self._then = self._registry
        self._rest_on(self._registry)

    def step(
        self, record: StreamRecord, *, journal: bytes | None = None, span: int = 1, snapshot: bool | None = None
    ) -> CommitUnit:
        """The unit that stores ``record``, which takes ``span`` places. ``snapshot`` None: whenever one is due."""
        outcome = self.processor.step(record)
        self.sequences.update(record.sequences)
        if snapshot is None:
            snapshot = time.monotonic() >= self._next_snapshot
        state = self._take_snapshot() if snapshot else None
        unit = CommitUnit(self.name, self.epoch, self.offset, record, outcome, journal, state, span)
        self.offset += span
        self.since_snapshot = 0 if snapshot else self.since_snapshot + 1
        return unit

    def reconfigure(self, registry: RegistrySnapshot) -> None:
        """From the next record on; while it replays, from then on when it goes live."""
        self._registry = registry
        if not self.live:
            return
        self._then = registry
        self.processor.reconfigure(registry)
        self._rest_on(registry)

    def _take_snapshot(self) -> bytes:
        began = time.monotonic()
        state = self._packer.pack(self.processor.snapshot(), self.sequences, self.processor.ticks)
        took = time.monotonic() - began
        self._next_snapshot = began + took + max(self._snapshot_seconds, SNAPSHOT_SHARE * took)
        return state

    def _rest_on(self, registry: RegistrySnapshot) -> None:
        """Checkpoints rest on this registry; at once where what is processed from now on means something else."""
        if not self._basis or not self._basis.means_the_same(registry):
            self._next_snapshot = 0.0
        self._basis = Basis.of(registry)
        self._packer.use(self._basis)

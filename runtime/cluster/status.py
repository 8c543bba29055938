"""What the parts of a cluster say of themselves: how far behind each worker is, and what has stopped."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import Any, Final

from runtime.local.paths import DataDirectory

STALE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class WorkerLine:
    """``lag`` in records that are in the log and in no table yet; ``stopped``: partition by reason."""

    name: str
    fresh: bool
    partitions: int
    lag: int
    stored: int
    stopped: dict[str, str]


@dataclass(frozen=True, slots=True)
class IngestLine:
    """``unconfirmed`` readings are given to Kafka and not acknowledged by it, so neither by us."""

    name: str
    fresh: bool
    connected: bool
    sent: int
    unconfirmed: int


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    running: bool
    kafka: str | None
    workers: tuple[WorkerLine, ...]
    ingests: tuple[IngestLine, ...]

    @property
    def well(self) -> bool:
        return self.running and all(w.fresh and not w.stopped for w in self.workers) and bool(self.workers)

    @property
    def lag(self) -> int:
        return sum(worker.lag for worker in self.workers)

    @property
    def sentence(self) -> str:
        """How it is, in a line."""
        stopped = sum(len(worker.stopped) for worker in self.workers)
        trouble = f", {stopped} partitions have stopped" if stopped else ""
        return f"Kafka {self.kafka or '-'}; lag {self.lag} records{trouble}; {'well' if self.well else 'NOT WELL'}"

    def as_document(self) -> dict[str, Any]:
        return {**asdict(self), "lag": self.lag, "well": self.well}


def cluster_status(data: DataDirectory) -> ClusterStatus:
    """Of the instance in ``data``, as its processes wrote it last."""
    from runtime.endpoints import read_endpoints

    workers = tuple(
        WorkerLine(
            name,
            fresh,
            len(said.get("partitions", ())),
            int(said.get("lag", 0)),
            int(said.get("stored", 0)),
            dict(said.get("stopped", {})),
        )
        for name, said, fresh in _said(data, "worker")
    )
    ingests = tuple(
        IngestLine(name, fresh, bool(said.get("connected")), int(said.get("sent", 0)), int(said.get("unconfirmed", 0)))
        for name, said, fresh in _said(data, "ingest")
    )
    return ClusterStatus(data.holder() is not None, read_endpoints(data).kafka, workers, ingests)


def _said(data: DataDirectory, kind: str) -> list[tuple[str, dict[str, Any], bool]]:
    found = []
    for path in sorted((data.root / "run").glob(f"{kind}-*.json")):
        try:
            said = json.loads(path.read_bytes())
            fresh = time.time() - path.stat().st_mtime < STALE_SECONDS
        except (OSError, ValueError):
            continue
        found.append((path.stem, said, fresh))
    return found

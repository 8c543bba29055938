"""A cluster on one machine: what :class:`~runtime.supervisor.Supervisor` starts, with Kafka between.

For trying it out, for tests and for benchmarks. In service each part is a service of its own (docker-compose.yml, the
Helm chart); the processes are the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runtime.cluster.status import cluster_status
from runtime.endpoints import Endpoints
from runtime.keeper import Part
from runtime.local.kafka import LocalKafka
from runtime.local.paths import DataDirectory
from runtime.settings import Settings
from runtime.steps import StepDone
from runtime.supervisor import ProcessSpec, Supervisor

KAFKA: Final = "kafka"
SERVERS: Final = "SERVITIZE_KAFKA_SERVERS"
"""``host:port[,…]`` of a Kafka of somebody's; without it one is started here."""
_READY_SECONDS: Final = 180.0


@dataclass(frozen=True, slots=True)
class Size:
    """How many of each."""

    ingests: int = 1
    workers: int = 2


class ClusterSupervisor(Supervisor):
    """One instance in one data directory whose records go over Kafka."""

    def __init__(
        self,
        settings: Settings,
        data: DataDirectory,
        *,
        report: Callable[[StepDone], None],
        news: Callable[[str], None],
        command: str = "cluster",
        prepare: Callable[[Endpoints], None] = lambda endpoints: None,
        size: Size = Size(),
    ) -> None:
        super().__init__(settings, data, report=report, news=news, command=command, prepare=prepare)
        self.size = size
        self.kafka = LocalKafka(
            data,
            external=os.environ.get(SERVERS) or None,
            on_exit=lambda _, code: self.keeper.died(KAFKA, code),
        )

    def _start_ingest(self) -> None:
        self._start_kafka()
        with self.steps.step("workers and ingests") as step:
            size = self.size
            specs = [self._worker(n) for n in range(size.workers)]
            specs += [self._ingest(n, size.ingests) for n in range(size.ingests)]
            # all spend their start importing and waiting for each other; the order of stopping stays that of adding
            with ThreadPoolExecutor(len(specs)) as pool:
                for started in [pool.submit(self.add_process, spec) for spec in specs]:
                    started.result()
            self.broker.save()
            step.detail = f"{size.workers} workers, {size.ingests} ingest{'s' if size.ingests > 1 else ''}"

    def _start_kafka(self) -> None:
        with self.steps.step(KAFKA) as step:
            kafka = self.kafka
            kafka.start()
            self._connect(kafka=kafka.bootstrap)
            step.detail = f"{'somebody else’s' if kafka.external else 'local'} at {kafka.bootstrap}"
            if kafka.external is None:
                self.keeper.add(Part(KAFKA, start=kafka.start, stop=kafka.stop, pid=lambda: kafka.pid))

    def _worker(self, number: int) -> ProcessSpec:
        return self._spec(f"worker-{number}", "worker", str(number))

    def _ingest(self, number: int, of: int) -> ProcessSpec:
        return self._spec(f"ingest-{number}", "kafka_ingest", str(number), str(of))

    def _spec(self, name: str, module: str, *arguments: str) -> ProcessSpec:
        ready = ready_file(self.data.root, name)
        return ProcessSpec(
            name,
            module,
            arguments,
            prepare=lambda: ready.unlink(missing_ok=True),
            ready=ready.exists,
            ready_timeout=_READY_SECONDS,
            stop_timeout=60.0,
        )

    def stop(self) -> None:
        super().stop()
        self.kafka.stop()

    def lag(self) -> int:
        return cluster_status(self.data).lag


def ready_file(root: Path, name: str) -> Path:
    """Made by a process once it serves."""
    return root / "run" / f"{name}.ready"


def status_path(root: Path, name: str) -> Path:
    """What a process writes of itself once a second."""
    return root / "run" / f"{name}.json"

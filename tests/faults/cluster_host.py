"""The cluster as a host of the faults: Kafka, one ingest and two workers in processes of their own."""

from __future__ import annotations

import contextlib
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Self

from psycopg.conninfo import make_conninfo

from runtime.local.kafka import LocalKafka
from stream_processors.kafka.topics import KafkaSettings
from tests.faults.fleet import Run
from tests.faults.host import EmbeddedHost, _quiet_port
from tests.faults.proxy import Proxy
from tests.support.cluster import Cluster

INGEST = "ingest-0"
END_SECONDS = 60.0


class ProcessPart:
    """An ingest or a worker, by its name."""

    def __init__(self, host: ClusterHost, name: str) -> None:
        self.name = name
        self._host = host

    @property
    def alive(self) -> bool:
        process = self._host.cluster.processes.get(self.name)
        return process is not None and process.poll() is None

    def start(self, *, wait: bool = False) -> None:
        """Started as a supervisor does; ``wait`` until it serves."""
        self._host.cluster.launch(self.name)
        if wait:
            self._host.cluster.wait(self.name)

    def end(self, number: signal.Signals) -> None:
        if not self.alive:
            return
        began = time.monotonic()
        code = self._host.cluster.stop(self.name, number)
        if number is not signal.SIGKILL:
            self._host.endings.append((number.name, round(time.monotonic() - began, 2), code))


class ClusterIngest(ProcessPart):
    """What scenarios call ingest; looking after it means looking after Kafka and the workers too."""

    def __init__(self, host: ClusterHost, name: str) -> None:
        super().__init__(host, name)
        self.endings = host.endings

    def keep_alive(self, *, wait: bool = False) -> None:
        host = self._host
        host.kafka.start()
        for part in (*host.workers, self):
            if not part.alive:
                part.start()
        if wait:
            for name in (INGEST, host.workers[0].name):
                host.cluster.wait(name)


class KafkaPart:
    name = "kafka"

    def __init__(self, host: ClusterHost) -> None:
        self._host = host

    def start(self) -> None:
        self._host.kafka.start()

    def end(self, number: signal.Signals) -> None:
        if number is signal.SIGKILL:
            self._host.kafka.kill()
        else:
            self._host.kafka.stop()


class ClusterHost(EmbeddedHost):
    """As :class:`EmbeddedHost`, over Kafka."""

    name = "cluster"

    def __init__(
        self,
        *,
        broker: str = "mosquitto",
        root: Path | None = None,
        settings: Mapping[str, str] | None = None,
        workers: int = 2,
    ) -> None:
        super().__init__(broker=broker, root=root, settings={"max_connections": "80", **(settings or {})})
        self.endings: list[tuple[str, float, int]] = []
        self._count = workers

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            self.kafka = LocalKafka(self.postgres.data, port=_quiet_port(), fast_start=True)
            self._stack.callback(self.kafka.stop)
            self.kafka.start()
        except BaseException:
            self._stack.close()
            raise
        self._parts = ClusterIngest(self, INGEST)
        self.workers = [ProcessPart(self, f"worker-{number}") for number in range(self._count)]
        return self

    @property
    def ingest(self) -> ClusterIngest:  # type: ignore[override]
        return self._parts

    @property
    def log_of(self) -> KafkaPart:
        """Kafka, to be ended and started."""
        return KafkaPart(self)

    @contextlib.contextmanager
    def stage(self, run: Run, *, lines: bool = False) -> Iterator[None]:
        number = time.monotonic_ns()
        self._database_name, self._client_id = f"stage_{number}", f"ingest-{number}"
        self._prepare(run)
        with contextlib.ExitStack() as stack:
            self._lines = None
            mqtt, writer = replace(self.mqtt, client_id=self._client_id), self.writer_dsn()
            if lines:
                where: Callable[[], tuple[str, int]] = lambda: ("127.0.0.1", self.postgres.port)  # noqa: E731
                there: Callable[[], tuple[str, int]] = lambda: ("127.0.0.1", self.mqtt.port)  # noqa: E731
                self._lines = (stack.enter_context(Proxy(where)), stack.enter_context(Proxy(there)))
                mqtt = replace(mqtt, port=self._lines[1].port, keepalive=5)
                writer = make_conninfo(writer, port=self._lines[0].port)
            folder = self.folder / str(number)
            folder.mkdir()
            prefix = f"s{number}"
            self.cluster = Cluster(self.dsn, mqtt, KafkaSettings(self.kafka.bootstrap, prefix), folder, writer=writer)
            self.endings.clear()
            self.cluster.start(INGEST, *(worker.name for worker in self.workers))
            self.server.save()
            try:
                yield
            finally:
                for name in list(self.cluster.processes):
                    with contextlib.suppress(Exception):
                        self.cluster.stop(name, signal.SIGKILL)
                self.kafka.start()
                self._tidy()

    def log(self, length: int = 6_000) -> str:
        names = (INGEST, *(worker.name for worker in self.workers))
        return "\n".join(f"--- {name}\n{self.cluster.log(name)[-length // 3 :]}" for name in names)

    def any_part(self, rng: random.Random) -> ProcessPart:
        """One of our processes."""
        return rng.choice([self.ingest, *self.workers])

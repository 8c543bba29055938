"""A whole cluster of processes on this machine: a database, a broker and a Kafka that are there, ingests and workers
started on demand."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from aiokafka import AIOKafkaConsumer, TopicPartition
from psycopg.conninfo import make_conninfo

from ingest.session import MqttSettings
from ingest.share import Share
from storage.migrate import WRITER
from stream_processors.kafka.host import stream_name
from stream_processors.kafka.topics import PARTITIONS, TELEMETRY, KafkaSettings
from tests.support.logins import PASSWORDS
from workbench.replay.publisher import Publisher, last_retained

REPOSITORY = Path(__file__).resolve().parents[2]
START_SECONDS = 180.0


@dataclass
class Cluster:
    """``dsn`` is the owner's. Every process is known by its name: ``ingest-0``, ``worker-1``."""

    dsn: str
    mqtt: MqttSettings
    kafka: KafkaSettings
    folder: Path
    ingests: int = 1
    options: dict[str, Any] = field(default_factory=dict)
    """More of the workers' configuration than where things are."""
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    writer: str = ""
    """Login of ingests and workers, where it is not the plain one (over a proxy)."""

    @property
    def writer_dsn(self) -> str:
        return self.writer or make_conninfo(self.dsn, user=WRITER, password=PASSWORDS[WRITER])

    # --- processes ----------------------------------------------------------------------------------------------

    def launch(self, name: str) -> subprocess.Popen[bytes]:
        """Start an ingest or a worker, not waited for."""
        before = self.processes.get(name)
        assert before is None or before.poll() is not None, f"{name} runs already"
        kind, _, number = name.rpartition("-")
        config = self.folder / f"{name}.json"
        told: dict[str, Any] = {
            "database": self.writer_dsn,
            "kafka": asdict(self.kafka),
            "status_file": str(self.folder / f"{name}.status"),
        }
        if kind == "ingest":
            told |= {"mqtt": asdict(self.mqtt), "share": asdict(Share(int(number), self.ingests))}
        else:
            told |= {"group": {"name": name}, "snapshot_seconds": 1.0, **self.options}
        config.write_text(json.dumps(told))
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "stream_processors.process", kind, str(config)],
                stdout=log,
                stderr=log,
                cwd=REPOSITORY,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            )
        (self.folder / f"{name}.status").unlink(missing_ok=True)
        self.processes[name] = process
        return process

    def start(self, *names: str) -> None:
        """Start these and wait until they serve."""
        for name in names:
            self.launch(name)
        for name in names:
            self.wait(name)

    def wait(self, name: str) -> None:
        """Until it serves: an ingest has its subscriptions, the workers hold all partitions between them."""
        deadline = time.monotonic() + START_SECONDS
        while not (self._ingest_serves(name) if name.startswith("ingest") else self._workers_serve()):
            code = self.processes[name].poll()
            if code is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} does not serve ({code}):\n{self.log(name)}")
            time.sleep(0.1)

    def _ingest_serves(self, name: str) -> bool:
        pid = self.processes[name].pid
        version = self.one("SELECT version FROM servitize.registry_version")

        def serves(payload: bytes) -> bool:
            said = json.loads(payload)
            return bool(said["online"]) and said.get("pid") == pid and said.get("registry", -1) >= version

        share = Share(int(name.rpartition("-")[2]), self.ingests)
        return last_retained(self.mqtt_as("watch"), share.status_topic, serves, 1.0)

    def _workers_serve(self) -> bool:
        held: list[int] = []
        for name, process in self.processes.items():
            if name.startswith("worker") and process.poll() is None:
                status = self.status(name)
                held += status.get("partitions", []) + [int(p) for p in status.get("stopped", {})]
        return sorted(held) == list(range(PARTITIONS))

    def status(self, name: str) -> dict[str, Any]:
        """What the process wrote last of itself; empty before it has."""
        try:
            return dict(json.loads((self.folder / f"{name}.status").read_bytes()))
        except (OSError, ValueError):
            return {}

    def stop(self, name: str, number: int = signal.SIGTERM) -> int:
        """The exit code."""
        process = self.processes.pop(name)
        process.send_signal(number)
        try:
            return process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def stop_all(self) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()

    def log(self, name: str) -> str:
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace")[-6000:] if path.exists() else ""

    # --- looking at it ------------------------------------------------------------------------------------------

    def all(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn) as connection:
            return connection.execute(query, values).fetchall()

    def one(self, query: str, *values: Any) -> Any:
        return self.all(query, *values)[0][0]

    def counts(self) -> dict[str, int]:
        """Conservation counters by name, of all partitions and hops."""
        rows = self.all("SELECT name, sum(count)::bigint FROM servitize.conservation GROUP BY name")
        return {str(name): int(count) for name, count in rows}

    def mqtt_as(self, client_id: str) -> MqttSettings:
        return MqttSettings(**(asdict(self.mqtt) | {"client_id": client_id}))

    def publisher(self, name: str = "device") -> Publisher:
        return Publisher(self.mqtt, f"test-{name}-{os.getpid()}-{time.monotonic_ns()}")

    def settle(self, done: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until ``done``; what it waits for is asserted by the test."""
        deadline = time.monotonic() + seconds
        while not done() and time.monotonic() < deadline:
            time.sleep(0.2)

    def log_ends(self) -> dict[int, int]:
        """By partition, the end of the telemetry log."""

        async def ask() -> dict[int, int]:
            consumer = AIOKafkaConsumer(**self.kafka.client("test"))
            await consumer.start()
            try:
                topic = self.kafka.topic(TELEMETRY)
                found = await consumer.end_offsets([TopicPartition(topic, p) for p in range(PARTITIONS)])
                return {place.partition: end for place, end in found.items()}
            finally:
                await consumer.stop()

        return asyncio.run(ask())

    def positions(self) -> dict[int, int]:
        """By partition, the first offset that is not committed; partitions never held are left out."""
        names = {stream_name(partition): partition for partition in range(PARTITIONS)}
        rows = self.all("SELECT stream, next_offset FROM servitize.stream_position")
        return {names[stream]: int(offset) for stream, offset in rows if stream in names}

    def caught_up(self, upto: dict[int, int] | None = None) -> bool:
        """Whether all that is (or, with ``upto``, was) in the log is in the tables."""
        ends, at = upto if upto is not None else self.log_ends(), self.positions()
        return all(at.get(partition, 0) >= end for partition, end in ends.items())

    def drain(self, seconds: float = 120) -> None:
        """Wait until everything published before is stored (the ingests must have acknowledged it)."""
        ends = self.log_ends()
        self.settle(lambda: self.caught_up(ends), seconds)
        assert self.caught_up(ends), {p: (self.positions().get(p), e) for p, e in ends.items()}

"""A whole servitize as `servitize up` runs it: PostgreSQL (fsync, synchronous commits and full-page writes on), broker,
ingest, API, each in its own process, with a fleet of benchmark rigs."""

from __future__ import annotations

import contextlib
import http.client
import mmap
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psycopg
from numpy.typing import NDArray

from models.types import to_document
from runtime import bootstrap
from runtime.endpoints import Endpoints
from runtime.local.accounts import service_account
from runtime.local.paths import DataDirectory
from runtime.settings import Listen, Settings
from runtime.supervisor import DATABASE, INGEST, Supervisor
from storage import admin
from tests.benchmarks.whole import load, processes
from tests.benchmarks.whole.load import FRAME, TENANT, Order, Pool, Shares

_REPOSITORY = Path(__file__).resolve().parents[3]
_POLL = 0.04
SAFE = ("fsync", "synchronous_commit", "full_page_writes")


@dataclass(frozen=True, slots=True)
class Sample:
    """CPU-seconds of every process at a moment (monotonic), readings stored by then, and ingest's memory in bytes."""

    at: float
    cpu: dict[str, float]
    stored: int
    memory: int


@dataclass(slots=True)
class Run:
    """One run of the publisher: its ledger, samples of the machine once a second, and how long the rest took."""

    ledger: dict[str, NDArray[Any]]
    samples: list[Sample]
    backlog_seconds: float
    drained: bool
    load_average: float


class Installation:
    """Use :func:`installed`."""

    def __init__(self, supervisor: Supervisor, equipment: int, lateness: int, key: str, folder: Path) -> None:
        self.supervisor = supervisor
        self.equipment = equipment
        self.lateness = lateness
        self.api_key = key
        self.folder = folder
        self.dsn = supervisor.endpoints.databases[bootstrap.OWNER]
        self._runs = 0
        self._gate_file = folder / "gate"
        self._gate_file.write_bytes(bytes(8))
        with open(self._gate_file, "r+b") as file:
            self._gate = memoryview(mmap.mmap(file.fileno(), 8)).cast("q")
        self._sent_before = np.zeros(equipment, np.int64)

    # --- running ------------------------------------------------------------------------------------------------

    def run(
        self, seconds: float, *, rate: float | None, window: int = 1_000, seed: int = 1, shares: Shares | None = None
    ) -> Run:
        """Publish for ``seconds`` at ``rate`` readings per second (None: as fast as it goes), wait for the rest."""
        self._runs += 1
        service = self.supervisor.broker.service
        assert service.username is not None
        assert service.password is not None
        order = Order(
            service.host, service.port, service.username, service.password, self.equipment, seconds, seed, rate, window,
            str(self._gate_file), str(self.folder / f"ledger-{self._runs}.npz"), load.displacement(self.lateness),
            shares or Shares(), int(self._sent_before.max(initial=0)),
        )  # fmt: skip
        path = self.folder / "order.json"
        path.write_bytes(msgspec.json.encode(order))
        command = [sys.executable, "-m", "tests.benchmarks.whole.publisher", str(path)]
        samples: list[Sample] = []
        before = self.messages()
        with self._polling() as connection:
            self._gate[0] = before
            child = subprocess.Popen(command, cwd=_REPOSITORY, env={**os.environ, "PYTHONPATH": str(_REPOSITORY)})
            next_sample = 0.0
            while child.poll() is None:
                self._gate[0] = self.messages(connection)
                if time.monotonic() >= next_sample:
                    samples.append(self.sample(child.pid, connection))
                    next_sample = time.monotonic() + 1.0
                time.sleep(_POLL)
            if child.returncode:
                raise RuntimeError(f"the publisher ended with {child.returncode}")
            with np.load(order.ledger) as file:
                ledger = {name: file[name] for name in file.files}
            sent = before + len(ledger["ts"])
            deadline = time.monotonic() + 120
            while (stored := self.messages(connection)) < sent and time.monotonic() < deadline:
                time.sleep(0.01)
            backlog = max(0.0, time.time() - float(ledger["ended"]) / 1e6)
            samples.append(self.sample(None, connection))
        self._sent_before += np.bincount(ledger["equipment"], minlength=self.equipment)
        samples[-1].cpu["publisher"] = float(ledger["cpu"])
        return Run(ledger, samples, backlog, stored >= sent, processes.load_average())

    @contextlib.contextmanager
    def _polling(self) -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            yield connection

    def messages(self, connection: psycopg.Connection[Any] | None = None) -> int:
        """Messages that are stored; from the counters of the same transactions as their readings."""
        return self._counter("ingest.messages", connection)

    def _counter(self, name: str, connection: psycopg.Connection[Any] | None) -> int:
        query = "SELECT coalesce(sum(count), 0)::bigint FROM servitize.conservation WHERE name = %s"
        if connection is None:
            with self._polling() as own:
                return self._counter(name, own)
        row = connection.execute(query, [name]).fetchone()
        return int(row[0]) if row else 0

    def sample(self, publisher: int | None, connection: psycopg.Connection[Any]) -> Sample:
        """What everything has cost so far."""
        pids = {part.name: part.pid() for part in self.supervisor.keeper.parts}
        cpu = {name: processes.cpu_seconds(pid, tree=name == DATABASE) for name, pid in pids.items() if pid}
        ingest = pids.get(INGEST) or pids.get("worker-0")
        assert ingest
        if publisher is not None:
            cpu["publisher"] = processes.cpu_seconds(publisher)
        stored = self._counter("storage.in_measured", connection)
        return Sample(time.monotonic(), cpu, stored, processes.resident_bytes(ingest))

    # --- what came of it ----------------------------------------------------------------------------------------

    def safety(self) -> dict[str, str]:
        """The settings that make a commit mean something."""
        with self._polling() as connection:
            return {
                name: str(row[0])
                for name in SAFE
                if (row := connection.execute("SELECT current_setting(%s)", [name]).fetchone())
            }

    def wal_bytes(self) -> int:
        """Written since the start of the server, first contents included."""
        with self._polling() as connection:
            row = connection.execute("SELECT wal_bytes::bigint FROM pg_stat_wal").fetchone()
            return int(row[0]) if row else 0

    def compare(self, runs: list[Run]) -> dict[str, int]:
        """The ledgers of ``runs`` against the table, in SQL: a frame is right when its fifty readings are there once
        and their values add up."""
        pool = Pool(1, Shares().crossing)
        equipment = np.concatenate([run.ledger["equipment"] for run in runs])
        ts = np.concatenate([run.ledger["ts"] for run in runs])
        total = pool.sums[np.concatenate([run.ledger["body"] for run in runs])]
        keys, first = np.unique(np.stack([equipment, ts]), axis=1, return_index=True)
        with psycopg.connect(self.dsn) as connection:
            connection.execute("CREATE TEMPORARY TABLE ledger (key text, ts timestamptz, total float8)")
            with connection.cursor().copy("COPY ledger FROM STDIN") as copy:
                copy.write(
                    "".join(
                        f"{load.key(number)}\t{np.datetime64(moment, 'us')}Z\t{value!r}\n"
                        for number, moment, value in zip(*keys.tolist(), total[first].tolist(), strict=True)
                    )
                )
            row = connection.execute(_COMPARE, {"frame": FRAME}).fetchone()
        assert row is not None
        names = ("frames", "lost", "duplicated", "wrong", "unexpected")
        return dict(zip(names, map(int, row), strict=True)) | {"messages": len(ts)}


_COMPARE = """
WITH stored AS (
    SELECT e.key, r.ts, count(*) AS n, sum(r.value) AS total
      FROM servitize.reading r JOIN servitize.point p ON p.id = r.point_id
      JOIN servitize.equipment e ON e.id = p.equipment_id
     WHERE p.kind = 'measured' GROUP BY 1, 2)
SELECT count(*) FILTER (WHERE l.key IS NOT NULL),
       coalesce(sum(greatest(0, %(frame)s - coalesce(s.n, 0))) FILTER (WHERE l.key IS NOT NULL), 0),
       coalesce(sum(greatest(0, s.n - %(frame)s)) FILTER (WHERE l.key IS NOT NULL), 0),
       count(*) FILTER (WHERE s.n = %(frame)s AND s.total <> l.total),
       coalesce(sum(s.n) FILTER (WHERE l.key IS NULL), 0)
  FROM ledger l FULL JOIN stored s ON s.key = l.key AND s.ts = l.ts
"""


class AlarmWatch:
    """A client of ``/v1/stream``: when each event came, in a thread of its own."""

    def __init__(self, installation: Installation) -> None:
        api = installation.supervisor.api
        self._client = http.client.HTTPConnection(api.host, api.port, timeout=60)
        self._client.request("GET", "/v1/stream", headers={"Authorization": f"Bearer {installation.api_key}"})
        self._answer = self._client.getresponse()
        if self._answer.status != 200:
            raise ConnectionError(f"the stream answered {self._answer.status}")
        self._lines: list[tuple[int, bytes]] = []
        self._stopped = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError, http.client.HTTPException):
            while not self._stopped:
                line = self._answer.readline()
                if not line:
                    return
                if line.startswith(b"data:"):
                    self._lines.append((time.time_ns() // 1000, line[5:]))

    def raised(self) -> list[tuple[str, int, int]]:
        """(equipment key, event time of the crossing, when the client had it) of every alarm raised; both µs."""
        found = []
        for at, line in list(self._lines):
            payload = msgspec.json.decode(line).get("payload") or {}
            if payload.get("event") == "raised":
                found.append((payload["equipment"], payload["at"], at))
        return found

    def close(self) -> None:
        self._stopped = True


@contextlib.contextmanager
def installed(equipment: int, lateness: int, make: Callable[..., Supervisor] = Supervisor) -> Iterator[Installation]:
    """A fresh installation with ``equipment`` rigs whose lateness is so many µs; gone afterwards. ``make``: which
    supervisor starts it."""
    root = Path(tempfile.mkdtemp(prefix="servitize-bench-"))
    root.chmod(0o755)
    keys: list[str] = []
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SERVITIZE_")}

    def prepare(endpoints: Endpoints) -> None:
        rig = load.rig(lateness)
        with psycopg.connect(endpoints.databases[bootstrap.OWNER]) as connection:
            admin.publish_type(connection, rig, to_document(rig))
            tenant = admin.create_tenant(connection, TENANT, "Benchmark")
            for number in range(equipment):
                admin.create_equipment(connection, tenant, load.key(number), rig)
            connection.execute("ANALYZE servitize.equipment, servitize.component, servitize.point")
        keys.append(bootstrap.ensure_api_key(data, endpoints, TENANT))

    data = DataDirectory(root / "data", service_account(environment))
    settings = Settings(home=data.root, api=Listen(port=0), mqtt=Listen(port=0))
    news: list[str] = []
    supervisor = make(settings, data, report=lambda step: None, news=news.append, command="bench", prepare=prepare)
    try:
        with supervisor:
            yield Installation(supervisor, equipment, lateness, keys[0], root)
        if news:
            print("\n".join(news))
    finally:
        shutil.rmtree(root, ignore_errors=True)

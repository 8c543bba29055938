"""The system that is broken on purpose: real PostgreSQL (with fsync), real broker, ingest in a process of its own.

A host says how its parts are started, ended and reached; scenarios know nothing else of it. :class:`EmbeddedHost` is
one machine; a cluster host has the same members.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg_pool import ConnectionPool

from core.registry import RegistrySnapshot
from ingest.routes import STATUS_TOPIC
from ingest.session import MqttSettings
from models.types import from_document, to_document
from runtime.local.accounts import service_account
from runtime.local.broker import LocalBroker
from runtime.local.paths import DataDirectory
from runtime.local.ports import is_free
from runtime.local.postgres import LocalPostgres
from storage import admin
from storage.migrate import WRITER, migrate
from storage.registry import Registry
from tests.faults.fleet import TENANT, Run, press
from tests.faults.proxy import Proxy
from tests.support.logins import PASSWORDS
from workbench.replay.publisher import last_retained

REPOSITORY = Path(__file__).resolve().parents[2]
START_SECONDS = 180.0
END_SECONDS = 60.0
"""A busy machine; on an idle one it is five at most for what is under way, and three for the broker."""


class Part(Protocol):
    """Something that can be ended and comes back."""

    name: str

    def start(self) -> None: ...

    def end(self, number: signal.Signals) -> None:
        """Returns when it is gone, by this signal or, where that is too polite, by a harder one."""
        ...


class IngestPart(Part, Protocol):
    """Ingest, which somebody looks after."""

    endings: list[tuple[str, float, int]]
    """Of TERM and INT: how long it took to end, and with which exit code."""

    def keep_alive(self, *, wait: bool = False) -> None:
        """Start it if it has ended; ``wait`` until it serves."""
        ...


class Host(Protocol):
    """Where a scenario happens. ``name`` is the host's in the report (``embedded``, ``cluster``)."""

    name: str
    broker_name: str

    @property
    def disk(self) -> Path:
        """Where the database lies."""
        ...

    @property
    def database(self) -> Part: ...

    @property
    def broker(self) -> Part: ...

    @property
    def ingest(self) -> IngestPart: ...

    @property
    def database_line(self) -> Proxy:
        """The network between ingest and the database, where the stage has one."""
        ...

    @property
    def broker_line(self) -> Proxy: ...

    def stage(self, run: Run, *, lines: bool = False) -> contextlib.AbstractContextManager[None]:
        """An empty database with the run's fleet, and ingest running. ``lines``: over proxies."""
        ...

    @property
    def dsn(self) -> str:
        """The owner's, around every proxy."""
        ...

    @property
    def mqtt(self) -> MqttSettings:
        """For publishers."""
        ...

    def registry(self) -> RegistrySnapshot: ...

    def log(self) -> str: ...


class _Database:
    name = "database"

    def __init__(self, host: EmbeddedHost) -> None:
        self._server = host.postgres

    def start(self) -> None:
        self._server.start()

    def end(self, number: signal.Signals) -> None:
        if number is signal.SIGKILL:
            self._server.kill()
            return
        if number is signal.SIGTERM and self._server.pid is not None:
            os.kill(self._server.pid, signal.SIGTERM)  # waits for clients to leave, who do not: nobody new gets in
            time.sleep(2.0)
        self._server.stop()


class _Broker:
    name = "broker"

    def __init__(self, host: EmbeddedHost) -> None:
        self._server = host.server

    def start(self) -> None:
        self._server.start()

    def end(self, number: signal.Signals) -> None:
        if number is signal.SIGKILL:
            self._server.kill()
        else:
            self._server.stop()


class _Ingest:
    name = "ingest"

    def __init__(self, host: EmbeddedHost) -> None:
        self._host = host
        self._process: subprocess.Popen[bytes] | None = None
        self.config = host.folder / "ingest.json"
        self.codes: list[int] = []
        self.endings: list[tuple[str, float, int]] = []
        """Of TERM and INT: how long it took to end, and with which exit code."""

    def start(self, *, wait: bool = False) -> None:
        """Started, not waited for, as a supervisor does; ``wait``: until the broker has taken its subscriptions."""
        with (self._host.folder / "ingest.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "stream_processors.process", "embedded", str(self.config)],
                stdout=log,
                stderr=log,
                cwd=REPOSITORY,
                env={
                    **os.environ,
                    "OPENBLAS_NUM_THREADS": "1",
                    "OMP_NUM_THREADS": "1",
                    "PYTHONFAULTHANDLER": "1",  # so that one that hangs says where, see `end`
                },
            )
        if wait:
            self._wait(self._process)

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS

        def serves(payload: bytes) -> bool:
            status = json.loads(payload)
            return bool(status["online"]) and status.get("pid") == process.pid

        watcher = replace(self._host.mqtt, client_id="watch")
        while not last_retained(watcher, STATUS_TOPIC, serves, 1.0):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"ingest does not serve:\n{self._host.log()}")

    def end(self, number: signal.Signals) -> None:
        process = self._process
        if process is None:
            return
        began = time.monotonic()
        process.send_signal(number)
        try:
            self.codes.append(process.wait(END_SECONDS))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # the stacks of all its threads go to its log
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()
            process.wait()
            raise RuntimeError(
                f"ingest has not ended {END_SECONDS:.0f} s after {number.name}:\n{self._host.log(20_000)}"
            ) from None
        if number is not signal.SIGKILL:
            self.endings.append((number.name, round(time.monotonic() - began, 2), self.codes[-1]))

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def keep_alive(self, *, wait: bool = False) -> None:
        """What a supervisor does: start it again if it has ended."""
        if not self.alive:
            self.start()
        if wait and self._process is not None:
            self._wait(self._process)


def _quiet_port() -> int:
    """One that nobody takes while our server is down: not a usual one, and none that the system gives to others."""
    return next(port for port in iter(lambda: random.randrange(15_000, 30_000), 0) if is_free(port))


class EmbeddedHost:
    """Everything on this machine, below one temporary directory. A context manager.

    ``broker``: mosquitto or iotcore. ``root``: where the data lies (a small file system, for a full disk).
    ``settings`` of PostgreSQL beside those that the product sets; fsync and the like stay on.
    """

    name = "embedded"

    def __init__(
        self, *, broker: str = "mosquitto", root: Path | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        self.broker_name = broker
        self._given = root
        self._settings = {"max_connections": "50", **(settings or {})}
        self._stack = contextlib.ExitStack()
        self._database_name = ""
        self._client_id = ""
        self._lines: tuple[Proxy, Proxy] | None = None
        self._template = False

    def __enter__(self) -> Self:
        root = self._given or Path(tempfile.mkdtemp(prefix="servitize-faults-"))
        if self._given is None:
            self._stack.callback(shutil.rmtree, root, ignore_errors=True)
        environ = {key: value for key, value in os.environ.items() if not key.startswith("SERVITIZE_")}
        environ["SERVITIZE_MQTT_BROKER"] = self.broker_name
        try:
            self.folder = Path(tempfile.mkdtemp(prefix="servitize-faults-log-"))
            self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            data = self._stack.enter_context(DataDirectory(root, service_account(environ)))
            self.postgres = LocalPostgres(data, port=_quiet_port(), settings=self._settings, environ=environ)
            self.server = LocalBroker(data, port=_quiet_port(), environ=environ)
            self._stack.callback(self.postgres.stop)
            self.postgres.start()
            self._stack.callback(self.server.stop)
            self.server.start()
        except BaseException:
            self._stack.close()
            raise
        self._ingest = _Ingest(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def disk(self) -> Path:
        return self.postgres.data.root

    # --- parts -------------------------------------------------------------------------------------------------

    @property
    def database(self) -> _Database:
        return _Database(self)

    @property
    def broker(self) -> _Broker:
        return _Broker(self)

    @property
    def ingest(self) -> _Ingest:
        return self._ingest

    @property
    def database_line(self) -> Proxy:
        assert self._lines is not None
        return self._lines[0]

    @property
    def broker_line(self) -> Proxy:
        assert self._lines is not None
        return self._lines[1]

    @property
    def dsn(self) -> str:
        return self.postgres.dsn(database=self._database_name)

    @property
    def mqtt(self) -> MqttSettings:
        service = self.server.service
        return MqttSettings(host=service.host, port=service.port, username=service.username, password=service.password)

    def registry(self) -> RegistrySnapshot:
        with ConnectionPool(self.writer_dsn(), min_size=1, max_size=1, open=True) as pool:
            return Registry(pool, from_document).load()

    def writer_dsn(self) -> str:
        return make_conninfo(self.dsn, user=WRITER, password=PASSWORDS[WRITER])

    def log(self, length: int = 6_000) -> str:
        path = self.folder / "ingest.log"
        return path.read_text(errors="replace")[-length:] if path.exists() else ""

    # --- a stage -----------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def stage(self, run: Run, *, lines: bool = False) -> Iterator[None]:
        number = time.monotonic_ns()
        self._database_name, self._client_id = f"stage_{number}", f"ingest-{number}"
        self._prepare(run)
        with contextlib.ExitStack() as stack:
            self._lines = None
            if lines:
                where: Callable[[], tuple[str, int]] = lambda: ("127.0.0.1", self.postgres.port)  # noqa: E731
                there: Callable[[], tuple[str, int]] = lambda: ("127.0.0.1", self.mqtt.port)  # noqa: E731
                self._lines = (stack.enter_context(Proxy(where)), stack.enter_context(Proxy(there)))
            self._configure()
            self._ingest.codes.clear()
            self._ingest.endings.clear()
            self._ingest.start(wait=True)
            self.server.save()
            try:
                yield
            finally:
                with contextlib.suppress(Exception):
                    self._ingest.end(signal.SIGKILL)
                self._tidy()

    def _prepare(self, run: Run) -> None:
        self._make_template()
        self.postgres.create_database(self._database_name, template="stage_template")
        type_ = press(run.lateness)
        with psycopg.connect(self.dsn) as connection:
            admin.publish_type(connection, type_, to_document(type_))
            tenant = admin.create_tenant(
                connection,
                TENANT,
                "Acme",
                publisher_clock=True,
                future_bound=run.future_bound,
                past_window=run.past_window,
            )
            for machine in range(run.machines):
                admin.create_equipment(connection, tenant, f"press-{machine}", type_)

    def _make_template(self) -> None:
        if not self._template:
            migrate(self.postgres.create_database("stage_template"), PASSWORDS)
            self._template = True

    def _configure(self) -> None:
        database, mqtt = self.writer_dsn(), asdict(self.mqtt) | {"client_id": self._client_id}
        if self._lines is not None:
            database = make_conninfo(database, port=self._lines[0].port)
            mqtt["port"] = self._lines[1].port
            mqtt["keepalive"] = 5
        config: dict[str, Any] = {"database": database, "mqtt": mqtt, "snapshot_seconds": 2.0}
        self._ingest.config.write_text(json.dumps(config))

    def _tidy(self) -> None:
        """Nothing of this stage reaches the next one: neither the session's messages nor the database."""
        import paho.mqtt.client as mqtt
        from paho.mqtt.enums import CallbackAPIVersion

        self.database.start()
        self.broker.start()
        with contextlib.suppress(OSError):
            client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=self._client_id, clean_session=True)
            client.username_pw_set(self.mqtt.username, self.mqtt.password)
            client.connect(self.mqtt.host, self.mqtt.port)
            client.loop_start()
            time.sleep(0.3)
            client.disconnect()
            client.loop_stop()
        self.postgres.drop_database(self._database_name)

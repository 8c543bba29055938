"""Starts a whole instance step by step, keeps it alive, and stops it so that nothing is lost.

Order of start: database → migrations → first contents → broker → ingest → API → whatever is added. Stopping goes the
other way round: who sends stops first, ingest commits what it has taken, then the broker, then the database.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from runtime import bootstrap, notify
from runtime.account_keeper import AccountKeeper
from runtime.commands import Commands
from runtime.endpoints import ApiEndpoint, Endpoints
from runtime.keeper import Keeper, Part
from runtime.local.accounts import Account, first_unreachable
from runtime.local.broker import LocalBroker
from runtime.local.paths import DataDirectory
from runtime.local.ports import choose_port
from runtime.local.postgres import LocalPostgres
from runtime.local.process import ChildProcess, end_leftovers
from runtime.local.rights import BrokerRights
from runtime.orders import Orders
from runtime.probes import api_is_alive
from runtime.settings import SPARKPLUG_HOST_ID, Settings
from runtime.status import PartStatus
from runtime.steps import StepDone, Steps
from services.notifications.deliverer import Deliverer

DATABASE, BROKER, INGEST, API = "database", "broker", "ingest", "api"
PROCESS_MODULE = "runtime.processes"
_REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class ProcessSpec:
    """A process of ours: ``module`` below runtime.processes; ``ready`` is asked until it says True.

    ``prepare`` runs before every start. ``finishes``: it may end with code 0 by itself. ``stop_timeout``: seconds until
    it is ended by force.
    """

    name: str
    module: str
    arguments: Sequence[str] = ()
    prepare: Callable[[], None] = lambda: None
    ready: Callable[[], bool] = lambda: True
    ready_timeout: float = 90.0
    stop_timeout: float = 30.0
    finishes: bool = False


class Supervisor:
    """One instance in one data directory, from start to stop; a context manager that also holds the directory's lock.

    ``report`` hears of every step, ``news`` of what dies and comes back (both may be called from other threads).
    ``prepare`` may add contents to the database before anything reads it.
    """

    def __init__(
        self,
        settings: Settings,
        data: DataDirectory,
        *,
        report: Callable[[StepDone], None],
        news: Callable[[str], None],
        command: str = "up",
        prepare: Callable[[Endpoints], None] = lambda endpoints: None,
    ) -> None:
        self.settings = settings
        self.data = data
        self.steps = Steps(report)
        self.endpoints = Endpoints()
        self._news = news
        self._command = command
        self._prepare = prepare
        self._report = report
        self.keeper = Keeper(news)
        self._children: dict[str, ChildProcess] = {}
        self.postgres = LocalPostgres(
            data,
            external_url=os.environ.get("SERVITIZE_DATABASE_URL") or None,
            on_exit=lambda _, code: self.keeper.died(DATABASE, code),
        )
        self.broker = LocalBroker(
            data,
            external_url=os.environ.get("SERVITIZE_MQTT_URL") or None,
            listen=settings.mqtt.host,
            port=settings.mqtt.port,
            tls=settings.tls,
            insecure_plain=settings.insecure,
            on_exit=lambda _, code: self.keeper.died(BROKER, code),
        )

        self._orders = Orders(
            lambda: self.endpoints.databases[bootstrap.WRITER],
            BrokerRights(data),
            lambda: self.endpoints.broker,
            lambda: data.secret(bootstrap.DEVICE_MASTER),
        )

        self._commands = Commands(lambda: self.endpoints.databases[bootstrap.WRITER], lambda: self.endpoints.broker)

        self._accounts: AccountKeeper | None = None
        self._deliverer: Deliverer | None = None

    # -- lifecycle -------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.data.acquire()
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Everything up to a reachable API; on return all parts are watched."""
        began = time.time()
        leftover = dict.fromkeys(self.data.state().get("servers", {}))  # of an instance that was killed
        self.data.update_state("servers", **leftover)
        self.data.update_state("instance", pid=os.getpid(), command=self._command, started=began, ready=None)
        self.data.secret(bootstrap.DEVICE_MASTER)  # there before two processes would both make it
        self._start_database()
        self._start_broker()
        self._connect(api=self._choose_api())
        # Both spend their start importing; side by side that takes half as long.
        with ThreadPoolExecutor(2) as pool:
            for started in [pool.submit(self._start_ingest), pool.submit(self._start_api)]:
                started.result()
        self.keeper.start()
        self._orders.start()
        self._commands.start()
        self._deliverer = Deliverer(
            lambda: self.endpoints.databases[bootstrap.WRITER],
            notify.channels(self.data, lambda: self.endpoints.broker),
        )
        self._deliverer.start()
        if self.endpoints.control is not None:
            dsn, master = self.endpoints.databases[bootstrap.WRITER], self.data.secret(bootstrap.DEVICE_MASTER)
            self._accounts = AccountKeeper(dsn, self.endpoints.control, master)
            self._accounts.start()
        self.data.update_state("instance", ready=time.time(), api=self.api.url)

    def stop(self) -> None:
        """Stop all parts in reverse order and give the lock back; safe to call at any point of a start."""
        self._commands.stop()
        self._orders.stop()
        if self._deliverer is not None:
            self._deliverer.stop()
        if self._accounts is not None:
            self._accounts.stop()
        self.keeper.stop(lambda name, seconds: self._report(StepDone(f"stop {name}", "", seconds)))
        self.data.update_state("instance", pid=None, ready=None)
        self.data.release()

    @property
    def api(self) -> ApiEndpoint:
        assert self.endpoints.api is not None
        return self.endpoints.api

    def part_states(self) -> tuple[PartStatus, ...]:
        """Every part as it is now."""
        return tuple(
            PartStatus(
                part.name,
                "finished" if part.finished else "running" if part.down_since is None else "restarting",
                part.pid(),
                part.restarts,
            )
            for part in self.keeper.parts
        )

    def lag(self) -> int:
        """Records that are taken and in no table yet; here the broker keeps them until they are."""
        return 0

    # -- steps -----------------------------------------------------------------------------------------------

    def _start_database(self) -> None:
        with self.steps.step("database") as step:
            self.postgres.start()
            server = self.postgres.describe()
            step.detail = f"{server.origin if self.postgres.engine else server.version} on {server.host}:{server.port}"
            if self.postgres.external_url is None:
                self._watch_server(DATABASE, self.postgres, after_restart=self._database_moved)
        with self.steps.step("tables") as step:
            step.detail = bootstrap.prepare_database(self.postgres)
        self._connect(databases=bootstrap.database_logins(self.postgres))
        with self.steps.step("contents") as step:
            step.detail = bootstrap.first_contents(self.data, self.endpoints)
            self._prepare(self.endpoints)

    def _start_broker(self) -> None:
        with self.steps.step("broker") as step:
            self.broker.start()
            self._connect(broker=self.broker.service, control=self.broker.control)
            able = self.broker.capabilities
            step.detail = f"{able.name} {able.version} on {self.broker.service.host}:{self.broker.service.port}"
            self.data.update_state("broker", capabilities=asdict(able), devices=self._device_address())
            if self.broker.external_url is None:
                self._watch_server(BROKER, self.broker, after_restart=self._broker_moved)

    def _device_address(self) -> dict[str, Any]:
        """Where devices connect, as they must write it: by this machine's name where it listens on all interfaces."""
        service, listen, tls = self.broker.service, self.settings.mqtt, self.settings.tls
        if self.broker.external_url is not None or listen.is_loopback:
            return {"host": service.host, "port": service.port, "tls": service.tls}
        host = socket.gethostname() if listen.host in ("0.0.0.0", "::") else listen.host  # noqa: S104 - compared only
        port = self.data.state()["ports"]["mqtts"] if tls else service.port
        return {"host": host, "port": port, "tls": tls is not None}

    def _start_ingest(self) -> None:
        with self.steps.step("ingest") as step:
            ready = self.data.root / "run" / "ingest.ready"
            self.add_process(
                ProcessSpec(
                    INGEST,
                    "ingest",
                    prepare=lambda: ready.unlink(missing_ok=True),
                    ready=ready.exists,
                    stop_timeout=60.0,
                )
            )
            self.broker.save()
            step.detail = "connected, state restored"

    def _start_api(self) -> None:
        with self.steps.step("api") as step:
            self.add_process(ProcessSpec(API, "api", ready=lambda: api_is_alive(self.api), stop_timeout=15.0))
            step.detail = self.api.url

    def _choose_api(self) -> ApiEndpoint:
        listen, tls = self.settings.api, self.settings.tls
        host = "127.0.0.1" if listen.host == "localhost" else listen.host
        port = choose_port(self.data, "api", wanted=listen.port, host=host)
        certificate, key = (str(tls.certificate.absolute()), str(tls.key.absolute())) if tls else (None, None)
        return ApiEndpoint(host, port, certificate, key)

    # -- parts -----------------------------------------------------------------------------------------------

    def add_process(self, spec: ProcessSpec) -> ChildProcess:
        """Start a process of ours and watch it from now on."""
        directory = self.data.directory("run")
        command = [sys.executable, "-m", f"{PROCESS_MODULE}.{spec.module}", str(self.data.root), *spec.arguments]
        end_leftovers(directory, "python", marker="\0".join([*command[2:], ""]))
        child = ChildProcess(
            spec.name,
            command,
            directory=directory,
            log=self.data.log_path(spec.name),
            account=self._process_account(),
            environment={**_process_environment(), SPARKPLUG_HOST_ID: self.settings.sparkplug_host_id},
            ready=spec.ready,
            ready_timeout=spec.ready_timeout,
            stop_timeout=spec.stop_timeout,
            on_exit=lambda _, code: self.keeper.died(spec.name, code),
        )

        def remember() -> None:
            self.data.update_state("servers", **{spec.name: {"pid": child.pid}})

        def stop() -> None:
            child.stop()
            self.data.update_state("servers", **{spec.name: None})

        def start() -> None:
            spec.prepare()
            child.start()

        start()
        remember()
        self._children[spec.name] = child
        self.keeper.add(
            Part(
                spec.name,
                start=start,
                stop=stop,
                pid=lambda: child.pid,
                after_restart=remember,
                finishes=spec.finishes,
            )
        )
        return child

    def child(self, name: str) -> ChildProcess:
        """A process added before."""
        return self._children[name]

    def _watch_server(self, name: str, server: LocalPostgres | LocalBroker, after_restart: Callable[[], None]) -> None:
        self.keeper.add(
            Part(name, start=server.start, stop=server.stop, pid=lambda: server.pid, after_restart=after_restart)
        )

    def _database_moved(self) -> None:
        """After a restart: the port may be another one (somebody took it meanwhile); who uses it must be told."""
        logins = bootstrap.database_logins(self.postgres)
        if logins != self.endpoints.databases:
            self._connect(databases=logins)
            self._restart_children()

    def _broker_moved(self) -> None:
        endpoint = self.broker.service
        if endpoint != self.endpoints.broker:
            self._connect(broker=endpoint)
            self._restart_children()

    def _restart_children(self) -> None:
        for child in self._children.values():
            child.stop()
            child.start()

    def _connect(self, **changes: Any) -> None:
        self.endpoints = replace(self.endpoints, **changes)
        self.endpoints.write(self.data)

    def _process_account(self) -> Account | None:
        """The servers' account, where it can read this program; else our own processes stay the caller's."""
        account = self.data.account
        places = (Path(sys.executable), Path(sys.prefix) / "pyvenv.cfg", _REPOSITORY / "core" / "errors.py")
        if account is None or any(first_unreachable(place, account) for place in places if place.exists()):
            return None
        return account


def _process_environment() -> dict[str, str]:
    """What our own processes inherit: no settings but the heartbeat's (its URL may be a secret, so it stands in no file
    and on no command line), and numeric libraries on one thread each.

    Two BLAS pools on two cores take each other's time for matrices of a few dozen columns.
    """
    kept = (
        *("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "PYTHONPATH", "VIRTUAL_ENV"),
        *("SERVITIZE_HEARTBEAT_URL", "SERVITIZE_HEARTBEAT_SECONDS", "SERVITIZE_SECRETS"),
        *("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"),
    )
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    search = [str(_REPOSITORY), *filter(None, [environment.get("PYTHONPATH")])]
    return environment | {"PYTHONPATH": os.pathsep.join(search), "PYTHONUNBUFFERED": "1", "TZ": "UTC"}

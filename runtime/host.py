"""Running an instance in the foreground or the background, and looking at one from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import ServitizeError, UnavailableError
from runtime.console import say
from runtime.local.paths import DataDirectory
from runtime.settings import Settings
from runtime.status import PartStatus, Snapshot
from runtime.steps import StepDone

if TYPE_CHECKING:
    from runtime.cluster.status import ClusterStatus
    from runtime.supervisor import Supervisor

STOP_SECONDS = 150.0
"""How long `down` waits: ingest may take a minute to commit, the broker and the database one each to write."""
START_SECONDS = 180.0
_POLL_SECONDS = 0.1
_REFRESH_SECONDS = 1.0
_LOG_SECONDS = 300.0
"""A detached instance writes its figures into its log this often."""


@contextmanager
def stop_requests() -> Iterator[threading.Event]:
    """An event that TERM, INT and HUP set. A second one is ignored: stopping is under way, data is written."""
    asked = threading.Event()
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    former = {number: signal.signal(number, lambda *_: asked.set()) for number in numbers}
    try:
        yield asked
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def run_up(data: DataDirectory, settings: Settings, make: Callable[..., Supervisor] | None = None) -> None:
    """``servitize up``: everything on, a compact live status, everything off when asked to stop. ``make``: another kind
    of supervisor."""
    from runtime.bootstrap import FIRST_TENANT, WRITER, status_file
    from runtime.monitor import Monitor
    from runtime.supervisor import Supervisor
    from runtime.view import LiveView

    news = News()
    with stop_requests() as stop:
        supervisor = (make or Supervisor)(settings, data, report=print_step, news=news.add)
        with supervisor:
            say(f"ready in {supervisor.steps.elapsed:.1f} s; data in {data.root}")
            _where_next(
                data, supervisor.api.url, supervisor.broker.service.host, supervisor.broker.service.port, FIRST_TENANT
            )
            with (
                LiveView("servitize", "Ctrl-C stops everything in order", plain_every=_LOG_SECONDS) as view,
                Monitor(supervisor.endpoints.databases[WRITER], status_file=status_file(data)) as monitor,
            ):
                news.tell = view.say
                while not stop.wait(_REFRESH_SECONDS):
                    view.show(monitor.snapshot(supervisor.part_states()))
            news.tell = say
            say("stopping in order …")
    say("stopped; the next start goes on from here")


class News:
    """Sentences about what died and came back; printed in the present view, kept in the log of a detached instance."""

    def __init__(self) -> None:
        self.tell: Callable[[str], None] = say

    def add(self, sentence: str) -> None:
        self.tell(f"{time.strftime('%H:%M:%S')} {sentence}")


def print_step(step: StepDone) -> None:
    """One line per step."""
    say(step.line())


def _where_next(data: DataDirectory, api: str, host: str, port: int, tenant: str) -> None:
    key_file = data.root / "secrets" / f"api-key-{tenant}"
    say(f"  API      {api}/docs   key of tenant {tenant}: {key_file}")
    say(f"  MQTT     {host}:{port}")
    say("  next     servitize device add press-7 --type compressor-train")


# -- in the background -------------------------------------------------------------------------------------------------


def start_detached(data: DataDirectory, settings: Settings) -> None:
    """Start ``servitize up`` in a session of its own, show its steps until it is ready, and leave it running."""
    if (holder := data.holder()) is not None:
        say(f"an instance is running already (process {holder}); `servitize status` shows it")
        return
    log = data.log_path("supervisor")
    before = log.stat().st_size if log.exists() else 0
    command = [sys.executable, "-m", "runtime.cli", "up", "--home", str(data.root), *_options(settings)]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([_repository(), os.environ.get("PYTHONPATH", "")]).rstrip(":"),
    }
    with open(log, "ab") as output:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=data.root,
            env=environment, start_new_session=True,
        )  # fmt: skip
    shown = before
    deadline = time.monotonic() + START_SECONDS
    while True:
        ended = child.poll() is not None
        shown = _show_log(log, shown)
        if data.state().get("instance", {}).get("ready") and data.holder() == child.pid:
            say(f"running in the background (process {child.pid}); `servitize down` stops it, its log is {log}")
            return
        if ended:
            raise UnavailableError("the instance did not start", hint=f"the reason stands above and in {log}")
        if time.monotonic() > deadline:
            raise UnavailableError(f"not ready after {START_SECONDS:.0f} s", hint=f"it goes on trying; see {log}")
        time.sleep(_POLL_SECONDS)


def _show_log(log: Path, position: int) -> int:
    with open(log, errors="replace") as file:
        file.seek(position)
        refused = False
        for line in file.read().splitlines():
            refused = refused or line.startswith("servitize:")
            if refused or line.startswith(("✓", "✗")):
                say(line)
        return file.tell()


def _options(settings: Settings) -> list[str]:
    """The settings as options again."""
    words: list[str] = []
    for name, listen in (("--api", settings.api), ("--mqtt", settings.mqtt)):
        host = f"[{listen.host}]" if ":" in listen.host else listen.host
        words += [name, host if listen.port is None else f"{host}:{listen.port}"]
    if settings.tls is not None:
        words += ["--tls-cert", str(settings.tls.certificate.absolute()), "--tls-key", str(settings.tls.key.absolute())]
    if settings.insecure:
        words.append("--insecure-listen")
    words += ["--sparkplug-host-id", settings.sparkplug_host_id]
    return words


def _repository() -> str:
    return str(Path(__file__).resolve().parents[1])


def stop_running(data: DataDirectory) -> str:
    """Ask the running instance to stop and wait until it has; what happened, in words."""
    holder = data.holder()
    if holder is None:
        return f"nothing runs in {data.root}"
    began = time.monotonic()
    try:
        os.kill(holder, signal.SIGTERM)
    except PermissionError as error:
        raise UnavailableError(
            f"process {holder} belongs to somebody else", hint="run `servitize down` as the user who started it"
        ) from error
    while data.holder() is not None:
        if time.monotonic() - began > STOP_SECONDS:
            raise UnavailableError(
                f"process {holder} has not stopped after {STOP_SECONDS:.0f} s",
                hint=f"see what it waits for in {data.root / 'logs'}",
            )
        time.sleep(_POLL_SECONDS)
    return f"stopped in order in {time.monotonic() - began:.1f} s"


# -- looking at it -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InstanceStatus:
    """``running``: somebody holds the data directory and is ready; ``cluster`` where Kafka is in between."""

    home: str
    running: bool
    pid: int | None
    command: str
    api: str | None
    snapshot: Snapshot | None
    cluster: ClusterStatus | None = None

    def as_document(self) -> dict[str, Any]:
        """For programs."""
        document = asdict(self)
        return document if self.cluster is None else {**document, "cluster": self.cluster.as_document()}


def current_status(data: DataDirectory) -> InstanceStatus:
    """The instance of a data directory as it is now; asks twice, a second apart, so that rates mean something."""
    from runtime.bootstrap import WRITER, status_file
    from runtime.cluster.status import cluster_status
    from runtime.endpoints import read_endpoints
    from runtime.monitor import Monitor

    pid, state = data.holder(), data.state()
    instance = state.get("instance", {})
    if pid is None:
        return InstanceStatus(str(data.root), False, None, instance.get("command", ""), None, None)
    parts = tuple(
        PartStatus(name, "running" if _alive(server.get("pid")) else "down", server.get("pid"))
        for name, server in state.get("servers", {}).items()
    )
    snapshot: Snapshot | None = None
    cluster: ClusterStatus | None = None
    if instance.get("ready"):
        if read_endpoints(data).kafka is not None:
            cluster = cluster_status(data)
        with Monitor(read_endpoints(data).databases[WRITER], status_file=status_file(data)) as monitor:
            monitor.snapshot(parts)
            time.sleep(_REFRESH_SECONDS)
            snapshot = monitor.snapshot(parts)
    ready, command, api = bool(instance.get("ready")), instance.get("command", ""), instance.get("api")
    return InstanceStatus(str(data.root), ready, pid, command, api, snapshot, cluster)


def print_status(status: InstanceStatus) -> None:
    """For a person."""
    if status.pid is None:
        say(f"nothing runs in {status.home}; start it with `servitize up --detach`")
        return
    if status.snapshot is None:
        say(f"process {status.pid} is starting or stopping in {status.home}")
        return
    from rich.console import Console

    from runtime.view import render

    say(f"servitize {status.command}, process {status.pid}, API {status.api}, data in {status.home}")
    Console().print(render(status.snapshot, "running"))
    if status.cluster is not None:
        say(f"{status.cluster.sentence}; more with `servitize cluster status`")


def _alive(pid: int | None) -> bool:
    if pid is None:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


# -- migrations by hand ------------------------------------------------------------------------------------------------


def migrate_database(
    data: DataDirectory, *, check: bool, engine: str | None = None, catalogue: bool = False
) -> tuple[str, bool]:
    """Apply what is missing, or with ``check`` only say so: (words, whether something is or was missing).

    ``catalogue``: then publish the types that come with this version.
    """
    from runtime import bootstrap
    from runtime.endpoints import read_endpoints
    from runtime.local.postgres import LocalPostgres
    from storage.migrate import describe_engine, pending

    if data.holder() is not None:
        dsn = read_endpoints(data).databases[bootstrap.OWNER]
        missing = pending(dsn)
        if not missing:
            return f"the database is up to date: {describe_engine(dsn)}", False
        raise ServitizeError(
            f"missing: {', '.join(missing)}", hint="an instance of another version runs; stop it and start this one"
        )
    with data, LocalPostgres.from_environment(data) as postgres:
        if check:
            missing = pending(postgres.dsn())
            if missing:
                return f"missing: {', '.join(missing)}", True
            return f"the database is up to date: {describe_engine(postgres.dsn())}", False
        done = f"database: {bootstrap.prepare_database(postgres, engine)}"
        if catalogue:
            published = bootstrap.publish_catalogue(data, postgres.dsn())
            done += f"\ncatalogue: published {', '.join(published)}" if published else "\ncatalogue: up to date"
        return done, False

"""``servitize doctor``: what was found, what is used and why, what is missing and how to get it.

Every examination is small, cannot fail (an error in it is a finding) and changes nothing.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from core.errors import ServitizeError
from runtime.console import say
from runtime.local.endpoints import BrokerEndpoint
from runtime.local.paths import DataDirectory

Level = Literal["good", "note", "wrong"]

LEAST_FREE_BYTES = 1 << 30
STALE_SECONDS = 600.0
CLOCK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. ``why`` explains the choice, ``hint`` says what to do; only ``wrong`` makes doctor fail."""

    subject: str
    level: Level
    found: str
    why: str = ""
    hint: str = ""

    def as_document(self) -> dict[str, str]:
        """For programs."""
        return asdict(self)


def examine(home: Path | None) -> list[Finding]:
    """All findings, in the order in which things depend on each other."""
    findings = [*_guarded("python", _python), *_guarded("commands", _commands)]
    try:
        from runtime.cli.options import data_directory

        data = data_directory(home)
    except ServitizeError as error:
        return [*findings, Finding("data directory", "wrong", str(error), hint=error.hint)]
    for subject, examination in (
        ("data directory", _data_directory),
        ("PostgreSQL", _postgres),
        ("broker", _broker),
        ("ports", _ports),
        ("instance", _instance),
    ):
        findings += _guarded(subject, lambda examination=examination: examination(data))  # type: ignore[misc]
    if data.holder() is not None:
        for subject, examination in (
            ("database", _database),
            ("broker rights", _broker_running),
            ("api", _api),
        ):
            findings += _guarded(subject, lambda examination=examination: examination(data))  # type: ignore[misc]
    return findings


def print_findings(findings: list[Finding]) -> None:
    """For a person: a mark, what was found, why, and what to do."""
    width = max(len(finding.subject) for finding in findings)
    marks = {"good": "✓", "note": "·", "wrong": "✗"}
    for finding in findings:
        say(f"{marks[finding.level]} {finding.subject:<{width}}  {finding.found}")
        for text in (finding.why, f"→ {finding.hint}" if finding.hint else ""):
            if text:
                say(f"  {'':<{width}}  {text}")
    wrong = sum(finding.level == "wrong" for finding in findings)
    say(f"\n{wrong} thing{'s' if wrong != 1 else ''} wrong" if wrong else "\nnothing is wrong")


def _guarded(subject: str, examination: Callable[[], Iterator[Finding]]) -> list[Finding]:
    try:
        return list(examination())
    except ServitizeError as error:
        return [Finding(subject, "wrong", str(error), hint=error.hint)]
    except Exception as error:  # a doctor that dies of what it finds is no help
        return [Finding(subject, "wrong", f"{type(error).__name__}: {error}")]


# -- what is on this machine -------------------------------------------------------------------------------------------


def _python() -> Iterator[Finding]:
    version = platform.python_version()
    found = f"{version} at {sys.executable}"
    if sys.version_info < (3, 11):  # noqa: UP036 - a doctor may be run by any interpreter
        yield Finding("python", "wrong", found, hint="servitize needs Python 3.11 or newer")
    else:
        yield Finding("python", "good", found)


def _commands() -> Iterator[Finding]:
    for name, use in (("mosquitto_pub", "lines to paste for devices"), ("curl", "lines to paste for the API")):
        path = shutil.which(name)
        if path is None:
            package = "mosquitto-clients" if name.startswith("mosquitto") else name
            yield Finding(name, "note", "not installed", f"used only for {use}", f"Debian: apt-get install {package}")
        else:
            yield Finding(name, "good", path, f"used only for {use}")


def _data_directory(data: DataDirectory) -> Iterator[Finding]:
    why = (
        f"SERVITIZE_HOME or --home says so; servers run as user {data.account.name!r}"
        if data.account
        else "SERVITIZE_HOME, --home or the user's data home"
    )
    yield Finding("data directory", "good", str(data.root), why)
    free = shutil.disk_usage(data.root).free
    text = f"{free / 2**30:.1f} GiB free below {data.root}"
    if free < LEAST_FREE_BYTES:
        yield Finding("disk space", "wrong", text, hint="make room: the database stops taking readings on a full disk")
    else:
        yield Finding("disk space", "good", text)


def _postgres(data: DataDirectory) -> Iterator[Finding]:
    from runtime.local.engines import choose_engine, data_major, machine_engines, wheel_engine

    url = os.environ.get("SERVITIZE_DATABASE_URL")
    if url:
        yield Finding(
            "PostgreSQL",
            "good",
            "the server of SERVITIZE_DATABASE_URL",
            "that variable is set; nothing is started here",
        )
        return
    wheel = wheel_engine()
    candidates = [*machine_engines(), *([wheel] if wheel else [])]
    chosen = choose_engine(data, data.root / "postgres")
    major = data_major(data.root / "postgres")
    why = (
        f"the data here was made by version {major}"
        if major
        else "newest that the servers' account can run, the machine's first"
    )
    yield Finding("PostgreSQL", "good", chosen.describe(), why)
    for engine in candidates:
        if engine.version != chosen.version or engine.source != chosen.source:
            yield Finding("PostgreSQL", "note", f"{engine.describe()} is here too and not used")


def _broker(data: DataDirectory) -> Iterator[Finding]:
    from runtime.local import external
    from runtime.local.accounts import first_unreachable
    from runtime.local.mosquitto import BrokerLimits, find_mosquitto

    if os.environ.get("SERVITIZE_MQTT_URL"):
        yield Finding(
            "broker", "good", "the broker of SERVITIZE_MQTT_URL", "that variable is set; nothing is started here"
        )
        service = external.service_endpoint(data)
        assert service is not None
        yield from _external_broker(service, external.control_endpoint(data))
        return
    wanted = os.environ.get("SERVITIZE_MQTT_BROKER", "")
    mosquitto = find_mosquitto() if wanted != "iotcore" else None
    usable = mosquitto is not None and first_unreachable(mosquitto.program, data.account) is None
    if mosquitto is not None and usable:
        limits = BrokerLimits()
        plugin = (
            "with rights per device" if mosquitto.plugin else "without its dynamic security plugin: rights in files"
        )
        yield Finding(
            "broker", "good", f"Mosquitto {mosquitto.version} at {mosquitto.program}, {plugin}",
            f"max_queued_messages 0 (no bound by number), backlog at most {limits.backlog_bytes >> 20} MiB, "
            f"payload at most {limits.payload_bytes >> 20} MiB, saved every {limits.autosave_seconds} s",
        )  # fmt: skip
        return
    yield Finding(
        "broker", "note", "the broker of the iotcore wheel",
        "SERVITIZE_MQTT_BROKER asks for it" if wanted == "iotcore"
        else "no Mosquitto was found that the servers' account can run",
        "it forgets queued messages when it ends and has no rights per topic; Debian: apt-get install mosquitto",
    )  # fmt: skip


def _ports(data: DataDirectory) -> Iterator[Finding]:
    from runtime.local.ports import USUAL_PORTS, is_free

    ports = data.state().get("ports", {})
    running = data.holder() is not None
    words = []
    for name in ("mqtt", "mqtts", "api", "postgres"):
        if name not in ports and name == "mqtts":
            continue
        port = ports.get(name, USUAL_PORTS[name])
        taken = not running and not is_free(port)
        words.append(f"{name} {port}" + (" (taken: another will be chosen)" if taken else ""))
    yield Finding("ports", "good", ", ".join(words), "of last time, else the usual ones, else any free ones")


def _instance(data: DataDirectory) -> Iterator[Finding]:
    holder = data.holder()
    if holder is None:
        yield Finding("instance", "note", f"none runs in {data.root}", hint="servitize up --detach")
        return
    instance = data.state().get("instance", {})
    if not instance.get("ready"):
        yield Finding(
            "instance",
            "wrong",
            f"process {holder} is not ready",
            hint=f"it is starting, stopping, or stuck: {data.root / 'logs'}",
        )
        return
    age = time.time() - float(instance["ready"])
    yield Finding(
        "instance", "good", f"process {holder} (servitize {instance.get('command', 'up')}), ready for {age:.0f} s"
    )
    for name, server in data.state().get("servers", {}).items():
        pid = server.get("pid")
        if pid is not None and not Path(f"/proc/{pid}").exists() and Path("/proc/self").exists():
            yield Finding(
                name, "wrong", f"its process {pid} is gone", hint=f"its log is {data.root / 'logs' / name}.log"
            )


# -- what a running instance says --------------------------------------------------------------------------------------


def _database(data: DataDirectory) -> Iterator[Finding]:
    import psycopg

    from runtime.bootstrap import OWNER
    from runtime.endpoints import read_endpoints
    from storage.migrate import pending
    from storage.queries import load

    dsn = read_endpoints(data).databases[OWNER]
    missing = pending(dsn)
    if missing:
        yield Finding(
            "migrations", "wrong", f"missing: {', '.join(missing)}", hint="stop the instance and start this version"
        )
    else:
        yield Finding("migrations", "good", "up to date")
    queries = load("instance")
    with psycopg.connect(dsn, connect_timeout=5) as connection:
        drift = float(queries.clock(connection)) / 1e6 - time.time()
        level: Level = "good" if abs(drift) < CLOCK_SECONDS else "wrong"
        hint = "" if level == "good" else "set the clocks by NTP: readings would be refused as being of the future"
        yield Finding("clocks", level, f"database {drift:+.2f} s against this machine", hint=hint)
        newest = queries.newest_received(connection)
        if newest is None:
            yield Finding(
                "last commit", "note", "no reading was ever stored", hint="servitize device add EQUIPMENT --type TYPE"
            )
        else:
            age = time.time() - newest / 1e6
            level = "good" if age < STALE_SECONDS else "note"
            yield Finding(
                "last commit",
                level,
                f"newest reading came in {age:.0f} s ago",
                hint="" if level == "good" else "no device is sending",
            )
        letters = int(queries.dead_letter_count(connection))
        yield Finding(
            "dead letters",
            "note" if letters else "good",
            f"{letters}",
            hint="servitize deadletter list" if letters else "",
        )
        stray = queries.stray_readings(connection)
        if stray:
            yield Finding(
                "partitions",
                "wrong",
                f"{stray} readings lie in the default partition",
                hint="restart the instance: it makes the partitions and moves them",
            )
        totals = dict(queries.totals(connection))
        sent, kept = totals.get("ingest.accepted", 0), totals.get("storage.in_measured", 0)
        yield Finding(
            "conservation", "good" if sent == kept else "wrong",
            f"{sent} readings accepted, {kept} committed", "counted in the same transaction as the readings",
            "" if sent == kept else "see docs/reference/conservation.md",
        )  # fmt: skip


def _broker_running(data: DataDirectory) -> Iterator[Finding]:
    from runtime.endpoints import read_endpoints
    from runtime.local.mqtt_probe import is_let_in

    endpoint = read_endpoints(data).broker
    if endpoint is None:
        yield Finding("broker", "wrong", "not running", hint=f"its log is {data.root / 'logs' / 'broker.log'}")
        return
    if data.state().get("servers", {}).get("broker", {}).get("kind") == "external":
        if not os.environ.get("SERVITIZE_MQTT_URL"):  # else it was looked at above
            yield from _external_broker(endpoint, read_endpoints(data).control)
        yield from _accounts(data)
        return
    if not endpoint.tls:
        if is_let_in(endpoint.host, endpoint.port, endpoint.username or "", endpoint.password or ""):
            yield Finding("broker", "good", f"lets ingest in at {endpoint.host}:{endpoint.port}")
        else:
            yield Finding(
                "broker",
                "wrong",
                f"{endpoint.host}:{endpoint.port} does not let ingest in",
                hint=f"its log is {data.root / 'logs' / 'broker.log'}",
            )
    able = data.state().get("broker", {}).get("capabilities", {})
    for note in able.get("notes", []):
        yield Finding("broker", "note", note)


def _external_broker(service: BrokerEndpoint, control: BrokerEndpoint | None) -> Iterator[Finding]:
    """What can be seen of somebody else's broker, and in words what cannot."""
    from runtime.broker_check import MESSAGES, look_at
    from runtime.local.dynsec import DynamicSecurity

    if not service.tls and service.host not in ("127.0.0.1", "localhost", "::1"):
        yield Finding(
            "broker", "note", f"{service.host} is reached in plain text", hint="write mqtts:// in SERVITIZE_MQTT_URL"
        )
    seen = look_at(service)
    yield Finding(
        "broker", "good", f"lets us in at {service.host}:{service.port}; version {seen.version or 'not told'}"
    )
    tried = f"{seen.kept} of {MESSAGES} messages waited for a client that was away"
    if not seen.session or seen.kept < MESSAGES:
        yield Finding(
            "broker", "wrong", tried if seen.session else "it forgets a client that is away",
            "they were acknowledged to who sent them: that is how readings are lost",
            "Mosquitto: max_queued_messages 0 and max_queued_bytes, see deploy/mosquitto/mosquitto.conf",
        )  # fmt: skip
    else:
        yield Finding("broker", "good", tried, "so max_queued_messages is not at its default of 1000")
    yield Finding(
        "broker", "note", "what it keeps over its own death cannot be seen from outside",
        hint="Mosquitto: persistence true, autosave_interval 5, persistent_client_expiration unset or weeks",
    )  # fmt: skip
    if control is None:
        yield Finding(
            "broker accounts", "note", "devices' accounts are made where that broker is managed",
            hint="docs/how-to/device-credentials.md: leave them to us",
        )  # fmt: skip
        return
    with DynamicSecurity(control) as plugin:
        if plugin.denies_by_default():
            yield Finding("broker accounts", "good", "the control account is let in; nothing is allowed by default")
        else:
            yield Finding(
                "broker accounts", "wrong", "whoever has an account may do things that nobody allowed",
                hint="servitize broker sync",
            )  # fmt: skip


def _accounts(data: DataDirectory) -> Iterator[Finding]:
    """Whether an external broker's accounts are as the database says; only where they are ours to keep."""
    from runtime import bootstrap
    from runtime.access import connected
    from runtime.broker_accounts import reconcile, wanted_accounts
    from runtime.endpoints import read_endpoints
    from runtime.local.dynsec import DynamicSecurity

    at = read_endpoints(data)
    if at.control is None:
        return
    master = data.secret(bootstrap.DEVICE_MASTER)
    with connected(at.databases[bootstrap.OWNER]) as connection, DynamicSecurity(at.control) as plugin:
        repair = reconcile(plugin, lambda: wanted_accounts(connection, master), change=False)
    unlike = repair.anything or bool(repair.lost)
    yield Finding(
        "broker accounts", "wrong" if unlike else "good", "; ".join(repair.lines(done=False)),
        hint="servitize broker sync" if repair.anything else "",
    )  # fmt: skip


def _api(data: DataDirectory) -> Iterator[Finding]:
    from runtime.endpoints import read_endpoints
    from runtime.probes import api_answer, api_is_alive

    api = read_endpoints(data).api
    if api is None:
        yield Finding("api", "wrong", "not started", hint=f"its log is {data.root / 'logs' / 'api.log'}")
    elif not api_is_alive(api):
        yield Finding("api", "wrong", f"{api.url} does not answer", hint=f"its log is {data.root / 'logs' / 'api.log'}")
    else:
        ready: Any = api_answer(api, "/readyz")
        if isinstance(ready, dict):
            detail = ", ".join(f"{name} {check['detail']}" for name, check in ready.get("checks", {}).items())
            yield Finding("api", "good", f"{api.url} is ready ({detail})")
        else:
            yield Finding("api", "wrong", f"{api.url} is alive, and not ready", hint=f"ask {api.url}/readyz")

"""The parts of a deployment as processes of this machine: its secrets, its Mosquitto with the configuration that ships,
its database made by the script that ships. Only paths and ports are other than in a container."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

from runtime.local.mosquitto import find_mosquitto
from runtime.local.postgres import DATABASE, OWNER, SUPERUSER, LocalPostgres

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody uses now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def make_secrets(directory: Path, *names: str) -> Path:
    """By the script that ships."""
    subprocess.run([DEPLOY / "secrets.sh", directory, *names], check=True, capture_output=True, text=True)
    directory.chmod(0o755)  # the servers of a test run as another user
    return directory


def make_owner(postgres: LocalPostgres, secrets: Path) -> str:
    """Run deploy/timescaledb/init.sql on a server that is empty but for what LocalPostgres makes; the owner's address
    without its password, which is among the secrets."""
    assert postgres.engine is not None
    with psycopg.connect(postgres.dsn(SUPERUSER, SUPERUSER), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {DATABASE}")
        connection.execute(f"DROP ROLE {OWNER}")
    psql = shutil.which("psql") or str(postgres.engine.bin / "psql")
    environment = {**os.environ, "SECRETS": str(secrets)}
    dsn = postgres.dsn(SUPERUSER, SUPERUSER)
    subprocess.run(
        [psql, "-X", "-q", "-d", dsn, "-f", DEPLOY / "timescaledb" / "init.sql"],
        env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return f"postgresql://{OWNER}@127.0.0.1:{postgres.port}/{DATABASE}"


def role_url(postgres: LocalPostgres, role: str) -> str:
    """The address of another login of that database, without its password."""
    return f"postgresql://{role}@127.0.0.1:{postgres.port}/{DATABASE}"


class DeployedMosquitto:
    """deploy/mosquitto/mosquitto.conf in a process; ``port`` takes passwords, ``certificate_port`` client certificates.

    Use it as a context manager; ``init`` the accounts' file first (`servitize broker init`).
    """

    def __init__(self, directory: Path, secrets: Path) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.secrets = secrets
        self.port, self.certificate_port = free_ports(2)
        self.config = directory / "mosquitto.conf"
        self.accounts = self.data / "dynamic-security.json"
        self.log = directory / "mosquitto.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.data.mkdir(parents=True, exist_ok=True)
        self._configure()

    def environment(self) -> dict[str, str]:
        """How servitize is told of it."""
        return {
            "SERVITIZE_SECRETS": str(self.secrets),
            "SERVITIZE_MQTT_URL": f"mqtts://servitize-service@localhost:{self.port}",
            "SERVITIZE_MQTT_CA": str(self.secrets / "mqtt-ca.crt"),
        }

    def _configure(self) -> None:
        found = find_mosquitto()
        assert found is not None
        assert found.plugin is not None
        text = (DEPLOY / "mosquitto" / "mosquitto.conf").read_text()
        places = {
            "/usr/lib/mosquitto_dynamic_security.so": str(found.plugin),
            "/run/secrets": str(self.secrets),
            "/mosquitto/data": str(self.data),
            "listener 8883 0.0.0.0": f"listener {self.port} 127.0.0.1",
            "listener 8884 0.0.0.0": f"listener {self.certificate_port} 127.0.0.1",
        }
        for there, here in places.items():
            assert there in text, f"mosquitto.conf no longer says {there!r}"
            text = text.replace(there, here)
        if os.geteuid() == 0:
            text += "user root\n"
        self.config.write_text(text)

    def start(self) -> None:
        found = find_mosquitto()
        assert found is not None
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [found.program, "-c", self.config], stdout=log, stderr=log, cwd=self.directory
            )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            assert self._process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(20)
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@contextlib.contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """The process's environment with these SERVITIZE_ variables and no others, for as long as the body runs."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("SERVITIZE_")]:
        del os.environ[name]
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)

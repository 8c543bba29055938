"""docker-compose.yml without Docker: every service as a process of this machine, with the command, the environment, the
secrets and the healthcheck that stand in the file.

A container's world is put in the place of names: hosts become loopback, ports those that are free, volumes and mounted
files directories of the test. A service is shown the secrets that it names and no others, so one that is missing in the
file is missing here.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from runtime.local.kafka_jars import fetch_jars, find_java
from runtime.local.mosquitto import find_mosquitto
from tests.support.installation import DEPLOY, ROOT, free_ports

CODE = "/opt/servitize"
HEALTHY_SECONDS = 120.0


def compose() -> dict[str, Any]:
    """The file as YAML."""
    document = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


def resolved(text: str) -> str:
    """``${NAME:-default}`` as compose reads it where nothing is set; ``$$`` as the container sees it."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text).replace("$$", "$")


@dataclass
class Deployment:
    """``directory`` is the test's; ``secrets`` what deploy/secrets.sh made; ``database_port`` where PostgreSQL listens.

    ``ports``: from those of the containers (service, port) to those of this machine.
    """

    directory: Path
    secrets: Path
    database_port: int
    services: dict[str, Any] = field(default_factory=lambda: compose()["services"])
    ports: dict[tuple[str, int], int] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        here = [("mosquitto", 8883), ("mosquitto", 8884), ("kafka", 9092), ("kafka", 9093), ("api", 8080)]
        here += [(service, 9100) for service in ("ingest-0", "ingest-1", "worker-0")]
        self.ports = dict(zip(here, free_ports(len(here)), strict=True))
        self.ports["timescaledb", 5432] = self.database_port
        for volume in ("mosquitto", "kafka", "admin"):
            self.volume(volume).mkdir(parents=True)

    # -- the container's world -----------------------------------------------------------------------------------

    def translate(self, service: str, text: str) -> str:
        """A text of the file (an address, a path, a line of a script) as it is here, for what runs in ``service``."""
        return self.replaced(service, resolved(text))

    def replaced(self, service: str, text: str) -> str:
        """The same for a file that is mounted, in which ``$`` is not compose's."""
        for (name, port), here in self.ports.items():
            host = "localhost" if name == "mosquitto" else "127.0.0.1"
            text = re.sub(rf"(?<![\w.-]){name}:{port}\b", f"{host}:{here}", text)
            if name == service:
                text = re.sub(rf"(0\.0\.0\.0|127\.0\.0\.1|localhost)(:|/| -p ){port}\b", rf"127.0.0.1\g<2>{here}", text)
        text = text.replace("-h localhost -p 8883", f"-h localhost -p {self.ports['mosquitto', 8883]}")
        for there, here_path in self.places(service).items():
            text = text.replace(there, str(here_path))
        return text

    def places(self, service: str) -> dict[str, Path]:
        """Where the paths of a container are here: secrets, volumes, files that are mounted (translated copies)."""
        places = {"/run/secrets": self.shown(service)}
        for mount in self.services[service].get("volumes", []):
            source, target = mount.split(":")[:2]
            if source.startswith("./"):
                places[target] = self.directory / service / Path(target).name
            else:
                places[target] = self.volume(source)
        return places

    def volume(self, name: str) -> Path:
        """Where a volume is here."""
        return self.directory / "volumes" / name

    def shown(self, service: str) -> Path:
        """A directory with the secrets that the service names."""
        directory = self.directory / service / "secrets"
        if not directory.exists():
            directory.mkdir(parents=True)
            for name in self.services[service].get("secrets", []):
                shutil.copy(self.secrets / name, directory / name)
        return directory

    def environment(self, service: str) -> dict[str, str]:
        """What the process sees; of the machine's own only what it needs to run at all."""
        kept = ("PATH", "HOME", "TMPDIR", "LANG", "JAVA_HOME", "XDG_CACHE_HOME")
        given = self.services[service].get("environment", {})
        home = self.volume("admin") if service == "admin" else self.directory / service / "home"
        return {
            **{name: os.environ[name] for name in kept if name in os.environ},
            "PYTHONPATH": str(ROOT),
            "SERVITIZE_HOME": str(home),
            **{name: self.translate(service, str(value)) for name, value in given.items()},
        }

    # -- our services --------------------------------------------------------------------------------------------

    def command(self, service: str, words: Sequence[str] | None = None) -> list[str]:
        """The image's entrypoint with the service's command."""
        told = self.services[service]["command"] if words is None else words
        return [sys.executable, "-m", "runtime.cli", *(self.translate(service, word) for word in told)]

    def run(self, service: str, *words: str) -> str:
        """``docker compose run --rm SERVICE [WORDS]``; what it said."""
        done = subprocess.run(
            self.command(service, words or None), env=self.environment(service), capture_output=True, text=True,
            check=False, timeout=300, cwd=self.directory,
        )  # fmt: skip
        assert done.returncode == 0, f"{service}: {done.stderr}{done.stdout}"
        return done.stdout

    def start(self, service: str) -> None:
        """As compose does it; returns at once."""
        self._start(service, self.command(service), self.environment(service))

    def _start(self, service: str, command: Sequence[str | Path], environment: Mapping[str, str]) -> None:
        with self.log(service).open("ab") as log:
            self.processes[service] = subprocess.Popen(
                command, env=dict(environment), stdout=log, stderr=log, cwd=self.directory, start_new_session=True
            )

    def log(self, service: str) -> Path:
        return self.directory / f"{service}.log"

    def is_healthy(self, service: str) -> bool:
        """What its healthcheck says, run here."""
        kind, *words = self.services[service]["healthcheck"]["test"]
        if kind == "CMD-SHELL":
            command = ["sh", "-c", self.translate(service, words[0])]
        else:
            assert kind == "CMD"
            command = [self.translate(service, word) for word in words]
            if command[0] == "python":
                command[0] = sys.executable
            if command[0] == "pg_isready":
                command += ["-p", str(self.ports["timescaledb", 5432])]
        done = subprocess.run(command, env=self.environment(service), capture_output=True, check=False, timeout=30)
        return done.returncode == 0

    def wait_until_healthy(self, *services: str) -> None:
        deadline = time.monotonic() + HEALTHY_SECONDS
        for service in services:
            while not self.is_healthy(service):
                process = self.processes.get(service)
                ended = process is not None and process.poll() is not None
                assert not ended, f"{service} ended: {self.log(service).read_text()[-3000:]}"
                assert time.monotonic() < deadline, f"{service} is not healthy: {self.log(service).read_text()[-3000:]}"
                time.sleep(0.5)

    def stop(self, *services: str) -> dict[str, int]:
        """TERM to these (all where none is named), and the exit codes; who does not end is killed."""
        ending = {name: self.processes.pop(name) for name in services or list(self.processes)[::-1]}
        codes = {}
        for process in ending.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        for name, process in ending.items():
            try:
                codes[name] = process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                codes[name] = process.wait()
        return codes

    # -- those of others -----------------------------------------------------------------------------------------

    def mounted(self, service: str) -> None:
        """The files that are mounted, with names and ports as they are here."""
        for mount in self.services[service].get("volumes", []):
            source, target = mount.split(":")[:2]
            if source.startswith("./"):
                copy = self.places(service)[target]
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_text(self.replaced(service, (ROOT / source).read_text()))

    def start_mosquitto(self) -> None:
        """The program of this machine with the file that ships."""
        found = find_mosquitto()
        assert found is not None
        self.mounted("mosquitto")
        config = self.places("mosquitto")["/mosquitto/config/mosquitto.conf"]
        text = config.read_text().replace("/usr/lib/mosquitto_dynamic_security.so", str(found.plugin))
        for port in (8883, 8884):
            text = text.replace(f"listener {port} 0.0.0.0", f"listener {self.ports['mosquitto', port]} 127.0.0.1")
        config.write_text(text + ("user root\n" if os.geteuid() == 0 else ""))
        program, *words = [self.translate("mosquitto", word) for word in self.services["mosquitto"]["command"]]
        assert program == "mosquitto"
        self._start("mosquitto", [found.program, *words], self.environment("mosquitto"))

    def start_kafka(self) -> None:
        """deploy/kafka/start.sh and server.properties with the jars that Maven fetches."""
        self.mounted("kafka")
        jars, java = fetch_jars(), find_java()
        tools = self.directory / "kafka-bin"
        tools.mkdir()
        flags = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto"
        log4j = f"-Dlog4j2.configurationFile={DEPLOY / 'kafka' / 'log4j2.properties'}"
        for name, main in (("kafka-storage.sh", "kafka.tools.StorageTool"), ("kafka-server-start.sh", "kafka.Kafka")):
            script = f'#!/bin/sh\nexec "{java}" -Xmx512m {flags} {log4j} -cp "{jars}/*" {main} "$@"\n'
            (tools / name).write_text(script)
            (tools / name).chmod(0o755)
        places = self.places("kafka")
        environment = {
            **self.environment("kafka"),
            "KAFKA_BIN": str(tools),
            "KAFKA_CONFIG": str(places["/etc/servitize/server.properties"]),
            "SECRETS": str(self.shown("kafka")),
        }
        entry = self.services["kafka"]["entrypoint"]
        self._start("kafka", [self.translate("kafka", word) for word in entry], environment)

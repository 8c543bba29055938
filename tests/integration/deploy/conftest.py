"""One installation for all tests of this room: secrets, database, broker, as the deployment makes them."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runtime import cli
from runtime.local.accounts import service_account
from runtime.local.mosquitto import find_mosquitto
from runtime.local.paths import DataDirectory
from runtime.local.postgres import LocalPostgres
from tests.conftest import clean_environ
from tests.support.installation import DeployedMosquitto, environment, make_owner, make_secrets


@dataclass
class Installation:
    """``run("device", "add", …)`` is a command of the administrator's container; its JSON comes back."""

    root: Path
    secrets: Path
    database_url: str
    postgres: LocalPostgres
    broker: DeployedMosquitto
    more: dict[str, str] = field(default_factory=dict)

    def environ(self) -> dict[str, str]:
        return {
            "SERVITIZE_HOME": str(self.root / "admin"),
            "SERVITIZE_DATABASE_URL": self.database_url,
            **self.broker.environment(),
            **self.more,
        }

    def call(self, *words: str) -> int:
        with environment(self.environ()):
            return cli.run(list(words))

    def dsn(self, role: str) -> str:
        password = (self.secrets / f"database-{role}").read_text()
        return f"host=127.0.0.1 port={self.postgres.port} dbname=servitize user={role} password={password}"


Run = Callable[..., Any]


@pytest.fixture(scope="session")
def installation() -> Iterator[Installation]:
    found = find_mosquitto()
    if found is None or found.plugin is None:
        pytest.skip("needs Mosquitto with its dynamic security plugin (Debian: apt-get install mosquitto)")
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl (Debian: apt-get install openssl)")
    root = Path(tempfile.mkdtemp(prefix="servitize-test-"))
    root.chmod(0o755)
    try:
        secrets = make_secrets(root / "secrets", "broker.example")
        fast = {"fsync": "off", "full_page_writes": "off"}
        data = DataDirectory(root / "database", service_account(clean_environ()))
        with data, LocalPostgres(data, port=0, settings=fast, environ=clean_environ()) as postgres:
            url = make_owner(postgres, secrets)
            broker = DeployedMosquitto(root / "mosquitto", secrets)
            made = Installation(root, secrets, url, postgres, broker)
            assert made.call("broker", "init", str(broker.accounts)) == 0
            if os.geteuid() == 0:
                shutil.chown(broker.accounts, "root")
            with broker:
                yield made
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def run(installation: Installation, capsys: pytest.CaptureFixture[str]) -> Run:
    """``run("device", "list")`` gives the JSON a command prints; ``code`` is what it must exit with."""

    def run(*words: str, code: int = 0, as_json: bool = True) -> Any:
        capsys.readouterr()
        got = installation.call(*words, *(["--json"] if as_json else []))
        said = capsys.readouterr()
        assert got == code, said.err + said.out
        return json.loads(said.out) if as_json and code == 0 else said.out + said.err

    return run

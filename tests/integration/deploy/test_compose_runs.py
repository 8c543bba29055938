"""Every service of docker-compose.yml really runs: with its command, environment, secrets and healthcheck, and together
they carry a reading from a device to the API. Without Docker; of others' images only the programs are tried."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from core.errors import UnavailableError
from ingest.share import Share
from runtime.local.accounts import service_account
from runtime.local.kafka_jars import fetch_jars, find_java
from runtime.local.mosquitto import find_mosquitto
from runtime.local.paths import DataDirectory
from runtime.local.postgres import LocalPostgres
from tests.conftest import clean_environ
from tests.support.deployment import Deployment, compose
from tests.support.installation import make_owner, make_secrets

pytestmark = [pytest.mark.integration, pytest.mark.kafka, pytest.mark.timeout(900)]

OURS = [name for name, service in compose()["services"].items() if "build" in service]
RUNNING = [name for name in OURS if compose()["services"][name].get("restart") != "no"]
TENANTS = [next(name for name in ("acme", "bolt", "crane", "dyno") if Share(n, 2).serves(name)) for n in range(2)]
"""One for each ingest."""
NOT_HERE = {"grafana"}
"""Of which there is no program to try."""


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    """Everything up, in the order of ``depends_on``."""
    found = find_mosquitto()
    if found is None or found.plugin is None or shutil.which("mosquitto_sub") is None:
        pytest.skip("needs Mosquitto, its clients and its plugin (Debian: apt-get install mosquitto mosquitto-clients)")
    if shutil.which("openssl") is None or shutil.which("pg_isready") is None:
        pytest.skip("needs openssl and pg_isready (Debian: apt-get install openssl postgresql-client)")
    try:
        fetch_jars()
        find_java()
    except UnavailableError as error:
        pytest.skip(f"{error}: {error.hint}")
    root = Path(tempfile.mkdtemp(prefix="servitize-test-"))
    root.chmod(0o755)
    fast = {"fsync": "off", "full_page_writes": "off"}
    try:
        secrets = make_secrets(root / "secrets")
        data = DataDirectory(root / "database", service_account(clean_environ()))
        with data, LocalPostgres(data, port=0, settings=fast, environ=clean_environ()) as postgres:
            make_owner(postgres, secrets)
            made = Deployment(root / "containers", secrets, postgres.port)
            try:
                yield _brought_up(made)
            finally:
                made.stop()
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _brought_up(deployment: Deployment) -> Deployment:
    started: set[str] = set()
    waiting = {name for name, service in deployment.services.items() if not service.get("profiles")}
    while waiting:
        ready = sorted(name for name in waiting if set(deployment.services[name].get("depends_on", {})) <= started)
        assert ready, f"{waiting} wait for each other"
        for name in ready:
            _bring_up(deployment, name)
        deployment.wait_until_healthy(*(name for name in ready if name in {*RUNNING, "mosquitto", "kafka"}))
        started |= set(ready)
        waiting -= set(ready)
    return deployment


def _bring_up(deployment: Deployment, name: str) -> None:
    if name in NOT_HERE:
        return
    if name == "timescaledb":
        assert deployment.is_healthy(name)
    elif name == "mosquitto":
        deployment.start_mosquitto()
    elif name == "kafka":
        deployment.start_kafka()
    elif deployment.services[name].get("restart") == "no":
        deployment.run(name)
    else:
        deployment.start(name)


def ask(deployment: Deployment, path: str, token: str | None = None) -> tuple[int, Any]:
    request = urllib.request.Request(f"http://127.0.0.1:{deployment.ports['api', 8080]}{path}")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            body = answer.read().decode()
            return answer.status, json.loads(body) if body.startswith(("{", "[")) else body
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def tell(deployment: Deployment, path: str, body: dict[str, Any], token: str) -> dict[str, Any]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{deployment.ports['api', 8080]}{path}", data=json.dumps(body).encode(), method="POST"
    )
    request.add_header("Authorization", f"Bearer {token}")
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return dict(json.loads(answer.read()))
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read().decode()) from error


def test_every_service_is_healthy_at_once(deployment: Deployment) -> None:
    for name in [*RUNNING, "mosquitto", "kafka", "timescaledb"]:
        assert deployment.is_healthy(name), name


def test_a_reading_of_a_device_gets_through_to_the_api(deployment: Deployment) -> None:
    """Over TLS to the broker, by the ingest of its tenant to Kafka, through a worker into the database."""
    for tenant in TENANTS:
        deployment.run("admin", "tenant", "add", tenant)
        made = json.loads(
            deployment.run(
                "admin", "device", "add", "press-7", "--type", "compressor-train", "--tenant", tenant, "--json"
            )
        )
        assert made["notes"] == []
        assert (made["host"], made["tls"]) == ("localhost", True)
        words = [
            "mosquitto_pub", "-h", "localhost", "-p", str(deployment.ports["mosquitto", 8883]), "-i", made["client_id"],
            "-u", made["username"], "-P", made["password"], "-q", "1", "-t", made["topic"],
            "-m", '{"values": {"train.speed": 9800}}', "--cafile", str(deployment.secrets / "mqtt-ca.crt"),
        ]  # fmt: skip
        key = (deployment.volume("admin") / "secrets" / f"api-key-{tenant}").read_text()
        deadline = time.monotonic() + 60
        while True:
            status, latest = ask(deployment, "/v1/equipment/press-7/latest", key)
            if status == 200 and any(item.get("value") == 9800 for item in latest["items"]):
                break
            assert time.monotonic() < deadline, f"{tenant}: {status} {latest}"
            time.sleep(0.3)  # ingest hears of a new tenant within a second or two
            subprocess.run(words, check=True, timeout=30)


def test_figures_are_for_who_has_the_token(deployment: Deployment) -> None:
    status, text = ask(deployment, "/metrics", (deployment.secrets / "metrics-token").read_text())
    assert status == 200
    assert "servitize_" in text


@pytest.mark.parametrize("service", ["ingest-0", "ingest-1", "worker-0"])
def test_prometheus_finds_the_figures_of_the_stream(deployment: Deployment, service: str) -> None:
    url = f"http://127.0.0.1:{deployment.ports[service, 9100]}/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert b"servitize_" in answer.read()


def test_a_device_made_by_api_is_let_in_by_the_caretaker(deployment: Deployment) -> None:
    tenant = TENANTS[0]
    key = (deployment.volume("admin") / "secrets" / f"api-key-{tenant}").read_text()
    tell(deployment, "/v1/equipment", {"key": "press-8", "name": "Press 8", "type": "compressor-train"}, key)
    made = tell(deployment, "/v1/devices", {"equipment": "press-8"}, key)
    words = [
        "mosquitto_pub", "-h", "localhost", "-p", str(deployment.ports["mosquitto", 8883]), "-i", made["client_id"],
        "-u", made["username"], "-P", made["password"], "-q", "1", "-t", f"servitize/v1/{tenant}/press-8/telemetry",
        "-m", '{"values": {"train.speed": 1}}', "--cafile", str(deployment.secrets / "mqtt-ca.crt"),
    ]  # fmt: skip
    deadline = time.monotonic() + 20
    while subprocess.run(words, check=False, capture_output=True, timeout=30).returncode != 0:
        assert time.monotonic() < deadline, deployment.log("caretaker").read_text()
        time.sleep(0.3)


def test_no_service_is_a_superuser_or_logs_in_as_more_than_it_is(deployment: Deployment) -> None:
    for name in OURS:
        url = deployment.environment(name).get("SERVITIZE_DATABASE_URL")
        if url is None:
            continue
        user = url.split("//")[1].split("@")[0]
        assert (user == "servitize") == (name in {"migrate", "admin"}), f"{name} logs in as {user}"
        password = (deployment.secrets / f"database-{user}").read_text()
        with psycopg.connect(url, password=password) as connection:
            assert connection.execute("SHOW is_superuser").fetchone() == ("off",)


def test_another_login_than_its_own_is_refused(deployment: Deployment) -> None:
    environment = deployment.environment("api")
    environment["SERVITIZE_DATABASE_URL"] = deployment.environment("migrate")["SERVITIZE_DATABASE_URL"]
    done = subprocess.run(deployment.command("api"), env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "logs in to the database as servitize_api" in done.stderr


def test_all_end_in_order_when_told(deployment: Deployment) -> None:
    """Last of all: compose's ``stop_grace_period`` is never needed."""
    codes = deployment.stop(*RUNNING)
    assert codes.pop("api") in (0, -15)  # uvicorn ends in order and then by the signal that it was sent
    assert set(codes.values()) == {0}, codes

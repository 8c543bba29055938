"""What a service is told: complete, its own login, or a refusal that names what is missing."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from core.errors import InvalidInputError, ServitizeError
from ingest.tls import ClientTls
from runtime import healthcheck
from runtime.local.paths import DataDirectory
from runtime.service_settings import broker, database, endpoints, metrics_listen, number, worker_name

WRITER = {"SERVITIZE_DATABASE_URL": "postgresql://servitize_writer@db:5432/servitize?sslmode=require"}
MQTT = {"SERVITIZE_MQTT_URL": "mqtts://servitize-service@broker:8883", "SERVITIZE_MQTT_CA": "/ca.crt"}


@pytest.fixture
def data(tmp_path: Path) -> DataDirectory:
    given = tmp_path / "secrets"
    given.mkdir()
    (given / "database-servitize_writer").write_text("word\n")
    (given / "servitize-service").write_text("ours")
    return DataDirectory(tmp_path / "home", given=given)


def test_a_password_comes_from_its_file_and_everything_else_of_the_address_stays(data: DataDirectory) -> None:
    told = database(data, "worker", WRITER)
    assert "password=word" in told
    assert "sslmode=require" in told


@pytest.mark.parametrize("kind", ["worker", "ingest", "caretaker"])
def test_a_service_logs_in_as_itself(data: DataDirectory, kind: str) -> None:
    for login in ("servitize", "servitize_api", "postgres"):
        with pytest.raises(InvalidInputError, match=f"servitize_writer, and SERVITIZE_DATABASE_URL says {login}"):
            database(data, kind, {"SERVITIZE_DATABASE_URL": f"postgresql://{login}@db/servitize"})


def test_a_secret_that_is_not_given_is_named_and_none_is_made(data: DataDirectory) -> None:
    assert data.given is not None
    (data.given / "database-servitize_writer").unlink()
    (data.given / "servitize-service").unlink()
    with pytest.raises(ServitizeError, match="database-servitize_writer") as missing:
        database(data, "worker", WRITER)
    assert "deploy/secrets.sh" in missing.value.hint
    with pytest.raises(ServitizeError, match="servitize-service"):
        broker(data, MQTT)
    with pytest.raises(ServitizeError, match="device-master"):
        data.secret("device-master")
    assert list(data.given.iterdir()) == []


@pytest.mark.parametrize("name", ["SERVITIZE_DATABASE_URL"])
def test_a_variable_that_is_missing_is_named_with_an_example(data: DataDirectory, name: str) -> None:
    with pytest.raises(InvalidInputError, match=name) as missing:
        database(data, "api", {})
    assert f"{name}=postgresql://servitize_api@" in missing.value.hint


def test_an_address_that_is_none_is_refused_without_repeating_it(data: DataDirectory) -> None:
    with pytest.raises(InvalidInputError) as refused:
        database(data, "worker", {"SERVITIZE_DATABASE_URL": "postgresql://servitize_writer:hush@[db/servitize"})
    assert "hush" not in str(refused.value)


def test_the_control_account_is_there_only_with_its_secret(data: DataDirectory) -> None:
    assert data.given is not None
    assert endpoints(data, "caretaker", WRITER | MQTT).control is None
    (data.given / "servitize-control").write_text("control")
    control = endpoints(data, "caretaker", WRITER | MQTT).control
    assert control is not None
    assert (control.username, control.password, control.tls, control.ca) == (
        "servitize-control",
        "control",
        True,
        "/ca.crt",
    )


def test_a_certificate_stands_in_for_a_password(data: DataDirectory) -> None:
    assert data.given is not None
    (data.given / "servitize-service").unlink()
    files = {"SERVITIZE_MQTT_CERT": "/c.crt", "SERVITIZE_MQTT_KEY": "/c.key", "SERVITIZE_MQTT_SERVER_NAME": "b.example"}
    at = broker(data, MQTT | files)
    assert (at.password, at.certificate, at.key, at.server_name) == (None, "/c.crt", "/c.key", "b.example")


def test_tls_files_for_plain_text_are_a_mistake(data: DataDirectory) -> None:
    with pytest.raises(InvalidInputError, match="plain text"):
        broker(data, {**MQTT, "SERVITIZE_MQTT_URL": "mqtt://servitize-service@broker:1883"})


def test_tls_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nothing")
    for tls in (
        ClientTls(str(tmp_path / "none")),
        ClientTls(str(nonsense)),
        ClientTls(None, str(nonsense), str(nonsense)),
    ):
        with pytest.raises(InvalidInputError, match=r"none|nonsense"):
            tls.context()
    with pytest.raises(InvalidInputError, match="its key"):
        ClientTls(None, "only.crt")


def test_numbers_and_names_are_checked() -> None:
    assert number({}, "N", 3) == 3
    with pytest.raises(InvalidInputError, match="'x'"):
        number({"N": "x"}, "N", 3)
    with pytest.raises(InvalidInputError, match="worker 1"):
        worker_name({"SERVITIZE_WORKER_NAME": "worker 1"})


def test_figures_are_shown_only_where_somebody_said() -> None:
    assert metrics_listen({}).port is None
    at = metrics_listen({"SERVITIZE_METRICS_LISTEN": "0.0.0.0:9100"})
    assert (at.host, at.port) == ("0.0.0.0", 9100)
    with pytest.raises(InvalidInputError, match="no port"):
        metrics_listen({"SERVITIZE_METRICS_LISTEN": "0.0.0.0"})


class TestHealthcheck:
    def test_a_sign_of_life_must_be_fresh(self, tmp_path: Path) -> None:
        (tmp_path / "run").mkdir()
        assert "no status yet" in str(healthcheck.check("worker", tmp_path))
        (tmp_path / "run" / "worker.json").write_text("{}")
        assert healthcheck.check("worker", tmp_path) is None
        assert "s old" in str(healthcheck.check("worker", tmp_path, now=time.time() + 60))

    def test_who_lives_need_not_be_ready(self, tmp_path: Path) -> None:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "ingest.json").write_text(json.dumps({"connected": False}))
        assert healthcheck.check("ingest", tmp_path) is None
        assert "broker" in str(healthcheck.check("ingest", tmp_path, ready=True))

    def test_an_api_that_does_not_answer_is_not_well(self, tmp_path: Path) -> None:
        api = {"host": "0.0.0.0", "port": 1, "certificate": None}
        (tmp_path / "endpoints.json").write_text(json.dumps({"api": api}))
        assert "healthz" in str(healthcheck.check("api", tmp_path))
        assert "healthz" in str(healthcheck.check("any", tmp_path))

    def test_it_needs_a_kind(self) -> None:
        assert healthcheck.main([]) == 2
        assert healthcheck.main(["postgres"]) == 2

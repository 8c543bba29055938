"""docker-compose.yml says what is there: it is checked against code, scripts and configurations, and each kind of
mistake is noticed."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import charts
from tests.support.deployment import compose
from tests.support.installation import DEPLOY, ROOT
from tests.support.manifests import compose_problems, made_secrets

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="needs openssl (Debian: apt-get install openssl)"
)
needs_charts = pytest.mark.skipif(not charts.program().exists(), reason=charts.HINT)

Mistake = Callable[[dict[str, Any]], None]


def test_nothing_is_wrong_with_the_file() -> None:
    assert compose_problems(compose()) == []


def _set(service: str, key: str, value: Any) -> Mistake:
    return lambda document: document["services"][service].__setitem__(key, value)


def _remove(service: str, key: str) -> Mistake:
    return lambda document: document["services"][service].pop(key)


def _environment(service: str, name: str, value: str) -> Mistake:
    def change(document: dict[str, Any]) -> None:
        document["services"][service]["environment"] |= {name: value}

    return change


def _without_secret(service: str, secret: str) -> Mistake:
    return lambda document: document["services"][service]["secrets"].remove(secret)


def _with_secret(service: str, secret: str) -> Mistake:
    return lambda document: document["services"][service]["secrets"].append(secret)


def _health(service: str, *words: str) -> Mistake:
    return lambda document: document["services"][service]["healthcheck"].__setitem__("test", list(words))


OWNER = "postgresql://servitize@timescaledb:5432/servitize"
MISTAKES: dict[str, tuple[Mistake, str]] = {
    "image without a version": (_set("mosquitto", "image", "eclipse-mosquitto"), "not pinned"),
    "image of latest": (_set("grafana", "image", "grafana/grafana:latest"), "not pinned"),
    "another Kafka than the tests'": (_set("kafka", "image", "apache/kafka:3.9.0"), "the tests run"),
    "another Grafana than the boards'": (_set("grafana", "image", "grafana/grafana:10.4.0"), "the boards are made for"),
    "our image of another version": (_set("api", "image", "servitize:9.9.9"), "not of this version"),
    "a command that is none": (_set("api", "command", ["server"]), "No such command"),
    "a service that is none": (_set("worker-0", "command", ["serve", "works"]), "serve works"),
    "an option that is none": (_set("migrate", "command", ["migrate", "--all"]), "No such option"),
    "a command that is not mounted": (_set("mosquitto", "command", ["mosquitto", "-c", "/mosquitto.conf"]), "mounted"),
    "a variable that nobody reads": (_environment("api", "SERVITIZE_API_LISTENS", "1"), "nothing reads"),
    "a password in an address": (_environment("api", "SERVITIZE_DATABASE_URL", "postgresql://servitize_api:x@timescaledb:5432/s"), "password"),
    "a password written out": (_environment("timescaledb", "POSTGRES_PASSWORD", "postgres"), "written out"),
    "the owner's login": (_environment("worker-0", "SERVITIZE_DATABASE_URL", OWNER), "logs in to the database as servitize"),
    "a host that is not there": (_environment("ingest-0", "SERVITIZE_KAFKA_SERVERS", "kafak:9092"), "no service kafak"),
    "a port where nothing listens": (_environment("ingest-0", "SERVITIZE_KAFKA_SERVERS", "kafka:9094"), "does not listen on 9094"),
    "a broker in plain text": (_environment("ingest-0", "SERVITIZE_MQTT_URL", "mqtt://servitize-service@mosquitto:1883"), "does not listen on 1883"),
    "a network that is not shared": (_set("worker-0", "networks", ["data"]), "shares no network with kafka"),
    "a way out of the database's network": (lambda d: d["networks"].__setitem__("data", {}), "way out of data"),
    "a secret that is not shown": (_without_secret("api", "database-servitize_api"), "not shown the secret"),
    "a secret of the broker's configuration": (_without_secret("mosquitto", "mqtt-devices-ca.crt"), "not shown the secret mqtt-devices-ca"),
    "a secret of a healthcheck": (_without_secret("mosquitto", "servitize-service"), "not shown the secret servitize-service"),
    "a secret of a script": (_without_secret("kafka", "kafka-cluster-id"), "not shown the secret kafka-cluster-id"),
    "a secret too many": (_with_secret("grafana", "device-master"), "does not need"),
    "the owner's password": (_with_secret("worker-0", "database-servitize"), "owner's password"),
    "the superuser's password": (_with_secret("migrate", "database-postgres"), "superuser's password"),
    "a secret nobody declared": (_with_secret("admin", "master"), "used and not declared"),
    "a secret nobody makes": (lambda d: d["secrets"].__setitem__("x", {"file": "./secrets/x"}), "makes no x"),
    "a secret elsewhere": (lambda d: d["secrets"].__setitem__("grafana-admin", {"file": "./admin"}), "no file of deploy/secrets.sh"),
    "a volume nobody declared": (_set("kafka", "volumes", ["log:/var/lib/kafka/data"]), "volume log is not declared"),
    "a volume nobody uses": (lambda d: d["volumes"].__setitem__("old", None), "declared and not used"),
    "a file that is not there": (_set("timescaledb", "volumes", ["./deploy/init.sql:/x.sql:ro", "timescaledb:/d"]), "is not there"),
    "a file that can be written": (_set("timescaledb", "volumes", ["./deploy/timescaledb/init.sql:/x.sql", "timescaledb:/d"]), "can be written"),
    "a port for everybody": (_set("api", "ports", ["8080:8080"]), "other machines"),
    "a port behind which nobody listens": (_set("api", "ports", ["127.0.0.1:8080:8081"]), "nothing listens on 8081"),
    "a port in an internal network": (_set("api", "networks", ["data"]), "cannot be reached"),
    "no healthcheck": (_remove("worker-0", "healthcheck"), "no healthcheck"),
    "a healthcheck of another service": (_health("worker-0", "CMD", "python", "-m", "runtime.healthcheck", "ingest"), "asks for ingest"),
    "a healthcheck that is not there": (_health("api", "CMD", "curl", "http://127.0.0.1:8080"), "its healthcheck is"),
    "a healthcheck of another port": (_health("kafka", "CMD", "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9192"), "asks 9192"),
    "a file system to write": (_set("api", "read_only", False), "can be written"),
    "capabilities": (_set("kafka", "cap_drop", []), "capabilities"),
    "privileges to gain": (_remove("grafana", "security_opt"), "privileges"),
    "root": (_set("timescaledb", "user", "0:0"), "runs as 0:0"),
    "no user": (_remove("kafka", "user"), "runs as 0"),
    "no limits": (_remove("ingest-1", "deploy"), "no limits"),
    "not waiting until it is ready": (_set("api", "depends_on", {"migrate": {"condition": "service_started"}}), "wait until migrate"),
    "waiting for nobody": (_set("api", "depends_on", {"db": {"condition": "service_healthy"}}), "not there"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_noticed(mistake: str) -> None:
    document = copy.deepcopy(compose())
    change, words = MISTAKES[mistake]
    change(document)
    problems = compose_problems(document)
    assert any(words in problem for problem in problems), problems


def test_the_ingests_share_all_tenants_among_them() -> None:
    told = [s["environment"] for n, s in compose()["services"].items() if n.startswith("ingest-")]
    assert {e["SERVITIZE_INGEST_COUNT"] for e in told} == {str(len(told))}
    assert sorted(int(e["SERVITIZE_INGEST_ORDINAL"]) for e in told) == list(range(len(told)))


def test_no_two_workers_have_one_name() -> None:
    names = [
        s["environment"]["SERVITIZE_WORKER_NAME"]
        for s in compose()["services"].values()
        if s.get("command") == ["serve", "worker"]
    ]
    assert names
    assert len(set(names)) == len(names)


@needs_charts
def test_compose_itself_takes_the_file() -> None:
    project = charts.load_compose(ROOT / "docker-compose.yml")
    assert project["services"].keys() == compose()["services"].keys()
    assert all(port["host_ip"] == "127.0.0.1" for s in project["services"].values() for port in s.get("ports", []))


@needs_charts
@pytest.mark.parametrize("word", ["heathcheck", "secrets_", "depend_on"])
def test_compose_itself_refuses_a_misspelt_key(tmp_path: Path, word: str) -> None:
    document = compose()
    document["services"]["api"][word] = {}
    (tmp_path / "docker-compose.yml").write_text(yaml.safe_dump(document))
    with pytest.raises(charts.RefusedError, match=word):
        charts.load_compose(tmp_path / "docker-compose.yml")


class TestSecretsScript:
    def test_what_is_there_is_kept_and_nobody_else_may_enter(self, tmp_path: Path) -> None:
        import subprocess

        place = tmp_path / "secrets"
        for _ in range(2):
            subprocess.run(
                [DEPLOY / "secrets.sh", place, "broker.example", "192.0.2.7"], check=True, capture_output=True
            )
            texts = {path.name: path.read_bytes() for path in place.iterdir()}
        subprocess.run([DEPLOY / "secrets.sh", place], check=True, capture_output=True)
        assert {path.name: path.read_bytes() for path in place.iterdir()} == texts
        assert place.stat().st_mode & 0o777 == 0o700
        assert (place / "mqtt-ca.key").stat().st_mode & 0o777 == 0o600
        shown = subprocess.run(
            ["openssl", "x509", "-in", place / "mqtt-server.crt", "-noout", "-ext", "subjectAltName"],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        for name in ("DNS:mosquitto", "DNS:localhost", "DNS:broker.example", "192.0.2.7"):
            assert name in shown

    def test_no_two_passwords_are_alike_and_each_has_192_bits(self, tmp_path: Path) -> None:
        import subprocess

        subprocess.run([DEPLOY / "secrets.sh", tmp_path], check=True, capture_output=True)
        words = [(tmp_path / n).read_text() for n in made_secrets() if not n.startswith(("mqtt-", "kafka-"))]
        assert len(words) == len(set(words)) == 11
        assert all(len(word) == 32 and word.strip() == word for word in words)


class TestDockerfile:
    TEXT = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")

    def test_packages_come_by_hash_and_the_base_by_version(self) -> None:
        installs = [line for line in self.TEXT.splitlines() if "pip install" in line]
        assert len(installs) == 3
        for line in installs:
            assert ("--require-hashes" in line and "--only-binary :all:" in line) or "--no-index" in line, line
        assert "ARG PYTHON=python:3.13." in self.TEXT

    def test_what_it_copies_is_there_and_not_ignored(self) -> None:
        ignored = (ROOT / ".dockerignore").read_text().split()
        for path in ("requirements/build.lock", "requirements/runtime.lock", "pyproject.toml", "README.md", "LICENSE"):
            assert (ROOT / path).exists()
            assert path.split("/")[0] not in ignored
        assert "secrets" in ignored

    def test_its_user_is_who_compose_and_the_chart_say(self) -> None:
        assert "\nUSER 10001:10001\n" in self.TEXT
        ours = {n: s["user"] for n, s in compose()["services"].items() if "build" in s}
        assert {user for name, user in ours.items() if name != "broker-init"} == {"10001:10001"}
        assert "runAsUser: 10001" in (DEPLOY / "helm/servitize/templates/_helpers.tpl").read_text()

"""The Helm chart, rendered by helm's own engine: objects that Kubernetes takes, with commands, ports, secrets, probes
and policies that fit the code."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from runtime.local.paths import DataDirectory
from runtime.serve import _kafka, _mqtt
from runtime.service_settings import database, endpoints, worker_name
from tests.support import charts
from tests.support.installation import DEPLOY
from tests.support.manifests import chart_problems

CHART = DEPLOY / "helm" / "servitize"
pytestmark = [
    pytest.mark.skipif(not charts.program().exists(), reason=charts.HINT),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl (Debian: apt-get install openssl)"),
]
KUBERNETES = ("1.28", "1.32", "1.35")

LEAST: dict[str, Any] = {
    "secretName": "servitize",
    "database": {"host": "db.example"},
    "mqtt": {"host": "broker.example"},
    "kafka": {"servers": "k1.example:9093,k2.example:9094"},
}
MOST: dict[str, Any] = {
    **LEAST,
    "image": {
        "repository": "registry.example/servitize",
        "digest": "sha256:" + "a" * 64,
        "pullSecrets": [{"name": "p"}],
    },
    "mqtt": {"host": "10.0.0.9", "serverName": "broker.example", "publicUrl": "mqtts://broker.example:8883"},
    "admin": {"enabled": True},
    "metrics": {"enabled": True, "from": [{"namespaceSelector": {"matchLabels": {"a": "monitoring"}}}]},
    "traces": {"endpoint": "http://collector.example:4318", "share": 0.5},
    "api": {"ingress": {"enabled": True, "host": "api.example", "tlsSecretName": "api-tls", "className": "nginx"}},
    "networkPolicy": {
        "databaseTo": [{"ipBlock": {"cidr": "192.0.2.0/24"}}],
        "apiFrom": [{"namespaceSelector": {"matchLabels": {"a": "b"}}}],
    },
    "tolerations": [{"key": "x", "operator": "Exists"}],
    "podAnnotations": {"a": "b"},
}
PLAIN: dict[str, Any] = {
    **LEAST,
    "database": {"host": "db", "sslmode": "disable"},
    "mqtt": {"host": "broker", "manageAccounts": False},
    "kafka": {"servers": "kafka:9092", "protocol": "PLAINTEXT"},
    "ingest": {"replicas": 1},
    "worker": {"replicas": 1},
    "api": {"replicas": 1},
    "networkPolicy": {"enabled": False},
}
VALUES = {"least": LEAST, "most": MOST, "plain": PLAIN}


def objects(values: dict[str, Any]) -> list[dict[str, Any]]:
    return copy.deepcopy(_objects(json.dumps(values)))


@cache
def _objects(values: str) -> list[dict[str, Any]]:
    rendered = charts.render(CHART, json.loads(values))
    texts = [text for name, text in rendered.items() if name.endswith(".yaml")]
    return [found for text in texts for found in yaml.safe_load_all(text) if found]


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("values", VALUES)
def test_kubernetes_takes_every_object(values: str, version: str) -> None:
    for found in objects(VALUES[values]):
        kubernetes_validate.validate(found, version, strict=True)


@pytest.mark.parametrize("values", ["least", "most"])
def test_nothing_is_wrong_with_it(values: str) -> None:
    assert chart_problems(objects(VALUES[values])) == []


def containers(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = {}
    for item in objects(values):
        if item["kind"] in ("Deployment", "StatefulSet", "Job"):
            spec = item["spec"]["template"]["spec"]
            found[spec["containers"][0]["name"]] = {**spec["containers"][0], "volumes": spec["volumes"]}
    return found


@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("kind", ["ingest", "worker", "api", "caretaker"])
def test_the_code_understands_what_each_service_is_told(values: str, kind: str, tmp_path: Path) -> None:
    """The very functions that ``servitize serve`` asks, with the variables of the pod and files for its secrets."""
    container = containers(VALUES[values])[kind]
    given = tmp_path / "secrets"
    given.mkdir()
    (secrets,) = [volume["secret"] for volume in container["volumes"] if "secret" in volume]
    for item in secrets["items"]:
        (given / item["path"]).write_text("word")
    pod = {"metadata.name": "sz-worker-1", "metadata.labels['apps.kubernetes.io/pod-index']": "1"}
    environ = {
        v["name"]: v.get("value") or pod[v["valueFrom"]["fieldRef"]["fieldPath"]] for v in container["env"]
    }  # fmt: skip
    environ = {name: value.replace("/run/secrets", str(given)) for name, value in environ.items()}
    data = DataDirectory(tmp_path / "home", given=given)
    assert "password=word" in database(data, kind, environ)
    if kind in ("ingest", "worker"):
        kafka = _kafka(data, environ)
        assert kafka.protocol == VALUES[values]["kafka"].get("protocol", "SASL_SSL")
        assert (kafka.password == "word") == kafka.protocol.startswith("SASL")
    if kind == "ingest":
        mqtt = _mqtt(data, environ)
        assert (mqtt.tls, mqtt.username, mqtt.password) == (True, "servitize-service", "word")
        assert mqtt.server_name == VALUES[values]["mqtt"].get("serverName")
        assert environ["SERVITIZE_INGEST_COUNT"] == str(VALUES[values].get("ingest", {}).get("replicas", 2))
    if kind == "worker":
        assert worker_name(environ) == "sz-worker-1"
    if kind in ("api", "caretaker"):
        at = endpoints(data, kind, environ)
        assert (at.control is not None) == (kind == "caretaker" and VALUES[values]["mqtt"].get("manageAccounts", True))
        if kind == "api":
            assert at.api is not None
            assert (at.api.host, at.api.port) == ("0.0.0.0", 8080)


def test_only_the_migration_and_the_administrator_log_in_as_the_owner() -> None:
    logins = {
        name: next(v["value"] for v in container["env"] if v["name"] == "SERVITIZE_DATABASE_URL").split("@")[0]
        for name, container in containers(MOST).items()
    }
    assert {name for name, login in logins.items() if login.endswith("//servitize")} == {"migrate", "admin"}
    assert "admin" not in containers(LEAST)


def test_a_digest_pins_the_very_bytes() -> None:
    assert containers(MOST)["api"]["image"] == "registry.example/servitize:0.1.0@sha256:" + "a" * 64


WRONG: dict[str, dict[str, Any]] = {
    "secretName": {**LEAST, "secretName": ""},
    "host": {**LEAST, "database": {"host": ""}},
    "servers": {**LEAST, "kafka": {"servers": "kafka"}},
    "tag": {**LEAST, "image": {"tag": "latest"}},
    "digest": {**LEAST, "image": {"digest": "sha256:abc"}},
    "sslmode": {**LEAST, "database": {"host": "db", "sslmode": "prefer"}},
    "replicas": {**LEAST, "worker": {"replicas": 65}},
    "tlsSecretName": {**LEAST, "api": {"ingress": {"enabled": True, "host": "a.example"}}},
    "ingres": {**LEAST, "api": {"ingres": {}}},
}


@pytest.mark.parametrize("word", WRONG)
def test_values_that_cannot_work_are_refused_by_name(word: str) -> None:
    with pytest.raises(charts.RefusedError, match=word):
        charts.render(CHART, WRONG[word])


def test_without_values_it_says_what_is_missing() -> None:
    with pytest.raises(charts.RefusedError, match="secretName"):
        charts.render(CHART, {})


def _find(found: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    return next(o for o in found if (o["kind"], o["metadata"]["name"]) == (kind, f"sz-{name}"))


def _container(found: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    container: dict[str, Any] = _find(found, kind, name)["spec"]["template"]["spec"]["containers"][0]
    return container


MISTAKES: dict[str, tuple[Callable[[list[dict[str, Any]]], Any], str]] = {
    "command": (lambda o: _container(o, "StatefulSet", "worker").__setitem__("args", ["serve", "work"]), "serve work"),
    "image": (lambda o: _container(o, "Deployment", "api").__setitem__("image", "servitize"), "not pinned"),
    "variable": (lambda o: _container(o, "Deployment", "api")["env"].append({"name": "SERVITIZE_X", "value": "1"}), "nothing reads"),
    "login": (lambda o: _container(o, "Deployment", "api")["env"][2].__setitem__("value", "postgresql://servitize@db:5432/s"), "logs in"),
    "secret": (lambda o: _find(o, "Deployment", "api")["spec"]["template"]["spec"]["volumes"][2]["secret"]["items"].pop(0), "not shown"),
    "unknown secret": (lambda o: _find(o, "Deployment", "api")["spec"]["template"]["spec"]["volumes"][2]["secret"]["items"].append({"key": "x", "path": "x"}), "nobody makes"),
    "volume": (lambda o: _container(o, "Deployment", "api")["volumeMounts"].pop(), "not mounted"),
    "mount": (lambda o: _container(o, "Deployment", "api")["volumeMounts"].append({"name": "x", "mountPath": "/x"}), "volume x"),
    "probe": (lambda o: _container(o, "Deployment", "api")["readinessProbe"]["httpGet"].__setitem__("path", "/ready"), "/ready"),
    "probe's port": (lambda o: _container(o, "Deployment", "api")["livenessProbe"]["httpGet"].__setitem__("port", "web"), "port web"),
    "probe's command": (lambda o: _container(o, "StatefulSet", "ingest")["livenessProbe"]["exec"].__setitem__("command", ["python", "-m", "runtime.healthcheck", "worker"]), "asks for worker"),
    "no probe": (lambda o: _container(o, "StatefulSet", "ingest").pop("startupProbe"), "startupProbe"),
    "port": (lambda o: _container(o, "Deployment", "api")["ports"][0].__setitem__("containerPort", 80), "nothing listens on 80"),
    "service": (lambda o: _find(o, "Service", "api")["spec"]["ports"][0].__setitem__("targetPort", "web"), "leads to web"),
    "selector": (lambda o: _find(o, "Service", "api")["spec"]["selector"].__setitem__("app.kubernetes.io/component", "x"), "0 workloads"),
    "policy": (lambda o: o.remove(_find(o, "NetworkPolicy", "worker")), "no network policy"),
    "policy too wide": (lambda o: _find(o, "NetworkPolicy", "worker")["spec"]["egress"].append({}), "every port"),
    "policy too narrow": (lambda o: _find(o, "NetworkPolicy", "ingest")["spec"]["egress"].pop(), "the pod needs"),
    "root": (lambda o: _find(o, "Deployment", "api")["spec"]["template"]["spec"]["securityContext"].pop("runAsNonRoot"), "root"),
    "privileges": (lambda o: _container(o, "Deployment", "api")["securityContext"].pop("readOnlyRootFilesystem"), "written"),
    "resources": (lambda o: _container(o, "Deployment", "api")["resources"].pop("limits"), "no limits"),
    "budget": (lambda o: _find(o, "PodDisruptionBudget", "api")["spec"]["selector"].__setitem__("matchLabels", {"a": "b"}), "0 workloads"),
}  # fmt: skip


@pytest.fixture(scope="module")
def rendered() -> list[dict[str, Any]]:
    return objects(MOST)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_noticed(rendered: list[dict[str, Any]], mistake: str) -> None:
    found = copy.deepcopy(rendered)
    change, words = MISTAKES[mistake]
    change(found)
    problems = chart_problems(found)
    assert any(words in problem for problem in problems), problems


def test_the_schema_of_the_values_knows_every_value() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())

    def compare(value: Any, known: dict[str, Any], place: str) -> None:
        if isinstance(value, dict) and "properties" in known:
            assert set(value) <= set(known["properties"]), place
            for name, inner in value.items():
                compare(inner, known["properties"][name], f"{place}.{name}")

    compare(values, schema, "values")

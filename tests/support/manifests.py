"""What is wrong with docker-compose.yml and with the chart: every image, command, port, secret, healthcheck, volume and
address is held against what the code, the scripts and the other files really have. Each check gives sentences."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import typer

from runtime.cli.app import app
from runtime.healthcheck import KINDS
from tests.support.deployment import resolved
from tests.support.installation import DEPLOY, ROOT

Document = Mapping[str, Any]

LISTENS = {"timescaledb": {5432}, "grafana": {3000}}
"""Of images whose configuration is not ours."""
GIVEN_BY_OTHERS = {"database-ca.crt", "kafka-password", "kafka-ca.crt"}
"""Secrets of servers that somebody else runs, which no script of ours makes."""
ONE_SHOT = "no"


@cache
def made_secrets() -> frozenset[str]:
    """What deploy/secrets.sh makes."""
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([DEPLOY / "secrets.sh", directory], check=True, capture_output=True)
        return frozenset(path.name for path in Path(directory).iterdir())


@cache
def known_variables() -> frozenset[str]:
    """Every SERVITIZE_ variable that the code reads, by its text (some are put together of two halves), and those of
    OpenTelemetry that count."""
    traces = (ROOT / "stream_processors" / "tracing.py").read_text(encoding="utf-8")
    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "runtime").rglob("*.py"))
    names = set(re.findall(r"SERVITIZE_[A-Z_]*[A-Z]", text))
    names |= set(re.findall(r"OTEL_[A-Z_]*[A-Z]", traces))
    return frozenset(names | {f"SERVITIZE_MQTT_{name}" for name in ("CA", "CERT", "KEY", "SERVER_NAME")})


@cache
def described_variables() -> frozenset[str]:
    """Those that docs/reference/settings.md explains."""
    text = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    return frozenset(re.findall(r"(?:SERVITIZE|OTEL)_[A-Z_]*[A-Z]", text))


def command_problem(words: Sequence[str]) -> str | None:
    """What the real command line says against these words."""
    return _command_problem(tuple(words))


@cache
def _command_line() -> Any:
    return typer.main.get_command(app)


@cache
def _command_problem(words: tuple[str, ...]) -> str | None:
    command, rest, path = _command_line(), list(words), "servitize"
    try:
        while hasattr(command, "resolve_command"):  # a group; typer has no public name for it
            context = command.make_context(path, rest)
            name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
            path = f"{path} {name}"
        command.make_context(path, rest)
    except typer.Exit:
        return None  # --help
    except Exception as error:  # its own kinds of refusal, which have no public name either
        return f"{' '.join(words)}: {getattr(error, 'format_message', error.__str__)()}"
    return None


@cache
def mosquitto_ports() -> set[int]:
    text = (DEPLOY / "mosquitto" / "mosquitto.conf").read_text()
    return {int(port) for port in re.findall(r"^listener (\d+) 0\.0\.0\.0$", text, re.MULTILINE)}


@cache
def kafka_ports() -> set[int]:
    text = (DEPLOY / "kafka" / "server.properties").read_text()
    match = re.search(r"^listeners=(.*)$", text, re.MULTILINE)
    assert match is not None
    return {int(port) for port in re.findall(r"//0\.0\.0\.0:(\d+)", match[1])}


def listening(name: str, service: Document) -> set[int]:
    """The ports on which something listens for others in that container."""
    if name == "mosquitto":
        return mosquitto_ports()
    if name == "kafka":
        return kafka_ports()
    listen = service.get("environment", {}).get("SERVITIZE_API_LISTEN", "")
    return {int(listen.rpartition(":")[2])} if listen else LISTENS.get(name, set())


def networks_of(service: Document) -> set[str]:
    return set(service.get("networks", []))


# -- compose -----------------------------------------------------------------------------------------------------------


def compose_problems(document: Document) -> list[str]:
    """Everything that is wrong with the file, as sentences."""
    found: list[str] = []
    for name, service in document["services"].items():
        for check in (_image, _command, _environment, _secrets, _volumes, _ports, _health, _hardening, _waiting):
            found += [f"{name}: {problem}" for problem in check(name, service, document)]
    return [*found, *_declared(document)]


def _is_ours(service: Document) -> bool:
    return "build" in service


def _image(name: str, service: Document, document: Document) -> Iterator[str]:
    image = resolved(service["image"])
    if not re.search(r":\d+\.\d+\.\d+(-[a-z0-9]+)?(@sha256:[0-9a-f]{64})?$", image):
        yield f"the image {image} is not pinned to a version"
    if _is_ours(service):
        if not (ROOT / service["build"]["dockerfile"]).is_file():
            yield "its Dockerfile is not there"
        version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
        if version is None or not image.endswith(f":{version[1]}"):
            yield f"the image {image} is not of this version"
    if name == "kafka":
        pom = re.search(r"kafka_2\.13</artifactId>\s*<version>([^<]+)", (DEPLOY / "kafka" / "pom.xml").read_text())
        if pom is None or not image.endswith(f":{pom[1]}"):
            yield f"{image} is not the version that the tests run"
    if name == "grafana":
        sdk = re.search(r"grafana-foundation-sdk==\d+!(\d+\.\d+)", (ROOT / "requirements" / "runtime.in").read_text())
        if sdk is None or f":{sdk[1]}." not in image:
            yield f"{image} is not the version that the boards are made for"


def _command(name: str, service: Document, document: Document) -> Iterator[str]:
    if _is_ours(service):
        if "entrypoint" in service:
            yield "it has an entrypoint other than the image's"
        if problem := command_problem(service["command"]):
            yield problem
        return
    targets = {mount.split(":")[1] for mount in service.get("volumes", [])}
    for word in (*service.get("entrypoint", []), *service.get("command", [])):
        if word.startswith("/") and word not in targets and not word.startswith("/bin/"):
            yield f"{word} of its command is not mounted"


def _environment(name: str, service: Document, document: Document) -> Iterator[str]:
    for variable, value in service.get("environment", {}).items():
        text = resolved(str(value))
        if variable.startswith("SERVITIZE_"):
            if variable not in known_variables():
                yield f"nothing reads {variable}"
            elif variable not in described_variables():
                yield f"docs/reference/settings.md does not explain {variable}"
        if re.search("PASSWORD|SECRET|TOKEN|KEY", variable) and not text.startswith("/run/secrets"):
            yield f"{variable} is written out"
        if re.search(r"://[^:/@\s]*:[^@/]+@", text):
            yield f"a password stands in {variable}"
        for host, port in _addresses(variable, text):
            yield from _reach(name, service, host, port, document)
    if _is_ours(service) and service["command"][0] == "serve":
        yield from _needs_login(service)


def _addresses(variable: str, text: str) -> Iterator[tuple[str, int]]:
    if variable.endswith(("_PUBLIC_URL", "_LISTEN")):
        return
    if variable.endswith(("_URL", "_ENDPOINT")):
        parts = urlsplit(text)
        yield parts.hostname or "", parts.port or 0
    elif variable.endswith("_SERVERS"):
        for server in text.split(","):
            host, _, port = server.rpartition(":")
            yield host, int(port) if port.isdigit() else 0


def _reach(name: str, service: Document, host: str, port: int, document: Document) -> Iterator[str]:
    other = document["services"].get(host)
    if other is None:
        yield f"there is no service {host}"
    elif port not in listening(host, other):
        yield f"{host} does not listen on {port}"
    elif not networks_of(service) & networks_of(other):
        yield f"it shares no network with {host}"


def _needs_login(service: Document) -> Iterator[str]:
    wanted = "servitize_api" if service["command"][1] == "api" else "servitize_writer"
    login = urlsplit(service["environment"].get("SERVITIZE_DATABASE_URL", "")).username
    if login != wanted:
        yield f"it logs in to the database as {login}, not as {wanted}"


def _secrets(name: str, service: Document, document: Document) -> Iterator[str]:
    shown = set(service.get("secrets", []))
    texts = [str(value) for value in service.get("environment", {}).values()]
    texts += service.get("healthcheck", {}).get("test", []) + service.get("command", [])
    for mount in service.get("volumes", []):
        source = ROOT / mount.split(":")[0]
        if mount.startswith("./"):
            texts += [file.read_text() for file in (source, *source.rglob("*.yaml")) if file.is_file()]
    named = {match for text in texts for match in re.findall(r"/run/secrets/([\w.-]*\w)", text)}
    named |= {match for text in texts for match in re.findall(r"SECRETS:-/run/secrets\}/([\w.-]*\w)", text)}
    login = urlsplit(service.get("environment", {}).get("SERVITIZE_DATABASE_URL", "")).username
    if login:
        named.add(f"database-{login}")
    user = urlsplit(service.get("environment", {}).get("SERVITIZE_MQTT_URL", "")).username
    if user:
        named.add(user)
    for secret in sorted(named - shown):
        yield f"it is not shown the secret {secret}"
    if not _is_ours(service):  # what of ours is shown and not needed, only running them tells
        for secret in sorted(shown - named):
            yield f"it is shown the secret {secret}, which it does not need"
    for secret in sorted(shown & {"database-servitize", "database-postgres", "servitize-control"}):
        if secret == "database-servitize" and name not in {"migrate", "admin", "timescaledb"}:
            yield "it is shown the owner's password"
        if secret == "database-postgres" and name != "timescaledb":
            yield "it is shown the superuser's password"
        if secret == "servitize-control" and name not in {"broker-init", "caretaker", "admin"}:
            yield "it is shown the password that changes the broker's accounts"


def _volumes(name: str, service: Document, document: Document) -> Iterator[str]:
    for mount in service.get("volumes", []):
        source, target, *options = mount.split(":")
        if not target.startswith("/"):
            yield f"{target} is no place in a container"
        if source.startswith("./"):
            if not (ROOT / source).exists():
                yield f"{source} is not there"
            if options != ["ro"]:
                yield f"{source} can be written by the container"
        elif source not in document.get("volumes", {}):
            yield f"the volume {source} is not declared"


def _ports(name: str, service: Document, document: Document) -> Iterator[str]:
    for text in service.get("ports", []):
        address, _, inside = resolved(text).rpartition(":")
        host, _, port = address.rpartition(":")
        if host != "127.0.0.1":
            yield f"{text} is shown to other machines by itself"
        if not port.isdigit() or not 1024 <= int(port) < 65536:
            yield f"{text}: {port} is no port to show"
        if int(inside) not in listening(name, service):
            yield f"{text}: nothing listens on {inside}"
        if not any(not (document["networks"].get(net) or {}).get("internal") for net in networks_of(service)):
            yield "its ports cannot be reached: all its networks are internal"


def _health(name: str, service: Document, document: Document) -> Iterator[str]:
    if service.get("restart") == ONE_SHOT:
        return
    check = service.get("healthcheck")
    if check is None:
        yield "it has no healthcheck"
        return
    if not all(key in check for key in ("interval", "timeout", "retries", "start_period")):
        yield "its healthcheck has no interval, timeout, retries or start_period"
    kind, *words = check["test"]
    if kind not in ("CMD", "CMD-SHELL") or (kind == "CMD-SHELL" and len(words) != 1):
        yield "its healthcheck is no command"
    elif _is_ours(service):
        yield from healthcheck_problems(words, service["command"])
    else:
        ports = {int(port) for port in re.findall(r"(?::|/| -p )(\d{4,5})\b", " ".join(words))}
        for port in ports - listening(name, service):
            yield f"its healthcheck asks {port}, where nothing listens"
    if "stop_grace_period" not in service and _is_ours(service):
        yield "it is given 10 seconds to end"


def healthcheck_problems(words: Sequence[str], command: Sequence[str]) -> Iterator[str]:
    """Of a service of ours that is started by ``command``."""
    if list(words[:3]) != ["python", "-m", "runtime.healthcheck"] or len(words) < 4:
        yield f"its healthcheck is {' '.join(words)}"
    elif words[3] not in KINDS or [words[3]] != list(command[1:2]):
        yield f"its healthcheck asks for {words[3]}, and it is {command[1:]}"
    elif any(word != "--ready" for word in words[4:]):
        yield f"its healthcheck has words that mean nothing: {words[4:]}"


def _hardening(name: str, service: Document, document: Document) -> Iterator[str]:
    if service.get("read_only") is not True:
        yield "its file system can be written"
    if service.get("cap_drop") != ["ALL"] or "cap_add" in service:
        yield "it keeps capabilities"
    if "no-new-privileges:true" not in service.get("security_opt", []):
        yield "it may gain privileges"
    user = str(service.get("user", "0"))
    if not re.fullmatch(r"\d+:\d+", user) or user.startswith("0:"):
        yield f"it runs as {user}"
    limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
    if not {"cpus", "memory", "pids"} <= limits.keys():
        yield "it has no limits"
    if service.get("privileged") or service.get("network_mode") not in (None, "none") or "pid" in service:
        yield "it is not kept apart from the machine"


def _waiting(name: str, service: Document, document: Document) -> Iterator[str]:
    for other, how in service.get("depends_on", {}).items():
        target = document["services"].get(other)
        if target is None:
            yield f"it waits for {other}, which is not there"
            continue
        once = target.get("restart") == ONE_SHOT
        if how["condition"] != ("service_completed_successfully" if once else "service_healthy"):
            yield f"it does not wait until {other} is ready"


def _declared(document: Document) -> Iterator[str]:
    services = document["services"].values()
    used = {
        "secrets": {secret for service in services for secret in service.get("secrets", [])},
        "networks": {network for service in services for network in service.get("networks", [])},
        "volumes": {
            mount.split(":")[0]
            for service in services
            for mount in service.get("volumes", [])
            if not mount.startswith("./")
        },
    }
    for kind, names in used.items():
        for name in sorted(names ^ set(document[kind])):
            yield f"{kind}: {name} is {'used and not declared' if name in names else 'declared and not used'}"
    for name, secret in document["secrets"].items():
        if secret != {"file": f"./secrets/{name}"}:
            yield f"secrets: {name} is no file of deploy/secrets.sh"
        if name not in made_secrets():
            yield f"secrets: deploy/secrets.sh makes no {name}"
    for name in sorted(made_secrets() - set(document["secrets"])):
        if name not in {"mqtt-ca.key", "mqtt-devices-ca.key"}:  # no service needs the authorities' keys
            yield f"secrets: deploy/secrets.sh makes {name}, which nothing uses"
    for name, network in document["networks"].items():
        if name != "outside" and not (network or {}).get("internal"):
            yield f"networks: there is a way out of {name}"


# -- the chart ---------------------------------------------------------------------------------------------------------


def chart_problems(objects: Sequence[Document]) -> list[str]:
    """What is wrong with the objects that the chart was rendered to."""
    found = []
    workloads = [o for o in objects if o["kind"] in ("Deployment", "StatefulSet", "Job")]
    policies = [o for o in objects if o["kind"] == "NetworkPolicy"]
    for workload in workloads:
        name = f"{workload['kind']} {workload['metadata']['name']}"
        pod = workload["spec"]["template"]
        labels = pod["metadata"]["labels"]
        if workload["kind"] != "Job" and not _selects(workload["spec"]["selector"], labels):
            found.append(f"{name}: its selector does not find its own pods")
        if not any(_selects(policy["spec"]["podSelector"], labels) for policy in policies):
            found.append(f"{name}: no network policy is for it")
        found += [f"{name}: {problem}" for problem in _pod(pod["spec"], workload["kind"])]
    for other in objects:
        name = f"{other['kind']} {other['metadata']['name']}"
        selector = None
        if other["kind"] in ("PodDisruptionBudget", "NetworkPolicy"):
            selector = other["spec"].get("selector") or other["spec"].get("podSelector")
        if other["kind"] == "Service":
            selector = {"matchLabels": other["spec"]["selector"]}
        if selector is not None:
            chosen = [w for w in workloads if _selects(selector, w["spec"]["template"]["metadata"]["labels"])]
            if len(chosen) != 1:
                found.append(f"{name}: it is for {len(chosen)} workloads")
            elif other["kind"] == "Service":
                found += [f"{name}: {problem}" for problem in _service(other, chosen[0])]
            elif other["kind"] == "NetworkPolicy":
                found += [f"{name}: {problem}" for problem in _policy(other, chosen[0])]
    return found


def _selects(selector: Document, labels: Document) -> bool:
    wanted = selector.get("matchLabels", {})
    return bool(wanted) and all(labels.get(key) == value for key, value in wanted.items())


def _pod(spec: Document, kind: str) -> Iterator[str]:
    security = spec.get("securityContext", {})
    if security.get("runAsNonRoot") is not True or not security.get("runAsUser"):
        yield "it may run as root"
    if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "it has no seccomp profile"
    if spec.get("automountServiceAccountToken") is not False:
        yield "it is given a token of the cluster"
    volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
    (container,) = spec["containers"]
    for mount in container["volumeMounts"]:
        if mount["name"] not in volumes:
            yield f"the volume {mount['name']} is not there"
    for name in volumes.keys() - {mount["name"] for mount in container["volumeMounts"]}:
        yield f"the volume {name} is not mounted"
    if kind != "Job" and spec.get("terminationGracePeriodSeconds", 0) < 5:
        yield "it is not told how long it may take to end"
    yield from _container(container, volumes, kind)


def _container(container: Document, volumes: Document, kind: str) -> Iterator[str]:
    context = container.get("securityContext", {})
    if context.get("readOnlyRootFilesystem") is not True or context.get("allowPrivilegeEscalation") is not False:
        yield "its file system can be written, or it may gain privileges"
    if context.get("capabilities") != {"drop": ["ALL"]}:
        yield "it keeps capabilities"
    for part in ("requests", "limits"):
        if not {"cpu", "memory"} <= container.get("resources", {}).get(part, {}).keys():
            yield f"it has no {part}"
    if not re.search(r":\d+\.\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?$", container["image"]):
        yield f"{container['image']} is not pinned"
    words = container.get("args", [])
    if words and (problem := command_problem(words)):
        yield problem
    environment = {variable["name"]: variable.get("value", "") for variable in container["env"]}
    for variable in environment:
        if variable not in known_variables():
            yield f"nothing reads {variable}"
        elif variable not in described_variables():
            yield f"docs/reference/settings.md does not explain {variable}"
    shown = {item["key"] for item in volumes["secrets"]["secret"]["items"]}
    for secret in sorted(shown - made_secrets() - GIVEN_BY_OTHERS):
        yield f"nobody makes the secret {secret}"
    named = {found for value in environment.values() for found in re.findall(r"/run/secrets/([\w.-]*\w)", value)}
    named.add(f"database-{urlsplit(environment['SERVITIZE_DATABASE_URL']).username}")
    if "SERVITIZE_MQTT_URL" in environment:
        named.add(urlsplit(environment["SERVITIZE_MQTT_URL"]).username or "")
    if "SERVITIZE_KAFKA_USERNAME" in environment:
        named.add("kafka-password")
    for secret in sorted(named - shown):
        yield f"it is not shown the secret {secret}"
    if words[:1] == ["serve"]:
        yield from _needs_login({"command": words, "environment": environment})
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if probe not in container:
                yield f"it has no {probe}"
            else:
                yield from _probe(container[probe], container, words)


def _probe(probe: Document, container: Document, words: Sequence[str]) -> Iterator[str]:
    if "exec" in probe:
        yield from healthcheck_problems(probe["exec"]["command"], words)
    elif probe["httpGet"]["port"] not in {port["name"] for port in container.get("ports", [])}:
        yield f"its probe asks a port {probe['httpGet']['port']}, which it has not"
    elif probe["httpGet"]["path"] not in api_paths():
        yield f"its probe asks for {probe['httpGet']['path']}, which the API does not answer"


@cache
def api_paths() -> frozenset[str]:
    """What the API answers, by its routes."""
    from services.api.operations import router

    return frozenset(getattr(route, "path", "") for route in router.routes)


def _service(service: Document, workload: Document) -> Iterator[str]:
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
    environment = {variable["name"]: variable.get("value", "") for variable in container["env"]}
    for port in service["spec"].get("ports", []):
        if port["targetPort"] not in ports:
            yield f"it leads to {port['targetPort']}, which the pods do not have"
        elif str(ports[port["targetPort"]]) != environment.get("SERVITIZE_API_LISTEN", "").rpartition(":")[2]:
            yield f"nothing listens on {ports[port['targetPort']]}"


def _policy(policy: Document, workload: Document) -> Iterator[str]:
    """Every server that the pod is told of may be reached, and nothing else."""
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    environment = {variable["name"]: variable.get("value", "") for variable in container["env"]}
    needed = {53}
    for variable, value in environment.items():
        needed |= {port for _, port in _addresses(variable, value)}
    allowed = {port["port"] for way in policy["spec"]["egress"] for port in way.get("ports", [])}
    if needed != allowed:
        yield f"it lets {sorted(allowed)} out, and the pod needs {sorted(needed)}"
    if any("ports" not in way for way in (*policy["spec"]["egress"], *policy["spec"].get("ingress", []))):
        yield "it opens every port"
    ports = {port["name"] for port in container.get("ports", [])}
    opened = {port["port"] for way in policy["spec"].get("ingress", []) for port in way["ports"]}
    if opened != ports:
        yield f"it lets {sorted(opened)} in, and the pod listens on {sorted(ports)}"

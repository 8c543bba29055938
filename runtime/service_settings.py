"""What a service of a deployment is told: its environment and its secrets, as the configuration of its process.

Nothing is generated and nothing is looked for: what is missing is refused by name. Every secret is a file of
``SERVITIZE_SECRETS``, so none stands in an environment or on a command line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from psycopg.conninfo import conninfo_to_dict

from core.errors import InvalidInputError
from runtime.endpoints import ApiEndpoint, BrokerEndpoint, Endpoints
from runtime.local import external
from runtime.local.paths import DataDirectory
from runtime.local.postgres import with_password
from runtime.settings import Listen, Settings, choose_settings, parse_listen

KINDS: Final = ("ingest", "worker", "api", "caretaker")
_LOGINS: Final = {"ingest": "servitize_writer", "worker": "servitize_writer", "api": "servitize_api"}
_PLAIN_WORDS: Final = re.compile(r"[A-Za-z0-9._-]+")


def needed(environ: Mapping[str, str], name: str, example: str) -> str:
    """The variable, or :class:`~core.errors.InvalidInputError` with an example."""
    value = environ.get(name, "").strip()
    if not value:
        raise InvalidInputError(f"{name} is not set", hint=f"e.g. {name}={example}")
    return value


def number(environ: Mapping[str, str], name: str, default: int) -> int:
    """A variable that counts something."""
    text = environ.get(name, "").strip()
    if not text:
        return default
    if not text.isdigit():
        raise InvalidInputError(f"{name} is {text!r}", hint="give a whole number")
    return int(text)


def database(data: DataDirectory, kind: str, environ: Mapping[str, str]) -> str:
    """The connection string of this kind's login, with its password. A login that may do more is refused: a service
    that is broken into must not be worth more than its own rights."""
    login = _LOGINS.get(kind, "servitize_writer")
    url = needed(environ, "SERVITIZE_DATABASE_URL", f"postgresql://{login}@timescaledb:5432/servitize")
    try:
        given = conninfo_to_dict(url).get("user")
    except Exception as error:  # psycopg's own, which may name the password
        raise InvalidInputError(
            "SERVITIZE_DATABASE_URL is no database address", hint=f"postgresql://{login}@HOST:5432/servitize"
        ) from error
    if given != login:
        raise InvalidInputError(
            f"{kind} logs in to the database as {login}, and SERVITIZE_DATABASE_URL says {given}",
            hint=f"write postgresql://{login}@HOST:5432/servitize; `servitize migrate` gives it its password",
        )
    complete = with_password(data, url)
    if "password" not in conninfo_to_dict(complete):
        _refuse_without(data, f"database-{login}")
    return complete


def broker(data: DataDirectory, environ: Mapping[str, str]) -> BrokerEndpoint:
    """Where ``SERVITIZE_MQTT_URL`` says, with its TLS files."""
    needed(environ, external.URL, "mqtts://servitize-service@mosquitto:8883")
    found = external.service_endpoint(data, environ)
    assert found is not None
    if found.username and not found.password and not found.certificate:
        _refuse_without(data, found.username)
    return found


def _refuse_without(data: DataDirectory, name: str) -> None:
    if data.given is not None:
        data.secret(name)  # says which is missing, and where
    raise InvalidInputError(f"there is no secret {name!r}", hint="SERVITIZE_SECRETS names the directory of secrets")


def endpoints(data: DataDirectory, kind: str, environ: Mapping[str, str] = os.environ) -> Endpoints:
    """What the API's process reads; ``kind`` says which login the database address must have."""
    login = _LOGINS.get(kind, "servitize_writer")
    settings: Settings = choose_settings(environ=environ)
    listen, tls = settings.api, settings.tls
    api = ApiEndpoint(
        listen.host,
        8080 if listen.port is None else listen.port,
        None if tls is None else str(tls.certificate),
        None if tls is None else str(tls.key),
    )
    return Endpoints(
        databases={login: database(data, kind, environ)},
        broker=external.service_endpoint(data, environ),
        control=external.control_endpoint(data, environ),
        api=api,
    )


def worker_name(environ: Mapping[str, str]) -> str:
    """The same for ever: who comes back under it is given its partitions again."""
    name = environ.get("SERVITIZE_WORKER_NAME", "").strip() or "worker-0"
    if not _PLAIN_WORDS.fullmatch(name):
        raise InvalidInputError(f"SERVITIZE_WORKER_NAME is {name!r}", hint="letters, digits, dots, dashes")
    return name


def metrics_listen(environ: Mapping[str, str]) -> Listen:
    """Where figures for Prometheus are shown; without a port nowhere. They cover all tenants: a network of your own."""
    listen = parse_listen(environ.get("SERVITIZE_METRICS_LISTEN"), "SERVITIZE_METRICS_LISTEN")
    if environ.get("SERVITIZE_METRICS_LISTEN") and not listen.port:
        raise InvalidInputError("SERVITIZE_METRICS_LISTEN names no port", hint="e.g. 0.0.0.0:9100")
    return listen


def status_file(data: DataDirectory, kind: str) -> Path:
    """What the process writes every second while it lives; :mod:`runtime.healthcheck` looks at it."""
    return data.directory("run") / f"{kind}.json"

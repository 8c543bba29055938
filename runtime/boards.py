"""Boards and the instance they read: logins, checks, and pushing them into a Grafana."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from boards.check import Finding, check
from boards.grafana.client import Grafana
from boards.grafana.parts import Place
from boards.grafana.push import Database, Pushed, push
from core.errors import InvalidInputError
from core.time import from_datetime, isoformat
from runtime import access, bootstrap
from runtime.endpoints import Endpoints
from storage import admin, board_logins
from storage.queries import load

TOKEN = "GRAFANA_TOKEN"  # noqa: S105 - the name of a variable
_SHORTEST = 16


@dataclass(frozen=True, slots=True)
class Login:
    login: str
    password: str


@dataclass(frozen=True, slots=True)
class Order:
    """What ``servitize boards push`` was asked for; ``database`` is ``host:port/name`` as Grafana reaches it."""

    tenant: str
    url: str
    access: str | tuple[str, str]
    database: str
    ssl_mode: str
    rotate: bool
    until: str | None
    language: str


def grafana_access(token_file: Path | None, user: str | None, password_file: Path | None) -> str | tuple[str, str]:
    """A token, or (user, password): from files, else the token of the environment; never from the command line, where
    every user sees it."""
    if user is not None:
        if password_file is None:
            raise InvalidInputError("a user of Grafana's needs a password", hint="--password-file FILE")
        return user, _secret(password_file)
    found = _secret(token_file) if token_file is not None else os.environ.get(TOKEN, "")
    if not found:
        raise InvalidInputError("no token for Grafana", hint=f"--token-file FILE, or set {TOKEN}")
    return found


def _secret(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise InvalidInputError(f"{file} cannot be read: {error.strerror}") from error


def make_login(
    connection: access.Connection, tenant: int, *, operator: bool | None = None, password_file: Path | None = None
) -> Login:
    """The tenant's board login with the file's password, else a new one; ``operator`` None: as it is."""
    password = secrets.token_urlsafe(24) if password_file is None else _secret(password_file)
    if len(password) < _SHORTEST:
        raise InvalidInputError(f"a password of fewer than {_SHORTEST} letters", hint="openssl rand -hex 24")
    made = Login(board_logins.put(connection, tenant, password), password)
    admin.audit(connection, tenant, "command-line", "board_login.put", made.login, {})
    if operator is not None:
        board_logins.operates(connection, tenant, yes=operator)
        admin.audit(connection, tenant, "command-line", "platform_operator.set", made.login, {"yes": operator})
    return made


def check_boards(endpoints: Endpoints, tenant: str) -> list[Finding]:
    """Every panel as a reader of the tenant sees it, by the API's login."""
    with access.connected(endpoints.databases[bootstrap.OWNER]) as connection:
        number = access.tenant_named(connection, tenant)
    with psycopg.connect(endpoints.databases[bootstrap.API]) as connection:
        load("api_session").become_tenant(connection, tenant=str(number))
        return list(check(connection))


def push_boards(endpoints: Endpoints, order: Order) -> Iterator[Pushed]:
    """Data source (its login is made where it is missing), folder and dashboards."""
    from boards.all import BOARDS

    grafana = Grafana(order.url, order.access)
    with access.connected(endpoints.databases[bootstrap.OWNER]) as connection:
        tenant = access.tenant_named(connection, order.tenant)
        prefix = f"servitize-{order.tenant}"
        fresh = order.rotate or not board_logins.exists(connection, tenant)
        # a Grafana that does not know the data source yet needs the password, whoever was given it before
        fresh = fresh or grafana.datasource(Place(prefix, "").uid("data")) is None
        made = make_login(connection, tenant) if fresh else None
        until = order.until or _end(connection, tenant)
    place = Place(prefix, f"Servitize · {order.tenant}", order.language, until)
    host, name = _address(order.database, endpoints)
    database = Database(
        host, name, board_logins.login_name(tenant), order.ssl_mode, made.password if made is not None else None
    )
    yield from push(grafana, place, database, BOARDS.values())


def _end(connection: access.Connection, tenant: int) -> str:
    """A replayed or demonstrated past ends with its newest reading; boards open there rather than on nothing."""
    end = board_logins.timeline_end(connection, tenant)
    return "now" if end is None else isoformat(from_datetime(end))


def _address(given: str, endpoints: Endpoints) -> tuple[str, str]:
    """(host:port, database's name): what was given, else what this machine itself uses."""
    if given:
        host, slash, name = given.partition("/")
        if not slash or not name or ":" not in host:
            raise InvalidInputError(f"{given!r} is no database", hint="HOST:PORT/NAME, as Grafana reaches it")
        return host, name
    parts = conninfo_to_dict(endpoints.databases[bootstrap.API])
    return f"{parts.get('host', '127.0.0.1')}:{parts.get('port', 5432)}", str(parts.get("dbname", "servitize"))

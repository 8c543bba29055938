"""How a command reaches the instance of a data directory: the running one, or its database started just for the
command."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import psycopg

from core.errors import NotFoundError, UnavailableError
from runtime import bootstrap
from runtime.endpoints import Endpoints, read_endpoints
from runtime.local.paths import DataDirectory
from runtime.local.postgres import LocalPostgres

Connection = psycopg.Connection[Any]


@contextlib.contextmanager
def endpoints_of(data: DataDirectory) -> Iterator[Endpoints]:
    """Where the database is, as long as the body runs.

    A running instance is asked where it is. Where none runs, its database alone is started (migrated and filled on
    first use) under the directory's lock, and stopped afterwards: commands work before the first `servitize up` and
    after the last.
    """
    if data.holder() is not None:
        yield read_endpoints(data)
        return
    with data, LocalPostgres.from_environment(data, os.environ) as postgres:
        bootstrap.prepare_database(postgres)
        endpoints = bootstrap.with_databases(data, postgres)
        bootstrap.first_contents(data, endpoints)
        yield endpoints


@contextlib.contextmanager
def owner(data: DataDirectory) -> Iterator[Connection]:
    """A connection of the owner's login in one transaction, committed at the end."""
    with endpoints_of(data) as endpoints, connected(endpoints.databases["owner"]) as connection:
        yield connection


@contextlib.contextmanager
def connected(dsn: str) -> Iterator[Connection]:
    """A connection in one transaction, committed at the end; an unreachable database is a sentence."""
    try:
        connection = psycopg.connect(dsn, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise UnavailableError(
            f"the database does not answer: {str(error).splitlines()[0]}",
            hint="`servitize doctor` says what is wrong; an instance that has just started may need a moment",
        ) from error
    with connection:
        yield connection


def tenant_named(connection: Connection, slug: str) -> int:
    """Its id, or :class:`~core.errors.NotFoundError` naming those there are."""
    from storage import admin
    from storage.queries import load

    found = admin.tenant_id(connection, slug)
    if found is None:
        known = ", ".join(row[0] for row in load("instance").tenants(connection)) or "none"
        raise NotFoundError(
            f"there is no tenant {slug!r} (known: {known})", hint=f"make it: servitize tenant add {slug}"
        )
    return found


def sign_in_link(connection: Connection, api_url: str, key: str, seconds: float) -> str:
    """An address that signs a browser in to the web board once, within ``seconds``, with the rights of the API key
    ``key`` (its text or its prefix).

    The word stands behind the ``#``: no server and no log on the way sees it.
    """
    from storage import admin
    from storage.secrets import split_key

    found = split_key(key)
    word = admin.create_board_ticket(connection, found[0] if found else key, seconds)
    return f"{api_url}/board/sign-in#once={word}"


def running_endpoints(data: DataDirectory) -> Endpoints:
    """Those of a running instance; :class:`~core.errors.UnavailableError` where none runs."""
    if data.holder() is None:
        raise UnavailableError(f"no instance runs in {data.root}", hint="start one: servitize up --detach")
    return read_endpoints(data)

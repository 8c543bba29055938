"""Who may read boards by SQL: one login per tenant, which sees what its tenant sees and can write nothing.

Each function takes a connection of the database owner's login, like :mod:`storage.admin`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg

from core.errors import ConflictError
from storage import admin
from storage.errors import translated
from storage.migrate import keep_for_roles
from storage.queries import load

Connection = psycopg.Connection[Any]


def login_name(tenant_id: int) -> str:
    """The login's name: by the tenant's number, since PostgreSQL takes no more than 63 letters."""
    return f"servitize_board_{tenant_id}"


def put(connection: Connection, tenant_id: int, password: str) -> str:
    """Make the tenant's login, or give the one it has this password; its name."""
    login = login_name(tenant_id)
    holder = load("board_logins").holder(connection, login=login)
    if holder is None:
        admin.create_board_login(connection, tenant_id, login, password)
    elif holder != tenant_id:
        raise ConflictError(f"the login {login} is another tenant's", hint="look into the table servitize.board_login")
    else:
        with translated(), connection.transaction():
            migrate = load("migrate")
            keep_for_roles(connection, login, password)
            if not migrate.role_exists(connection, role=login):
                migrate.create_role(connection)
            migrate.set_login(connection)
            migrate.grant_board_role(connection)
    return login


def exists(connection: Connection, tenant_id: int) -> bool:
    """Has the tenant's login been made?"""
    return load("board_logins").holder(connection, login=login_name(tenant_id)) is not None


def operates(connection: Connection, tenant_id: int, *, yes: bool) -> None:
    """Show this tenant the figures of the whole platform, or no longer. The only tenant there is sees them anyway."""
    queries = load("board_logins")
    with translated(), connection.transaction():
        (queries.let_operate if yes else queries.stop_operating)(connection, tenant_id=tenant_id)


def timeline_end(connection: Connection, tenant_id: int) -> datetime | None:
    """The newest reading of a tenant whose timeline is a publisher's clock; None: its now is the clock's."""
    queries = load("board_logins")
    if not queries.publisher_clock(connection, tenant_id=tenant_id):
        return None
    newest: datetime | None = queries.newest(connection, tenant_id=tenant_id)
    return newest

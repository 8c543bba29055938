"""What is kept for how long: policies by tenant and kind, what they would delete, and deleting it.

Kinds and rules: docs/how-to/retention.md. Deleting happens in steps, a transaction each; stopped midway it goes on
from there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg

from core.errors import NotFoundError
from core.time import isoformat, to_datetime
from storage.errors import translated
from storage.queries import load

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Bound:
    """A policy that counts. ``keep`` in PostgreSQL's words (None: for good); ``before`` µs: older is deleted (None:
    nothing)."""

    tenant: str
    kind: str
    keep: str | None
    before: int | None


@dataclass(frozen=True, slots=True)
class Expired:
    """``rows`` of ``kind``; ``tenant`` None: of several, or of nobody. ``where``: partition, chunk or table."""

    kind: str
    rows: int
    where: str
    tenant: str | None = None
    before: int | None = None

    def __str__(self) -> str:
        of = f" of {self.tenant}" if self.tenant else ""
        until = f" before {isoformat(self.before)}" if self.before is not None else ""
        return f"{self.rows} rows of kind {self.kind}{of}{until} ({self.where})"


def bounds(connection: Connection, tenant_id: int | None = None) -> list[Bound]:
    """Of one tenant, of all where None."""
    return [Bound(*row) for row in load("retention").bounds(connection, tenant_id=tenant_id)]


def set_policy(connection: Connection, kind: str, keep: int | None, *, tenant_id: int | None = None) -> None:
    """Keep ``kind`` for ``keep`` µs (None: for good), for one tenant or as what counts for all others.

    Raises :class:`~core.errors.InvalidInputError` for an unknown kind, less than a day, or where a finer kind would
    outlive a coarser one.
    """
    text = None if keep is None else f"{keep} microseconds"
    with translated():
        load("retention").set(connection, tenant_id=tenant_id, kind=kind, keep=text, forget=False)


def forget_policy(connection: Connection, kind: str, *, tenant_id: int | None = None) -> None:
    """Back to what counts for all (``tenant_id`` None: back to keeping for good)."""
    with translated():
        load("retention").set(connection, tenant_id=tenant_id, kind=kind, keep=None, forget=True)


def hold(connection: Connection, tenant_id: int, since: int, reason: str) -> int:
    """Nothing of the tenant newer than ``since`` µs is deleted until the hold (its id) is released, whatever policies
    say."""
    return int(load("retention").hold(connection, tenant_id=tenant_id, since=to_datetime(since), reason=reason))


def release(connection: Connection, hold_id: int) -> None:
    """Raises :class:`~core.errors.NotFoundError` where there is no such hold, or no more."""
    if load("retention").release(connection, id=hold_id) is None:
        raise NotFoundError(f"there is no hold {hold_id}")


def plan(connection: Connection) -> list[Expired]:
    """What :func:`apply` would delete now, counted; changes nothing."""
    queries = load("retention")
    found = []
    for kind, piece, _ in list(queries.pieces(connection)):
        for tenant, before, rows in queries.expiring_of_piece(connection, kind=kind, piece=piece):
            found.append(Expired(kind, int(rows), str(piece), tenant, before))
    for tenant_id, tenant, kind, before in list(queries.rows(connection)):
        rows = queries.expire_rows(connection, tenant_id=tenant_id, kind=kind, dry=True)
        if rows:
            found.append(Expired(kind, int(rows), "table", tenant, before))
    return found


def apply(connection: Connection, *, stop: Callable[[], bool] = lambda: False) -> list[Expired]:
    """Delete what is due; what was. ``connection`` in autocommit: every step is a transaction of its own."""
    queries = load("retention")
    done: list[Expired] = []
    for kind, piece, _ in list(queries.pieces(connection)):
        if stop():
            return done
        if rows := int(queries.expire_piece(connection, kind=kind, piece=piece)):
            done.append(Expired(kind, rows, str(piece)))
    for tenant_id, tenant, kind, before in list(queries.rows(connection)):
        if stop():
            return done
        if rows := int(queries.expire_rows(connection, tenant_id=tenant_id, kind=kind, dry=False)):
            done.append(Expired(kind, rows, "table", tenant, before))
    return done

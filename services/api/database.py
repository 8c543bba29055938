"""The API's door to the database: a pool of connections that can only ever be ``servitize_api``, and SQL by name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, LiteralString, cast

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from core.errors import NotFoundError, UnavailableError
from services.api.settings import ApiSettings
from storage.queries import load

ROLE: Final = "servitize_api"
Row = dict[str, Any]
Connection = AsyncConnection[DictRow]


def visible(found: Row | Sequence[Row] | None, what: str) -> Row:
    """The row, or the first row, that was asked for.

    Raises NotFoundError where there is none: what does not exist and what is another's are told alike.
    """
    if not found:
        raise NotFoundError(f"there is no such {what}, or it is not yours to see")
    return found if isinstance(found, dict) else found[0]


_DOMAINS: Final = (
    "session",
    "access",
    "tenancy",
    "telemetry",
    "alarms",
    "stream",
    "notifications",
    "maintenance",
    "contracts",
    "lifecycle",
    "commands",
    "rounds",
    "diagnosis",
    "learned",
    "compare",
    "trains",
)


@cache
def statements() -> Mapping[str, LiteralString]:
    """SQL text by name, of ``storage/queries/api_<domain>.sql``."""
    found: dict[str, LiteralString] = {}
    for domain in _DOMAINS:
        queries = load(f"api_{domain}", "apsycopg")
        for name in queries.available_queries:
            if name in found:
                raise ValueError(f"two statements of the API are called {name}")
            found[name] = cast("LiteralString", getattr(queries, name).sql)
    return found


@dataclass(frozen=True, slots=True)
class Transaction:
    """Statements by name inside one open transaction. Services get this and never a connection."""

    connection: Connection

    async def rows(self, name: str, /, **parameters: Any) -> list[Row]:
        cursor = await self.connection.execute(statements()[name], parameters)
        return await cursor.fetchall()

    async def row(self, name: str, /, **parameters: Any) -> Row | None:
        cursor = await self.connection.execute(statements()[name], parameters)
        return await cursor.fetchone()

    async def value(self, name: str, /, **parameters: Any) -> Any:
        """First column of the first row; None where there is none."""
        row = await self.row(name, **parameters)
        return next(iter(row.values())) if row else None

    async def run(self, name: str, /, **parameters: Any) -> int:
        """How many rows it changed."""
        cursor = await self.connection.execute(statements()[name], parameters)
        return cursor.rowcount


class Database:
    """A pool whose connections have given up every right but those of ``servitize_api``."""

    def __init__(self, settings: ApiSettings) -> None:
        self._settings = settings
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            settings.database_url,
            connection_class=AsyncConnection[DictRow],
            kwargs=self._arguments(),
            min_size=settings.pool_min,
            max_size=settings.pool_max,
            timeout=settings.pool_timeout,
            max_waiting=10 * settings.pool_max,
            configure=self._configure,
            name="api",
            open=False,
        )

    def _arguments(self) -> dict[str, Any]:
        timeout = round(self._settings.statement_timeout * 1000)
        return {
            "autocommit": True,
            "row_factory": dict_row,
            "application_name": "servitize-api",
            "options": f"-c timezone=UTC -c statement_timeout={timeout} -c idle_in_transaction_session_timeout=60000",
        }

    async def _configure(self, connection: Connection) -> None:
        """Take the role for good.

        A login that row security does not bind would show every tenant everything: refuse to serve.
        """
        row = await (await connection.execute(statements()["take_role"])).fetchone()
        if row is None or not row["bound"]:
            raise UnavailableError(
                f"the API's database login is not bound by row security ({row and row['login']})",
                hint=f"log in as {ROLE}, or grant {ROLE} to the login",
            )

    async def open(self) -> None:
        await self._pool.open(wait=False)

    async def refuse_unbound(self) -> None:
        """Raises UnavailableError for a login that row security does not bind.

        A database that is away is no reason not to start.
        """
        try:
            connection = await AsyncConnection[DictRow].connect(self._settings.database_url, **self._arguments())
        except psycopg.OperationalError:
            return
        async with connection:
            await self._configure(connection)

    async def close(self) -> None:
        await self._pool.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """One transaction: committed at the end, rolled back by an exception. Sees no tenant until told which."""
        async with self._pool.connection() as connection, connection.transaction():
            yield Transaction(connection)

    @asynccontextmanager
    async def of_tenant(self, tenant_id: int) -> AsyncIterator[Transaction]:
        """A transaction that sees what the tenant sees."""
        async with self.transaction() as transaction:
            await transaction.row("become_tenant", tenant=str(tenant_id))
            yield transaction

    @asynccontextmanager
    async def listening(self, statement: str) -> AsyncIterator[Connection]:
        """A connection of its own, outside the pool, that listens; for those who wait for notifications."""
        connection = await AsyncConnection[DictRow].connect(self._settings.database_url, **self._arguments())
        async with connection:
            await self._configure(connection)
            await connection.execute(statements()[statement])
            yield connection

    def stats(self) -> Mapping[str, int]:
        """Figures of the pool for ``/metrics``."""
        return self._pool.get_stats()

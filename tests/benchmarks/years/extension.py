"""Bytes per reading with and without TimescaleDB's columnstore: a small sample, since the extension of the tests runs
in WebAssembly (``SERVITIZE_TEST_TIMESCALE_URL`` takes a server's)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from core.time import DAY, HOUR, SECOND
from storage.migrate import WRITER, Engine, migrate
from storage.packing import COPY_HEADER, COPY_TRAILER, Rows, pack
from storage.queries import load
from tests.integration.storage.helpers import Store, open_store, populate
from tests.support import timescale
from tests.support.logins import PASSWORDS

START = 1_767_571_200 * SECOND
"""2026-01-05, a Monday."""
Values = Callable[[NDArray[np.int64]], NDArray[np.float64]]


def smooth(ts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Noise to the last bit: nothing can compress it."""
    return np.sin(ts / (HOUR * 7)) * 20 + np.random.default_rng(1).normal(size=len(ts))


def measured(ts: NDArray[np.int64]) -> NDArray[np.float64]:
    """The same as an instrument gives it, in steps of a hundredth."""
    return np.round(smooth(ts), 2)


KINDS: dict[str, tuple[int, int, Values]] = {
    "once a second, in hundredths": (SECOND, 60_000, measured),
    "once a second, noise to the last bit": (SECOND, 60_000, smooth),
}
"""Distance and number of readings, and their values."""


def sizes() -> list[dict[str, Any]]:
    """Per kind: bytes per reading as rows (table and key) and as columnstore; empty where there is no TimescaleDB."""
    try:
        server = timescale.start()
    except timescale.NotHereError as missing:
        print(missing)
        return []
    try:
        return [{"kind": kind, **_sizes(server, *how)} for kind, how in KINDS.items()]
    finally:
        server.stop()


def _sizes(server: timescale.Timescale, step: int, count: int, values: Values) -> dict[str, Any]:
    name, dsn = server.create()
    migrate(dsn, PASSWORDS, engine=Engine.TIMESCALE)
    populate(dsn)
    store = open_store(dsn, Engine.TIMESCALE)
    rows = 0
    with psycopg.connect(store.login(WRITER), autocommit=True) as connection:
        for point in store.points[:2]:
            ts = START + np.arange(count, dtype=np.int64) * step
            data = Rows(
                np.full(count, point, np.int32),
                ts,
                values(ts + point * DAY),
                np.full(count, 192, np.uint8),
                ts + SECOND,
            )
            with connection.cursor() as cursor, cursor.copy(load("writer").copy_readings.sql) as copy:
                copy.write(COPY_HEADER)
                copy.write(pack(data))
                copy.write(COPY_TRAILER)
            rows += count
    as_rows = _bytes(store)
    with psycopg.connect(store.dsn, autocommit=True) as connection:
        connection.execute("SET ROLE servitize_owner")
        version = connection.execute("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'").fetchone()
        for (chunk,) in connection.execute("SELECT show_chunks('servitize.reading')::text").fetchall():
            connection.execute("CALL convert_to_columnstore(%s::regclass)", (chunk,))
    as_columns = _bytes(store)
    server.drop(name)
    return {
        "readings": rows,
        "rows": round(as_rows / rows, 1),
        "columns": round(as_columns / rows, 2),
        "version": version and version[0],
    }


def _bytes(store: Store) -> float:
    return float(store.one("SELECT hypertable_size('servitize.reading')"))

"""SQL by domain: one ``.sql`` file each, loaded once.

A query's parameters are written ``:name`` and declared behind its name; a ``:word`` in a comment or between words is
taken for one
too, and ``%`` is written ``%%``.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import aiosql

_FOLDER = Path(__file__).parent


@functools.cache
def load(domain: str, driver: str = "psycopg") -> Any:
    """The queries of ``queries/<domain>.sql``; ``driver`` ``"apsycopg"`` for an async connection.

    ``load("registry").version(connection)`` runs one; ``.sql`` of a query is its text for a cursor. Rows come as the
    connection's row factory makes them.
    """
    return aiosql.from_path(_FOLDER / f"{domain}.sql", driver)

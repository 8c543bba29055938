"""What a database needs done beside writing: numbering the outbox, taking alarms off shelves, partitions ahead of
need; and, on a connection and thread of its own since it may take long, rollups and retention."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import psycopg

from core.time import DAY, to_datetime
from storage import retention
from storage.keeping import Keeping
from storage.queries import load

log = logging.getLogger(__name__)

_BEAT: Final = 1.0
"""Seconds between looks when nothing is announced; shelves and partitions need no finer."""
_PARTITIONS_EVERY: Final = DAY // 24
OUTBOX_KEPT: Final = 30 * DAY
"""How far back a reader's cursor may reach."""
_ROLL_UP_EVERY: Final = 300.0
"""Seconds between rounds of the rollups; readers are exact meanwhile, and hours are made once they are over."""
ROLL_UP_BATCH: Final = (100, 5000)
"""Least and most hours of points in one transaction; in between whatever takes about a second. At one reading a second
an hour has 3,600 of them, of ten-minute values six."""
_RETENTION_EVERY: Final = 6 * 3600.0


class Caretaker:
    """A background thread on a login of the writer role; several at once do no harm (they take turns in the
    database).

    ``now`` gives microseconds UTC of the host's clock, since shelves are set by people. ``on_outbox`` is called with
    the highest
    number whenever rows were numbered. When the database is away it says so once and waits.
    """

    def __init__(self, dsn: str, now: Callable[[], int], on_outbox: Callable[[int], None] | None = None) -> None:
        self._dsn = dsn
        self._now = now
        self._on_outbox = on_outbox
        self._queries = load("caretaker")
        self._stop = threading.Event()
        self._keeping = Keeping("the caretaker", self._session, failures=(psycopg.Error,), pauses=(_BEAT,))
        self._slow: threading.Thread | None = None
        self._maintained_at: int | None = None
        self._head = -1

    def start(self) -> None:
        self._stop.clear()
        self._slow = threading.Thread(target=self._run_slow, name="caretaker rollups", daemon=True)
        self._keeping.start()
        self._slow.start()

    def stop(self, timeout: float | None = None) -> None:
        """Returns once the threads have ended, a beat or a transaction later; or after ``timeout`` seconds, by a
        process that ends then."""
        self._stop.set()
        deadline = None if timeout is None else time.monotonic() + timeout
        self._keeping.stop(timeout)
        if self._slow is not None:
            self._slow.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
            self._slow = None

    def __enter__(self) -> Caretaker:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _session(self) -> None:
        with psycopg.connect(
            self._dsn, autocommit=True, connect_timeout=10, application_name="servitize caretaker"
        ) as connection:
            self._queries.listen(connection)
            while not self._keeping.stopping:
                self.round(connection)
                self._keeping.well()
                for _ in connection.notifies(timeout=_BEAT, stop_after=1):
                    pass

    def round(self, connection: psycopg.Connection[Any]) -> None:
        """Everything that is due, once; ``connection`` in autocommit. For hosts with a loop of their own, and
        tests."""
        now = self._now()
        self._queries.expire_shelves(connection, now=to_datetime(now))
        head = int(self._queries.sequence_outbox(connection))
        if head != self._head:
            self._head = head
            if self._on_outbox is not None:
                self._on_outbox(head)
        if self._maintained_at is None or now - self._maintained_at >= _PARTITIONS_EVERY:
            if self._queries.maintain_partitions(connection):
                log.error("readings lie in the default partition: see servitize.partition_alarm")
            self._queries.prune_outbox(connection, before=to_datetime(now - OUTBOX_KEPT))
            self._maintained_at = now

    # -- rollups and retention -------------------------------------------------------------------------------------

    def _run_slow(self) -> None:
        retain_in = 0.0
        while not self._stop.wait(_BEAT):
            try:
                with psycopg.connect(
                    self._dsn, autocommit=True, connect_timeout=10, application_name="servitize rollups"
                ) as connection:
                    while True:
                        roll_up(connection, stop=self._stop.is_set)
                        if retain_in <= 0 and not self._stop.is_set():
                            expired = retention.apply(connection, stop=self._stop.is_set)
                            for entry in expired:
                                log.info("retention: %s", entry)
                            retain_in = _RETENTION_EVERY
                        retain_in -= _ROLL_UP_EVERY
                        if self._stop.wait(_ROLL_UP_EVERY):
                            return
            except psycopg.errors.LockNotAvailable as error:
                log.warning("rollups or retention wait for a lock and try again later: %s", error)
                self._stop.wait(_ROLL_UP_EVERY / 10)
            except psycopg.OperationalError:
                self._stop.wait(10 * _BEAT)  # the other thread has said so
            except psycopg.Error:
                log.exception("rollups or retention failed; the next round tries again")
                self._stop.wait(_ROLL_UP_EVERY)


def roll_up(
    connection: psycopg.Connection[Any], *, everything: bool = False, stop: Callable[[], bool] = lambda: False
) -> int:
    """Make the rollups of hours that changed; how many there were. ``connection`` in autocommit, of the writer role.

    Hours still being written are left for later, unless ``everything``. Nothing to do on an engine that does it
    itself.
    """
    queries = load("caretaker")
    queries.next_rollup_generation(connection)
    least, most = ROLL_UP_BATCH
    done, batch = 0, least
    while not stop():
        begin = time.monotonic()
        some = int(queries.roll_up(connection, at_most=batch, everything=everything))
        if not some:
            break
        done += some
        batch = min(most, batch * 2) if time.monotonic() - begin < 0.5 else max(least, batch * 2 // 3)
    return done

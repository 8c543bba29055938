"""What a database needs done beside writing: numbering the outbox, taking alarms off shelves, partitions ahead of
need."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Final

import psycopg

from core.time import DAY, to_datetime
from storage.queries import load

log = logging.getLogger(__name__)

_BEAT: Final = 1.0
"""Seconds between looks when nothing is announced; shelves and partitions need no finer."""
_PARTITIONS_EVERY: Final = DAY // 24
OUTBOX_KEPT: Final = 30 * DAY
"""How far back a reader's cursor may reach."""


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
        self._thread: threading.Thread | None = None
        self._maintained_at: int | None = None
        self._head = -1

    def start(self) -> None:
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="caretaker", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Returns once the thread has ended, at most a beat later."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Caretaker:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self) -> None:
        away = False
        while not self._stop.is_set():
            try:
                with psycopg.connect(
                    self._dsn, autocommit=True, connect_timeout=10, application_name="servitize caretaker"
                ) as connection:
                    self._queries.listen(connection)
                    if away:
                        log.info("the caretaker has the database back")
                        away = False
                    while not self._stop.is_set():
                        self.round(connection)
                        for _ in connection.notifies(timeout=_BEAT, stop_after=1):
                            pass
            except psycopg.Error as error:
                if not away:
                    log.warning("the caretaker has lost the database: %s", error)
                    away = True
                self._stop.wait(_BEAT)

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

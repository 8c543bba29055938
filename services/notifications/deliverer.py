"""Brings what happened to who wants to hear of it: out of the outbox, by number, through intents in the database.

Every decision is a transaction and every timer a row, so it may be killed at any moment: what it had taken is sent
again under the same message id when its lease has run out, and nothing else is. Any number of deliverers may run.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg

from core.time import SECOND, to_datetime
from services.notifications.messages import Message
from services.notifications.senders import Channels, Result, send
from storage.keeping import Keeping
from storage.queries import load

log = logging.getLogger(__name__)

_EVENTS_AT_ONCE: Final = 200
_LONGEST_WAIT: Final = 5.0
"""Seconds between looks when nothing is announced and nothing is due: escalations and digests need no finer."""
KEPT: Final = timedelta(days=90)
_PRUNE_EVERY: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Patience:
    """``delays`` in seconds between attempts: one more attempt than there are of them, then it is a dead letter.
    ``lease`` is how long somebody may be busy with one message."""

    delays: Sequence[float] = (5, 30, 120, 600, 1800, 7200, 21_600, 43_200)
    lease: float = 120.0
    at_once: int = 8


class Deliverer:
    """A thread from :meth:`start` to :meth:`stop`. ``dsn`` gives a login of the writer role; ``clock`` the time in
    seconds since 1970."""

    def __init__(
        self,
        dsn: Callable[[], str],
        channels: Channels,
        patience: Patience = Patience(),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._dsn = dsn
        self._channels = channels
        self._patience = patience
        self._clock = clock
        self._queries = load("notifications")
        self._keeping = Keeping("notifications", self._session)
        self._pruned = float("-inf")
        self._unsettled: list[tuple[_Taken, Result]] = []
        """Sent while the database was away: written down first of all when it is back."""
        self.start, self.stop = self._keeping.start, self._keeping.stop

    def _session(self) -> None:
        with (
            psycopg.connect(
                self._dsn(), autocommit=True, connect_timeout=5, application_name="servitize deliverer"
            ) as c,
            ThreadPoolExecutor(self._patience.at_once, thread_name_prefix="deliver") as pool,
        ):
            self._queries.listen(c)
            under_way: dict[Future[Result], _Taken] = {}
            try:
                while not self._keeping.stopping:
                    busy = self._round(c, pool, under_way)
                    self._keeping.well()
                    if not busy:
                        self._wait(c, under_way)
            finally:
                self._collect(c, under_way, wait(under_way).done)

    def _now(self) -> datetime:
        return to_datetime(round(self._clock() * SECOND))

    def _round(
        self, c: psycopg.Connection[Any], pool: ThreadPoolExecutor, under_way: dict[Future[Result], _Taken]
    ) -> bool:
        """Everything that can be done now; whether there may be more."""
        looked_at = self._queries.fan_out(c, at=self._now(), at_most=_EVENTS_AT_ONCE)
        self._queries.escalate(c, at=self._now(), at_most=_EVENTS_AT_ONCE)
        self._collect(c, under_way, {f for f in under_way if f.done()})
        room = self._patience.at_once - len(under_way)
        taken = self.take(c, room) if room else []
        for one in taken:
            under_way[pool.submit(self._send, one)] = one
        if self._clock() - self._pruned > _PRUNE_EVERY:
            self._queries.prune(c, before=self._now() - KEPT)
            self._pruned = self._clock()
        return looked_at == _EVENTS_AT_ONCE or (bool(taken) and len(taken) == room)

    def _wait(self, c: psycopg.Connection[Any], under_way: dict[Future[Result], _Taken]) -> None:
        """Until something is numbered, is due, or was sent."""
        if under_way:
            wait(under_way, timeout=0.05)
            return
        due = self._queries.next_due(c)
        seconds = _LONGEST_WAIT if due is None else (due - self._now()).total_seconds()
        # an endpoint that is switched off leaves what is due waiting; that is no reason to look all the time
        for _ in c.notifies(timeout=min(max(seconds, 0.2), _LONGEST_WAIT if seconds > 0 else 1.0), stop_after=1):
            pass

    def take(self, c: psycopg.Connection[Any], at_most: int) -> list[_Taken]:
        """What is to be sent now, leased to us."""
        lease = self._now() + timedelta(seconds=self._patience.lease)
        rows = self._queries.take(c, at=self._now(), lease=lease, at_most=at_most)
        return [_Taken.of(row, lease) for row in rows]

    def _send(self, one: _Taken) -> Result:
        try:
            return send(self._channels, one.message, one.endpoint, one.secrets, self._clock())
        except Exception as error:  # a message that breaks the sender must not end the others
            log.exception("message %s", one.message.id)
            return Result(False, said=f"a defect of ours: {type(error).__name__}")

    def _collect(
        self, c: psycopg.Connection[Any], under_way: dict[Future[Result], _Taken], done: set[Future[Result]]
    ) -> None:
        for future in done:
            self._unsettled.append((under_way.pop(future), future.result()))
        while self._unsettled:
            self.settle(c, *self._unsettled[0])
            self._unsettled.pop(0)

    def settle(self, c: psycopg.Connection[Any], one: _Taken, result: Result) -> None:
        """Write down what became of it."""
        delays = self._patience.delays
        last = one.attempt > len(delays)
        happened = "succeed" if result.ok else "give_up" if last or result.gone else "fail"
        due = None
        if happened == "fail":
            due = self._now() + timedelta(seconds=max(delays[one.attempt - 1], result.after))
        with c.transaction():
            self._queries.finish(
                c,
                ids=one.deliveries,
                happened=happened,
                at=self._now(),
                lease=one.lease,
                next_due=due,
                status=result.status,
                said=result.said or None,
            )
            if result.gone:
                self._queries.disable_endpoint(c, endpoint=one.endpoint, why="it answered 410: gone")
        if happened == "give_up":
            log.warning("message %s is a dead letter: %s", one.message.id, result.said)


@dataclass(frozen=True, slots=True)
class _Taken:
    """Deliveries that go as one message, leased until ``lease``."""

    message: Message
    deliveries: list[int]
    attempt: int
    endpoint: int
    secrets: list[bytes]
    lease: datetime

    @staticmethod
    def of(row: Sequence[Any], lease: datetime) -> _Taken:
        batch, deliveries, round_, attempt, endpoint, tenant, kind, address, secret, former, events = row
        message = Message(f"msg_{batch}_{round_}", tenant, kind, address, events)
        secrets = [bytes(sealed) for sealed in (secret, former) if sealed is not None]
        return _Taken(message, list(deliveries), attempt, endpoint, secrets, lease)

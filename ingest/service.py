"""Ingest as a whole: session → intake → coalescer → sink, and the second that passes.

Three threads: the network's (bytes only, :mod:`ingest.session`), the core's (all that thinks), and a small one that
asks once a second whether the registry has changed. What becomes durable is acknowledged from whichever thread the sink
says so.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final, TypeVar

import structlog

from core.errors import ServitizeError, UnavailableError
from core.ports import RegistryPort
from core.registry import EquipmentEntry, RegistrySnapshot, Tenant
from core.time import SECOND, Clock
from ingest.channel import Channel, Foreign, Junction
from ingest.coalesce import Coalescer
from ingest.intake import Abort, Intake
from ingest.ledger import Handle, Ledger
from ingest.limits import IngestLimits
from ingest.routes import STATUS_TOPIC
from ingest.session import Inbound, MqttSession, MqttSettings
from ingest.sink import Sink

log = structlog.get_logger(__name__)

_TURN: Final = 500
"""Messages taken before the clock is looked at."""
_CATCH_UP_GRACE: Final = 1 * SECOND
_CATCH_UP_LIMIT: Final = 120 * SECOND
_FIRST_BACKOFF: Final = 0.2
_LONGEST_BACKOFF: Final = 2.0
_LEAVE_SECONDS: Final = 3.0
"""For taking leave of brokers; they are not waited for longer, since what they have not heard they send again."""

_T = TypeVar("_T")


class HostClock:
    """The wall clock in µs."""

    def now(self) -> int:
        return time.time_ns() // 1_000


class IngestService:
    """Runs from :meth:`start` to :meth:`stop`. :meth:`wait` returns when it failed for good; ``failure`` says why."""

    def __init__(
        self,
        settings: MqttSettings,
        registry: RegistryPort,
        sink: Sink,
        *,
        limits: IngestLimits | None = None,
        clock: Clock | None = None,
        registry_interval: float = 1.0,
        channels: Sequence[Channel] = (),
        shared: bool = False,
        status_topic: str = STATUS_TOPIC,
    ) -> None:
        self._shared = shared
        self._status_topic = status_topic
        self._settings = settings
        self._registry = registry
        self._registry_lock = threading.Lock()
        self._sink = sink
        self._limits = limits or IngestLimits()
        self._clock: Clock = clock or HostClock()
        self._registry_interval = registry_interval
        self._channels = tuple(channels)
        self._ledger = Ledger()
        self._inbox: queue.SimpleQueue[Inbound] = queue.SimpleQueue()
        self._coalescer = Coalescer()
        self._fresh: RegistrySnapshot | None = None
        self._life = threading.Lock()
        """Held where it is decided whether we serve: a stop comes before that, or after it."""
        self._serving = False
        self._stopping = threading.Event()
        self._draining = threading.Event()
        self._ended = threading.Event()
        self._drain_until = self._close_until = 0.0
        self.failure: BaseException | None = None
        self._intake: Intake | None = None
        self._session: MqttSession | None = None
        self._core = threading.Thread(target=self._run, name="core", daemon=True)
        self._watcher = threading.Thread(target=self._watch, name="registry", daemon=True)

    # --- life
    # ----------------------------------------------------------------------------------------------------------

    def start(self) -> bool:
        """Load the registry, recover the sink, connect. Waits while the database is away.

        True when messages may come; False where :meth:`stop` came first. Raises what else is in the way.
        """
        try:
            self._snapshot = self._patiently(self._registry.load)
            self._intake = Intake(self._snapshot, self._coalescer, self._limits, _Registrar(self), shared=self._shared)
            self._say_broken_profiles()
            self._intake.resume(self._sink.start(self._snapshot, self._durable, self._fail))
        except Exception as error:
            if not self._stopping.is_set():
                raise
            log.info("ingest.stopped_before_it_served", problem=str(error))
            return False
        session = MqttSession(
            self._settings,
            self._ledger,
            self._inbox.put,
            self._intake.router.filters,
            clock=self._clock,
            status_topic=self._status_topic,
        )
        session.subscribe(self._intake.router.filters, self._note(self._snapshot))
        junction = Junction(self._intake, self._coalescer, self._ledger, self._inbox.put, self._flush, self._clock)
        with self._life:
            if self._stopping.is_set():
                self._sink.close(0.0)
                return False
            self._session = session
            for channel in self._channels:
                channel.open(junction, self._snapshot)
            self._core.start()
            self._watcher.start()
            session.start()
            self._serving = True
        return True

    def wait(self, timeout: float | None = None) -> bool:
        """Until it ended by itself (:attr:`failure`) or was stopped; False after ``timeout`` seconds."""
        return self._ended.wait(timeout)

    def stop(self, timeout: float = 5.0) -> bool:
        """Take no more, make durable and acknowledge what was taken, disconnect; within ``timeout`` and a few seconds.

        True where nothing is lost by it: what could not be made durable in time was not acknowledged, so it comes
        again. Only what was sent at QoS 0 does not.
        """
        now = time.monotonic()
        with self._life:
            serving, session = self._serving, self._session
            self._drain_until, self._close_until = now + timeout / 2, now + timeout
            if not serving:
                self._stopping.set()
        if not serving or session is None:
            self._sink.abandon()
            self._ended.set()
            return self.failure is None
        session.stop_reading()
        for channel in self._channels:
            channel.stop_reading()
        self._draining.set()
        self._core.join(timeout + 1.5)  # closing the sink may take a second more than it was given
        self._stopping.set()
        if self._core.is_alive():
            self._sink.abandon()
            self._core.join(1.0)
        self._take_leave(session)
        self._ended.set()
        left = self._ledger.counts()
        if left.pending:
            log.warning("ingest.left_undone", comes_again=left.pending - left.unrepeatable, lost=left.unrepeatable)
        return self.failure is None and not left.unrepeatable

    def _take_leave(self, session: MqttSession) -> None:
        """Of every connection at once."""
        parts: list[MqttSession | Channel] = [session, *self._channels]
        for part in parts:
            part.stop(0.0)
        deadline = time.monotonic() + _LEAVE_SECONDS
        for part in parts:
            part.stop(max(0.0, deadline - time.monotonic()))

    def metrics(self) -> dict[str, Any]:
        """Counters per hop since the start; figures of one moment, not of one transaction."""
        session, intake = self._session, self._intake
        return {
            "session": asdict(session.counts) if session else {},
            "connected": bool(session and session.connected),
            "paused": bool(session and session.paused),
            "ledger": asdict(self._ledger.counts()),
            "queued": self._inbox.qsize(),
            "intake": dict(intake.totals) if intake else {},
            "channels": [channel.metrics() for channel in self._channels] if self._serving else [],
        }

    @property
    def connected(self) -> bool:
        return self._session is not None and self._session.connected

    # --- the core thread
    # -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._loop()
            if not self._stopping.is_set():
                self._flush()
                self._sink.close(max(0.1, self._close_until - time.monotonic()))
        except Abort:
            log.warning("ingest.aborted", pending=self._ledger.counts().pending)
        except BaseException as error:
            if self._stopping.is_set() and self.failure is None:
                log.warning("ingest.gave_up", problem=str(error), pending=self._ledger.counts().pending)
            else:
                self._fail(error)

    def _loop(self) -> None:
        session, intake = self._session, self._intake
        assert session is not None
        assert intake is not None
        next_tick, connections, caught_up, since = 0, -1, False, 0
        while not self._stopping.is_set() and self.failure is None:
            now = self._clock.now()
            wait = self._coalescer.wait(now)
            message = self._next(min(0.2 if wait is None else wait, 0.2))
            taken = 0
            while message is not None:
                if isinstance(message, Foreign):
                    message.channel.take(message)
                else:
                    if intake.needs_new_record(message):
                        self._flush()
                    intake.message(message)
                if self._coalescer.due(message.received_at):
                    self._flush()
                taken += 1
                if taken == _TURN:
                    break
                message = self._next(0.0)
            now = self._clock.now()
            for channel in self._channels:
                channel.passed(now)
            if session.counts.connections != connections:
                connections, caught_up, since = session.counts.connections, False, now
            # What the broker kept while we were away is older than the clock. Time must not pass over it, or points
            # would be called silent whose readings wait in the queue.
            caught_up = caught_up or (now - since > _CATCH_UP_GRACE and message is None)
            if now >= next_tick and (caught_up or now - since > _CATCH_UP_LIMIT or now < since):
                next_tick = (now // SECOND + 1) * SECOND
                intake.host_ticks(now)
            if self._coalescer.due(now):
                self._flush()
            if self._fresh is not None:
                self._adopt()
            if self._draining.is_set() and (
                (message is None and self._inbox.empty()) or time.monotonic() >= self._drain_until
            ):
                return

    def _next(self, timeout: float) -> Inbound | None:
        try:
            return self._inbox.get(timeout=timeout) if timeout > 0 else self._inbox.get_nowait()
        except queue.Empty:
            return None

    def _flush(self) -> None:
        for record, handles in self._coalescer.take(self._clock.now()):
            self._sink.submit(record, handles)

    # --- the registry
    # ----------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        failing = False
        while not (self._stopping.wait(self._registry_interval) or self._draining.is_set()):
            try:
                with self._registry_lock:
                    if self._registry.version() != self._snapshot.version:
                        self._fresh = self._registry.load()
                if failing:
                    log.info("registry.back")
                failing = False
            except Exception as error:  # whatever it is, the registry we have goes on serving
                if not failing:
                    log.warning("registry.unreachable", problem=str(error))
                failing = True

    def _adopt(self) -> None:
        with self._registry_lock:
            fresh, self._fresh = self._fresh, None
        if fresh is None or fresh.version <= self._snapshot.version:
            return
        self._use(fresh)

    def _use(self, snapshot: RegistrySnapshot) -> None:
        assert self._intake is not None
        # readings named by the old registry leave before the new one counts
        self._flush()
        self._snapshot = snapshot
        self._intake.adopt(snapshot)
        for channel in self._channels:
            channel.adopt(snapshot)
        self._say_broken_profiles()
        self._sink.reconfigure(snapshot)
        if self._session is not None:
            self._session.subscribe(self._intake.router.filters, self._note(snapshot))

    def _note(self, snapshot: RegistrySnapshot) -> dict[str, Any]:
        """What our status says beside the subscriptions: who serves which registry."""
        return {"registry": snapshot.version, "pid": os.getpid()}

    def _say_broken_profiles(self) -> None:
        assert self._intake is not None
        for name, error in self._intake.router.broken_profiles:
            log.error("profile.unusable", profile=name, problem=str(error), hint=error.hint)

    def register(self, what: Callable[[RegistryPort], None]) -> None:
        """Do ``what`` and go on with the registry as it then is. Waits while the database is away, as messages do."""

        def done() -> RegistrySnapshot:
            with self._registry_lock:
                what(self._registry)
                return self._registry.load()

        try:
            snapshot = self._patiently(done)
        except ServitizeError as error:
            log.warning("registration.refused", problem=str(error))
            return
        if snapshot.version != self._snapshot.version:
            self._use(snapshot)

    def _patiently(self, ask: Callable[[], _T]) -> _T:
        """The answer of the database, however long it is away; :class:`Abort` where we are told to stop meanwhile."""
        delay, failing = _FIRST_BACKOFF, False
        while True:
            try:
                answer = ask()
            except UnavailableError as error:
                if not failing:
                    log.warning("registry.unreachable", problem=str(error))
                failing = True
                if self._stopping.wait(delay):
                    raise Abort from error
                delay = min(delay * 2, _LONGEST_BACKOFF)
                continue
            if failing:
                log.info("registry.back")
            return answer

    # --- called from other threads
    # -----------------------------------------------------------------------------------------

    def _durable(self, handles: Sequence[Handle]) -> None:
        ready = self._ledger.durable(handles)
        session = self._session
        if session is not None and (ready or session.paused):
            session.wake()

    def _fail(self, error: BaseException) -> None:
        if self.failure is None:
            self.failure = error
            log.error("ingest.failed", problem=str(error), kind=type(error).__name__)
        self._stopping.set()
        self._ended.set()


class _Registrar:
    """What the intake asks for, with the waiting and the new snapshot around it."""

    def __init__(self, service: IngestService) -> None:
        self._service = service

    def equipment(self, tenant: Tenant, key: str, type_key: str | None) -> None:
        self._service.register(lambda registry: registry.register_unknown(tenant, key, type_key))

    def points(self, entry: EquipmentEntry, names: Iterable[str]) -> None:
        self._service.register(lambda registry: registry.register_points(entry.id, names))

"""The Faust app: one agent over the telemetry topic that hands what it reads to a worker's partitions.

What Faust does here: membership in the group, assignment of partitions, fetching, flow. What it does not: say where
to read. A partition starts where the database says (:class:`_Consumer`), and every record's offset is checked
(:mod:`stream_processors.kafka.host`), so what Faust may deliver around a rebalance changes nothing.

Rules that keep data safe with Faust 0.15, each for a reason (docs/why/the-cluster.md): nothing is raised out of the
agent; ``concurrency`` is 1; no tables, no ``group_by``; no acknowledgement of Faust's means anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import faust
import structlog
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from yarl import URL

from core.errors import UnavailableError
from stream_processors.commits import ServiceEndedError
from stream_processors.kafka.host import PartitionHost, Place, Poison
from stream_processors.kafka.sink import REGISTRY_HEADER
from stream_processors.kafka.topics import DEAD_LETTERS, PARTITIONS, TELEMETRY, KafkaSettings
from stream_processors.tracing import HEADER as TRACE_HEADER

log = structlog.get_logger(__name__)

_BUFFER: Final = 128
"""Records that Faust keeps between fetching and the agent: more would only be memory, up to 8 MB each."""
_AT_ONCE: Final = 16
_ASK_SECONDS: Final = 8.0
"""For a question to Kafka before it is asked again."""
_STOP_SECONDS: Final = 10.0
"""For leaving the group; with Kafka away nobody is there to hear it."""
_FULL_PAUSE: Final = 0.01
_SETTLE_PAUSE: Final = 0.2
"""What Faust has in its hands when a partition is paused has reached the agent after this long."""
_RETAKE_SECONDS: Final = 3.0
"""A partition that another worker has taken is mostly about to be taken from us: the group says so within seconds."""
_REPORT_SECONDS: Final = 5.0
_REMIND_SECONDS: Final = 60.0


class LogLostError(UnavailableError):
    """Kafka no longer has, or never had, records that are in no table."""

    code = "log-lost"


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """``name`` of this worker, the same for ever: who comes back under it within ``session_timeout`` seconds gets its
    partitions back, and nobody else is disturbed. After that the others get them."""

    name: str = "worker-0"
    group: str = "telemetry"
    session_timeout: float = 8.0
    heartbeat: float = 1.0
    rebalance_timeout: float = 15.0
    static: bool = True


class _NoOffsets(dict[Any, Any]):
    """Faust drops records below the last offset it has seen, by a book that goes wrong when a partition is sought
    while it reads. Whether a record is wanted is the host's question."""

    def __getitem__(self, key: Any) -> None:
        return None

    def update(self, *_: Any, **__: Any) -> None:
        return None


class _Consumer(driver.Consumer):
    """Faust's consumer, which asks the database where to read."""

    app: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_offset = _NoOffsets()

    async def seek_to_committed(self) -> Mapping[Any, int]:
        reader: Reader = self.app.reader
        found: Mapping[Any, int] = await reader.positions(self)
        return found


class _Transport(driver.Transport):
    Consumer = _Consumer


class ClusterApp(faust.App):
    """``reader`` is set by who makes it."""

    reader: Reader

    def _create_directories(self) -> None:
        """None: Faust keeps tables there, we have none, and where a worker runs is often read-only."""


@dataclass(slots=True)
class Counts:
    """``above``: records that Faust delivered ahead of their turn; ``sought``: how often it was sent back."""

    above: int = 0
    sought: int = 0
    rebalances: int = 0
    put_aside: int = 0


@dataclass(slots=True)
class _Lag:
    """``end`` is the log's, as last heard of."""

    end: dict[int, int] = field(default_factory=dict)


class Reader:
    """Faust on one side, a :class:`~stream_processors.kafka.host.PartitionHost` on the other.

    Make it, give ``lost`` and ``poison`` to the host, then :meth:`run` with it in a running event loop.
    """

    def __init__(self, kafka: KafkaSettings, group: GroupSettings) -> None:
        self._host: PartitionHost
        self._kafka = kafka
        self._group = group
        self._topic_name = kafka.topic(TELEMETRY)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._settling = asyncio.Lock()
        self._assigned: set[int] = set()
        self._reading: set[int] = set()
        """Held and sought: the others of ours are paused."""
        self._moving: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()
        self._told = False
        self._lag = _Lag()
        self.stopped: dict[int, str] = {}
        """Partitions that cannot go on, and why; said again every minute."""
        self.counts = Counts()
        self.ready = False

    # --- life ---------------------------------------------------------------------------------------------------

    async def run(self, host: PartitionHost) -> None:
        """Until :meth:`end` is called or the app fails; the host is the caller's to start and stop."""
        self._host = host
        self._loop = asyncio.get_running_loop()
        if self._told:
            return
        self.app = app = self._make_app()
        reporter = asyncio.create_task(self._report())
        ended = asyncio.create_task(self._ended.wait())
        gone = asyncio.create_task(app.wait_until_stopped())
        try:
            await app.start()
            await asyncio.wait({ended, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not self._ended.is_set():
                raise UnavailableError(
                    f"Faust has ended: {app.crash_reason!r}", hint="the worker is to be started again"
                )
        finally:
            for task in (reporter, ended, gone, *self._tasks):
                task.cancel()
            self._assigned = set()
            # before the group hears of it: who takes a partition then finds its checkpoint made
            await self._off_the_loop(host.release, list(host.partitions))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(app.stop(), _STOP_SECONDS)

    def end(self) -> None:
        """From any thread, also before :meth:`run`."""
        self._told = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._ended.set)

    def _make_app(self) -> ClusterApp:
        kafka, group = self._kafka, self._group
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # says per attempt what we say once
        app = ClusterApp(
            f"{kafka.prefix}-{group.group}",
            broker=[URL(f"kafka://{server}") for server in kafka.bootstrap.split(",")],
            broker_client_id=group.name,
            broker_credentials=_credentials(kafka),
            broker_session_timeout=group.session_timeout,
            broker_heartbeat_interval=group.heartbeat,
            broker_rebalance_timeout=group.rebalance_timeout,
            broker_request_timeout=max(group.rebalance_timeout, group.session_timeout) + 5.0,
            consumer_auto_offset_reset="earliest",
            consumer_group_instance_id=group.name if group.static else None,
            stream_buffer_maxsize=_BUFFER,
            stream_wait_empty=False,  # nothing is acknowledged to Faust: it would wait for ever
            table_standby_replicas=0,
            topic_allow_declare=False,
            topic_disable_leader=True,
            web_enabled=False,
            store="memory://",
            autodiscover=False,
        )
        app.reader = self
        app.transport = _Transport(app.conf.broker_consumer, app)
        topic = app.topic(self._topic_name, key_serializer="raw", value_serializer="raw", partitions=PARTITIONS)
        self._dead_letters = app.topic(kafka.topic(DEAD_LETTERS), key_serializer="raw", value_serializer="raw")

        @app.agent(topic, concurrency=1, name="telemetry")
        async def telemetry(stream: faust.StreamT[bytes]) -> None:
            await self._read(stream)

        # On revocation nothing is done: most come back with the assignment that follows, and who takes one of ours
        # meanwhile fences us out.
        app.on_partitions_assigned.connect(self._on_assigned, weak=False)  # type: ignore[arg-type]
        return app

    async def _off_the_loop(self, work: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(None, work, *arguments)

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def running(self) -> bool:
        """Whether :meth:`run` was entered."""
        return self._loop is not None

    @property
    def settled(self) -> bool:
        """Whether all that is assigned is held (or has stopped)."""
        return self.running and not self._settling.locked() and self._assigned <= {*self._reading, *self.stopped}

    # --- the agent ----------------------------------------------------------------------------------------------

    async def _read(self, stream: Any) -> None:
        """An exception leaving an agent loses records: none leaves this one."""
        host = self._host
        async for event in stream.noack().events():
            try:
                message = event.message
                registry, trace = _told(message.headers)
                place = host.arrived(message.partition, message.offset, message.value, registry, trace)
                if place is Place.ABOVE:
                    self.counts.above += 1
                    self._send_back(message.partition)
                while host.full:  # noqa: ASYNC110 - the core thread says so 100 times a second at most
                    await asyncio.sleep(_FULL_PAUSE)
            except Exception:
                log.exception("agent.defect")

    # --- assignment ---------------------------------------------------------------------------------------------

    async def _on_assigned(self, _app: Any, *arguments: Any, signal: Any, **_: Any) -> None:
        self.counts.rebalances += 1
        assigned: Iterable[TP] = arguments[0]
        self._assigned = {tp.partition for tp in assigned if tp.topic == self._topic_name}
        self._spawn(self._settle())

    async def positions(self, consumer: Any) -> dict[Any, int]:
        """Where Faust is to read, of the partitions held; the others are paused until they are."""
        mine = {tp for tp in consumer.assignment() if tp.topic == self._topic_name}
        found = {tp: offset for tp in mine if (offset := self._host.next_offset(tp.partition)) is not None}
        found = {tp: offset for tp, offset in found.items() if tp.partition not in self.stopped}
        consumer.pause_partitions(mine - found.keys())
        self._reading.clear()
        if found:
            await consumer.seek_wait(found)
        self._reading |= {tp.partition for tp in found}
        self.ready = True
        return found

    async def _settle(self) -> None:
        """Give back what is no longer ours, take what is."""
        try:
            async with self._settling:
                gone = [p for p in self._host.partitions if p not in self._assigned]
                if gone:
                    self._reading -= set(gone)
                    await self._off_the_loop(self._host.release, gone)
                    for partition in gone:
                        self.stopped.pop(partition, None)
                # a few at a time: while they are restored the group may give them to somebody else
                while fresh := self._missing()[:_AT_ONCE]:
                    await self._off_the_loop(self._host.acquire, fresh)
                    await self._start(fresh)
                await self._start(self._assigned - self._reading)  # those whose start was in the way of something
        except (ServiceEndedError, asyncio.CancelledError):
            pass
        except Exception as error:
            log.warning("assignment.failed", problem=str(error) or repr(error), again_in=_RETAKE_SECONDS)
            self._loop_later(_RETAKE_SECONDS)

    def _missing(self) -> list[int]:
        return sorted(self._assigned - set(self._host.partitions) - self.stopped.keys())

    def _loop_later(self, seconds: float) -> None:
        async def later() -> None:
            await asyncio.sleep(seconds)
            await self._settle()

        self._spawn(later())

    def lost(self, partition: int) -> None:
        """The host has lost a partition: take it again if it is still ours in a while. From any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._reading.discard, partition)
            self._loop.call_soon_threadsafe(self._loop_later, _RETAKE_SECONDS)

    # --- where to read ------------------------------------------------------------------------------------------

    def _tp(self, partition: int) -> TP:
        return TP(self._topic_name, partition)

    def _send_back(self, partition: int) -> None:
        if partition not in self._moving:
            self._moving.add(partition)
            self._spawn(self._back(partition))

    async def _back(self, partition: int) -> None:
        try:
            self._reading.discard(partition)
            self.app.consumer.pause_partitions({self._tp(partition)})
            await asyncio.sleep(_SETTLE_PAUSE)
            await self._start([partition])
        except Exception as error:
            log.warning("partition.not_sent_back", partition=partition, problem=str(error) or repr(error))
            self._loop_later(_RETAKE_SECONDS)
        finally:
            self._moving.discard(partition)

    async def _start(self, partitions: Iterable[int]) -> None:
        """Read on where the database says, of what the log has; the others stop."""
        host, consumer = self._host, self.app.consumer
        mine = [self._tp(p) for p in partitions if p in self._assigned and host.next_offset(p) is not None]
        if not mine:
            return
        first = await asyncio.wait_for(consumer.earliest_offsets(*mine), _ASK_SECONDS)
        end = await asyncio.wait_for(consumer.highwaters(*mine), _ASK_SECONDS)
        starts: dict[TP, int] = {}
        for tp in mine:
            wanted, live = host.next_offset(tp.partition), host.first_uncommitted(tp.partition)
            if wanted is None or live is None:
                continue
            self._lag.end[tp.partition] = end[tp] or 0
            problem = _lost(wanted, live, first[tp], end[tp] or 0)
            if problem is not None:
                self._stop(tp.partition, problem, first[tp])
                continue
            if first[tp] > wanted:
                # what is missing is committed; only the state is that of a checkpoint a few records older
                log.warning("partition.state_is_older", partition=tp.partition, next=wanted, log_begins=first[tp])
                host.skip_replay_to(tp.partition, first[tp])
                wanted = first[tp]
            starts[tp] = wanted
        self.counts.sought += len(starts)
        if starts:
            await asyncio.wait_for(consumer.seek_wait(starts), _ASK_SECONDS)
            consumer.resume_partitions(set(starts))
            self._reading |= {tp.partition for tp in starts}

    def _stop(self, partition: int, problem: str, first: int) -> None:
        self.stopped[partition] = problem
        self.app.consumer.pause_partitions({self._tp(partition)})
        log.error(
            "partition.stopped",
            partition=partition,
            problem=problem,
            hint=_HINT.format(partition=partition, first=first),
        )
        self._spawn(self._let_go(partition))

    async def _let_go(self, partition: int) -> None:
        await self._off_the_loop(self._host.release, [partition])

    # --- telling ------------------------------------------------------------------------------------------------

    def put_aside(self, poison: Poison) -> None:
        """Into the topic of dead letters as well, for who looks there; the database has it in any case."""
        self.counts.put_aside += 1
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self._publish(poison), self._loop)

    async def _publish(self, poison: Poison) -> None:
        try:
            await self._dead_letters.send(
                key=f"{poison.partition}/{poison.offset}".encode(),
                value=poison.data,
                headers={"reason": poison.reason.encode()},
            )
        except Exception as error:
            log.warning("dead_letter.not_published", problem=str(error) or repr(error))

    def lag(self) -> dict[int, int]:
        """By partition held, the records in the log that are in no table yet."""
        committed = dict(self._host.committed) if self.running else {}
        return {p: max(0, self._lag.end.get(p, at) - at) for p, at in committed.items()}

    async def _report(self) -> None:
        """Kafka's book of positions is a copy of the database's, for tools that look there; it is never read back."""
        said: dict[int, int] = {}
        reminded = 0.0
        while True:
            await asyncio.sleep(_REPORT_SECONDS)
            try:
                consumer, now = self.app.consumer, asyncio.get_running_loop().time()
                assigned = {tp.partition for tp in consumer.assignment() if tp.topic == self._topic_name}
                for partition in assigned:
                    if (end := consumer.highwater(self._tp(partition))) is not None:
                        self._lag.end[partition] = end
                moved = {p: at for p, at in self._host.committed.items() if p in assigned and at and said.get(p) != at}
                if moved:
                    await _tell_kafka(consumer, {self._tp(p): at for p, at in moved.items()})
                    said |= moved
                if self.stopped and now - reminded > _REMIND_SECONDS:
                    reminded = now
                    for partition, problem in self.stopped.items():
                        log.error("partition.stopped", partition=partition, problem=problem)
                    self.stopped = {p: why for p, why in self.stopped.items() if p in self._assigned}
            except Exception as error:
                log.debug("positions.not_reported", problem=str(error) or repr(error))


_HINT: Final = (
    "bring the records back, or give them up with `servitize cluster give-up {partition} {first}`, "
    "and restart the worker"
)


def _lost(wanted: int, live: int, first: int, end: int) -> str | None:
    """Why reading cannot go on: records that are in no table, and not in the log. ``live`` is the first not committed,
    ``wanted`` the next to be read (before it, where records are stepped through for their state alone)."""
    needed = max(wanted, live)
    if first > needed:
        return f"the log begins at {first}, but records from {needed} on were never stored: retention has overtaken us"
    if end < needed:
        return f"the log ends at {end}, but the database has stored records up to {needed}: it is another log"
    return None


async def _tell_kafka(consumer: Any, offsets: dict[TP, int]) -> None:
    """Past Faust's own commit, which ends the whole app where Kafka does not answer."""
    thread = consumer._thread
    mine = {driver.ensure_aiokafka_TP(tp): OffsetAndMetadata(offset, "") for tp, offset in offsets.items()}
    await thread.call_thread(thread._ensure_consumer().commit, mine)


def _told(headers: Any) -> tuple[int, bytes | None]:
    """By which registry a record was named (-1: not said), and by which span it was sent."""
    said = dict(headers) if headers else {}
    return int(said.get(REGISTRY_HEADER, -1)), said.get(TRACE_HEADER)


def _credentials(kafka: KafkaSettings) -> Any:
    if kafka.protocol.startswith("SASL"):
        return faust.SASLCredentials(
            username=kafka.username, password=kafka.password, mechanism=kafka.mechanism, ssl_context=kafka.tls()
        )
    return faust.SSLCredentials(context=kafka.tls()) if kafka.protocol == "SSL" else None

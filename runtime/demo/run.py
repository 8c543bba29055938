"""``servitize demo`` from start to verdict."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg

from core.errors import InvalidInputError
from core.time import DAY, HOUR, SECOND, isoformat
from runtime import access, bootstrap
from runtime.console import say
from runtime.demo.files import DemoFiles, Progress, PublisherOrder
from runtime.demo.fleet import TENANT
from runtime.demo.lease import ensure_lease
from runtime.demo.plan import LEARNING, REPAIR, STORY, TYPES
from runtime.demo.report import begun, owed, passed, verdict_lines
from runtime.demo.verdict import judge
from runtime.devices import credential
from runtime.endpoints import Endpoints
from runtime.host import News, print_step, stop_requests
from runtime.local.paths import DataDirectory
from runtime.local.rights import BrokerRights
from runtime.monitor import Monitor
from runtime.settings import Settings
from runtime.supervisor import ProcessSpec, Supervisor
from runtime.view import LiveView

if TYPE_CHECKING:
    from runtime.demo.crew import Crew

DEFAULT_SPEED = 1200.0
DEFAULT_SEED = 1
GATEWAY = f"{TENANT}.gateway"
PUBLISHER = "publisher"
SEGMENT = 30 * HOUR
STORY_SECONDS = 90.0
_CLOSING_SECONDS = 20.0
"""After the last reading: the watch looks every few seconds."""
SHOWING = 20 * HOUR
"""Simulated time after the learning that a first run has at least, for faults to begin, grow and be told."""
FIRST_DAYS_AGO = 45
BEGIN_HOUR = 5
"""A train goes into service then, so that its baselines are learned before the night, and faults show next morning."""
_FRAMES_PER_SECOND = 40.0
_STALL_SECONDS = 120.0
"""A busy machine may take its time over what was sent, as long as it gets on with it and nobody wants it to end."""
_QUIET_SECONDS = 1.5
_REFRESH_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class _Tenant:
    id: int
    key: str


def run_demo(
    data: DataDirectory,
    settings: Settings,
    *,
    seconds: float | None,
    speed: float | None,
    seed: int | None,
    story: bool = False,
    make: Callable[..., Supervisor] = Supervisor,
) -> bool:
    """Start everything, let the fleet run (until asked to stop, or for ``seconds``), stop everything in order, and
    judge.

    True when all that had to be told was told, and nothing else. With ``story`` one bearing wears, and is replaced by a
    crew that hears of it by the API: then also when its work order was verified by the machine and closed.
    """
    if story and seconds is None:
        seconds = STORY_SECONDS
    news = News()
    made: list[_Tenant] = []
    with stop_requests() as stop:
        data.acquire()
        files = DemoFiles(data)
        seed = _settle_seed(files, seed)
        supervisor = make(
            settings, data, report=print_step, news=news.add, command="demo",
            prepare=lambda endpoints: made.append(_prepare_tenant(data, endpoints)),
        )  # fmt: skip
        with supervisor:
            tenant = made[0]
            ensure_lease(supervisor.api.url, tenant.key)
            with Monitor(supervisor.endpoints.databases[bootstrap.WRITER], tenant.id) as monitor:
                order = _make_order(
                    data, files, supervisor, monitor, seed=seed, seconds=seconds, speed=speed, story=story
                )
                files.write_order(order)
                files.clear_repairs()
                files.clear_progress()
                head = monitor.journal_head()
                say(
                    f"ready in {supervisor.steps.elapsed:.1f} s; simulated time begins at {isoformat(order.start)} "
                    f"and runs {order.speed:.0f} × as fast as the clock"
                )
                for line in _where_to_look(supervisor, tenant):
                    say(line)
                supervisor.add_process(ProcessSpec(PUBLISHER, "publisher", stop_timeout=90.0, finishes=True))
                with LiveView(
                    "servitize demo", f"board {supervisor.api.url}/board   Ctrl-C ends it with a verdict"
                ) as view:
                    news.tell = view.say
                    crew = _crew(supervisor, tenant, files, view.say) if story else None
                    _watch(supervisor, monitor, view, files, stop)
                    supervisor.child(PUBLISHER).stop()
                    progress = files.progress()
                    if progress is not None:
                        _drain(supervisor, monitor, view, progress, stop)
                    if crew is not None:
                        crew.closed.wait(_CLOSING_SECONDS)
                        crew.stop()
                news.tell = say
                alarms = monitor.announced_since(head)
                stored = monitor.totals().stored
            interrupted = stop.is_set()
            say("stopping in order …")
    until = order.start if progress is None else progress.event_time
    truth = files.truth(order.number)
    # A run of fixed length is planned so that everything shows; one that was cut short owes what was due by then.
    due = owed(truth, until) if interrupted or seconds is None else truth
    verdict = judge(truth if due is truth else begun(truth, until), alarms)
    say()
    if progress is not None:
        say(
            f"{progress.messages} messages with {progress.readings} readings sent, {progress.waiting} of them not "
            f"acknowledged; {stored} readings stored in all; simulated time ended at {isoformat(until)}\n"
        )
    say("\n".join(verdict_lines(verdict, due)))
    say()
    say("\n".join(_where_next(data, supervisor, tenant)))
    if crew is not None and not crew.closed.is_set():
        say(f"\nthe story did not come to its end: {crew.trouble or 'time was over before the work was proven'}")
    return passed(verdict, due) and (crew is None or crew.closed.is_set())


def _crew(supervisor: Supervisor, tenant: _Tenant, files: DemoFiles, tell: Callable[[str], None]) -> Crew:
    from runtime.demo.crew import Crew

    crew = Crew(supervisor.api.url, tenant.key, files, tell)
    crew.start()
    return crew


def _settle_seed(files: DemoFiles, seed: int | None) -> int:
    """The fleet of a data directory keeps its seed: other machines under the same names would look ill."""
    known = files.memory().get("seed")
    if known is None:
        files.write_memory(seed=DEFAULT_SEED if seed is None else seed)
        return DEFAULT_SEED if seed is None else seed
    if seed is not None and seed != known:
        raise InvalidInputError(
            f"the fleet in this data directory was made with seed {known}",
            hint="give another one a directory of its own: --home DIR",
        )
    return int(known)


def _prepare_tenant(data: DataDirectory, endpoints: Endpoints) -> _Tenant:
    """Tenant, equipment and the gateway that sends for them; idempotent."""
    from storage import admin, board_logins

    password = data.secret("demo-gateway")
    with psycopg.connect(endpoints.databases[bootstrap.OWNER]) as connection:
        # after a repair machines speak before their publisher says what time it is (processes/publisher.py)
        bound = REPAIR + HOUR
        tenant = admin.create_tenant(
            connection, TENANT, "Demonstration", publisher_clock=True, future_bound=bound, exist_ok=True
        )
        board_logins.operates(connection, tenant, yes=True)  # who looks at the demonstration looks at all of it
        site = admin.create_site(connection, tenant, "site-1", "Demonstration site")
        for key, type_key in TYPES.items():
            type_ = bootstrap.load_type(connection, type_key)
            admin.create_equipment(connection, tenant, key, type_, site_id=site, exist_ok=True)
        if all(device.client_id != GATEWAY for device in admin.devices(connection, tenant)):
            admin.create_device(connection, tenant, None, GATEWAY, GATEWAY, password)
    BrokerRights(data).provision([credential(TENANT, None, GATEWAY, GATEWAY, password)])
    return _Tenant(tenant, bootstrap.ensure_api_key(data, endpoints, TENANT))


def _make_order(
    data: DataDirectory,
    files: DemoFiles,
    supervisor: Supervisor,
    monitor: Monitor,
    *,
    seed: int,
    seconds: float | None,
    speed: float | None,
    story: bool = False,
) -> PublisherOrder:
    """Where simulated time goes on, and how fast."""
    memory, newest, now = files.memory(), monitor.newest_event(), time.time_ns() // 1000
    if newest is None:
        start = (now - FIRST_DAYS_AGO * DAY) // DAY * DAY + BEGIN_HOUR * HOUR
        files.write_memory(learning_began=start)
    else:
        start = newest // SECOND * SECOND + REPAIR
    learned = newest is not None and newest - int(memory.get("learning_began", newest)) >= LEARNING
    least = 0 if learned else LEARNING + SHOWING
    if story:
        least = STORY
    if speed is None:
        speed = DEFAULT_SPEED if seconds is None else max(DEFAULT_SPEED, least / SECOND / seconds)
    length = SEGMENT if seconds is None else round(seconds * speed * SECOND)
    if seconds is not None and start + length > now:
        raise InvalidInputError(
            "simulated time has caught up with the clock in this data directory",
            hint="give a new fleet a directory of its own: --home DIR",
        )
    service = supervisor.broker.service
    return PublisherOrder(
        seed=seed,
        host=service.host,
        port=service.port,
        client_id=GATEWAY,
        username=GATEWAY,
        password=data.secret("demo-gateway"),
        speed=speed,
        period_s=max(10, round(speed / _FRAMES_PER_SECOND / 10) * 10),
        start=start,
        number=int(memory.get("next_number", 1)),
        learned=learned,
        segment_length=length,
        seconds=seconds,
        story=story,
    )


def _watch(supervisor: Supervisor, monitor: Monitor, view: LiveView, files: DemoFiles, stop: threading.Event) -> None:
    """Show what happens until the publisher has finished or somebody wants to stop."""
    while not stop.wait(_REFRESH_SECONDS):
        parts = supervisor.part_states()
        snapshot = monitor.snapshot(parts)
        view.show(snapshot)
        if snapshot.totals.event_time is not None:
            files.write_heard(snapshot.totals.event_time)
        if any(part.name == PUBLISHER and part.state == "finished" for part in parts):
            return


def _drain(supervisor: Supervisor, monitor: Monitor, view: LiveView, progress: Progress, stop: threading.Event) -> None:
    """Wait until what was sent is stored, and the last clock messages have been acted on."""
    before, since = -1, time.monotonic()
    began = since
    while time.monotonic() - since < _STALL_SECONDS and not (stop.is_set() and since - began > _STALL_SECONDS):
        snapshot = monitor.snapshot(supervisor.part_states())
        view.show(snapshot)
        totals = snapshot.totals
        if totals.messages != before:
            before, since = totals.messages, time.monotonic()
        arrived = totals.event_time is not None and totals.event_time >= progress.event_time
        if arrived and time.monotonic() - since > _QUIET_SECONDS and not supervisor.lag():
            return
        time.sleep(_REFRESH_SECONDS)
    view.say("not all of it was processed in time: the verdict is about what was")


def _signs_in_once(supervisor: Supervisor, tenant: _Tenant) -> str:
    """The board on one click, for as long as somebody may leave a demonstration alone."""
    with access.connected(supervisor.endpoints.databases[bootstrap.OWNER]) as connection:
        return access.sign_in_link(connection, supervisor.api.url, tenant.key, 12 * HOUR / SECOND)


def _where_to_look(supervisor: Supervisor, tenant: _Tenant) -> list[str]:
    url = supervisor.api.url
    return [
        f"  board    {_signs_in_once(supervisor, tenant)}",
        f"  API      {url}/docs",
        f"  alarms   curl -s -H 'Authorization: Bearer {tenant.key}' '{url}/v1/alarms?limit=5'",
        f"  health   curl -s -H 'Authorization: Bearer {tenant.key}' '{url}/v1/equipment'",
    ]


def _where_next(data: DataDirectory, supervisor: Supervisor, tenant: _Tenant) -> list[str]:
    return [
        "Everything is stopped and kept. To look around:",
        f"  servitize up --detach --home {data.root}",
        f"  servitize key link --tenant {TENANT} --home {data.root}     (the board, on one click)",
        f"  curl -s -H 'Authorization: Bearer {tenant.key}' '{supervisor.api.url}/v1/alarms?limit=5'",
        f"  servitize device add press-7 --type compressor-train --home {data.root}",
        f"  servitize down --home {data.root}",
    ]

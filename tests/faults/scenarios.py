"""The faults, one function each: what is published, what breaks when, and what may be lost by it.

Every scenario takes a :class:`Stage`, which knows host, seed and scale; figures at scale 1 are those of the report.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg import sql

from tests.faults.fleet import FRAME, TENANT, Message, Run, disturbed
from tests.faults.host import Host
from tests.faults.load import Load
from tests.faults.verdict import Result, Watch, judge, wait_until_stored

TERM, INT, KILL = signal.SIGTERM, signal.SIGINT, signal.SIGKILL
Hurt = Callable[["Play"], None]


@dataclass
class Play:
    """A scenario under way, as its faults see it."""

    host: Host
    run: Run
    load: Load
    watch: Watch
    rng: random.Random
    scale: float

    def strike(self, part: Any, number: signal.Signals, away: float = 0.0) -> None:
        """End a part and start it again after ``away`` seconds."""
        if number is KILL and not away:
            self.watch.restored()
        part.end(number)
        if away:
            time.sleep(away)
        if number is not KILL or away:
            self.watch.restored()
        part.start()
        self.watch.started()

    def heard_of_all(self) -> None:
        """Until something of every machine is stored: what comes before a device's first word nobody can miss."""
        points = self.run.machines * FRAME
        while True:
            with contextlib.suppress(psycopg.Error), psycopg.connect(self.host.dsn) as connection:
                row = connection.execute("SELECT count(DISTINCT point_id) FROM servitize.reading").fetchone()
                if row is not None and row[0] >= points:
                    return
            time.sleep(0.2)


@dataclass(frozen=True)
class Stage:
    """Where scenarios are played. ``scale`` shrinks amounts and absences alike."""

    host: Host
    seed: int
    scale: float = 1.0

    def play(
        self,
        name: str,
        run: Run,
        hurt: Hurt,
        *,
        rate: float | None,
        faults: str,
        lines: bool = False,
        may_lose: bool = False,
        more: Callable[[Sequence[Message]], list[Message]] = list,
        after: Callable[[Host, list[str]], None] = lambda host, problems: None,
    ) -> Result:
        """Publish ``run`` while ``hurt`` breaks things, then judge. ``more`` mixes other messages in; ``after`` looks
        at what only this scenario knows."""
        host = self.host
        messages = more(list(run.messages()))
        with host.stage(run, lines=lines), Watch(lambda: host.dsn) as watch:
            # everybody says something after the faults: whoever is never heard again is missed by nobody
            held = max(len(messages) // 20, 3 * run.machines + 13)
            load = Load(host.mqtt, messages, len(messages), rate, held)
            play = Play(host, run, load, watch, random.Random(self.seed), self.scale)
            load.start()
            hurt(play)
            host.ingest.keep_alive(wait=True)
            load.release()
            load.finish()
            wanted = len({frame for frame in load.acknowledged_frames() if run.taken(*frame)}) * FRAME
            backlog = wait_until_stored(host, load, wanted, host.ingest.keep_alive, patience=8 if may_lose else 25)
            result = judge(name, host, run, load, watch, may_lose=may_lose, faults=faults, backlog_s=backlog)
            after(host, result.problems)
            return result

    def run(self, readings: int, **more: Any) -> Run:
        """A fleet of fifty whose readings are this many at scale 1."""
        machines = more.pop("machines", 50)
        seconds = max(20, round(readings * self.scale / machines / FRAME))
        return Run(self.seed, machines, seconds, **more)

    def seconds(self, at_full_size: float) -> float:
        return max(1.0, at_full_size * self.scale)


# --- kills ----------------------------------------------------------------------------------------------------------


def kills(stage: Stage) -> Result:
    """Ten kills of ingest and three of the database while a million readings are published."""
    times = (10, 3) if stage.scale >= 0.05 else (3, 1)

    def hurt(play: Play) -> None:
        targets = [play.host.ingest] * times[0] + [play.host.database] * times[1]
        play.rng.shuffle(targets)
        for place, part in enumerate(targets):
            play.load.reached((place + play.rng.uniform(0.2, 1.0)) / (len(targets) + 1))
            play.strike(part, KILL)

    return stage.play(
        "kills",
        stage.run(1_000_000),
        hurt,
        rate=15_000,
        faults=f"ingest killed {times[0]} times, database {times[1]} times (SIGKILL)",
    )


def signals(stage: Stage) -> Result:
    """TERM, INT and KILL in any order on ingest and database, at long and short intervals; the broker is stopped in
    order."""

    def hurt(play: Play) -> None:
        parts: list[tuple[Any, Sequence[signal.Signals]]] = [
            (play.host.ingest, (TERM, INT, KILL)),
            (play.host.ingest, (TERM, INT, KILL)),
            (play.host.database, (TERM, INT, KILL)),
            (play.host.broker, (TERM, INT)),
        ]
        for place in range(12):
            part, numbers = play.rng.choice(parts)
            play.load.reached((place + play.rng.uniform(0.0, 1.0)) / 14)
            play.strike(part, play.rng.choice(numbers))

    return stage.play(
        "signals", stage.run(400_000), hurt, rate=10_000, faults="12 × TERM, INT or KILL on ingest, database, broker"
    )


def power_cut(stage: Stage) -> Result:
    """All at once: what only the broker had is gone, and its gaps are seen although ingest died with it."""

    def hurt(play: Play) -> None:
        play.heard_of_all()
        play.load.reached(0.5)
        for part in (play.host.ingest, play.host.broker, play.host.database):
            part.end(KILL)
        play.watch.restored()
        for part in (play.host.database, play.host.broker, play.host.ingest):
            part.start()
        play.watch.started()

    return stage.play(
        "power-cut", stage.run(150_000), hurt, rate=10_000, may_lose=True,
        faults="ingest, broker and database killed at once",
    )  # fmt: skip


def backends(stage: Stage) -> Result:
    """A process of the database dies; the server throws everybody out and recovers."""

    def hurt(play: Play) -> None:
        for place in range(3):
            play.load.reached((place + 1) / 4)
            with contextlib.suppress(psycopg.Error), psycopg.connect(play.host.dsn) as connection:
                pids = connection.execute(
                    "SELECT pid FROM pg_stat_activity WHERE application_name = 'servitize writer'"
                ).fetchall()
                play.watch.restored()
                for (pid,) in pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, KILL)

    return stage.play(
        "database-backend-killed", stage.run(150_000), hurt, rate=15_000, faults="writer's backend killed 3 times"
    )


# --- the database is away, or not itself ---------------------------------------------------------------------------


def database_away(stage: Stage) -> Result:
    """A minute without database at 20,000 readings a second."""
    away = stage.seconds(60)

    def hurt(play: Play) -> None:
        play.load.reached(0.1)
        play.strike(play.host.database, INT, away)

    return stage.play(
        "database-away", stage.run(1_500_000), hurt, rate=20_000, faults=f"database stopped for {away:.0f} s"
    )


def database_read_only(stage: Stage) -> Result:
    """Every transaction is read-only, as after a switch to a standby."""
    away = stage.seconds(10)

    def hurt(play: Play) -> None:
        play.load.reached(0.2)
        _set_default(play, "on")
        time.sleep(away)
        play.watch.restored()
        _set_default(play, "off")

    return stage.play("database-read-only", stage.run(200_000), hurt, rate=10_000, faults=f"read-only for {away:.0f} s")


def database_disk_full(stage: Stage) -> Result:
    """A file system of its own, filled until nothing fits, while readings come; then room again.

    The stage's host has to lie on such a file system: see :func:`tests.faults.run.disk_stage`.
    """
    away = stage.seconds(15)
    ballast = stage.host.disk / "ballast"

    def hurt(play: Play) -> None:
        play.load.reached(0.2)
        with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 16))
        deadline = time.monotonic() + max(away, 5.0)
        while time.monotonic() < deadline:  # what is freed meanwhile is taken, too
            with contextlib.suppress(OSError), open(ballast, "ab", buffering=0) as file:
                file.write(bytes(1 << 12))
            time.sleep(0.1)
        play.watch.restored()
        ballast.unlink()
        play.host.database.start()
        play.watch.started()

    return stage.play(
        "database-disk-full", stage.run(200_000), hurt, rate=8_000, faults=f"no byte of room for {max(away, 5.0):.0f} s"
    )


def _set_default(play: Play, value: str) -> None:
    superuser: Callable[..., str] = play.host.postgres.dsn  # type: ignore[attr-defined]
    with psycopg.connect(superuser("postgres", "postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER SYSTEM SET default_transaction_read_only = {}").format(sql.Literal(value)))
        connection.execute("SELECT pg_reload_conf()")


def database_slow(stage: Stage) -> Result:
    """Every answer takes a tenth of a second longer."""

    def hurt(play: Play) -> None:
        play.load.reached(0.2)
        play.host.database_line.delay(0.05)
        play.load.reached(0.8)
        play.watch.restored()
        play.host.database_line.delay(0.0)

    return stage.play(
        "database-slow", stage.run(150_000), hurt, rate=10_000, lines=True, faults="50 ms each way for 60 % of the time"
    )


def database_network(stage: Stage) -> Result:
    """Cut in the middle of commits, many times; then half open, so that nobody says that it is gone."""

    def hurt(play: Play) -> None:
        line = play.host.database_line
        for place in range(10):
            play.load.reached((place + play.rng.random()) / 14)
            line.cut()
        play.load.reached(0.8)
        line.swallow()
        time.sleep(stage.seconds(10))
        line.refuse()
        line.cut()
        line.swallow(False)
        time.sleep(1)
        play.watch.restored()
        line.refuse(False)

    return stage.play(
        "database-network", stage.run(150_000), hurt, rate=10_000, lines=True, faults="cut 10 times, half open, refused"
    )


# --- broker and its network ----------------------------------------------------------------------------------------


def broker_restart(stage: Stage) -> Result:
    """Stopped in order three times, with a backlog: nothing is lost by that."""

    def hurt(play: Play) -> None:
        for place in range(3):
            play.load.reached((place + play.rng.uniform(0.3, 1.0)) / 4)
            play.strike(play.host.broker, TERM)

    return stage.play("broker-restart", stage.run(150_000), hurt, rate=10_000, faults="broker restarted 3 times (TERM)")


def broker_kill(stage: Stage) -> Result:
    """Killed while ingest is away, so that it holds what nobody else has: the worst that can be lost."""

    def hurt(play: Play) -> None:
        play.heard_of_all()
        play.load.reached(0.3)
        play.host.ingest.end(TERM)
        play.load.reached(0.5)
        play.strike(play.host.broker, KILL)
        play.host.ingest.start()
        play.load.reached(0.8)
        play.strike(play.host.broker, KILL)

    return stage.play(
        "broker-kill", stage.run(150_000), hurt, rate=10_000, may_lose=True,
        faults="broker killed twice, once with a backlog",
    )  # fmt: skip


def broker_away(stage: Stage) -> Result:
    """Minutes without broker: devices keep what they have, and send it after."""
    away = stage.seconds(120)

    def hurt(play: Play) -> None:
        play.load.reached(0.4)
        play.strike(play.host.broker, TERM, away)

    return stage.play("broker-away", stage.run(100_000), hurt, rate=10_000, faults=f"broker stopped for {away:.0f} s")


def broker_network(stage: Stage) -> Result:
    """Between broker and ingest: cut, slow, half open."""

    def hurt(play: Play) -> None:
        line = play.host.broker_line
        for place in range(8):
            play.load.reached((place + play.rng.random()) / 16)
            line.cut()
        play.load.reached(0.6)
        line.delay(0.1)
        play.load.reached(0.7)
        line.delay(0.0)
        line.swallow()
        time.sleep(stage.seconds(15))
        play.watch.restored()
        line.cut()
        line.swallow(False)

    return stage.play(
        "broker-network", stage.run(150_000), hurt, rate=10_000, lines=True, faults="cut 8 times, 100 ms, half open"
    )


def ingest_away(stage: Stage) -> Result:
    """A minute of 20,000 readings a second waits in the broker, however long it took to come."""
    backlog = round(60 * 20_000 * stage.scale)

    def hurt(play: Play) -> None:
        play.load.reached(0.1)
        play.host.ingest.end(TERM)
        before = play.load.acknowledged_readings
        while play.load.acknowledged_readings < before + backlog and play.load.runs:
            time.sleep(0.5)
        play.watch.restored()
        play.host.ingest.start()
        play.watch.started()

    return stage.play(
        "ingest-away", stage.run(1_500_000), hurt, rate=20_000, faults=f"{backlog:,} readings wait in the broker"
    )


# --- what is delivered ---------------------------------------------------------------------------------------------


def _nothing(play: Play) -> None:
    play.load.reached(1.0)


def delivery(stage: Stage) -> Result:
    """A tenth of all frames twice, all displaced by up to the type's five seconds: alarms as if undisturbed."""
    run = stage.run(150_000, lateness=5)
    shaken = disturbed(run, repeated=0.1, within=5.0)

    def same_alarms(host: Host, problems: list[str]) -> None:
        if run.alarms(host.registry()) != shaken.alarms(host.registry()):
            problems.append("displacement within the lateness of the type has changed the alarms")

    return stage.play(
        "delivery", shaken, _kill_once, rate=15_000, faults="10 % twice, displaced up to 5 s; ingest killed once",
        more=_unnumbered, after=same_alarms,
    )  # fmt: skip


def late_delivery(stage: Stage) -> Result:
    """A twentieth comes up to a minute late: stored, and looked at as late readings are, whatever else happens."""
    shaken = disturbed(stage.run(150_000), repeated=0.05, within=1.0, beyond=0.05)
    return stage.play(
        "late-delivery", shaken, _kill_once, rate=15_000, faults="5 % up to 65 s late, 5 % twice; ingest killed once",
        more=_unnumbered,
    )  # fmt: skip


def _unnumbered(messages: Sequence[Message]) -> list[Message]:
    """Without numbers: a network that repeats and reorders is not the device's, whose numbers would be in order."""
    out = []
    for message in messages:
        if message.machine >= 0:
            head, _, rest = message.payload.partition(b',"seq":')
            message = replace(message, payload=head + rest[rest.index(b",") :])
        out.append(message)
    return out


def _kill_once(play: Play) -> None:
    play.load.reached(0.5)
    play.strike(play.host.ingest, KILL)


def poison(stage: Stage) -> Result:
    """One hostile message for every ten good ones, on the same topics."""
    rng = random.Random(stage.seed)
    sent: list[int] = []

    def mixed(messages: Sequence[Message]) -> list[Message]:
        out: list[Message] = []
        for message in messages:
            out.append(message)
            if rng.random() < 0.1:
                topic, payload = hostile(rng, len(out))
                out.append(Message(topic, payload, -2, -1))
        sent.append(sum(message.machine == -2 for message in out))
        return out

    def all_refused(host: Host, problems: list[str]) -> None:
        with psycopg.connect(host.dsn) as connection:
            row = connection.execute("SELECT count(*) FROM servitize.dead_letter").fetchone()
        if row is None or row[0] != sent[0]:
            problems.append(f"{sent[0]} hostile messages, {row and row[0]} dead letters")

    return stage.play(
        "poison", stage.run(150_000), _kill_once, rate=10_000, faults="9 % of messages hostile; ingest killed once",
        more=mixed, after=all_refused,
    )  # fmt: skip


def hostile(rng: random.Random, number: int) -> tuple[str, bytes]:
    """A message of which nothing can be used, unlike every other one."""
    topic = f"servitize/v1/{TENANT}/press-{rng.randrange(50)}/telemetry"
    mark = b"%d" % number
    return rng.choice(
        [
            (topic, b"\xff\xfe" + mark + rng.randbytes(30)),
            (topic, b"[" * 3_000 + mark),
            (topic, b'{"ts":' + mark + b"000000,"),
            (topic, b'{"ts":1704067200000,"values":{"speed":"\\u0000' + mark + b'"}}'),
            (topic, b'{"ts":1704067200000,"values":{"no-such-' + mark + b'":1}}'),
            (topic, b'{"ts":"' + mark + b' o\'clock","values":{"speed":1}}'),
            (f"servitize/v1/{TENANT}/nobody-{number}/telemetry", b'{"ts":1704067200000,"values":{"speed":1}}'),
            (f"servitize/v1/nobody/{number}/telemetry", b'{"ts":1704067200000,"values":{"speed":1}}'),
            (f"servitize/v1/{TENANT}/press-0/telemetry/{number}", b"{}"),
        ]
    )


def clock_skew(stage: Stage) -> Result:
    """Machines whose clocks are wrong by seconds, hours and years; those beyond the tenant's bounds are refused with
    that reason, and nobody else notices."""
    skew = {1: 30, 2: 3_600, 3: -40, 4: -7_200, 5: 86_400 * 400, 6: -86_400 * 365 * 20}
    run = stage.run(150_000, skew=skew, past_window=3_600_000_000)

    def refused(host: Host, problems: list[str]) -> None:
        with psycopg.connect(host.dsn) as connection:
            found: dict[str, int] = dict(
                connection.execute("SELECT reason, sum(readings)::int FROM servitize.dead_letter GROUP BY reason")
            )
        each = run.seconds * FRAME
        if found != {"future": 2 * each, "past-window": 2 * each}:
            problems.append(f"refused: {found}, and it should be twice {each} of each")

    return stage.play(
        "clock-skew", run, _nothing, rate=15_000, faults="clocks off by 30 s, 1 h, 400 days, −40 s, −2 h, −20 years",
        after=refused,
    )  # fmt: skip


Scenario = Callable[[Stage], Result]
ALL: dict[str, Scenario] = {
    "kills": kills,
    "signals": signals,
    "power-cut": power_cut,
    "database-backend-killed": backends,
    "database-away": database_away,
    "database-read-only": database_read_only,
    "database-disk-full": database_disk_full,
    "database-slow": database_slow,
    "database-network": database_network,
    "broker-restart": broker_restart,
    "broker-kill": broker_kill,
    "broker-away": broker_away,
    "broker-network": broker_network,
    "ingest-away": ingest_away,
    "delivery": delivery,
    "late-delivery": late_delivery,
    "poison": poison,
    "clock-skew": clock_skew,
}
WITH_IOTCORE = ("kills", "ingest-away", "broker-kill", "poison")
"""What depends on the broker, again with the one of the wheel. Nothing survives that one's death, so it is not
restarted in order."""

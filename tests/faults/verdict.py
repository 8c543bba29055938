"""After the faults: what the publisher's ledger, the tables, the counters and an undisturbed run say of each other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from core.alarm import AlarmEvent, AlarmState, reduce
from core.registry import RegistrySnapshot
from storage.consistency import examine
from storage.packing import unpack
from tests.faults.fleet import FRAME, ROW, Run, Said
from tests.faults.host import Host
from tests.faults.load import Load


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the report. Readings throughout; ``detected`` are those that sequence gaps show to be missing.

    ``duplicated``: rows beyond what was published, and alarm transitions beyond those of the undisturbed run.
    ``recovery_s``: from the last kill, or from the moment the absent part was started again, to the next commit.
    ``backlog_s``: from the last acknowledgement by the broker until everything was stored.
    ``ending_s``: the longest time from a TERM or INT until ingest was gone.
    """

    scenario: str
    host: str
    published: int
    stored: int
    lost: int
    detected: int
    duplicated: int
    recovery_s: float
    backlog_s: float = 0.0
    readings_per_s: float = 0.0
    alarms: int = 0
    alarms_equal: bool = True
    faults: str = ""
    seed: int = 0
    ending_s: float = 0.0
    problems: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.problems

    def as_document(self) -> dict[str, Any]:
        return asdict(self)


class Watch:
    """Sees when the stream moves, from a connection of its own that may die at any time."""

    def __init__(self, dsn: Callable[[], str]) -> None:
        self._dsn = dsn
        self._stop = threading.Event()
        self._moved: list[float] = []
        self._since = self._back = 0.0
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(15)

    def restored(self) -> None:
        """The last fault has just happened (a kill) or ended (an absence)."""
        self._since = self._back = time.monotonic()

    def started(self) -> None:
        """What was ended is running again; commits before this were of what was under way."""
        self._back = time.monotonic()

    @property
    def recovery_s(self) -> float:
        """Seconds from :meth:`restored` to the next commit; 0 where nothing was to recover, −1 where none came."""
        if not self._since:
            return 0.0
        after = [moment for moment in self._moved if moment > self._back]
        return after[0] - self._since if after else -1.0

    def _run(self) -> None:
        known = None
        while not self._stop.is_set():
            try:
                with psycopg.connect(self._dsn(), autocommit=True, connect_timeout=2) as connection:
                    while not self._stop.wait(0.02):
                        row = connection.execute(
                            "SELECT sum(next_offset) FROM servitize.stream_position WHERE stream <> 'outbox'"
                        ).fetchone()
                        if row is not None and row[0] != known:
                            known = row[0]
                            self._moved.append(time.monotonic())
            except (psycopg.Error, OSError):
                self._stop.wait(0.05)


def wait_until_stored(host: Host, load: Load, wanted: int, keep_alive: Callable[[], None], *, patience: float) -> float:
    """Until ``wanted`` readings of devices have come to the tables and the stream rests, or nothing moves for
    ``patience`` seconds; seconds that it took since the last acknowledgement."""
    last: tuple[int, int] = (-1, -1)
    since = time.monotonic()
    reached = load.ended
    while True:
        keep_alive()
        try:
            with psycopg.connect(host.dsn, connect_timeout=5) as connection:
                now = connection.execute(
                    "SELECT (SELECT coalesce(sum(count), 0)::bigint FROM servitize.conservation"
                    " WHERE name = 'storage.in_measured'),"
                    " (SELECT coalesce(sum(count), 0)::bigint FROM servitize.conservation WHERE name = 'ingest.clock')"
                ).fetchone()
        except psycopg.Error:
            now = None
        if now is not None and now != last:
            last, since = now, time.monotonic()
            reached = time.monotonic()
        quiet = time.monotonic() - since
        if quiet > (2 if last[0] >= wanted else patience):
            return max(0.0, reached - load.ended)
        time.sleep(0.1)


def judge(
    name: str,
    host: Host,
    run: Run,
    load: Load,
    watch: Watch,
    *,
    may_lose: bool = False,
    faults: str = "",
    backlog_s: float = 0.0,
) -> Result:
    """Compare everything. ``may_lose``: the broker was killed, so what it alone had may be gone, if gaps show it."""
    registry = host.registry()
    published = run.rows(registry, load.acknowledged_frames())
    stored = _stored(host.dsn)
    problems: list[str] = []
    missing, extra, unequal = _compare(published, stored)
    if unequal:
        problems.append(f"{unequal} stored readings have another value")
    if extra:
        problems.append(f"{extra} stored readings were never published")
    detected = _detected(host.dsn) * FRAME
    if len(missing) and not may_lose:
        problems.append(f"{len(missing)} readings that the broker had acknowledged are not stored")
    if detected != len(missing):
        problems.append(f"{len(missing)} readings are missing, sequence gaps show {detected}")
    wanted = run.alarms(registry, _frames(run, registry, missing))
    found = _said(host.dsn)
    if found != wanted:
        problems.append(
            f"alarms: {len(wanted - found)} of {len(wanted)} transitions are missing, {len(found - wanted)} are too"
            f" many: {sorted(wanted - found)[:3]} {sorted(found - wanted)[:3]}"
        )
    problems += _other_states(_states(host.dsn), _reduced(wanted), wanted)
    problems += examine(host.dsn).problems
    return Result(
        scenario=name,
        host=host.name if host.broker_name == "mosquitto" else f"{host.name}-{host.broker_name}",
        published=len(published),
        stored=len(stored),
        lost=len(missing),
        detected=detected,
        duplicated=extra + len(found - wanted),
        recovery_s=round(watch.recovery_s, 2),
        backlog_s=round(backlog_s, 1),
        readings_per_s=round(load.readings_per_second),
        alarms=len(wanted),
        alarms_equal=found == wanted,
        faults=faults,
        seed=run.seed,
        ending_s=max((seconds for _, seconds, _ in host.ingest.endings), default=0.0),
        problems=problems,
    )


def _stored(dsn: str) -> NDArray[Any]:
    """(point, ts, value) of measured points, in order of key."""
    query = (
        "COPY (SELECT r.point_id, r.ts, r.value, r.quality, r.received_at FROM servitize.reading r"
        " JOIN servitize.point p ON p.id = r.point_id WHERE p.kind = 'measured') TO STDOUT (FORMAT BINARY)"
    )
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor, cursor.copy(query) as copy:
        rows = unpack(b"".join(bytes(chunk) for chunk in copy))
    out = np.empty(len(rows), ROW)
    out["point"], out["ts"], out["value"] = rows.point_id, rows.ts, rows.value
    return np.sort(out, order=("point", "ts"))


def _compare(published: NDArray[Any], stored: NDArray[Any]) -> tuple[NDArray[Any], int, int]:
    """Published rows that are not stored, how many stored were not published, how many differ in value."""
    key = [("point", np.int32), ("ts", np.int64)]
    left, right = (np.ascontiguousarray(rows[["point", "ts"]]).astype(key) for rows in (published, stored))
    missing = published[~np.isin(left, right)]
    extra = stored[~np.isin(right, left)]
    both_left, both_right = published[np.isin(left, right)], stored[np.isin(right, left)]
    return missing, len(extra), int(np.count_nonzero(both_left["value"] != both_right["value"]))


def _detected(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT coalesce(sum((body->>'missing')::bigint), 0)::bigint FROM servitize.event"
            " WHERE kind = 'sequence_gap'"
        ).fetchone()
    return int(row[0]) if row else 0


def _frames(run: Run, registry: RegistrySnapshot, missing: NDArray[Any]) -> frozenset[tuple[int, int]]:
    if not len(missing):
        return frozenset()
    gone = set(missing["ts"].tolist())
    return frozenset(frame for frame in run.frames if run.ts(*frame) in gone)


def _said(dsn: str) -> Said:
    with psycopg.connect(dsn) as connection:
        return frozenset(
            connection.execute(
                "SELECT equipment_id, condition, servitize.to_us(at), change, coalesce(first_out, ''), late"
                " FROM servitize.condition_transition"
            ).fetchall()
        )


def _states(dsn: str) -> dict[tuple[int, str], tuple[str, bool]]:
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("SELECT equipment_id, condition, state, active FROM servitize.alarm").fetchall()
    return {(row[0], row[1]): (row[2], row[3]) for row in rows}


def _other_states(
    found: dict[tuple[int, str], tuple[str, bool]], wanted: dict[tuple[int, str], tuple[str, bool]], said: Said
) -> list[str]:
    """A line for each alarm that is in another state than the transitions make it, with what was last said of it."""
    lines = []
    for key in sorted(found.keys() | wanted.keys()):
        if found.get(key) != wanted.get(key):
            last = sorted((t[2], t[3]) for t in said if (t[0], t[1]) == key)[-4:]
            lines.append(f"alarm {key} is {found.get(key)}, not {wanted.get(key)}, after {last}")
    return lines


def _reduced(said: Said) -> dict[tuple[int, str], tuple[str, bool]]:
    """Alarm states by the table of core.alarm, in the order of event time; of one instant in the order of one frame.

    Its values are looked at first, the state of the machine that they make is last: what was raised in a frame may be
    suppressed by it.
    """
    within = {name: place for place, name in enumerate(("cleared", "unsuppressed", "raised", "suppressed"))}
    states: dict[tuple[int, str], tuple[AlarmState, bool]] = {}
    for equipment, condition, _, change, _, _ in sorted(said, key=lambda t: (t[2], within[t[3]])):
        state, active = states.get((equipment, condition), (AlarmState.NORMAL, False))
        state, active, _ = reduce(state, active, AlarmEvent(change))
        states[equipment, condition] = (state, active)
    return {key: (state.value, active) for key, (state, active) in states.items()}

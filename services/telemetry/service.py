"""Readings and what surrounds them, out of the database and into the words of the API."""

from __future__ import annotations

import base64
import math
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from core import quality
from core.time import SECOND, parse_duration
from ingest.limits import IngestLimits
from services.api.database import Row, Transaction, visible
from services.api.errors import ParameterError
from services.telemetry.model import (
    DeadLetterDetail,
    DeadLetterSummary,
    DeviceLimits,
    EquipmentRef,
    Event,
    Intake,
    Latest,
    LatestPoint,
    PointDetail,
    Reading,
    Refused,
    SequenceGap,
    SequenceSeen,
)

RECENT_GAPS: Final = 10
_GAP: Final = "sequence_gap"
_REFUSED: Final = "refused."
DEFAULT_WINDOW: Final = timedelta(hours=1)
_TINY: Final = timedelta(microseconds=1)
_describe = lru_cache(256)(quality.describe)


def finite(value: float | None) -> float | None:
    """JSON has no NaN and no infinity: None stands for them."""
    return value if value is not None and math.isfinite(value) else None


def reading_of(row: Row) -> Reading:
    return Reading(ts=row["ts"], value=finite(row["value"]), quality=_describe(row["quality"] & 0xFF))


async def point(db: Transaction, point_id: int) -> PointDetail:
    row = visible(await db.row("point", id=point_id), "point")
    return PointDetail.model_validate(
        {
            **row,
            "equipment": EquipmentRef(id=row["equipment_id"], key=row["equipment_key"], name=row["equipment_name"]),
            "latest": reading_of(row) if row["ts"] is not None else None,
        }
    )


async def latest(db: Transaction, equipment: EquipmentRef) -> Latest:
    rows = await db.rows("latest", equipment=equipment.id)
    items = [
        LatestPoint.model_validate({**row, "value": finite(row["value"]), "quality": _describe(row["quality"] & 0xFF)})
        for row in rows
    ]
    return Latest(equipment=equipment, items=items)


def window(time_from: datetime | None, time_to: datetime | None, newest: Reading | None) -> tuple[datetime, datetime]:
    """[from, to): what is not given ends just behind the newest reading and begins an hour earlier.

    The newest reading, not the clock: a replay or a machine that was switched off is then shown rather than an empty
    hour.
    """
    end = time_to or (newest.ts + _TINY if newest else None)
    if end is None:
        end = (time_from or datetime.fromisoformat("2000-01-01T00:00:00+00:00")) + DEFAULT_WINDOW
    start = time_from if time_from is not None else end - DEFAULT_WINDOW
    if start >= end:
        if time_to is None:
            return start, start + _TINY
        raise ParameterError("'from' must be before 'to'", parameter="from")
    return start, end


async def readings(db: Transaction, point_id: int, time_from: datetime, time_to: datetime, count: int) -> list[Row]:
    return await db.rows("readings", point=point_id, time_from=time_from, time_to=time_to, count=count)


async def thinned(db: Transaction, point_id: int, time_from: datetime, time_to: datetime, pixels: int) -> list[Row]:
    """At most ``pixels`` stored readings that keep first, last, least and greatest of every stretch; bad ones never
    as extremes."""
    return await db.rows("readings_thinned", point=point_id, time_from=time_from, time_to=time_to, pixels=pixels)


def duration(text: str, parameter: str) -> timedelta:
    """A positive duration of at most a year out of a query parameter."""
    micros = parse_duration(text)
    if not 0 < micros <= 366 * 86_400 * SECOND:
        raise ParameterError("a duration between a microsecond and a year", parameter=parameter)
    return timedelta(microseconds=micros)


async def gaps(
    db: Transaction, point_id: int, span: tuple[datetime, datetime], longest: timedelta, after: str | None, count: int
) -> list[Row]:
    """Rows (gap_from, gap_to) in order of time; ``after``: begin behind the gap that began then."""
    return await db.rows(
        "gaps", point=point_id, time_from=span[0], time_to=span[1], longest=longest, after=after, count=count
    )


def event_of(row: Row) -> Event:
    return Event.model_validate(
        {**row, "equipment": EquipmentRef(id=row["equipment_id"], key=row["equipment_key"], name=row["equipment_name"])}
    )


_NO_FILTER: Final[dict[str, Any]] = dict.fromkeys(("id", "reason", "equipment", "after"))


async def dead_letters(db: Transaction, count: int, **filters: Any) -> list[Row]:
    return await db.rows("dead_letters", **{**_NO_FILTER, **filters, "count": count})


def dead_letter_of(row: Row) -> DeadLetterSummary:
    return DeadLetterSummary.model_validate(row)


async def dead_letter(db: Transaction, letter_id: int) -> DeadLetterDetail:
    row = visible(await dead_letters(db, 1, id=letter_id), "dead letter")
    payload = bytes(row["payload"])
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        text = None
    return DeadLetterDetail.model_validate(
        {**row, "payload_text": text, "payload_base64": base64.b64encode(payload).decode()}
    )


async def request_replay(db: Transaction, letter_id: int, who: str) -> datetime:
    """When the replay was asked for first.

    The process that holds the broker publishes it, see ``servitize.take_replays``.
    """
    asked = await db.value("request_replay", letter=letter_id, who=who)
    assert isinstance(asked, datetime)
    return asked


async def intake(db: Transaction, equipment: EquipmentRef, limits: IngestLimits) -> Intake:
    """What became of what the equipment's devices sent."""
    tally = {row["what"]: row for row in await db.rows("intake_tally", equipment=equipment.id)}
    state = await db.row("intake_state", equipment=equipment.id)
    assert state is not None
    gaps = tally.get(_GAP)
    recent = await db.rows("recent_gaps", equipment=equipment.id, count=RECENT_GAPS) if gaps else []
    return Intake(
        equipment=equipment,
        last_received_at=state["last_received_at"],
        sequence=SequenceSeen(
            gaps=gaps["times"] if gaps else 0,
            missing=gaps["amount"] if gaps else 0,
            newest_at=gaps["newest_at"] if gaps else None,
            recent=[_gap_of(row) for row in recent],
        ),
        refused=[
            Refused(
                reason=what.removeprefix(_REFUSED),
                times=row["times"],
                readings=row["amount"],
                newest_at=row["newest_at"],
            )
            for what, row in tally.items()
            if what.startswith(_REFUSED)
        ],
        limits=_limits(limits, rated=not state["publisher_clock"]),
    )


def _gap_of(row: Row) -> SequenceGap:
    """Events come from devices too: what is no number there is unknown here."""
    first, last, missing = (_count(row["body"].get(name)) for name in ("first", "last", "missing"))
    return SequenceGap(ts=row["ts"], first=first, last=last, missing=missing or 0)


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63 else None


def _limits(limits: IngestLimits, *, rated: bool) -> DeviceLimits:
    return DeviceLimits(
        messages_per_second=limits.messages_per_second if rated else None,
        readings_per_second=limits.readings_per_second if rated else None,
        burst_seconds=limits.burst_seconds if rated else None,
        message_bytes=limits.message.max_bytes,
        message_readings=limits.message.max_values,
        points=limits.points_per_equipment,
    )

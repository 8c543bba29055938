"""Waveforms and cases, out of the database and into the words of the API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np

from core.case import CaseEvent, CaseState, allowed
from core.errors import NotFoundError
from models.vibration import curves
from services.api.auth import Principal
from services.api.database import Row, Transaction, visible
from services.api.errors import ParameterError
from services.api.state import TypeParser
from services.diagnosis import evidence
from services.diagnosis.model import Capture, Case, CaseEntry, CaseSummary, Opinion, Waveform, WaveformChannel
from services.diagnosis.places import Places, Samples, samples_of
from services.telemetry.model import EquipmentRef

TREND_DAYS: Final = 30
VIEWS: Final = ("waveform", "spectrum", "envelope", "orbit", "bode")
MOST_VALUES: Final = 262_144


def equipment_ref(row: Row) -> EquipmentRef:
    return EquipmentRef(id=row["equipment_id"], key=row["equipment_key"], name=row["equipment_name"])


# --- waveforms -------------------------------------------------------------------------------------------------------


_NO_FILTER: Final[dict[str, Any]] = dict.fromkeys(
    ("id", "equipment", "channel", "purpose", "request", "time_from", "time_to", "after_ts", "after_id")
)


async def waveforms(db: Transaction, count: int, **filters: Any) -> list[Row]:
    """Rows without samples, newest first."""
    return await db.rows("waveforms", **{**_NO_FILTER, **filters, "count": count})


def waveform_of(row: Row) -> Waveform:
    channels = [
        WaveformChannel(name=c["name"], unit=c["unit"], orientation=c.get("orientation"), gap=c.get("gap"))
        for c in row["channels"]
    ]
    return Waveform.model_validate({**row, "equipment": equipment_ref(row), "channels": channels})


async def waveform(db: Transaction, number: int) -> Waveform:
    return waveform_of(visible(await waveforms(db, 1, id=number), "waveform"))


async def samples(db: Transaction, numbers: Sequence[int]) -> list[Samples]:
    """Those that are there, oldest first."""
    rows = await db.rows("waveform_samples", ids=list(numbers))
    return [samples_of(row) for row in rows]


async def one(db: Transaction, number: int, channel: str | None) -> tuple[Samples, str, int]:
    """A waveform's samples, the channel meant (its first, where none is named), its equipment's number."""
    found = await waveform(db, number)
    (data,) = await samples(db, [number])
    name = channel or data.channels[0]
    if name not in data.channels:
        raise ParameterError(f"it has the channels {', '.join(data.channels)}", parameter="channel")
    return data, name, found.equipment.id


async def places(db: Transaction, parse: TypeParser, equipment: int) -> Places:
    row = visible(await db.row("places_of", equipment=equipment), "equipment")
    return Places(parse(row["document"]))


def curve(known: Places, data: Samples, channel: str, kind: str, top: float | None, resolution: float | None) -> Any:
    """One picture of a waveform; numpy only, so it may run in a thread."""
    place = known.place(data, channel)
    values = data.of(channel)
    if kind == "waveform":
        return curves.waveform(values, data.rate, place)
    if kind == "spectrum":
        return curves.spectrum(values, data.rate, place, top=top, resolution=resolution)
    if kind == "envelope":
        return curves.envelope(values, data.rate, place)
    if kind == "bode":
        return evidence.bode_of(known, data, channel)
    pair = known.pair(channel)
    if pair is None or pair not in data.channels:
        raise ParameterError("this channel has no pair at a right angle in the waveform", parameter="channel")
    x, y = (channel, pair) if channel < pair else (pair, channel)
    return evidence.orbit_of(known, data, x, y)


async def waterfall(
    db: Transaction, known: Places, equipment: int, channel: str, begin: datetime, end: datetime, top: float | None
) -> Any:
    """Up to :data:`evidence.HISTORY` spectra of one channel between two moments."""
    rows = await db.rows("waveform_times", equipment=equipment, channels=[channel], time_from=begin, time_to=end)
    chosen = evidence.choose(rows, [channel], end)
    if not chosen.history:
        raise NotFoundError("there is no waveform of this channel in that time")
    data = await samples(db, chosen.history)
    place = known.place(data[-1], channel)
    housing = place.unit != "um"
    span = top or (evidence.WATERFALL_ORDERS * place.speed / 60.0 if place.speed > 0 else 500.0)
    records = [(s.ts, s.of(channel), s.rate * evidence.slower(s, data[-1])) for s in data]
    return curves.waterfall(records, place, top=min(span, data[-1].rate / 2), enveloped=housing)


def thin(values: np.ndarray[Any, Any], most: int) -> list[float]:
    if len(values) > most:
        raise ParameterError(f"{len(values)} samples; ask for `last` of them, at most {most}", parameter="last")
    return [float(f"{v:.7g}") for v in values.tolist()]


async def captures(db: Transaction, count: int, **filters: Any) -> list[Row]:
    return await db.rows("captures", **{"id": None, "equipment": None, "after": None, **filters, "count": count})


def capture_of(row: Row) -> Capture:
    return Capture.model_validate({**row, "equipment": equipment_ref(row)})


# --- cases -----------------------------------------------------------------------------------------------------------


async def cases(db: Transaction, count: int, **filters: Any) -> list[Row]:
    """Rows, newest first."""
    none = dict.fromkeys(("id", "equipment", "component", "state", "after"))
    return await db.rows("cases", **{**none, **filters, "count": count})


async def case_row(db: Transaction, number: int) -> Row:
    return visible(await cases(db, 1, id=number), "case")


def summary_of(row: Row) -> CaseSummary:
    findings = (row["diagnosis"] or {}).get("findings") or [{}]
    return CaseSummary.model_validate(
        {
            **row,
            "equipment": equipment_ref(row),
            "said": findings[0].get("title"),
            "confidence": findings[0].get("confidence"),
        }
    )


def case_of(row: Row) -> Case:
    frozen = row["evidence"] or {}
    return Case.model_validate(
        {
            **row,
            "equipment": equipment_ref(row),
            "pictures": sorted(frozen.get("curves", {})),
            "conclusion": _opinion(row["conclusion"], row["component"], row["concluded_by"], row["concluded_at"]),
            "found": _opinion(row["found"], row["component"], row["found_by"], row["found_at"]),
            "allowed": allowed(CaseState(row["state"])),
        }
    )


def _opinion(told: Any, component: str, by: str | None, at: datetime | None) -> Opinion | None:
    if told is None or by is None or at is None:
        return None
    return Opinion(
        mode=told.get("mode", ""), component=told.get("component") or component, text=told.get("text", ""), by=by, at=at
    )


def entry_of(row: Row) -> CaseEntry:
    return CaseEntry.model_validate(row)


async def work(db: Transaction, who: Principal, number: int, event: CaseEvent, facts: dict[str, Any]) -> Case:
    """One step by a person. Raises (through the database) not-found, forbidden, conflict."""
    await db.row("work_case", case=number, event=event.value, who=who.actor, facts=json.dumps(facts))
    return case_of(await case_row(db, number))


async def version(db: Transaction, number: int, *, hold: bool = False) -> str:
    """What of a case changes with each step. ``hold`` keeps the case at it until the transaction ends."""
    if hold:
        return f"case/{number}/{await db.value('hold_case', case=number)}"
    return f"case/{number}/{await db.value('last_case_entry', case=number)}"


async def diagnose(
    db: Transaction, parse: TypeParser, case: int, equipment: int, component: str, about: datetime
) -> None:
    """Look at a case's component and file what is seen; inside a transaction of its tenant."""
    known = await places(db, parse, equipment)
    names = [i.channel for i in known.at(component)]
    rows = await db.rows(
        "waveform_times",
        equipment=equipment,
        channels=names,
        time_from=about - evidence.LOOK_BACK,
        time_to=about + evidence.AFTERWARDS,
    )
    chosen = evidence.choose(rows, names, about)
    found = await _seen(db, known, component, chosen)
    found.frozen["trends"] = await _trends(db, equipment, component, about)
    ids, parts = chosen.parts()
    facts = {"diagnosis": found.diagnosis, "evidence": found.frozen}
    await db.value("file_diagnosis", case=case, facts=json.dumps(facts), waveforms=ids, parts=parts)


async def _seen(db: Transaction, known: Places, component: str, chosen: evidence.Chosen) -> evidence.Evidence:
    if chosen.present is None:
        return evidence.Evidence(evidence.abstained("no waveform of this component had come by then"), {"curves": {}})
    wanted = {chosen.present, *chosen.history, *([] if chosen.baseline is None else [chosen.baseline])}
    data = {s.id: s for s in await samples(db, sorted(wanted))}
    present = data[chosen.present]
    baseline = None if chosen.baseline is None else data.get(chosen.baseline)
    history = [data[number] for number in chosen.history if number in data]
    said = await asyncio.to_thread(evidence.judge, known, component, present, baseline)
    pictures = await asyncio.to_thread(evidence.pictures, known, component, present, history, said)
    return evidence.Evidence(said, {"curves": pictures, "present": chosen.present, "baseline": chosen.baseline})


async def _trends(db: Transaction, equipment: int, component: str, about: datetime) -> list[dict[str, Any]]:
    found = []
    for row in await db.rows("component_points", equipment=equipment, component=component):
        readings = await db.rows(
            "readings_thinned",
            point=row["id"],
            time_from=about - timedelta(days=TREND_DAYS),
            time_to=about + evidence.AFTERWARDS,
            pixels=evidence.TREND_POINTS // 4,
        )
        frozen = evidence.trend(row, readings)
        if len(frozen["at"]) > 1:
            found.append(frozen)
    return found


def picture(row: Row, name: str) -> curves.Curve:
    """One of a case's frozen curves."""
    found = (row["evidence"] or {}).get("curves", {}).get(name)
    if found is None:
        raise NotFoundError("this case has no such plot", hint="`pictures` of the case names them")
    return curves.from_document(found)


def now() -> datetime:
    return datetime.now(UTC)

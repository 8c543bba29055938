"""Serial numbers: register, steps, structure, lives, verdicts, plans."""

from __future__ import annotations

import itertools
import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from core.errors import InvalidInputError, NotFoundError
from core.lifecycle import identifiers
from core.lifecycle.genealogy import Deed, Genealogy, Life, total
from core.lifecycle.genealogy import Step as StepOf
from core.lifecycle.plan import Interval, life_plan
from core.lifecycle.remanufacturing import Limits, Returned, assess
from core.time import DAY, HOUR, from_datetime, to_datetime
from services.api.database import Row, Transaction, visible
from services.lifecycle_health import items_model as model

_RATE_WINDOW: Final = 30 * DAY
_AT_REST: Final = frozenset({"stopped", "off", "parked", "standstill"})
"""States in which nothing runs, for types that do not say which do."""


class MachineClock:
    """What a machine counted up to a moment: hours run, starts, hours by state; from its changes of state."""

    def __init__(self, changes: Sequence[tuple[int, str]], running: Sequence[str]) -> None:
        self._ts = [ts for ts, _ in changes]
        self._states = [state for _, state in changes]
        self._running = frozenset(running)
        self._sums: list[dict[str, int]] = [{}]
        for (low, state), (high, following) in itertools.pairwise(changes):
            self._sums.append(self._plus(self._sums[-1], state, high - low))
            if self._runs(following) and not self._runs(state):
                self._sums[-1]["starts"] = self._sums[-1].get("starts", 0) + 1

    def _runs(self, state: str) -> bool:
        return state in self._running if self._running else state not in _AT_REST

    def _plus(self, sums: Mapping[str, int], state: str, us: int) -> dict[str, int]:
        found = dict(sums)
        found[f"hours:{state}"] = found.get(f"hours:{state}", 0) + us
        if self._runs(state):
            found["hours"] = found.get("hours", 0) + us
        return found

    def at(self, moment: int) -> dict[str, Fraction]:
        row = bisect_right(self._ts, moment) - 1
        if row < 0:
            return {"hours": Fraction(0), "starts": Fraction(0)}
        sums = self._plus(self._sums[row], self._states[row], moment - self._ts[row])
        return {
            "hours": Fraction(sums.get("hours", 0), HOUR),
            "starts": Fraction(sums.get("starts", 0)),
            **{key: Fraction(us, HOUR) for key, us in sums.items() if key.startswith("hours:")},
        }


@dataclass(slots=True)
class Register:
    """All items that the tenant asking sees, with their genealogy, and the clocks of machines that were asked for."""

    rows: dict[int, Row]
    genealogy: Genealogy
    steps: list[Row]
    seen: int
    clocks: dict[str, MachineClock]
    now: int

    def counters(self, machine: str, at: int) -> dict[str, Fraction]:
        return self.clocks[machine].at(at)


async def register(db: Transaction) -> Register:
    rows = {row["id"]: row for row in await db.rows("all_items")}
    steps = await db.rows("all_item_steps")
    tree = Genealogy(frozenset(str(i) for i, row in rows.items() if row["equipment_id"] is not None))
    for row in steps:
        tree.add(_step(row))
    seen = int(await db.value("last_item_step"))
    return Register(rows, tree, steps, seen, {}, int(await db.value("now_us")))


def _step(row: Row) -> StepOf:
    return StepOf(
        row["ts"],
        str(row["item_id"]),
        Deed(row["deed"]),
        "" if row["host_id"] is None else str(row["host_id"]),
        row["position"],
        row["failed"],
        row["grade"],
        row["cost"],
        row["note"],
    )


async def _wind(db: Transaction, found: Register, items: Sequence[str]) -> None:
    """Load the clocks of every machine that the items were ever in."""
    wanted: set[str] = set()
    waiting = list(items)
    seen: set[str] = set()
    while waiting:
        now = waiting.pop()
        if now in seen:
            continue
        seen.add(now)
        if now in found.genealogy.machines:
            wanted.add(now)
        waiting += [step.host for step in found.genealogy.steps(now) if step.host]
    for machine in wanted - set(found.clocks):
        equipment = found.rows[int(machine)]["equipment_id"]
        type_row = await db.row("type_of", equipment=equipment)
        running = (type_row["document"] or {}).get("running", ()) if type_row else ()
        changes = [(row["ts"], row["state"]) for row in await db.rows("states_of", equipment=equipment)]
        found.clocks[machine] = MachineClock(changes, running)


# --- the register ----------------------------------------------------------------------------------------------------

_NO_FILTER: Final[dict[str, Any]] = dict.fromkeys(("id", "kind", "serial", "identifier", "equipment", "after"))


async def rows(db: Transaction, count: int, **filters: Any) -> list[Row]:
    return await db.rows("items", **{**_NO_FILTER, **filters, "count": count})


async def item_row(db: Transaction, number: int) -> Row:
    return visible(await rows(db, 1, id=number), "item")


def link(order: model.RegisterItem) -> str:
    if order.gtin is not None:
        return identifiers.digital_link(order.gtin, order.serial, order.domain or identifiers.GS1_RESOLVER)
    assert order.domain is not None
    return identifiers.canonical(identifiers.identification_link(order.domain, order.kind, order.serial))


async def make(db: Transaction, order: model.RegisterItem, equipment: int | None, who: str) -> int:
    made = await db.value(
        "register_item",
        machine=equipment,
        kind=order.kind,
        serial=order.serial,
        identifier=link(order),
        manufacturer=order.manufacturer,
        designation=order.designation,
        attributes=json.dumps({**order.attributes, **({"gtin": order.gtin} if order.gtin else {})}),
        who=who,
    )
    assert isinstance(made, int)
    return made


async def show(db: Transaction, number: int) -> model.Item:
    row = await item_row(db, number)
    found = await register(db)
    lives = await lives_of(db, found, number)
    place = found.genealogy.place(str(number), found.now)
    machine = found.genealogy.machine(str(number), found.now)
    return model.Item(
        **model.ItemSummary.model_validate(row).model_dump(),
        place=None
        if place is None
        else model.Place(host=int(place[0]), position=place[1], machine=None if machine is None else int(machine)),
        counted=_numbers(total(life.counted for life in lives)),
        cost=f"{found.genealogy.cost(str(number)):f}",
        lives=[_life(life) for life in lives],
    )


async def lives_of(db: Transaction, found: Register, number: int) -> list[Life]:
    await _wind(db, found, [str(number)])
    return found.genealogy.lives(str(number), found.counters, found.now)


def _numbers(counted: Mapping[str, Fraction]) -> dict[str, float]:
    return {key: round(float(value), 3) for key, value in counted.items()}


def _life(life: Life) -> model.LifeOf:
    return model.LifeOf(
        number=life.number,
        time_from=to_datetime(life.low),
        time_to=to_datetime(life.high),
        ended=life.ended,
        failed=life.failed,
        counted=_numbers(life.counted),
        stretches=[
            model.StretchOf(
                time_from=to_datetime(s.low),
                time_to=to_datetime(s.high),
                machine=int(s.machine),
                host=int(s.host),
                position=s.position,
                counted=_numbers(s.counted),
            )
            for s in life.stretches
        ],
    )


async def steps_of(db: Transaction, number: int) -> list[model.Step]:
    await item_row(db, number)
    return [step_of(row) for row in await db.rows("all_item_steps") if row["item_id"] == number]


def step_of(row: Row) -> model.Step:
    return model.Step.model_validate(
        {**row, "at": to_datetime(row["ts"]), "host": row["host_id"], "cost": f"{row['cost'].normalize():f}"}
    )


async def take(db: Transaction, number: int, order: model.NewStep, who: str) -> model.Step:
    """One more step. Raises conflict where it cannot have happened: it is somewhere else, was scrapped, the place is
    taken."""
    await item_row(db, number)
    found = await register(db)
    if order.host is not None:
        visible(found.rows.get(order.host), "item")
    if order.deed is not Deed.BUILT and not found.genealogy.steps(str(number)):
        raise InvalidInputError("its life begins with 'built'", hint="record when it was built first")
    host = "" if order.host is None else str(order.host)
    at = from_datetime(order.at)
    cost = Decimal(order.cost)
    found.genealogy.add(
        StepOf(at, str(number), order.deed, host, order.position, order.failed, order.grade, cost, order.note)
    )
    made = await db.value(
        "take_item_step",
        item=number,
        seen=found.seen,
        at=order.at,
        deed=order.deed.value,
        host=order.host,
        position=order.position,
        failed=order.failed,
        grade=order.grade,
        cost=cost,
        currency=order.currency,
        note=order.note,
        measured=json.dumps(order.measured),
        who=who,
    )
    (row,) = [row for row in await db.rows("all_item_steps") if row["id"] == made]
    return step_of(row)


async def structure(db: Transaction, number: int, at: int | None, *, as_built: bool) -> model.Structure:
    """Everything in it: now, at a moment, or as it was built (at its own first step)."""
    await item_row(db, number)
    found = await register(db)
    own = found.genealogy.steps(str(number))
    moment = own[0].at if as_built and own else at if at is not None else found.now
    by_id = {row["id"]: row for row in await rows(db, 1_000_000)}
    parts = [
        model.Part(
            depth=depth,
            position=position,
            item=int(item),
            kind=by_id[int(item)]["kind"],
            serial=by_id[int(item)]["serial"],
            identifier=by_id[int(item)]["identifier"],
        )
        for depth, position, item in found.genealogy.structure(str(number), moment)
    ]
    return model.Structure(item=number, at=to_datetime(moment), parts=parts)


# --- verdicts and plans ----------------------------------------------------------------------------------------------


async def limits(db: Transaction, kind: str) -> model.KindLimits:
    document = await db.value("item_kind", kind=kind)
    if document is None:
        raise NotFoundError("there are no limits of this kind of part", hint="POST /v1/item-kinds gives them")
    return model.KindLimits.model_validate(document)


async def put_limits(db: Transaction, order: model.KindLimits) -> None:
    await db.row("put_item_kind", kind=order.kind, document=order.model_dump_json())


async def _present(db: Transaction, number: int) -> tuple[model.KindLimits, Register, Life]:
    """The limits of its kind, the register, and the life it is in. Raises invalid-input where it has none yet."""
    row = await item_row(db, number)
    bounds = await limits(db, row["kind"])
    found = await register(db)
    lives = await lives_of(db, found, number)
    if not lives:
        raise InvalidInputError("nothing is known of its life", hint="record its steps first")
    return bounds, found, lives[-1]


async def assessment(db: Transaction, number: int) -> model.AssessmentOf:
    """What is to become of it, by its hours, lives, inspection and its health when it was last removed."""
    bounds, found, present = await _present(db, number)
    steps = [s for s in found.steps if s["item_id"] == number and s["ts"] >= present.low]
    inspections = [s for s in steps if s["deed"] == Deed.INSPECTED.value]
    removed = [s for s in steps if s["deed"] == Deed.REMOVED.value]
    health = None
    if removed and (host := found.rows.get(removed[-1]["host_id"])) and host["equipment_id"] is not None:
        health = await db.value(
            "latest_health_before",
            equipment=host["equipment_id"],
            component=removed[-1]["position"],
            at=to_datetime(removed[-1]["ts"]),
        )
    measured: dict[str, float] = {}
    for step in inspections:
        measured |= step["measured"]
    verdict = assess(
        Returned(
            hours=float(present.counted.get("hours", 0)),
            lives=present.number,
            health=health,
            failed=bool(removed) and removed[-1]["failed"],
            measured=measured,
            damage=tuple(s["note"] or "damage" for s in inspections if s["grade"] == "damaged"),
            inspected=bool(inspections) and (not removed or inspections[-1]["ts"] >= removed[-1]["ts"]),
        ),
        Limits(
            bounds.design_hours, bounds.reuse_share, bounds.remanufacture_share, bounds.lives, bounds.health_good,
            bounds.health_poor, {name: (w[0], w[1], w[2]) for name, w in bounds.wear.items()},
        ),
    )  # fmt: skip
    return model.AssessmentOf.model_validate(
        {
            "item": number,
            "grade": verdict.grade.name.lower(),
            "reasons": [{"grade": r.grade.name.lower(), "text": r.text} for r in verdict.reasons],
            "missing": list(verdict.missing),
        }
    )


async def plan(db: Transaction, number: int) -> model.LifePlan:
    bounds, found, present = await _present(db, number)
    hours = float(present.counted.get("hours", 0))
    recent = found.genealogy.stretches(
        str(number), found.counters, max(present.low, found.now - _RATE_WINDOW), found.now
    )
    seen = sum(s.high - s.low for s in recent)
    rate = float(total(s.counted for s in recent).get("hours", 0)) * HOUR / seen if seen else 0.0
    done: dict[str, tuple[float, int]] = {}
    for step in found.steps:
        if (
            step["item_id"] == number
            and step["deed"] in ("inspected", "overhauled", "repaired")
            and step["ts"] >= present.low
        ):
            before = found.genealogy.stretches(str(number), found.counters, present.low, step["ts"])
            at_hours = float(total(s.counted for s in before).get("hours", 0))
            done[step["grade"] or step["deed"]] = (at_hours, step["ts"])
            done[{"inspected": "inspection", "overhauled": "overhaul", "repaired": "repair"}[step["deed"]]] = (
                at_hours,
                step["ts"],
            )
    intervals = [Interval(i.key, i.title, i.hours, None if i.days is None else i.days * DAY) for i in bounds.intervals]
    due = life_plan(intervals, hours, rate, done, present.low, found.now)
    return model.LifePlan(
        item=number,
        hours=round(hours, 2),
        rate=round(rate, 4),
        due=[
            model.DueOf(
                key=d.key,
                title=d.title,
                at=None if d.at is None else to_datetime(d.at),
                hours_left=d.hours_left,
                because=d.because,
            )
            for d in due
        ],
    )

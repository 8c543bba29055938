"""Commands of a type's catalogue to its machines; the twin."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from core.command import APPROVALS, CommandClass, CommandDef, Known, Situation, check
from core.equipment import EquipmentType
from core.errors import ConflictError, InvalidInputError
from services.api.database import Row, Transaction, visible
from services.api.state import TypeParser
from services.remote_operations import model
from services.telemetry.model import EquipmentRef

_GOOD: Final = 192
_NO_FILTER: Final[dict[str, Any]] = dict.fromkeys(("id", "equipment", "state", "open", "after"))


def situation_of(row: Row, now: int, parameters: Mapping[str, float]) -> Situation:
    """What the interlocks look at, out of a row of points, state and alarms as the database packs them."""
    points = {
        key: Known(float("nan") if value is None else value, ts, quality >= _GOOD and value is not None)
        for key, (value, ts, quality) in row["points"].items()
    }
    state, state_at = row["state"] or (None, None)
    return Situation(now, points, state, state_at, [(c, p) for c, p in row["alarms"]], parameters)


async def _type(db: Transaction, equipment: int, parse: TypeParser) -> EquipmentType:
    row = await db.row("type_of", equipment=equipment)
    if row is None or row["document"] is None:
        raise ConflictError("the machine has no type yet")
    return parse(row["document"])


async def offered(db: Transaction, equipment: int, parse: TypeParser) -> list[model.Offered]:
    type_ = await _type(db, equipment, parse)
    return [
        model.Offered(
            key=c.key,
            title=c.title,
            command_class=c.command_class,
            parameters=[model.ParameterOf.model_validate(p) for p in c.parameters],
            interlocks=[dict(i) for i in c.interlocks],
            needed=APPROVALS[c.command_class],
        )
        for c in type_.commands
    ]


def conditions(command: CommandDef) -> list[Mapping[str, Any]]:
    """Its interlocks, and that the machine is in none of the states that forbid it: nothing is written to a moving
    train."""
    return list(command.interlocks)


def forbidden(command: CommandDef, situation: Situation) -> list[str]:
    if command.command_class is CommandClass.READ or not command.forbidden_states:
        return []
    if situation.state is None:
        return ["the machine's state is not known"]
    return [f"the machine is {situation.state}"] if situation.state in command.forbidden_states else []


async def request(db: Transaction, equipment: int, order: model.NewCommand, parse: TypeParser, who: str) -> int:
    """A new command; held back by an interlock it is on record as rejected.

    Raises invalid-input for what the type does not offer or parameters out of range.
    """
    type_ = await _type(db, equipment, parse)
    command = next((c for c in type_.commands if c.key == order.command), None)
    if command is None:
        raise InvalidInputError(
            f"a {type_.key} takes no command {order.command!r}",
            hint=f"it takes {', '.join(c.key for c in type_.commands) or 'none'}",
        )
    command.refuse(order.parameters)
    row = await db.row("command_situation", equipment=equipment)
    assert row is not None
    situation = situation_of(row, row["now_us"], order.parameters)
    against = [*forbidden(command, situation), *check(conditions(command), situation)]
    packed = [dict(c) for c in conditions(command)]
    if command.forbidden_states and command.command_class is not CommandClass.READ:
        packed.append({"forbidden_states": list(command.forbidden_states)})
    made = await db.value(
        "request_command",
        equipment=equipment,
        key=command.key,
        title=command.title,
        of_class=command.command_class.value,
        parameters=json.dumps(order.parameters),
        conditions=json.dumps(packed),
        needed=APPROVALS[command.command_class],
        valid_us=command.expires,
        against="; ".join(against) or None,
        why=order.reason,
        who=who,
    )
    assert isinstance(made, int)
    return made


async def rows(db: Transaction, count: int, **filters: Any) -> list[Row]:
    return await db.rows("commands", **{**_NO_FILTER, **filters, "count": count})


def command_of(row: Row) -> model.Command:
    return model.Command.model_validate(
        {
            **row,
            "command_class": row["class"],
            "equipment": EquipmentRef(id=row["equipment_id"], key=row["equipment_key"], name=row["equipment_name"]),
        }
    )


async def show(db: Transaction, number: int) -> model.Command:
    return command_of(visible(await rows(db, 1, id=number), "command"))


async def twin(db: Transaction, equipment: EquipmentRef) -> model.Twin:
    found = await db.rows("twin", equipment=equipment.id)
    return model.Twin(equipment=equipment, properties=[model.TwinProperty.model_validate(row) for row in found])

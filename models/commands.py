"""The ``commands:`` of a type's document: what may be asked of its machines, with every mistake named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from core.command import CommandClass, CommandDef, Parameter, names
from core.errors import InvalidInputError, TypeDefinitionError
from core.time import parse_duration

_CONDITIONS: Final = ("all", "any", "state", "no_alarm", "outside", "point", "formula")


def read_commands(document: Mapping[str, Any]) -> tuple[CommandDef, ...]:
    """Of a whole type document; empty where it has none. ``protected`` of the document names settings that belong to
    the machine's protection system: no command writes them."""
    protected = set(document.get("protected", ()))
    found: list[CommandDef] = []
    for n, entry in enumerate(document.get("commands", ())):
        where = f"commands/{n}"
        try:
            found.append(_command(entry))
        except (InvalidInputError, KeyError, ValueError, TypeError) as error:
            missing = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
            raise TypeDefinitionError(missing, where=where, hint="docs/reference/commands.md") from None
        if (written := entry.get("writes")) in protected:
            raise TypeDefinitionError(
                f"{written!r} belongs to the protection system and is read-only", where=f"{where}/writes"
            )
    keys = [command.key for command in found]
    if len(set(keys)) != len(keys):
        raise TypeDefinitionError("two commands have the same key", where="commands")
    return tuple(found)


def _command(entry: Mapping[str, Any]) -> CommandDef:
    parameters = tuple(
        Parameter(p["key"], p["unit"], float(p["range"][0]), float(p["range"][1]), p.get("description", ""))
        for p in entry.get("parameters", ())
    )
    interlocks = tuple(entry.get("interlocks", ()))
    known = {p.key for p in parameters}
    for condition in interlocks:
        _check(condition, known)
    return CommandDef(
        key=entry["key"],
        title=entry["title"],
        command_class=CommandClass(entry["class"]),
        parameters=parameters,
        expires=parse_duration(entry.get("expires", "10 min")),
        interlocks=interlocks,
        forbidden_states=tuple(entry.get("forbidden_states", ())),
        description=entry.get("description", ""),
    )


def _check(condition: Mapping[str, Any], parameters: set[str]) -> None:
    kinds = [kind for kind in _CONDITIONS if kind in condition]
    if len(kinds) != 1:
        raise InvalidInputError(f"an interlock has one of {', '.join(_CONDITIONS)}")
    kind = kinds[0]
    if kind in ("all", "any"):
        for part in condition[kind]:
            _check(part, parameters)
        return
    if "max_age" in condition:
        parse_duration(condition["max_age"])
    if kind == "outside":
        low, high = condition["outside"]
        if not float(low) < float(high) or condition["parameter"] not in parameters:
            raise InvalidInputError("'outside' is a band [low, high] for a 'parameter' of the command")
    if kind in ("point", "formula"):
        list(names(str(condition[kind])))
        if condition["op"] not in ("<", "<=", ">", ">=", "==", "!="):
            raise InvalidInputError(f"{condition['op']!r} is no comparison")
        if isinstance(condition["value"], str):
            list(names(condition["value"]))
    if "reducing" in condition:
        parameter, _point = condition["reducing"]
        if parameter not in parameters:
            raise InvalidInputError(f"'reducing' names {parameter!r}, which is no parameter of the command")


def to_documents(commands: Sequence[CommandDef]) -> list[dict[str, Any]]:
    """Back to what :func:`read_commands` reads."""
    return [
        {
            "key": c.key,
            "title": c.title,
            "class": c.command_class.value,
            "expires": f"{c.expires} us",
            **({"description": c.description} if c.description else {}),
            **({"forbidden_states": list(c.forbidden_states)} if c.forbidden_states else {}),
            **(
                {
                    "parameters": [
                        {"key": p.key, "unit": p.unit, "range": [p.low, p.high], "description": p.description}
                        for p in c.parameters
                    ]
                }
                if c.parameters
                else {}
            ),
            **({"interlocks": [dict(i) for i in c.interlocks]} if c.interlocks else {}),
        }
        for c in commands
    ]

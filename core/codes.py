"""Diagnostic trouble codes: what a device says about itself in its own numbers, and what the type makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from core.condition import Priority

LONGEST_CODE: Final = 64
TROUBLE_CODE: Final = "trouble_code"
"""Kind of the events that carry one: body ``{"code", "component", "active", "environment"}``."""


class Advice(StrEnum):
    """By when somebody has to act, in the steps of a train's service."""

    WITHDRAW = "withdraw"
    """Now: take it out of service where that can be done safely."""
    END_OF_DAY = "end_of_day"
    NEXT_INSPECTION = "next_inspection"


@dataclass(frozen=True, slots=True)
class GuideStep:
    """One step of a guided search: a question with where to go on, or (``do``) what to do in the end.

    ``yes`` and ``no`` are keys of steps. ``look``: templates of points whose values help to answer.
    """

    key: str
    ask: str = ""
    yes: str = ""
    no: str = ""
    do: str = ""
    failure_mode: str | None = None
    look: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CodeDef:
    """A trouble code of a type. ``component``: template of the components that report it ("": any). The first step of
    ``guide`` is where the search begins."""

    code: str
    title: str
    component: str = ""
    priority: Priority = Priority.LOW
    advice: Advice | None = None
    failure_mode: str | None = None
    consequence: str = ""
    action: str = ""
    guide: tuple[GuideStep, ...] = ()

    def step(self, key: str) -> GuideStep:
        """Raises KeyError."""
        for step in self.guide:
            if step.key == key:
                return step
        raise KeyError(key)


@dataclass(frozen=True, slots=True)
class TroubleCode:
    """One report of a code: ``active`` it came, else it went. ``environment``: what the device noted of that moment."""

    at: int
    code: str
    component: str
    active: bool
    environment: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, at: int, body: Mapping[str, Any]) -> TroubleCode | None:
        """From an event's body; None where it names no code."""
        code = body.get("code")
        if not isinstance(code, (str, int)) or isinstance(code, bool) or not 0 < len(str(code)) <= LONGEST_CODE:
            return None
        environment = body.get("environment")
        return cls(
            at,
            str(code),
            str(body.get("component") or ""),
            body.get("active") is not False,
            environment if isinstance(environment, Mapping) else {},
        )

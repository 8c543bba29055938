"""Labels: what turned out to be true of a machine. For the platform's own doors (command line, cases, work orders)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg

from core.errors import NotFoundError
from storage.errors import translated
from storage.queries import load

Connection = psycopg.Connection[Any]

VERDICTS: Final = ("failure", "defect", "healthy")
SOURCES: Final = ("person", "case", "work-order", "inspection")


@dataclass(frozen=True, slots=True)
class Label:
    """What was found of a component ("": the equipment) at a time. ``verdict`` one of :data:`VERDICTS`, ``source`` one
    of :data:`SOURCES`, ``reference`` the number of the case, work order …"""

    equipment_id: int
    at: datetime
    verdict: str
    component: str = ""
    failure_mode: str = ""
    found: str = ""
    source: str = "person"
    reference: str = ""


def record(connection: Connection, label: Label, actor: str) -> tuple[int, bool]:
    """(number, whether anything is new). The same place, mode, time, source and reference is the same label: other
    words correct it."""
    with translated():
        row = load("outcomes").record(
            connection,
            equipment=label.equipment_id,
            component=label.component,
            mode=label.failure_mode,
            at=label.at,
            verdict=label.verdict,
            found=label.found,
            source=label.source,
            reference=label.reference,
            who=actor,
        )
    return int(row[0]), bool(row[1])


def listed(connection: Connection, equipment_id: int | None = None) -> list[dict[str, Any]]:
    """Newest first; of all equipment where none is named."""
    with translated():
        rows = list(load("outcomes").listed(connection, equipment=equipment_id))
    keys = (
        "id", "tenant", "equipment", "component", "failure_mode", "at", "verdict", "found", "source", "reference",
        "recorded_by", "withdrawn_at",
    )  # fmt: skip
    return [dict(zip(keys, row, strict=True)) for row in rows]


def withdraw(connection: Connection, number: int, actor: str) -> None:
    """It stays on record and counts no more. Raises :class:`~core.errors.NotFoundError`."""
    with translated():
        done = load("outcomes").withdraw(connection, number=number, who=actor)
    if done is None:
        raise NotFoundError(f"there is no outcome {number}", hint="servitize outcome list")


def equipment_called(connection: Connection, key: str, tenant: str | None = None) -> list[tuple[int, str]]:
    """(number, tenant's slug) of the machines with that key."""
    with translated():
        return [(int(e), str(slug)) for e, slug in load("outcomes").called(connection, key=key, tenant=tenant)]

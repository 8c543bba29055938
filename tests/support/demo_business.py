"""What people do besides with the demonstration's machines: they look at cases, command, lease, and follow parts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import psycopg

from core.lifecycle.genealogy import Deed
from core.time import HOUR, to_datetime
from models.types import from_document
from runtime.demo.lease import TERMS
from services.api.database import Database, Transaction
from services.api.settings import ApiSettings
from services.contracts import service as contracts
from services.diagnosis import service as diagnosis
from services.lifecycle_health import items
from services.lifecycle_health.items_model import NewStep, RegisterItem
from services.remote_operations import service as commands
from services.remote_operations.model import NewCommand
from storage.queries import load
from tests.support.demo_fleet import HOURS, START, TENANT, WAVEFORMS_OF, DemoHistory

WHO: Final = "ann"
MACHINE: Final = WAVEFORMS_OF
SHAFT, BEARING = "compressor.rotor", "motor.bearing_de"
PERIOD: Final = "2026-02"
"""The month of the history; it has been over for long."""
BUILT: Final = datetime(2025, 5, 6, 8, tzinfo=UTC)


def trade(writer_dsn: str, api_dsn: str, history: DemoHistory) -> None:
    """As the API would for the demonstration's tenant; ``writer_dsn`` is for what the machine itself says."""
    with psycopg.connect(writer_dsn, autocommit=True) as writer:
        said = json.dumps({"control_mode": "remote", "reporting_interval": 60})
        load("commands").reported(writer, whose=TENANT, machine=MACHINE, given=said, versions="{}")
    asyncio.run(_trade(api_dsn, history))


async def _trade(dsn: str, history: DemoHistory) -> None:
    database = Database(ApiSettings(dsn, pool_max=1, pool_timeout=60.0, statement_timeout=60.0))
    await database.open()
    try:
        machine = history.equipment[MACHINE]
        async with database.of_tenant(history.tenant) as db:
            await _lease(db)
            await _follow_parts(db, machine)
            await _command(db, machine)
            await _open_cases(db, machine)
        await _look_at_cases(database)
        async with database.of_tenant(history.tenant) as db:
            await _close(db, machine)
    finally:
        await database.close()


async def _lease(db: Transaction) -> None:
    contract = await contracts.put(db, None, TERMS, None, None, WHO)
    await contracts.close(db, contract, PERIOD, "", WHO)
    await db.value(
        "put_emission_factor",
        carrier="diesel",
        effective=BUILT.date(),
        kg_per_unit=2.66,
        unit="L",
        source="measured by nobody",
        who=WHO,
    )


async def _follow_parts(db: Transaction, machine: int) -> None:
    """A compressor, and the bearing that is in its motor now."""

    async def made(kind: str, serial: str, designation: str, equipment: int | None) -> int:
        order = RegisterItem(
            kind=kind, serial=serial, domain="id.example.com", manufacturer="Anvil Works", designation=designation
        )
        number = await items.make(db, order, equipment, WHO)
        await items.take(db, number, NewStep(deed=Deed.BUILT, at=BUILT, cost="410.00"), WHO)
        return number

    train = await made("compressor", "C-101", "Two-stage compressor", machine)
    bearing = await made("bearing", "B-4711", "Deep-groove ball bearing 6322", None)
    step = NewStep(deed=Deed.INSTALLED, at=BUILT, host=train, position=BEARING)
    await items.take(db, bearing, step, WHO)


async def _command(db: Transaction, machine: int) -> None:
    for order in (
        NewCommand(command="read_settings"),
        NewCommand(command="set_speed", parameters={"speed": 9800.0}, reason="less demand"),
    ):
        await commands.request(db, machine, order, from_document, WHO)
    await db.value("desire", equipment=machine, key="reporting_interval", wanted="30", expected=None, who=WHO)


async def _open_cases(db: Transaction, machine: int) -> None:
    """Of what has waveforms, where no alarm has opened one."""
    about = to_datetime(START + round(HOURS * HOUR))
    for component in (SHAFT, BEARING):
        found: Sequence[dict[str, Any]] = await diagnosis.cases(db, 1, equipment=machine, component=component)
        if not found:
            await db.value("open_case", equipment=machine, component=component, title="as asked", about=about, who=WHO)


async def _close(db: Transaction, machine: int) -> None:
    """The shaft's case: two people agree, the machine is opened. The bearing's stays open."""
    (case,) = await diagnosis.cases(db, 1, equipment=machine, component=SHAFT)
    facts = {"mode": "normal", "text": "as it was when it was new"}
    for event, who in (("conclude", WHO), ("sign", "bob"), ("find", WHO), ("close", WHO)):
        await db.row("work_case", case=case["id"], event=event, who=who, facts=json.dumps(facts))


async def _look_at_cases(database: Database) -> None:
    while True:
        async with database.transaction() as db:
            claimed = await db.row("claim_case")
        if claimed is None:
            return
        async with database.of_tenant(claimed["tenant_id"]) as db:
            await diagnosis.diagnose(
                db,
                from_document,
                claimed["case_id"],
                claimed["equipment_id"],
                claimed["component"],
                claimed["about"],
            )

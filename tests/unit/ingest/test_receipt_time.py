"""A value without a time gets its time of receipt: on the tenant's own timeline, which need not be the host's clock."""

from __future__ import annotations

import pytest

from core import quality as q
from core.registry import EquipmentEntry, EquipmentStatus, PointEntry, RegistrySnapshot, Tenant
from core.time import isoformat
from ingest.coalesce import Coalescer
from ingest.intake import Intake
from ingest.ledger import Handle
from ingest.limits import IngestLimits
from ingest.session import Inbound
from ingest.sink import Resumed

TODAY = 1_790_000_000_000_000
LONG_AGO = 1_700_000_000_000_000


class _Nobody:
    def equipment(self, *_: object) -> None: ...

    def points(self, *_: object) -> None: ...


@pytest.mark.parametrize(("publisher_clock", "expected"), [(True, LONG_AGO), (False, TODAY)])
@pytest.mark.parametrize("restarted", [False, True])
def test_time_of_receipt_is_the_tenant_s_also_after_a_restart(
    publisher_clock: bool, expected: int, restarted: bool
) -> None:
    tenant = Tenant(1, "acme", "ACME", publisher_clock=publisher_clock)
    press = EquipmentEntry(1, 1, "press", "press", EquipmentStatus.APPROVED, {"p": PointEntry(1, "p", "bar")})
    coalescer = Coalescer()
    intake = Intake(RegistrySnapshot(1, {1: tenant}, {}, {1: press}), coalescer, IngestLimits(), _Nobody())
    messages = [("clock", f'{{"ts": "{isoformat(LONG_AGO)}"}}'), ("press/telemetry", '{"values": {"p": 1.5}}')]
    if restarted:
        intake.resume(Resumed(clocks={1: LONG_AGO} if publisher_clock else {}))
        messages = messages[1:]
    for number, (topic, payload) in enumerate(messages):
        intake.message(Inbound(f"servitize/v1/acme/{topic}", payload.encode(), TODAY, Handle(1, number, 1, 1)))
    ((record, _),) = coalescer.take(TODAY)
    assert record.batch.ts.tolist() == [expected]
    assert record.batch.quality.tolist() == [q.UNCERTAIN | q.RECEIPT_TIME]

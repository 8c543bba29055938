"""What became of what devices sent, per device: for the command line."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from core.errors import NotFoundError
from core.time import isoformat
from ingest.limits import IngestLimits
from runtime import access
from runtime.local.paths import DataDirectory

_GAP: Final = "sequence_gap"
_REFUSED: Final = "refused."


@dataclass(frozen=True, slots=True)
class DeviceSeen:
    """A device and the sums of its equipment; None where it is a gateway, whose sums stand with each equipment."""

    tenant: str
    equipment: str | None
    client_id: str
    username: str
    revoked: bool
    last_received_at: str | None
    missing_messages: int | None
    refused_readings: int | None
    edge_node: str | None = None

    @property
    def speaks_for(self) -> str:
        """What stands in the place of an equipment, for people."""
        return f"(edge node {self.edge_node})" if self.edge_node else "(any: gateway)"

    def as_document(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class TallyLine:
    """``what``: ``missing messages``, or ``refused`` with ``reason``. ``times``: gaps, or refusals."""

    equipment: str
    what: str
    reason: str | None
    times: int
    amount: int
    newest_at: str

    def as_document(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def devices_seen(data: DataDirectory, tenant: str | None) -> list[DeviceSeen]:
    """All devices of a tenant, of all tenants where None."""
    with access.owner(data) as connection:
        return _seen(connection, None if tenant is None else access.tenant_named(connection, tenant))


def device_seen(data: DataDirectory, device: str, tenant: str) -> tuple[DeviceSeen, list[TallyLine], dict[str, Any]]:
    """One device by client id, username or equipment key; what was missing and refused; what it may send."""
    from storage.queries import load

    with access.owner(data) as connection:
        number = access.tenant_named(connection, tenant)
        found = next(
            (d for d in _seen(connection, number) if device in (d.client_id, d.equipment, d.username)),
            None,
        )
        if found is None:
            raise NotFoundError(
                f"tenant {tenant!r} has no device {device!r}", hint=f"servitize device list --tenant {tenant}"
            )
        rows = list(load("instance").intake_tally(connection, tenant_id=number, equipment=found.equipment))
        rated = not load("instance").publisher_clock(connection, tenant_id=number)
    return found, [_line(*row) for row in rows], _limits(IngestLimits(), rated=rated)


def _seen(connection: access.Connection, tenant_id: int | None) -> list[DeviceSeen]:
    from storage import admin
    from storage.queries import load

    sums = {row[0]: row[1:] for row in load("instance").device_intake(connection, tenant_id=tenant_id)}
    found = []
    for device in admin.devices(connection, tenant_id):
        heard, missing, refused = sums[device.id]
        found.append(
            DeviceSeen(
                device.tenant,
                device.equipment,
                device.client_id,
                device.username,
                device.revoked,
                None if heard is None else isoformat(heard),
                missing,
                refused,
                device.edge_node,
            )
        )
    return found


def _line(equipment: str, what: str, times: int, amount: int, newest: int) -> TallyLine:
    reason = what.removeprefix(_REFUSED) if what.startswith(_REFUSED) else None
    said = "missing messages" if what == _GAP else f"refused readings: {reason}"
    return TallyLine(equipment, said, reason, times, amount, isoformat(newest))


def _limits(limits: IngestLimits, *, rated: bool) -> dict[str, Any]:
    rates = {
        "messages_per_second": limits.messages_per_second,
        "readings_per_second": limits.readings_per_second,
        "burst_seconds": limits.burst_seconds,
    }
    return {
        **(rates if rated else {}),
        "message_bytes": limits.message.max_bytes,
        "message_readings": limits.message.max_values,
        "points": limits.points_per_equipment,
    }

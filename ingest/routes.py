"""What a topic means: whose it is, of which equipment, and how its payloads are read.

Identity comes from the topic alone; what a payload says about who sent it is content.
``servitize/v1/{tenant}/{equipment}/…`` is the platform's own; all other topics belong to the tenant whose mapping
profile takes them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from core.registry import EquipmentEntry, RegistrySnapshot, Tenant
from formats.cycle import decode_cycles
from formats.decoded import Decoded
from formats.native import decode_events, decode_telemetry
from formats.profile import MappingProfile, ProfileError, parse_profile
from formats.waveform import decode_waveforms

ROOT: Final = "servitize/v1"
STATUS_TOPIC: Final = f"{ROOT}/$ingest/status"
"""Retained here: whether ingest is there. Its last will says when it is not."""

MAX_ROUTES: Final = 100_000

Decoder = Callable[..., Decoded]
"""``decode(payload, received_at=…, retained=…[, limits=…])``"""


class Kind(Enum):
    TELEMETRY = "telemetry"
    EVENT = "event"
    WAVEFORM = "waveform"
    CYCLE = "cycle"
    CLOCK = "clock"
    OWN = "own"
    """Sent by the platform itself: commands, desired state, our status."""
    REFUSED = "refused"


OF_EQUIPMENT: Final = (Kind.TELEMETRY, Kind.EVENT, Kind.WAVEFORM, Kind.CYCLE)
_OTHERS: Final[dict[str, tuple[Kind, Decoder]]] = {
    "event": (Kind.EVENT, decode_events),
    "waveform": (Kind.WAVEFORM, decode_waveforms),
    "cycle": (Kind.CYCLE, decode_cycles),
}


@dataclass(slots=True, eq=False)
class Route:
    """A topic taken apart. ``native``: a refused part can be sent again alone; of foreign ones only the whole can."""

    kind: Kind
    tenant: Tenant | None = None
    equipment_key: str = ""
    entry: EquipmentEntry | None = None
    decode: Decoder | None = None
    native: bool = True
    type_key: str | None = None
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class _TenantProfile:
    tenant: Tenant
    profile: MappingProfile


class Router:
    """Routes for one registry snapshot; equipment is looked up by who uses the route. ``shared``: other ingests serve
    other tenants (:mod:`ingest.share`), so only what belongs to these is asked for."""

    def __init__(self, snapshot: RegistrySnapshot, *, shared: bool = False) -> None:
        self._shared = shared
        self._tenants = {tenant.slug: tenant for tenant in snapshot.tenants.values()}
        self.broken_profiles: list[tuple[str, ProfileError]] = []
        self._profiles: list[_TenantProfile] = []
        for entry in snapshot.profiles:
            tenant = snapshot.tenants.get(entry.tenant_id)
            if tenant is None or "sparkplug" in entry.document:
                continue  # Sparkplug groups come over a connection of their own
            try:
                self._profiles.append(_TenantProfile(tenant, parse_profile(dict(entry.document))))
            except ProfileError as error:
                self.broken_profiles.append((entry.name, error))

    @property
    def filters(self) -> list[str]:
        """What to subscribe to."""
        own = [f"{ROOT}/{slug}/#" for slug in sorted(self._tenants)] if self._shared else ["servitize/#"]
        return list(dict.fromkeys([*own, *(item.profile.filter for item in self._profiles)]))

    def route(self, topic: str) -> Route:
        """What ``topic`` means; never None, a topic of nobody's is a route that refuses."""
        if topic.startswith("servitize/"):
            return self._own(topic)
        for item in self._profiles:
            segments = item.profile.match(topic)
            if segments is not None:
                mapping = item.profile.bind(segments)
                return Route(
                    Kind.TELEMETRY,
                    item.tenant,
                    mapping.equipment,
                    decode=mapping.decode,
                    native=False,
                    type_key=item.profile.type_key,
                )
        return Route(Kind.REFUSED, reason="unknown-topic", detail="no mapping profile takes this topic")

    def _own(self, topic: str) -> Route:
        if topic == STATUS_TOPIC or topic.startswith(f"{STATUS_TOPIC}/"):
            return Route(Kind.OWN)
        levels = topic.split("/")
        if len(levels) < 4 or levels[1] != "v1":
            return Route(Kind.REFUSED, reason="unknown-topic", detail=f"topics are {ROOT}/TENANT/EQUIPMENT/telemetry")
        tenant = self._tenants.get(levels[2])
        if tenant is None:
            return Route(Kind.REFUSED, reason="unknown-tenant", detail=f"there is no tenant {levels[2][:80]!r}")
        rest = levels[4:]
        if levels[3] == "clock" and not rest:
            return Route(Kind.CLOCK, tenant)
        route = Route(Kind.TELEMETRY, tenant, levels[3], decode=decode_telemetry)
        if rest == ["telemetry"]:
            return route
        if len(rest) == 1 and rest[0] in _OTHERS:
            route.kind, route.decode = _OTHERS[rest[0]]
            return route
        if rest[:1] == ["twin"] or (rest[:1] == ["commands"] and (len(rest) == 2 or rest[2:] == ["receipt"])):
            return Route(Kind.OWN, tenant)  # also what devices answer there: whoever sends commands hears it
        return Route(
            Kind.REFUSED,
            tenant,
            levels[3],
            reason="unknown-topic",
            detail="below an equipment this version takes telemetry, waveform, cycle and event",
        )

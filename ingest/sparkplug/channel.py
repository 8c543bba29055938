"""Where the Sparkplug host joins ingest: its messages come through the core thread, what it says goes on as if the
equipment had sent it natively."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

import structlog

from core import units
from core.errors import InvalidInputError, UnitError
from core.registry import EquipmentEntry, EquipmentStatus, RegistrySnapshot
from core.time import MILLISECOND
from formats.decoded import Block, Refusal, Text
from formats.profile import parse_profile
from ingest.channel import Foreign, Junction
from ingest.ledger import Handle
from ingest.registry_cache import RegistryCache
from ingest.session import Inbound, MqttSettings
from ingest.sparkplug.host import Effects, Given, Group, SparkplugHost
from ingest.sparkplug.limits import SparkplugSettings
from ingest.sparkplug.metrics import PROPERTY
from ingest.sparkplug.session import SparkplugSession
from ingest.sparkplug.state import HostState
from ingest.translated import Translated

log = structlog.get_logger(__name__)

CONNECTED: Final = "connected"
LOST: Final = "lost"
NO_HANDLE: Final = Handle(0, 0, 0, 0)
"""Of messages that were refused later than they came: the one they came with is complete already."""
_TURN: Final = 100 * MILLISECOND
_MAX_RESOLVED: Final = 50_000

_Names = tuple[tuple[str, ...], tuple[str | None, ...] | None]


class SparkplugChannel:
    """Connects as soon as a tenant's profile maps a group. ``mqtt`` says how to reach the broker; its client id must be
    another than that of the main session."""

    def __init__(self, mqtt: MqttSettings, settings: SparkplugSettings | None = None) -> None:
        self._mqtt = mqtt
        self._settings = settings or SparkplugSettings()
        self._documents: dict[tuple[int, str], tuple[Mapping[str, Any], Group]] = {}
        self._groups: dict[str, Group] = {}
        self._session: SparkplugSession | None = None
        self._resolved: dict[tuple[int, tuple[str, ...], tuple[str | None, ...] | None], _Names] = {}
        self._resolved_by: RegistryCache | None = None
        self._last_turn = 0

    def open(self, junction: Junction, snapshot: RegistrySnapshot) -> None:
        self._junction = junction
        self._tenants = snapshot.tenants
        self.host = SparkplugHost({}, self._settings)
        self.adopt(snapshot)

    @property
    def connected(self) -> bool:
        return self._session is not None and self._session.connected

    def metrics(self) -> dict[str, Any]:
        """Figures of one moment: the connection's, and of the nodes how many there are and are born."""
        nodes = self.host.nodes()
        return {
            "name": "sparkplug",
            "host_id": self._settings.host_id,
            "groups": len(self._groups),
            "session": asdict(self._session.counts) if self._session else {},
            "connected": self.connected,
            "nodes": len(nodes),
            "online": sum(node.own.born for node in nodes),
        }

    def adopt(self, snapshot: RegistrySnapshot) -> None:
        self._tenants = snapshot.tenants
        self._groups = self._read_groups(snapshot)
        self.host.adopt(self._groups)
        filters = sorted(group.profile.filter for group in self._groups.values())
        if self._session is not None:
            self._session.subscribe(filters)
        elif filters:
            self._session = SparkplugSession(
                self._mqtt,
                HostState(self._settings.host_id),
                self._deliver,
                self._changed,
                lambda: self._junction.ledger.pending_bytes,
                clock=self._junction.clock,
            )
            self._session.start(filters)

    def _read_groups(self, snapshot: RegistrySnapshot) -> dict[str, Group]:
        """Groups by name. A group is one tenant's: the first profile that maps it has it, in the registry's order."""
        groups: dict[str, Group] = {}
        documents: dict[tuple[int, str], tuple[Mapping[str, Any], Group]] = {}
        for entry in snapshot.profiles:
            tenant = snapshot.tenants.get(entry.tenant_id)
            if tenant is None or "sparkplug" not in entry.document:
                continue
            key = (entry.tenant_id, entry.name)
            known = self._documents.get(key)
            if known is not None and known[0] == entry.document and known[1].tenant == tenant.slug:
                group = known[1]  # the same object, or its nodes would have to be born again
            else:
                try:
                    profile = parse_profile(dict(entry.document)).sparkplug
                except InvalidInputError as error:
                    log.error("profile.unusable", profile=entry.name, problem=str(error), hint=error.hint)
                    continue
                assert profile is not None
                group = Group(tenant.slug, profile)
            documents[key] = (entry.document, group)
            holder = groups.setdefault(group.profile.group, group)
            if holder is not group and known is None:
                log.error("sparkplug.group_taken", profile=entry.name, group=group.profile.group, by=holder.tenant)
        self._documents = documents
        return groups

    # --- from the network thread

    def _deliver(self, topic: str, payload: bytes, received_at: int, retained: bool) -> None:
        handle = self._junction.ledger.received(0, 0, len(topic) + len(payload))
        self._junction.deliver(Foreign(self, topic, payload, received_at, handle, retained))

    def _changed(self, connected: bool) -> None:
        handle = self._junction.ledger.received(0, 0, 0)
        now = self._junction.clock.now()
        self._junction.deliver(Foreign(self, "", b"", now, handle, word=CONNECTED if connected else LOST))

    # --- in the core thread

    def take(self, message: Foreign) -> None:
        now = message.received_at
        if message.word == CONNECTED:
            effects = self.host.connected(now)
        elif message.word == LOST:
            effects = self.host.lost(now)
        else:
            self._junction.intake.count("ingest.messages")
            try:
                effects = self.host.message(message.topic, message.payload, now, retained=message.retained)
            except Exception:
                # a defect of ours must not stop everybody else's messages; the payload is kept for whoever mends it
                log.exception("sparkplug.defect", topic=message.topic[:200])
                refusal = Refusal("internal-error", "a defect of servitize, see its log")
                self._junction.intake.refuse(message, None, refusal)
                effects = Effects()
        self._apply(effects)
        self._junction.coalescer.message(message.handle, now)

    def passed(self, now: int) -> None:
        if 0 <= now - self._last_turn < _TURN:
            return
        self._last_turn = now
        effects = self.host.passed(now)
        self._apply(effects)
        if effects.given or effects.refused:
            self._junction.coalescer.message(None, now)

    def _apply(self, effects: Effects) -> None:
        intake = self._junction.intake
        for name, amount in effects.counts.items():
            intake.count(name, amount)
            if name.startswith("ingest.ignored."):
                intake.count("ingest.readings", amount)
        for refused in effects.refused:
            tenant = None if refused.tenant is None else intake.cache.tenant(refused.tenant)
            message = Inbound(refused.topic, refused.payload, refused.received_at, NO_HANDLE)
            intake.refuse(message, tenant, refused.refusal)
        for given in effects.given:
            self._give(given)
        if self._session is not None:
            for topic, payload in effects.commands:
                self._session.publish(topic, payload)

    def _give(self, given: Given) -> None:
        junction = self._junction
        tenant = junction.intake.cache.tenant(given.tenant)
        entry = None if tenant is None else junction.intake.cache.equipment(tenant, given.equipment)
        if given.own and (entry is None or entry.status is not EquipmentStatus.APPROVED):
            junction.intake.count("sparkplug.unmapped")  # nobody sent it, and there is nobody to show it to
            return
        decoded = given.decoded
        if entry is not None:
            decoded.blocks = [self._named(entry, block) for block in decoded.blocks]
            decoded.texts = [Text(self._name(entry, text.name), text.ts, text.text) for text in decoded.texts]
        message = Translated(given.tenant, given.equipment, decoded, given.received_at, given.type_key)
        if junction.intake.needs_new_record(message):
            junction.flush()
        junction.intake.part(message)

    # --- names and units

    def _named(self, entry: EquipmentEntry, block: Block) -> Block:
        cache = self._junction.intake.cache
        if cache is not self._resolved_by or len(self._resolved) > _MAX_RESOLVED:
            self._resolved.clear()
            self._resolved_by = cache
        key = (entry.id, block.names, block.units)
        found = self._resolved.get(key)
        if found is None:
            names = tuple(self._name(entry, name) for name in block.names)
            sent_in = None
            if block.units is not None:
                sent_in = tuple(self._unit(entry, n, u) for n, u in zip(names, block.units, strict=True))
            found = self._resolved[key] = (names, sent_in)
        return Block(found[0], block.ts, block.value, block.quality, block.present, found[1])

    def _name(self, entry: EquipmentEntry, name: str) -> str:
        """As it is, where the equipment has such a point; else with its folders dotted."""
        cache = self._junction.intake.cache
        return name if "/" not in name or cache.has_point(entry, name) else name.replace("/", ".")

    def _unit(self, entry: EquipmentEntry, name: str, unit: str | None) -> str | None:
        """The profile's unit counts as it is. What a device's property says counts where the point has a unit too."""
        if unit is None or not unit.startswith(PROPERTY):
            return unit
        unit = unit.removeprefix(PROPERTY)
        point = self._junction.intake.cache.point(entry, name)
        if point is None or point.unit == "1":
            return None
        try:
            units.conversion(unit, point.unit)
        except UnitError:
            log.warning("sparkplug.unit", equipment=entry.key, point=name, sent_in=unit[:40], stored_in=point.unit)
        return unit

    # --- the end

    def stop_reading(self) -> None:
        if self._session is not None:
            self._session.stop_reading()

    def stop(self, timeout: float) -> None:
        if self._session is not None:
            self._session.stop(timeout)

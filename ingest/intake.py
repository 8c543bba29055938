"""One message after the other into the coalescer: route, limits, decode, name, bounds of time. No I/O, time is a
parameter.

Every reading that was sent ends in exactly one of: accepted, refused with a reason, text or event, ignored. The
counters say so (docs/reference/conservation.md).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from core import quality as q
from core.registry import EquipmentEntry, EquipmentStatus, RegistrySnapshot, Tenant
from core.telemetry import DeadLetter, EventRecord, Tick
from core.time import MINUTE, isoformat
from formats.decoded import Block, Decoded, Refusal, Text, harmless, part, shown
from formats.native import decode_clock
from ingest.coalesce import Coalescer
from ingest.limits import IngestLimits, RateLimiter, TokenBucket
from ingest.parcels import Parcels, cycle_part
from ingest.registry_cache import Naming, RegistryCache
from ingest.routes import MAX_ROUTES, OF_EQUIPMENT, Kind, Route, Router
from ingest.sequences import SequenceTracker
from ingest.session import Inbound
from ingest.sink import Resumed
from ingest.translated import Translated

log = structlog.get_logger(__name__)

_MAX_DETAIL: Final = 500


class Abort(Exception):  # noqa: N818 (a signal, not an error)
    """Raised through :meth:`Intake.message` by a registrar that was told to stop; the message stays unacknowledged."""


class Registrar(Protocol):
    """Registers what devices bring along; before it returns, the intake has adopted what is known then."""

    def equipment(self, tenant: Tenant, key: str, type_key: str | None) -> None: ...

    def points(self, entry: EquipmentEntry, names: Iterable[str]) -> None: ...


class Intake:
    """Used by one thread. ``coalescer`` fills; who owns it hands its records over."""

    def __init__(
        self,
        snapshot: RegistrySnapshot,
        coalescer: Coalescer,
        limits: IngestLimits,
        registrar: Registrar,
        *,
        shared: bool = False,
    ) -> None:
        self._shared = shared
        self._coalescer = coalescer
        self._limits = limits
        self._registrar = registrar
        self._rates = RateLimiter(limits)
        self._registrations: dict[int, TokenBucket] = {}
        self._sequences = SequenceTracker()
        self._clocks: dict[int, int] = {}
        self.totals: Counter[str] = Counter()
        self.adopt(snapshot)

    def resume(self, known: Resumed) -> None:
        """Go on with what was committed of the devices' numbering and of the publishers' clocks."""
        self._sequences.resume(known.sequences)
        self._clocks.update(known.clocks)

    def adopt(self, snapshot: RegistrySnapshot) -> None:
        """Name by this registry from now on."""
        self.cache = RegistryCache(snapshot, points_per_equipment=self._limits.points_per_equipment)
        self.parcels = Parcels(snapshot)
        self.router = Router(snapshot, shared=self._shared)
        self._routes: dict[str, Route] = {}
        self._rates.forget(set(snapshot.equipment))
        self._host_tenants = sorted(tenant.id for tenant in snapshot.tenants.values() if not tenant.publisher_clock)

    def needs_new_record(self, message: Inbound) -> bool:
        """Whether a tick of the message's tenant is collected already: its readings must come after that."""
        ticked = self._coalescer.ticked
        if not ticked:
            return False
        route = self._route(message.topic)
        return route.tenant is not None and route.tenant.id in ticked and route.kind is not Kind.CLOCK

    def host_ticks(self, now: int) -> None:
        """One second passed for all tenants that live by the host's clock."""
        for tenant_id in self._host_tenants:
            self._coalescer.tick(Tick(tenant_id, now))
        if self._host_tenants:
            self._coalescer.message(None, now)

    def message(self, message: Inbound) -> None:
        """Take one message in. Never raises for what is in it."""
        self.part(message)
        self._coalescer.message(message.handle, message.received_at)

    def part(self, message: Inbound) -> None:
        """Take in what is in a message, or in one part of a channel's message; whoever calls completes that one."""
        try:
            route = self._route(message.topic)
            if route.kind is Kind.OWN:
                self._count("ingest.own")
                return
            if not isinstance(message, Translated):
                self._count("ingest.messages")
            self._take(message, route)
        except Abort:
            raise
        except Exception:
            # a defect of ours must not stop everybody else's messages; the payload is kept for whoever mends it
            log.exception("ingest.defect", topic=message.topic[:200])
            self._refuse(message, None, Refusal("internal-error", "a defect of servitize, see its log"))

    def refuse(self, message: Inbound, tenant: Tenant | None, refusal: Refusal) -> None:
        """A dead letter of a whole message that a channel could not use."""
        self._refuse(message, Route(Kind.REFUSED, tenant, native=False), refusal, sent=True)

    def count(self, name: str, amount: int = 1) -> None:
        """One of the counters that go with the records."""
        self._count(name, amount)

    # --- where it belongs
    # ----------------------------------------------------------------------------------------------

    def _route(self, topic: str) -> Route:
        route = self._routes.get(topic)
        if route is None:
            if len(self._routes) >= MAX_ROUTES:
                self._routes.clear()
            route = self.router.route(topic)
            if route.tenant is not None and route.kind in OF_EQUIPMENT:
                route.entry = self.cache.equipment(route.tenant, route.equipment_key)
            self._routes[topic] = route
        return route

    def _take(self, message: Inbound, route: Route) -> None:
        if route.kind is Kind.CLOCK:
            self._clock(message, route)
            return
        if route.kind is Kind.REFUSED:
            self._refuse(message, route, Refusal(route.reason, route.detail), sent=True)
            return
        if isinstance(message, Translated):
            route.type_key = message.type_key
        if route.entry is None and route.tenant is not None:
            self._register(route.tenant, route, message.received_at)
            route = self._route(message.topic)
        entry, tenant = route.entry, route.tenant
        if entry is None or tenant is None:
            detail = f"{tenant.slug if tenant else ''} has no equipment {route.equipment_key[:80]!r}"
            self._refuse(message, route, Refusal("unknown-equipment", detail), sent=True)
            return
        if entry.status is not EquipmentStatus.APPROVED:
            pending = entry.status is EquipmentStatus.PENDING
            reason = "pending-approval" if pending else "retired-equipment"
            hint = "it waits for approval; replay its dead letters afterwards" if pending else "it is out of use"
            self._refuse(message, route, Refusal(reason, f"{entry.key}: {hint}"), sent=True)
            return
        self._decode(message, route, tenant, entry)

    def _register(self, tenant: Tenant, route: Route, now: int) -> None:
        """Ask the registry; for tenants that register nobody too, since who was added a moment ago is known there."""
        if harmless(route.equipment_key) or not 1 <= len(route.equipment_key) <= 120:
            return
        bucket = self._registrations.get(tenant.id)
        if bucket is None:
            rate = self._limits.registrations_per_minute
            bucket = self._registrations[tenant.id] = TokenBucket(rate / 60, rate)
        if bucket.take(1, now):
            self._registrar.equipment(tenant, route.equipment_key, route.type_key)

    def _decode(self, message: Inbound, route: Route, tenant: Tenant, entry: EquipmentEntry) -> None:
        received_at = message.received_at
        limited = not tenant.publisher_clock
        if limited and not self._rates.message(entry.id, received_at):
            detail = f"more than {self._limits.messages_per_second:g} messages a second"
            self._refuse(message, route, Refusal("rate-limited", detail), sent=True)
            return
        assert route.decode is not None
        limited_kind = route.kind in (Kind.TELEMETRY, Kind.CYCLE)
        options: dict[str, Any] = {"limits": self._limits.message} if limited_kind else {}
        now = self._now(tenant, received_at)
        if isinstance(message, Translated):
            decoded = message.decoded
        else:
            decoded = route.decode(message.payload, received_at=now, retained=message.retained, **options)
        sent = decoded.readings
        self._count("ingest.readings", sent)
        if limited and not self._rates.readings(entry.id, sent, received_at):
            detail = f"more than {self._limits.readings_per_second:g} readings a second"
            self._refuse(message, route, Refusal("rate-limited", detail, None, sent))
            return
        if decoded.ignored:
            self._count("ingest.ignored.retained", decoded.ignored)
        refusals = decoded.refusals
        self._blocks(decoded.blocks, tenant, entry, received_at, refusals)
        for text in decoded.texts:
            self._text(text, tenant, entry, received_at, refusals)
        for event in decoded.events:
            problem = self._bounds(tenant, event.ts, received_at)
            if problem is None:
                self._count("ingest.events")
                self._coalescer.event(EventRecord(entry.id, event.kind, event.ts, event.body))
            else:
                body = part({"ts": isoformat(event.ts), "kind": event.kind, "body": event.body})
                refusals.append(Refusal(*problem, body))
        if decoded.waveforms or decoded.cycles:
            self._parcels(decoded, tenant, entry, received_at)
        self._gaps(decoded, entry, received_at)
        if refusals:
            for refusal in refusals if route.native else _merged(refusals):
                self._refuse(message, route, refusal)

    # --- readings
    # --------------------------------------------------------------------------------------------------------

    def _blocks(
        self,
        blocks: list[Block],
        tenant: Tenant,
        entry: EquipmentEntry,
        received_at: int,
        refusals: list[Refusal],
    ) -> None:
        if len(blocks) > 1:
            # within a message readings stand by their time, whatever the order of its frames
            blocks = sorted(blocks, key=lambda block: int(block.ts.min()))
        for block in blocks:
            naming = self.cache.naming(entry, block.names, block.units)
            if naming.unregistered:
                self._registrar.points(entry, naming.unregistered)
                entry = self.cache.snapshot.equipment.get(entry.id, entry)
                naming = self.cache.naming(entry, block.names, block.units)
            self._block(block, naming, tenant, received_at, refusals)

    def _block(self, block: Block, naming: Naming, tenant: Tenant, received_at: int, refusals: list[Refusal]) -> None:
        value, quality, present, ts = block.value, block.quality, block.present, block.ts
        if len(ts) > 1 and bool((ts[1:] < ts[:-1]).any()):
            order = np.argsort(ts, kind="stable")
            ts, value = ts[order], value[order]
            quality = None if quality is None else quality[order]
            present = None if present is None else present[order]
            block = Block(block.names, ts, value, quality, present, block.units)
        for place, reason, detail in naming.refused:
            self._refuse_column(block, place, reason, detail, refusals)
        if not len(naming.point_id):
            return
        if naming.columns is not None:
            value = value[:, naming.columns]
            quality = None if quality is None else quality[:, naming.columns]
            present = None if present is None else present[:, naming.columns]
        if naming.scale is not None and naming.offset is not None:
            with np.errstate(over="ignore"):
                value = value * naming.scale + naming.offset
            finite = np.isfinite(value)
            if not finite.all():
                present = finite if present is None else present & finite
                self._refuse_overflow(block, naming, finite, refusals)
        low, high = self._window(tenant, received_at)
        if (low is not None and ts[0] < low) or ts[-1] > high:
            self._outside(block, naming, tenant, received_at, present, refusals)
            inside = ts <= high if low is None else (ts <= high) & (ts >= low)
            ts, value = ts[inside], value[inside]
            quality = None if quality is None else quality[inside]
            present = None if present is None else present[inside]
        if not len(ts):
            return
        if len(ts) == 1 and present is None:
            grade: NDArray[np.uint8] | int = q.GOOD if quality is None else quality[0]
            self._coalescer.frame(naming.point_id, int(ts[0]), value[0], grade)
            self._count("ingest.accepted", value.size)
            return
        self._coalescer.frames(naming.point_id, ts, value, quality, present)
        self._count("ingest.accepted", value.size if present is None else int(np.count_nonzero(present)))

    def _now(self, tenant: Tenant, received_at: int) -> int:
        """The tenant's timeline at receipt: what stands in where a device sends no time, too. Until a publisher's clock
        has spoken, the host's counts."""
        return self._clocks.get(tenant.id, received_at) if tenant.publisher_clock else received_at

    def _window(self, tenant: Tenant, received_at: int) -> tuple[int | None, int]:
        """Oldest and newest time the tenant takes now."""
        now = self._now(tenant, received_at)
        return None if tenant.past_window is None else now - tenant.past_window, now + tenant.future_bound

    def _bounds(self, tenant: Tenant, ts: int, received_at: int) -> tuple[str, str] | None:
        low, high = self._window(tenant, received_at)
        if ts > high:
            seconds = tenant.future_bound / 1e6
            return (
                "future",
                f"{isoformat(ts)} is more than {seconds:g} s ahead of {isoformat(high - tenant.future_bound)}",
            )
        if low is not None and ts < low:
            return "past-window", f"{isoformat(ts)} is older than this tenant takes: {isoformat(low)}"
        return None

    def _outside(
        self,
        block: Block,
        naming: Naming,
        tenant: Tenant,
        received_at: int,
        present: NDArray[np.bool_] | None,
        refusals: list[Refusal],
    ) -> None:
        columns = range(len(block.names)) if naming.columns is None else naming.columns.tolist()
        for row, ts in enumerate(block.ts.tolist()):
            problem = self._bounds(tenant, ts, received_at)
            if problem is None:
                continue
            values = {
                block.names[column]: float(block.value[row, column])
                for place, column in enumerate(columns)
                if present is None or present[row, place]
            }
            if values:
                payload = part({"ts": isoformat(ts), "values": values})
                refusals.append(Refusal(*problem, payload, len(values)))

    def _refuse_column(self, block: Block, place: int, reason: str, detail: str, refusals: list[Refusal]) -> None:
        rows = np.arange(len(block.ts)) if block.present is None else np.flatnonzero(block.present[:, place])
        if not len(rows):
            return
        name, times = block.names[place], [isoformat(ts) for ts in block.ts[rows].tolist()]
        values = block.value[rows, place].tolist()
        if len(rows) == 1:
            frame: dict[str, Any] = {"ts": times[0], "values": {name: values[0]}}
        else:
            frame = {"ts": times, "values": {name: values}}
        refusals.append(Refusal(reason, detail, part(frame), len(rows)))

    def _refuse_overflow(
        self, block: Block, naming: Naming, finite: NDArray[np.bool_], refusals: list[Refusal]
    ) -> None:
        for row, place in np.argwhere(~finite).tolist():
            column = place if naming.columns is None else int(naming.columns[place])
            if block.present is not None and not block.present[row, column]:
                continue
            name = block.names[column]
            refusals.append(Refusal("not-finite", f"{shown(name)} is too large for its point's unit"))

    def _text(
        self, text: Text, tenant: Tenant, entry: EquipmentEntry, received_at: int, refusals: list[Refusal]
    ) -> None:
        payload = part({"ts": isoformat(text.ts), "values": {text.name: text.text}})
        body = {"name": text.name, "text": text.text}
        why = harmless(body)
        problem = self._bounds(tenant, text.ts, received_at)
        if self.cache.has_point(entry, text.name):
            detail = f"{shown(text.name)} is {shown(text.text)}, not a number"
            refusals.append(Refusal("not-a-number", detail, payload))
        elif why is not None:
            refusals.append(Refusal("bad-text", f"{shown(text.name)}: {why}", payload))
        elif problem is not None:
            refusals.append(Refusal(*problem, payload))
        else:
            self._count("ingest.texts")
            self._coalescer.event(EventRecord(entry.id, "text", text.ts, body))

    def _parcels(self, decoded: Decoded, tenant: Tenant, entry: EquipmentEntry, received_at: int) -> None:
        refusals = decoded.refusals
        for message in decoded.waveforms:
            waveform, wrong = self.parcels.waveform(entry, message)
            refusals += wrong
            problem = None if waveform is None else self._bounds(tenant, waveform.end, received_at)
            if problem is not None:
                refusals.append(Refusal(*problem))
            elif waveform is not None:
                self._count("ingest.waveforms")
                self._coalescer.waveform(waveform)
        for told in decoded.cycles:
            cycle, refusal = self.parcels.cycle(entry, told)
            problem = None if cycle is None else self._bounds(tenant, cycle.end, received_at)
            if problem is not None:
                refusal = Refusal(*problem, cycle_part(told))
            elif cycle is not None:
                self._count("ingest.cycles")
                self._coalescer.cycle(cycle)
            if refusal is not None:
                refusals.append(refusal)

    # --- time, gaps, refusals
    # ----------------------------------------------------------------------------------------------

    def _clock(self, message: Inbound, route: Route) -> None:
        tenant = route.tenant
        assert tenant is not None
        if message.retained:
            self._count("ingest.ignored.clock")
            return
        ts = decode_clock(message.payload)
        if not tenant.publisher_clock:
            detail = f"{tenant.slug} lives by the host's clock"
            self._refuse(message, route, Refusal("unexpected-clock", detail), sent=True)
        elif ts is None:
            self._refuse(message, route, Refusal("bad-timestamp", 'a clock says {"ts": …}'), sent=True)
        elif ts > message.received_at + max(tenant.future_bound, MINUTE):
            self._refuse(message, route, Refusal("future", "a publisher's clock is never ahead of ours"), sent=True)
        elif ts > self._clocks.get(tenant.id, -1):
            self._clocks[tenant.id] = ts
            self._count("ingest.clock")
            self._coalescer.tick(Tick(tenant.id, ts))
        else:
            self._count("ingest.ignored.clock")

    def _gaps(self, decoded: Decoded, entry: EquipmentEntry, received_at: int) -> None:
        if not decoded.sequences:
            return
        blocks = decoded.blocks
        if len(blocks) == 1 and len(blocks[0].ts) == 1:
            ts = int(blocks[0].ts[0])
        else:
            times = [int(block.ts.max()) for block in blocks]
            times += [w.ts for w in decoded.waveforms] + [c.ts for c in decoded.cycles]
            ts = max(times, default=received_at)
        for number in decoded.sequences:
            gap = self._sequences.see(entry.id, number, ts)
            if gap is not None:
                first, last = gap
                body = {"first": first, "last": last, "missing": last - first + 1}
                self._count("ingest.sequence_gaps")
                self._count("ingest.sequence_missing", last - first + 1)
                self._coalescer.event(EventRecord(entry.id, "sequence_gap", ts, body))
        self._coalescer.sequence(entry.id, self._sequences.highest(entry.id))

    def _refuse(self, message: Inbound, route: Route | None, refusal: Refusal, *, sent: bool = False) -> None:
        """A dead letter. ``sent``: nobody has counted its readings as sent yet."""
        if sent or route is None:
            self._count("ingest.readings", refusal.readings)
        self._count(f"ingest.refused.{refusal.reason}", refusal.readings)
        native = route is not None and route.native and refusal.payload is not None
        self._coalescer.dead_letter(
            DeadLetter(
                _storable(message.topic),
                refusal.payload if native and refusal.payload is not None else message.payload,
                refusal.reason,
                _storable(refusal.detail)[:_MAX_DETAIL],
                message.received_at,
                route.tenant.id if route is not None and route.tenant is not None else None,
                route.entry.id if route is not None and route.entry is not None else None,
                refusal.readings,
            )
        )

    def _count(self, name: str, amount: int = 1) -> None:
        self.totals[name] += amount
        self._coalescer.count(name, amount)


def _merged(refusals: list[Refusal]) -> list[Refusal]:
    """One refusal per reason: of a foreign payload the dead letter is always the whole."""
    merged: dict[str, list[Refusal]] = {}
    for refusal in refusals:
        merged.setdefault(refusal.reason, []).append(refusal)
    return [
        Refusal(reason, "; ".join(dict.fromkeys(r.detail for r in same[:5])), None, sum(r.readings for r in same))
        for reason, same in merged.items()
    ]


def _storable(text: str) -> str:
    """Text that the database takes: NUL and lone surrogates written as escapes."""
    if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
        return json.dumps(text)[1:-1]
    return text

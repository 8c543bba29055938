"""A Sparkplug B host application as a pure state machine: messages and moments in, readings, events, commands and
refusals out. No I/O, no clock: time is a parameter (µs UTC).

Nothing is guessed. A value counts only under a name that a birth of the present session has given it; whatever cannot
be placed is refused with its reason and a rebirth is asked for. One node's state never touches another's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.time import SECOND
from formats.decoded import Decoded, Event, Refusal, RefusedValues
from formats.sparkplug.datatypes import Wire
from formats.sparkplug.decode import SparkplugPayload, decode_payload
from formats.sparkplug.encode import BDSEQ, rebirth_command
from formats.sparkplug.profile import SparkplugProfile
from formats.sparkplug.topics import Topic, Verb, node_command_topic, parse_topic
from ingest.sparkplug.limits import SparkplugSettings
from ingest.sparkplug.metrics import Definitions, Taken, connection_event, define, stale_marks, take_values
from ingest.sparkplug.node import Device, Gap, Held, Node

_BDSEQ: Final = BDSEQ.encode()


@dataclass(frozen=True, slots=True)
class Group:
    """A group that is somebody's: ``tenant`` slug and the profile of its mapping."""

    tenant: str
    profile: SparkplugProfile


@dataclass(slots=True)
class Given:
    """What goes on for one equipment. ``own``: the host says it (stale marks, connection, gaps), nobody sent it."""

    tenant: str
    equipment: str
    type_key: str | None
    decoded: Decoded
    received_at: int
    own: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """A message of which nothing could be used."""

    topic: str
    payload: bytes
    refusal: Refusal
    tenant: str | None
    received_at: int


@dataclass(slots=True)
class Effects:
    """What one message or moment brings about, in order. ``commands``: (topic, payload), QoS 0, not retained."""

    given: list[Given] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    commands: list[tuple[str, bytes]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


class SparkplugHost:
    """State of all edge nodes of the mapped groups. Used by one thread."""

    def __init__(self, groups: Mapping[str, Group], settings: SparkplugSettings | None = None) -> None:
        self.settings = settings or SparkplugSettings()
        self._groups = dict(groups)
        self._nodes: dict[tuple[str, str], Node] = {}
        self._per_group: Counter[str] = Counter()
        self._metrics: Counter[str] = Counter()
        self._wanting: dict[tuple[str, str], Node] = {}
        self._tokens = float(self.settings.rebirths_per_second)
        self._tokens_at: int | None = None
        self._held = 0
        self._holders: dict[tuple[str, str], tuple[Node, str]] = {}

    def adopt(self, groups: Mapping[str, Group]) -> None:
        """The mapping from now on. Nodes of groups that changed are forgotten; their next message asks for births."""
        for key, node in list(self._nodes.items()):
            group = groups.get(node.group)
            old = self._groups.get(node.group)
            if group is None or old is None or group != old:
                self._forget(key)
        self._groups = dict(groups)

    def nodes(self) -> list[Node]:
        """All edge nodes that are known, for status pages."""
        return list(self._nodes.values())

    # --- what comes

    def message(self, topic: str, payload: bytes, now: int, *, retained: bool = False) -> Effects:
        """One message of a group's topics. Never raises for what is in it."""
        out = Effects()
        parsed = parse_topic(topic)
        if isinstance(parsed, str):
            self._refuse(out, topic, payload, Refusal("unknown-topic", parsed), None, now)
            return out
        group = self._groups.get(parsed.group)
        if group is None:
            why = f"no tenant's profile maps the group {parsed.group[:60]!r}"
            self._refuse(out, topic, payload, Refusal("unknown-group", why), None, now)
            return out
        if parsed.verb in (Verb.NCMD, Verb.DCMD):
            out.counts["sparkplug.commands_seen"] += 1
            return out
        if retained:
            why = "Sparkplug messages are not retained: this one may be of any age"
            self._refuse(out, topic, payload, Refusal("retained", why), group.tenant, now)
            return out
        decoded = decode_payload(
            payload,
            birth=parsed.verb in (Verb.NBIRTH, Verb.DBIRTH),
            max_bytes=self.settings.max_bytes,
            max_metrics=self.settings.max_metrics,
        )
        if isinstance(decoded, Refusal):
            self._refuse(out, topic, payload, decoded, group.tenant, now)
            return out
        node = self._node(parsed, group)
        if node is None:
            limit = self.settings.nodes_per_group
            refusal = Refusal(
                "too-many-nodes", f"the group has {limit} nodes already", None, max(1, len(decoded.metrics))
            )
            self._refuse(out, topic, payload, refusal, group.tenant, now)
            return out
        held = Held(parsed, topic, payload, decoded, now)
        if parsed.verb is Verb.NBIRTH:
            self._node_birth(node, held, out)
        elif parsed.verb is Verb.NDEATH:
            self._node_death(node, held, out)
        else:
            self._sequence(node, held, out)
        self._send_rebirth(node, now, out)
        return out

    def passed(self, now: int) -> Effects:
        """Time went on: waits that are over, devices that were not born again, rebirth requests that are due."""
        out = Effects()
        for node in self._nodes.values():
            if node.waiting_since is not None and now - node.waiting_since >= self.settings.reorder_timeout:
                self._close_gap(node, now, out)
            for name, device in node.devices.items():
                if device.stale_due is not None and now >= device.stale_due:
                    device.stale_due = None
                    self._stale(node, name, device, device.stale_at, "NBIRTH", now, out)
            if node.doubtful and now >= node.rebirth_at:
                self._want_rebirth(node)  # the last request has brought no birth
        self._send_rebirths(now, out)
        return out

    def lost(self, now: int) -> Effects:
        """Our own connection is gone: nobody's values are vouched for until they are born again."""
        out = Effects()
        for node in self._nodes.values():
            self._drain(node, now, out)
            for name, device in node.all():
                if device.born:
                    self._stale(node, name, device, now, "connection lost", now, out)
            node.end()
        return out

    def connected(self, now: int) -> Effects:
        """We are back: what happened meanwhile only births can tell."""
        out = Effects()
        for node in self._nodes.values():
            node.rebirth_at = node.rebirth_pause = 0
            self._want_rebirth(node)
        self._send_rebirths(now, out)
        return out

    # --- births and deaths

    def _node_birth(self, node: Node, held: Held, out: Effects) -> None:
        payload, now = held.payload, held.received_at
        if payload.seq is not None and payload.seq > 255:
            refusal = Refusal(
                "bad-seq", f"seq {payload.seq} is not within 0 to 255", None, max(1, len(payload.metrics))
            )
            self._refuse(out, held.raw_topic, held.raw, refusal, self._tenant(node), now)
            return
        if not self._room(node, node.own, held, out):
            return
        self._drain(node, now, out)
        if payload.seq != 0:
            out.counts["sparkplug.birth_seq_not_zero"] += 1
        at = payload.ts if payload.ts >= 0 else now
        node.bdseq = _bdseq(payload)
        node.born_ts = payload.ts
        node.begin(payload.seq)
        for device in node.devices.values():
            if device.born:
                device.born = False
                device.stale_at, device.stale_due = at, now + self.settings.birth_grace
        self._born(node, None, node.own, held, at, out)

    def _born(self, node: Node, name: str | None, device: Device, held: Held, at: int, out: Effects) -> None:
        payload, now = held.payload, held.received_at
        refused = RefusedValues()
        before = device.definitions
        definitions, rows = define(payload.metrics, node.profile, name or node.name, refused, before)
        if before is not None:
            gone = [place for raw, place in before.by_name.items() if raw not in definitions.by_name]
            if gone:
                self._give(
                    node, name, Decoded(stale_marks(before, at, now, np.array(gone, np.intp))), now, out, own=True
                )
            self._metrics[node.group] -= len(before)
        self._metrics[node.group] += len(definitions)
        events = [] if device.born else [self._event(node, name, at, "online", held.topic.verb)]
        back = device.stale_due is not None
        device.definitions, device.born, device.stale_due = definitions, True, None
        self._values(node, name, definitions, rows, held, out, refused, birth=True)
        if events and not back:
            self._give(node, name, Decoded(events=events), now, out, own=True)
        out.counts["sparkplug.births"] += 1

    def _node_death(self, node: Node, held: Held, out: Effects) -> None:
        now = held.received_at
        bdseq = _bdseq(held.payload)
        if not node.own.born or bdseq != node.bdseq:
            # the will of an earlier session, delivered when the node had long been back; or of one we never saw
            out.counts["sparkplug.deaths_of_other_sessions"] += 1
            return
        out.counts["sparkplug.deaths"] += 1
        self._drain(node, now, out)
        for name, device in node.all():
            if device.born or device.stale_due is not None:
                device.stale_due = None
                self._stale(node, name, device, now, "NDEATH", now, out)
        node.end()

    def _stale(self, node: Node, name: str | None, device: Device, at: int, by: str, now: int, out: Effects) -> None:
        device.born = False
        blocks = stale_marks(device.definitions, at, now) if device.definitions is not None else []
        out.counts["sparkplug.stale_marks"] += sum(len(block) for block in blocks)
        decoded = Decoded(blocks, events=[self._event(node, name, at, "offline", by)])
        self._give(node, name, decoded, now, out, own=True)

    # --- sequence

    def _sequence(self, node: Node, held: Held, out: Effects) -> None:
        seq, now = held.payload.seq, held.received_at
        if node.expected is None:
            self._process(node, held, out)
            return
        if seq is None:
            out.counts["sparkplug.without_seq"] += 1
            self._process(node, held, out)
            return
        if seq > 255:
            refusal = Refusal("bad-seq", f"seq {seq} is not within 0 to 255", None, max(1, len(held.payload.metrics)))
            self._refuse(out, held.raw_topic, held.raw, refusal, self._tenant(node), now)
            return
        distance = node.place(seq)
        if distance == 0:
            node.advance()
            self._process(node, held, out)
            self._continue(node, out)
        elif distance < 0:
            self._from_behind(node, held, seq, distance, out)
        elif seq in node.waiting:
            out.counts["sparkplug.duplicates"] += 1
        else:
            node.waiting[seq] = held
            self._held += held.size
            if node.waiting_since is None:
                node.waiting_since = now
            settings = self.settings
            full = len(node.waiting) >= settings.reorder_messages or self._held > settings.reorder_bytes
            if full or settings.reorder_timeout <= 0:
                self._close_gap(node, now, out)

    def _from_behind(self, node: Node, held: Held, seq: int, distance: int, out: Effects) -> None:
        if 0 <= held.payload.ts < node.born_ts:
            why = "it is older than the birth that says what its aliases mean"
            refusal = Refusal("before-birth", why, None, max(1, len(held.payload.metrics)))
            self._refuse(out, held.raw_topic, held.raw, refusal, self._tenant(node), held.received_at)
            return
        late = node.straggler(distance)
        out.counts["sparkplug.stragglers" if late else "sparkplug.duplicates"] += 1
        if held.topic.verb in (Verb.DDATA, Verb.NDATA):
            # values have an identity of their own: said twice they are stored once
            self._process(node, held, out)
        elif late:
            self._want_rebirth(node)  # a birth or death out of its turn: only births can say what holds now
        if node.out_of_touch:
            self._close_gap(node, held.received_at, out)
            node.resume_at(seq)
            out.counts["sparkplug.sequence_restarts"] += 1
            self._want_rebirth(node)

    def _continue(self, node: Node, out: Effects) -> None:
        while (held := node.next_waiting()) is not None:
            self._held -= held.size
            self._process(node, held, out)

    def _close_gap(self, node: Node, now: int, out: Effects) -> None:
        """The missing is lost: said so, a rebirth asked for, and what waited behind it taken."""
        while (gap := node.give_up()) is not None:
            self._say_gap(node, gap, now, out)
            self._continue(node, out)
        node.waiting_since = None

    def _drain(self, node: Node, now: int, out: Effects) -> None:
        while (gap := node.give_up()) is not None:
            self._say_gap(node, gap, now, out, ask=False)
            self._continue(node, out)

    def _say_gap(self, node: Node, gap: Gap, now: int, out: Effects, *, ask: bool = True) -> None:
        out.counts["ingest.sequence_gaps"] += 1
        out.counts["ingest.sequence_missing"] += gap.missing
        body = {"first": gap.first, "last": gap.last, "missing": gap.missing, "group": node.group, "node": node.name}
        # the lost messages may have been of any of them
        for name, device in node.all():
            if device.born:
                self._give(node, name, Decoded(events=[Event("sequence_gap", now, body)]), now, out, own=True)
        if ask:
            self._want_rebirth(node)

    # --- what is in a message

    def _process(self, node: Node, held: Held, out: Effects) -> None:
        verb, name = held.topic.verb, held.topic.device
        device = node.own if name is None else node.devices.get(name)
        if verb is Verb.DBIRTH:
            self._device_birth(node, held, out)
        elif verb is Verb.DDEATH:
            if device is not None and (device.born or device.stale_due is not None):
                at = held.payload.ts if held.payload.ts >= 0 else held.received_at
                device.stale_due = None
                out.counts["sparkplug.deaths"] += 1
                self._stale(node, name, device, at, "DDEATH", held.received_at, out)
        elif device is None or not device.born or device.definitions is None or not node.own.born:
            self._want_rebirth(node)
            who = "its node" if not node.own.born else "this device" if name is not None else "this node"
            why = f"no birth of {who} has said what its metrics are; a rebirth was asked for"
            refusal = Refusal("no-birth", why, None, max(1, len(held.payload.metrics)))
            self._refuse(out, held.raw_topic, held.raw, refusal, self._tenant(node), held.received_at)
        else:
            refused = RefusedValues()
            rows = device.definitions.rows_of(held.payload.metrics)
            taken = self._values(node, name, device.definitions, rows, held, out, refused)
            if taken.unknown:
                self._want_rebirth(node)

    def _device_birth(self, node: Node, held: Held, out: Effects) -> None:
        name, now = held.topic.device, held.received_at
        assert name is not None
        count = max(1, len(held.payload.metrics))
        if not node.own.born:
            self._want_rebirth(node)
            refusal = Refusal("no-birth", "no birth of its node came before; a rebirth was asked for", None, count)
            self._refuse(out, held.raw_topic, held.raw, refusal, self._tenant(node), now)
            return
        if not self._free(node, name):
            key = node.profile.equipment(node.name, name)
            why = (
                f"{key[:60]!r} is another node's device at present; {{node}} in the profile's template tells them apart"
            )
            self._refuse(
                out, held.raw_topic, held.raw, Refusal("equipment-taken", why, None, count), self._tenant(node), now
            )
            return
        device = node.devices.get(name)
        if device is None:
            if len(node.devices) >= self.settings.devices_per_node:
                why = f"the node has {self.settings.devices_per_node} devices already"
                refusal = Refusal("too-many-devices", why, None, count)
                self._refuse(out, held.raw_topic, held.raw, refusal, self._tenant(node), now)
                return
            device = Device()
        if not self._room(node, device, held, out):
            return
        node.devices[name] = device
        self._holders[(self._tenant(node), node.profile.equipment(node.name, name))] = (node, name)
        self._born(node, name, device, held, held.payload.ts if held.payload.ts >= 0 else now, out)

    def _values(
        self,
        node: Node,
        name: str | None,
        definitions: Definitions,
        rows: NDArray[np.intp],
        held: Held,
        out: Effects,
        refused: RefusedValues,
        *,
        birth: bool = False,
    ) -> Taken:
        doubtful = node.doubtful and not birth
        taken = take_values(
            definitions,
            rows,
            held.payload,
            held.received_at,
            refused=refused,
            birth=birth,
            doubtful=doubtful,
            max_text=self.settings.max_text,
        )
        counts = out.counts
        counts["sparkplug.metrics"] += len(held.payload.metrics)
        for what, amount in (
            ("null", taken.nulls),
            ("transient", taken.transient),
            ("control", taken.control),
            ("repeated", taken.repeated),
        ):
            if amount:
                counts[f"ingest.ignored.{what}"] += amount
        taken.decoded.refusals = refused.refusals() if refused else []
        taken.decoded.ignored = 0
        self._give(node, name, taken.decoded, held.received_at, out)
        return taken

    # --- rebirth requests

    def _want_rebirth(self, node: Node) -> None:
        node.wants_rebirth = True
        self._wanting[(node.group, node.name)] = node

    def _send_rebirths(self, now: int, out: Effects) -> None:
        for node in list(self._wanting.values()):
            self._send_rebirth(node, now, out)

    def _send_rebirth(self, node: Node, now: int, out: Effects) -> None:
        """The request, if one is wanted and neither this node nor all together had too many; else it stays wanted."""
        key = (node.group, node.name)
        if not node.wants_rebirth:
            self._wanting.pop(key, None)
            return
        if now < node.rebirth_at or not self._token(now):
            return
        settings = self.settings
        often = now < node.rebirth_at + node.rebirth_pause
        node.rebirth_pause = (
            min(node.rebirth_pause * 2, settings.rebirth_longest) if often else settings.rebirth_interval
        )
        node.rebirth_at = now + node.rebirth_pause
        node.wants_rebirth = False
        self._wanting.pop(key, None)
        out.commands.append((node_command_topic(node.group, node.name), rebirth_command(now)))
        out.counts["sparkplug.rebirth_requests"] += 1

    def _token(self, now: int) -> bool:
        rate = float(self.settings.rebirths_per_second)
        if self._tokens_at is None or now > self._tokens_at:
            passed = 0 if self._tokens_at is None else now - self._tokens_at
            self._tokens = min(rate, self._tokens + passed * rate / SECOND)
            self._tokens_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    # --- book-keeping

    def _node(self, topic: Topic, group: Group) -> Node | None:
        key = (topic.group, topic.node)
        node = self._nodes.get(key)
        if node is None:
            if self._per_group[topic.group] >= self.settings.nodes_per_group and not self._make_room(topic.group):
                return None
            node = self._nodes[key] = Node(topic.group, topic.node, group.profile)
            self._per_group[topic.group] += 1
        return node

    def _free(self, node: Node, name: str) -> bool:
        """Whether no other node has a living device that is the same equipment: nobody speaks for another's machine."""
        key = (self._tenant(node), node.profile.equipment(node.name, name))
        holder, device_name = self._holders.get(key, (node, name))
        if holder is node:
            return device_name == name or not holder.devices[device_name].born
        known = self._nodes.get((holder.group, holder.name)) is holder
        return not (known and holder.own.born and holder.devices[device_name].born)

    def _make_room(self, group: str) -> bool:
        """Forget a node of this group that never was born: invented names must not shut out real nodes."""
        for key, node in self._nodes.items():
            if node.group == group and node.own.definitions is None:
                self._forget(key)
                return True
        return False

    def _forget(self, key: tuple[str, str]) -> None:
        node = self._nodes.pop(key)
        self._wanting.pop(key, None)
        self._per_group[node.group] -= 1
        self._metrics[node.group] -= node.metrics()
        self._held -= sum(held.size for held in node.waiting.values())
        for name in node.devices:
            holder = (self._groups[node.group].tenant, node.profile.equipment(node.name, name))
            if self._holders.get(holder, (None, ""))[0] is node:
                del self._holders[holder]

    def _room(self, node: Node, device: Device, held: Held, out: Effects) -> bool:
        count = len(held.payload.metrics)
        before = 0 if device.definitions is None else len(device.definitions)
        limit = self.settings.metrics_per_group
        if self._metrics[node.group] - before + count <= limit:
            return True
        refusal = Refusal("too-many-metrics", f"the group may define {limit} metrics", None, max(1, count))
        self._refuse(out, held.raw_topic, held.raw, refusal, self._tenant(node), held.received_at)
        return False

    def _event(self, node: Node, name: str | None, at: int, state: str, by: str) -> Event:
        return connection_event(at, state, by, node.group, node.name, name)

    def _tenant(self, node: Node) -> str:
        return self._groups[node.group].tenant

    def _give(
        self, node: Node, name: str | None, decoded: Decoded, now: int, out: Effects, *, own: bool = False
    ) -> None:
        if decoded.blocks or decoded.texts or decoded.events or decoded.refusals:
            key = node.profile.equipment(node.name, name)
            out.given.append(Given(self._tenant(node), key, node.profile.type_key, decoded, now, own))

    def _refuse(self, out: Effects, topic: str, payload: bytes, refusal: Refusal, tenant: str | None, now: int) -> None:
        out.refused.append(Refused(topic, payload, refusal, tenant, now))


def _bdseq(payload: SparkplugPayload) -> int | None:
    metrics = payload.metrics
    for row, name in enumerate(metrics.name):
        if name == _BDSEQ and metrics.wire[row] in (Wire.INT, Wire.LONG):
            return int(metrics.whole[row])
    return None

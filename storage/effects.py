"""The small things of a commit (events, parcels, refusals, states, health, transitions, counts) as parameters of their
statements."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from psycopg.types.json import Jsonb

from core.condition import ConditionTransition, HealthAssessment, StateChange
from core.learned import Drift, ModelScore, Prognosis
from core.parcels import CycleRecord, Waveform
from core.telemetry import DeadLetter, EventRecord
from core.time import to_datetime
from storage.packing import ByteaArray
from storage.waveforms import pack

MAX_PAYLOAD: Final = 1 << 20
"""Of a refused payload this much is kept, in bytes; ingest takes no larger ones, so what arrives whole can be
replayed."""


def clean(value: Any) -> Any:
    """``value`` as PostgreSQL can hold it in text and jsonb: no NUL, no half surrogates, no NaN (``None``)."""
    if isinstance(value, str):
        return value.replace("\0", "\u2400").encode("utf-8", "replace").decode()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {clean(str(key)): clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(item) for item in value]
    return value


def _hash(*parts: bytes) -> bytes:
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        state.update(len(part).to_bytes(8, "big"))
        state.update(part)
    return state.digest()


def event_hash(body: Mapping[str, Any]) -> bytes:
    """Identity of an event's content: the same for any order of keys."""
    return _hash(json.dumps(body, sort_keys=True, separators=(",", ":"), default=str).encode("utf-8", "surrogatepass"))


def event_parameters(events: Sequence[tuple[EventRecord, int]]) -> dict[str, Any]:
    """Events with their time of receipt."""
    return {
        "equipment": [e.equipment_id for e, _ in events],
        "kinds": [clean(e.kind) for e, _ in events],
        "times": [to_datetime(e.ts) for e, _ in events],
        "hashes": [event_hash(e.body) for e, _ in events],
        "bodies": [Jsonb(clean(e.body)) for e, _ in events],
        "received": [to_datetime(at) for _, at in events],
    }


def waveform_parameters(waveforms: Sequence[tuple[Waveform, int]]) -> dict[str, Any]:
    """Waveforms with their time of receipt, samples packed."""
    packed = [pack(w) for w, _ in waveforms]
    found = [w for w, _ in waveforms]
    return {
        "equipment": [w.equipment_id for w in found],
        "times": [to_datetime(w.ts) for w in found],
        "hashes": [w.digest() for w in found],
        "rates": [w.rate for w in found],
        "samples": [w.samples.shape[1] for w in found],
        "channels": [Jsonb(clean(p.channels)) for p in packed],
        "speeds": [clean(w.speed) for w in found],
        "loads": [clean(w.load) for w in found],
        "rotations": [w.rotation for w in found],
        "purposes": [w.purpose.value for w in found],
        "retentions": [w.retention.value for w in found],
        "requests": [clean(w.request) for w in found],
        "metas": [Jsonb(clean(w.meta)) for w in found],
        "encodings": [p.encoding for p in packed],
        "tachos": ByteaArray.of_bytes([p.tacho or b"" for p in packed]),
        "data": ByteaArray.of_bytes([p.data for p in packed]),
        "received": [to_datetime(at) for _, at in waveforms],
    }


def cycle_parameters(cycles: Sequence[tuple[CycleRecord, int]]) -> dict[str, Any]:
    """Cycles with their time of receipt."""
    return {
        "equipment": [c.equipment_id for c, _ in cycles],
        "kinds": [clean(c.kind) for c, _ in cycles],
        "components": [clean(c.component) for c, _ in cycles],
        "starts": [to_datetime(c.ts) for c, _ in cycles],
        "ends": [to_datetime(c.end) for c, _ in cycles],
        "hashes": [c.digest() for c, _ in cycles],
        "values": [Jsonb(clean(c.values)) for c, _ in cycles],
        "received": [to_datetime(at) for _, at in cycles],
    }


@dataclass(slots=True)
class _Letters:
    letter: DeadLetter
    first: int
    last: int
    count: int = 0
    readings: int = 0


def dead_letter_hash(letter: DeadLetter) -> bytes:
    """Identity of a refusal: tenant, topic, payload, reason."""
    return _hash(
        str(letter.tenant_id).encode(),
        letter.topic.encode("utf-8", "surrogatepass"),
        letter.payload,
        letter.reason.encode(),
    )


def dead_letter_parameters(letters: Iterable[DeadLetter]) -> dict[str, Any]:
    """One row per identity, repeats added up."""
    found: dict[bytes, _Letters] = {}
    for letter in letters:
        at = letter.received_at
        entry = found.setdefault(dead_letter_hash(letter), _Letters(letter, at, at))
        entry.first, entry.last = min(entry.first, at), max(entry.last, at)
        entry.count += 1
        entry.readings += letter.readings
    rows = sorted(found.items())  # in one order everywhere: two writers never wait for each other in a circle
    return {
        "hashes": [digest for digest, _ in rows],
        "tenants": [e.letter.tenant_id for _, e in rows],
        "equipment": [e.letter.equipment_id for _, e in rows],
        "topics": [clean(e.letter.topic) for _, e in rows],
        "payloads": [e.letter.payload[:MAX_PAYLOAD] for _, e in rows],
        "sizes": [len(e.letter.payload) for _, e in rows],
        "reasons": [clean(e.letter.reason) for _, e in rows],
        "details": [clean(e.letter.detail) for _, e in rows],
        "firsts": [to_datetime(e.first) for _, e in rows],
        "lasts": [to_datetime(e.last) for _, e in rows],
        "counts": [e.count for _, e in rows],
        "readings": [e.readings for _, e in rows],
    }


def state_parameters(states: Sequence[StateChange]) -> dict[str, Any]:
    """States, the last one said of a moment."""
    rows = sorted({(s.equipment_id, s.at): s.state for s in states}.items())
    return {
        "equipment": [equipment for (equipment, _), _ in rows],
        "times": [to_datetime(at) for (_, at), _ in rows],
        "states": [clean(state) for _, state in rows],
    }


def health_document(assessments: Iterable[HealthAssessment]) -> Jsonb:
    """For servitize.record_health; times stay microseconds."""
    return Jsonb(
        clean(
            [
                {
                    "equipment_id": a.equipment_id,
                    "component": a.component,
                    "at": a.at,
                    "index": a.index,
                    "reasons": [
                        {"condition": r.condition, "text": r.text, "takes": r.takes, "failure_mode": r.failure_mode}
                        for r in a.reasons
                    ],
                }
                for a in assessments
            ]
        )
    )


def prognosis_document(prognoses: Iterable[Prognosis]) -> Jsonb:
    """For record_prognoses; times stay microseconds, an endless horizon is null."""
    rows = []
    for p in prognoses:
        row = asdict(p)
        row["date_p10"], row["date_p50"], row["date_p90"] = row.pop("dates")
        rows.append(row)
    return Jsonb(clean(rows))


def score_document(scores: Iterable[ModelScore]) -> Jsonb:
    """For record_scores."""
    return Jsonb(clean([asdict(score) for score in scores]))


def drift_document(drifts: Iterable[Drift]) -> Jsonb:
    """For record_drifts."""
    return Jsonb(clean([asdict(drift) for drift in drifts]))


def transition_document(transitions: Iterable[ConditionTransition]) -> Jsonb:
    """For servitize.apply_transitions: the fields by name, in event order."""
    return Jsonb(
        clean(
            [
                {
                    "equipment_id": t.equipment_id,
                    "component": t.component,
                    "condition": t.condition,
                    "change": t.change.value,
                    "at": t.at,
                    "priority": t.priority.value,
                    "concern": t.concern.value,
                    "title": t.title,
                    "point": t.point,
                    "value": t.value,
                    "limit": t.limit,
                    "failure_mode": t.failure_mode,
                    "consequence": t.consequence,
                    "action": t.action,
                    "first_out": t.first_out,
                    "announce": t.announce,
                    "late": t.late,
                    "detail": dict(t.detail),
                }
                for t in transitions
            ]
        )
    )


def count_parameters(counts: Counter[str]) -> dict[str, Any]:
    """Counters that moved, in one order everywhere."""
    rows = sorted((name, count) for name, count in counts.items() if count)
    return {"names": [name for name, _ in rows], "counts": [count for _, count in rows]}

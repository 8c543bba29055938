"""What decoding gives: blocks of readings, parcels, texts, events and refusals. Shared by all codecs of telemetry."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.parcels import UNKNOWN, Channel, Purpose

MAX_SINGLE_REFUSALS: Final = 32
"""So many refused values of one message and reason get a dead letter each; what is beyond shares one, or one hostile
message would fill a page of them."""


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What one message may carry at most: ``max_bytes`` of payload and ``max_values`` readings."""

    max_bytes: int = 262_144
    max_values: int = 10_000


DEFAULT_LIMITS: Final = DecodeLimits()


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Readings of n points at k times, under the names the device uses.

    ``ts`` int64 µs UTC of shape (k,); ``value`` float64 (k, n), every present one finite; ``quality`` uint8 (k, n),
    None where all are good; ``present`` bool (k, n), None where all are. ``units`` in which the device sends (UCUM or a
    usual spelling), None for the point's own.
    """

    names: tuple[str, ...]
    ts: NDArray[np.int64]
    value: NDArray[np.float64]
    quality: NDArray[np.uint8] | None = None
    present: NDArray[np.bool_] | None = None
    units: tuple[str | None, ...] | None = None

    def __len__(self) -> int:
        return self.value.size if self.present is None else int(np.count_nonzero(self.present))


@dataclass(frozen=True, slots=True)
class Text:
    """A text where a number could stand: an event, unless ``name`` is a registered point (then it is no number)."""

    name: str
    ts: int
    text: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, as the device reports it; ``body`` is JSON-able and harmless for the database."""

    kind: str
    ts: int
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class WaveformMessage:
    """A waveform under the channels' names that the device uses, in the units it sends (empty: the point's own).

    Members as of :class:`core.parcels.Waveform`; every sample is finite.
    """

    ts: int
    rate: float
    channels: tuple[Channel, ...]
    samples: NDArray[np.float32]
    speed: float = UNKNOWN
    tacho: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    load: float = UNKNOWN
    rotation: str = ""
    purpose: Purpose = Purpose.ROUTINE
    request: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CycleMessage:
    """A cycle as the device reports it; every value is finite."""

    kind: str
    component: str
    ts: int
    end: int
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Refusal:
    """What could not be used. ``payload`` is just that part, as a message that can be sent again; None: all of it."""

    reason: str
    detail: str
    payload: bytes | None = None
    readings: int = 1


@dataclass(slots=True, eq=False)
class Decoded:
    """One message taken apart. ``ignored`` readings are neither stored nor refused (retained without a time)."""

    blocks: list[Block] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    sequences: list[int] = field(default_factory=list)
    waveforms: list[WaveformMessage] = field(default_factory=list)
    cycles: list[CycleMessage] = field(default_factory=list)
    ignored: int = 0

    @classmethod
    def refused(cls, reason: str, detail: str, readings: int = 1) -> Decoded:
        """All of it is bad."""
        return cls(refusals=[Refusal(reason, detail, None, max(1, readings))])

    @property
    def readings(self) -> int:
        """Readings that were sent: good, refused or text; a waveform, a cycle and an event each count as one."""
        blocks = self.blocks
        count = len(self.texts) + len(self.events) + self.ignored + len(self.waveforms) + len(self.cycles)
        count += len(blocks[0]) if len(blocks) == 1 else sum(len(block) for block in blocks)
        return count + sum(refusal.readings for refusal in self.refusals) if self.refusals else count


def shown(value: Any, limit: int = 60) -> str:
    """A foreign value in a sentence: short, and without characters that a terminal or database minds."""
    try:
        text = ascii(value)
    except Exception:  # a value nested too deep to be shown
        text = type(value).__name__
    return text if len(text) <= limit else text[: limit - 1] + "…"


def part(frame: Any) -> bytes:
    """The refused part of a message as JSON; what JSON allows but not every parser (NaN, lone surrogates) survives."""
    return json.dumps(frame, separators=(",", ":")).encode()


class RefusedValues:
    """Collects refused values of one message and groups what exceeds :data:`MAX_SINGLE_REFUSALS` by reason and time."""

    def __init__(self) -> None:
        self._found: dict[str, list[tuple[Any, str, Any, str]]] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, reason: str, ts: Any, name: str, value: Any, detail: str) -> None:
        """``ts`` and ``value`` as they came, so that the part reads as it was sent."""
        self._found.setdefault(reason, []).append((ts, name, value, detail))

    def refusals(self) -> list[Refusal]:
        """One :class:`Refusal` per value, and one for the rest of a reason."""
        found = []
        for reason, values in self._found.items():
            for ts, name, value, detail in values[:MAX_SINGLE_REFUSALS]:
                found.append(Refusal(reason, detail, part(_frame(ts, {name: value}))))
            rest = values[MAX_SINGLE_REFUSALS:]
            if rest:
                frames: dict[str, dict[str, Any]] = {}
                for ts, name, value, _ in rest:
                    frame = frames.setdefault(repr(ts), _frame(ts, {}))
                    frame["values"][name] = value
                detail = f"{len(rest)} more values of this message; the first: {rest[0][3]}"
                found.append(Refusal(reason, detail, part(list(frames.values())), len(rest)))
        return found


class _Absent:
    def __repr__(self) -> str:
        return "absent"


ABSENT: Final = _Absent()
"""The message gave no time."""


def _frame(ts: Any, values: dict[str, Any]) -> dict[str, Any]:
    return {"values": values} if ts is ABSENT else {"ts": ts, "values": values}


MAX_BODY_DEPTH: Final = 16
_INT64: Final = 2**63


def harmless(value: Any, depth: int = MAX_BODY_DEPTH) -> str | None:
    """Why a JSON value cannot be stored in an event, or None where it can.

    PostgreSQL's jsonb takes no NUL and no lone surrogate, JSON no NaN, the journal no integer beyond 64 bits.
    """
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        return None if printable(value) else "a text with a NUL character or half a character"
    if isinstance(value, int):
        return None if -_INT64 <= value < _INT64 else "an integer beyond 64 bits"
    if isinstance(value, float):
        return None if np.isfinite(value) else "a number that is not finite"
    if depth == 0:
        return "nested too deep"
    if isinstance(value, Mapping):
        inner: Sequence[Any] = [*value.keys(), *value.values()]
    elif isinstance(value, (list, tuple)):
        inner = value
    else:
        return f"a {type(value).__name__}"
    return next((why for item in inner if (why := harmless(item, depth - 1))), None)


def printable(text: str) -> bool:
    """No NUL and no lone surrogate in it."""
    return "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text)

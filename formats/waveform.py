"""Waveforms over MQTT: JSON, or a JSON header with raw samples behind it.

    0     4  magic  b"SVWF"
    4     1  version of this layout: 1
    5     1  samples: 0 float32, 1 int16 (times the channel's ``scale``, plus its ``offset``)
    6     2  zero
    8     4  length h of the header
    12    h  header: the JSON message without ``samples``
    12+h  …  samples, one channel after the other, little-endian

The message: ``ts`` of the first sample (ISO 8601 with a zone, or epoch milliseconds), ``rate`` Hz, ``channels``
``[{"name", "unit", "orientation", "gap", "samples": […]}]``; besides ``speed`` r/min, ``tacho`` (seconds after the
first sample) with ``pulses_per_revolution``, ``load`` %, ``rotation`` (``cw``, ``ccw``), ``purpose``, ``request``,
``meta``, ``seq``. In JSON ``channels`` may hold int16 values with ``scale`` and ``offset`` too.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from core.parcels import UNKNOWN, Channel, Purpose
from core.time import isoformat
from formats import strict_json, timestamps
from formats.decoded import ABSENT, Decoded, Refusal, WaveformMessage, harmless, printable, shown

MAGIC: Final = b"SVWF"
VERSION: Final = 1
MAX_BYTES: Final = 1_048_576
"""Of a message: what a dead letter can hold whole, so that everything refused can be sent again."""
MAX_CHANNELS: Final = 32
MIN_SAMPLES: Final = 2
_MAX_RATE: Final = 10_000_000.0
_MAX_TACHO: Final = 100_000
_MAX_HEADER: Final = 131_072
_HEAD: Final = struct.Struct("<4sBBHI")
_FLOAT32, _INT16 = 0, 1
_DTYPES: Final[Mapping[int, np.dtype[Any]]] = {_FLOAT32: np.dtype("<f4"), _INT16: np.dtype("<i2")}
_ROTATIONS: Final = ("", "cw", "ccw")


class _UnusableError(ValueError):
    """``reason`` of a refusal, and its sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def decode_waveforms(payload: bytes, *, received_at: int, retained: bool = False) -> Decoded:
    """The waveform of one message; channels that cannot be used are refused by themselves. Never raises.

    Without ``ts`` a waveform ends at ``received_at``; a *retained* one without is ignored and counted.
    """
    if len(payload) > MAX_BYTES:
        return Decoded.refused(
            "too-large", f"{len(payload)} bytes; a waveform may have {MAX_BYTES}: send fewer channels"
        )
    try:
        header, columns = _binary(payload) if payload[:4] == MAGIC else _json(payload)
        if header.get("ts", ABSENT) is ABSENT and retained:
            return Decoded(ignored=1)
        return _decoded(header, columns, received_at)
    except _UnusableError as error:
        return Decoded.refused(error.reason, str(error))


def encode(message: WaveformMessage, *, seq: int | None = None) -> bytes:
    """The binary message of a waveform, samples as float32."""
    return _pack(message, seq, _FLOAT32, np.ascontiguousarray(message.samples, "<f4").tobytes(), None)


def encode_int16(message: WaveformMessage, *, seq: int | None = None) -> bytes:
    """The same in half the bytes: each channel rounded to 65,535 steps of its own largest deviation from its mean."""
    offset = message.samples.mean(axis=1, dtype=np.float64)
    apart = message.samples - offset[:, None]
    scale = np.maximum(np.abs(apart).max(axis=1), 1e-30) / 32_767
    steps = np.rint(apart / scale[:, None]).astype("<i2")
    return _pack(message, seq, _INT16, steps.tobytes(), list(zip(scale.tolist(), offset.tolist(), strict=True)))


def _pack(
    message: WaveformMessage, seq: int | None, kind: int, data: bytes, steps: Sequence[tuple[float, float]] | None
) -> bytes:
    channels: list[dict[str, Any]] = []
    for place, channel in enumerate(message.channels):
        told = {"name": channel.name, "unit": channel.unit, "orientation": channel.orientation, "gap": channel.gap}
        if steps is not None:
            told |= {"scale": steps[place][0], "offset": steps[place][1]}
        channels.append({name: value for name, value in told.items() if value not in (None, "")})
    header: dict[str, Any] = {"ts": isoformat(message.ts), "rate": message.rate, "channels": channels}
    numbers = {"speed": message.speed, "load": message.load}
    texts = {"rotation": message.rotation, "request": message.request}
    header |= {name: number for name, number in numbers.items() if not math.isnan(number)}
    header |= {name: text for name, text in texts.items() if text}
    if len(message.tacho):
        header["tacho"] = message.tacho.tolist()
    if message.purpose is not Purpose.ROUTINE:
        header["purpose"] = message.purpose.value
    if message.meta:
        header["meta"] = dict(message.meta)
    if seq is not None:
        header["seq"] = seq
    told_header = orjson.dumps(header)
    return _HEAD.pack(MAGIC, VERSION, kind, 0, len(told_header)) + told_header + data


# --- taking apart ----------------------------------------------------------------------------------------------------


def _binary(payload: bytes) -> tuple[dict[str, Any], list[Any]]:
    if len(payload) < _HEAD.size:
        raise _UnusableError("not-a-waveform", "it ends within its first 12 bytes")
    _, version, kind, zero, length = _HEAD.unpack_from(payload)
    if version != VERSION or zero or kind not in _DTYPES:
        raise _UnusableError(
            "not-a-waveform", f"version {version} with samples of kind {kind}; known is {VERSION} with 0 or 1"
        )
    if length > _MAX_HEADER or _HEAD.size + length > len(payload):
        raise _UnusableError("not-a-waveform", f"a header of {length} bytes in a message of {len(payload)}")
    header = _object(payload[_HEAD.size : _HEAD.size + length])
    channels = _channels(header)
    data = memoryview(payload)[_HEAD.size + length :]
    dtype = _DTYPES[kind]
    if not len(data) or len(data) % (dtype.itemsize * len(channels)):
        raise _UnusableError(
            "length-mismatch", f"{len(data)} bytes of samples do not share out among {len(channels)} channels"
        )
    columns = np.frombuffer(data, dtype).reshape(len(channels), -1)
    return header, list(columns)


def _json(payload: bytes) -> tuple[dict[str, Any], list[Any]]:
    header = _object(payload)
    return header, [channel.get("samples") if isinstance(channel, dict) else None for channel in _channels(header)]


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = strict_json.fast(text)
    except ValueError:
        try:
            found = strict_json.slow(text)
        except ValueError as error:
            raise _UnusableError("not-json", str(error)) from None
    if not isinstance(found, dict):
        raise _UnusableError("not-a-waveform", f"{shown(found)} is no object with ts, rate and channels")
    return found


def _channels(header: Mapping[str, Any]) -> list[Any]:
    channels = header.get("channels")
    if not isinstance(channels, list) or not 1 <= len(channels) <= MAX_CHANNELS:
        raise _UnusableError("no-channels", f"`channels` is a list of 1 to {MAX_CHANNELS} objects with a name")
    return channels


def _decoded(header: Mapping[str, Any], columns: list[Any], received_at: int) -> Decoded:
    rate = _number(header, "rate", 0.0, _MAX_RATE)
    if not rate > 0:
        raise _UnusableError("no-rate", f"`rate` is {shown(header.get('rate'))}: samples per second, more than 0")
    rotation = header.get("rotation", "")
    if rotation not in _ROTATIONS:
        raise _UnusableError("bad-rotation", f"`rotation` is {shown(rotation)}: cw or ccw, seen from the driver")
    try:
        purpose = Purpose(header.get("purpose", Purpose.ROUTINE))
    except ValueError:
        raise _UnusableError(
            "bad-purpose", f"{shown(header['purpose'])}: " + ", ".join(p.value for p in Purpose)
        ) from None
    request, meta = header.get("request", ""), header.get("meta", {})
    if not isinstance(request, str) or len(request) > 64 or not printable(request):
        raise _UnusableError("bad-request", f"`request` is {shown(request)}: the id that was asked with")
    why = "not an object" if not isinstance(meta, dict) else harmless(meta)
    if why:
        raise _UnusableError("bad-body", f"`meta` is or holds {why}")
    tacho = _tacho(header)
    speed = _number(header, "speed", 0.0, 1e6)
    if math.isnan(speed):
        speed = _speed_of(tacho, header)

    decoded = Decoded()
    taken: list[tuple[Channel, NDArray[np.float32]]] = []
    bad: list[tuple[str, str, Any]] = []
    length = 0
    for entry, column in zip(header["channels"], columns, strict=True):
        try:
            channel = _channel(entry, {c.name for c, _ in taken})
            samples = _samples(entry, column)
            if taken and len(samples) != length:
                raise _UnusableError(
                    "length-mismatch", f"{channel.name} has {len(samples)} samples, the others {length}"
                )
        except _UnusableError as error:
            bad.append((error.reason, str(error), entry))
            continue
        length = len(samples)
        taken.append((channel, samples))
    for reason, detail, _ in bad:
        decoded.refusals.append(Refusal(reason, detail))
    if not taken:
        return decoded
    ts = header.get("ts", ABSENT)
    try:
        # without a time it has just ended
        moment = received_at - round(length * 1e6 / rate) if ts is ABSENT else timestamps.parse(ts)
    except ValueError as error:
        raise _UnusableError("bad-timestamp", str(error)) from None
    seq = header.get("seq")
    if isinstance(seq, int) and not isinstance(seq, bool) and 0 <= seq < 2**63:
        decoded.sequences.append(seq)
    decoded.waveforms.append(
        WaveformMessage(
            moment,
            rate,
            tuple(channel for channel, _ in taken),
            np.stack([samples for _, samples in taken]),
            speed,
            tacho,
            _number(header, "load", -1e3, 1e3),
            rotation,
            purpose,
            request,
            dict(meta),
        )
    )
    return decoded


def _channel(entry: Any, taken: set[str]) -> Channel:
    name = entry.get("name") if isinstance(entry, dict) else None
    if not isinstance(name, str) or not 1 <= len(name) <= 120 or not printable(name):
        raise _UnusableError("no-channels", f"{shown(entry)} has no name")
    if name in taken:
        raise _UnusableError("duplicate-key", f"{shown(name)} stands twice; the first one was taken")
    unit = entry.get("unit", "")
    if not isinstance(unit, str) or len(unit) > 32:
        raise _UnusableError("unit", f"{shown(name)}: {shown(unit)} is no unit")
    known = {}
    for key in ("orientation", "gap"):
        value = _number(entry, key, -1e4, 1e4)
        known[key] = None if math.isnan(value) else value
    return Channel(name, unit, known["orientation"], known["gap"])


def _samples(entry: Mapping[str, Any], column: Any) -> NDArray[np.float32]:
    name = shown(entry.get("name"))
    if not isinstance(column, np.ndarray):
        if not isinstance(column, list):
            raise _UnusableError("length-mismatch", f"{name} has no list `samples`")
        try:
            column = np.array(column, np.float64)
        except (ValueError, TypeError, OverflowError):
            raise _UnusableError("not-a-number", f"{name} has samples that are no numbers") from None
        if column.ndim != 1:
            raise _UnusableError("not-a-number", f"{name} has samples that are no numbers")
    if len(column) < MIN_SAMPLES:
        raise _UnusableError("length-mismatch", f"{name} has {len(column)} samples; at least {MIN_SAMPLES}")
    scale, offset = _number(entry, "scale", -1e30, 1e30), _number(entry, "offset", -1e30, 1e30)
    if not (math.isnan(scale) and math.isnan(offset)):
        scale, offset = (1.0 if math.isnan(scale) else scale), (0.0 if math.isnan(offset) else offset)
        column = column.astype(np.float64) * scale + offset
    with np.errstate(over="ignore"):
        samples = column.astype(np.float32)
    if not np.isfinite(samples).all():
        raise _UnusableError("not-finite", f"{name} has samples that are not finite")
    return np.asarray(samples)


def _number(entry: Mapping[str, Any], key: str, low: float, high: float) -> float:
    """The number under ``key``; NaN where there is none."""
    value = entry.get(key)
    if value is None:
        return UNKNOWN
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise _UnusableError(f"bad-{key}", f"`{key}` is {shown(value)}: a number from {low:g} to {high:g}")
    return float(value)


def _tacho(header: Mapping[str, Any]) -> NDArray[np.float64]:
    pulses = header.get("tacho", [])
    if not isinstance(pulses, list) or len(pulses) > _MAX_TACHO:
        raise _UnusableError("bad-tacho", f"`tacho` is a list of at most {_MAX_TACHO} times in seconds")
    try:
        found = np.array(pulses, np.float64)
    except (ValueError, TypeError, OverflowError):
        raise _UnusableError("bad-tacho", "`tacho` holds what is no number") from None
    if found.ndim != 1 or not np.isfinite(found).all() or (np.diff(found) <= 0).any():
        raise _UnusableError("bad-tacho", "`tacho` holds growing times in seconds")
    return found


def _speed_of(tacho: NDArray[np.float64], header: Mapping[str, Any]) -> float:
    per_turn = _number(header, "pulses_per_revolution", 1, 10_000)
    if len(tacho) < 2:
        return UNKNOWN
    turns = (len(tacho) - 1) / (1.0 if math.isnan(per_turn) else per_turn)
    return float(60.0 * turns / (tacho[-1] - tacho[0]))

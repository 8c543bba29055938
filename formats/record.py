"""A stream record as bytes, for the journal and for Kafka: a versioned header, the raw arrays, msgpack for the rest.

    0   4  magic  b"SVRC"
    4   1  version of this layout
    5   1  flags: 1 = body compressed with zstd
    6   2  zero
    8   4  number of readings n
    12  4  CRC-32 of all else: header with zero here, then body
    16  8  received_at, µs UTC
    24  …  body: ts int64[n], value float64[n], point_id int32[n], quality uint8[n], then msgpack

Little-endian throughout. Version 2 differs in that its msgpack goes on with waveforms and cycles; only a record that
has any is written so, so that a program of before reads all others. The checksum makes a damaged record an error in one
sentence instead of wrong readings.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np
import zstandard

from core.errors import ServitizeError
from core.parcels import Channel, CycleRecord, Purpose, Retention, Waveform
from core.telemetry import DeadLetter, EventRecord, StreamRecord, TelemetryBatch, Tick

MAGIC: Final = b"SVRC"
VERSION: Final = 2
"""The newest that is read and written."""
_WITHOUT_PARCELS: Final = 1
_COMPRESSED: Final = 1
_HEADER: Final = struct.Struct("<4sBBHIIq")
_WORTH_COMPRESSING: Final = 1_024
_READING_BYTES: Final = 21
_MAX_BODY: Final = 256 * 1024 * 1024
"""No honest record comes near it; a damaged length must not ask for all memory."""


class DamagedRecordError(ServitizeError):
    """Bytes that are no stream record, or no longer one."""

    code = "damaged-record"


class _Rest(msgspec.Struct, array_like=True):
    ticks: tuple[Tick, ...]
    events: tuple[EventRecord, ...]
    dead_letters: tuple[DeadLetter, ...]
    counts: Mapping[str, int]
    sequences: Mapping[int, tuple[int, int]] = {}  # absent in records of before it was there


class _Waveform(msgspec.Struct, array_like=True):
    """A waveform as stored: ``samples`` float32 and ``tacho`` float64 as raw bytes."""

    equipment_id: int
    ts: int
    rate: float
    channels: tuple[Channel, ...]
    samples: bytes
    speed: float
    tacho: bytes
    load: float
    rotation: str
    purpose: Purpose
    retention: Retention
    request: str
    meta: Mapping[str, Any]
    after: int

    @classmethod
    def of(cls, w: Waveform) -> _Waveform:
        return cls(
            w.equipment_id,
            w.ts,
            w.rate,
            w.channels,
            np.ascontiguousarray(w.samples, "<f4").tobytes(),
            w.speed,
            np.ascontiguousarray(w.tacho, "<f8").tobytes(),
            w.load,
            w.rotation,
            w.purpose,
            w.retention,
            w.request,
            w.meta,
            w.after,
        )

    def waveform(self) -> Waveform:
        samples = np.frombuffer(self.samples, "<f4").reshape(len(self.channels), -1)
        return Waveform(
            self.equipment_id,
            self.ts,
            self.rate,
            self.channels,
            samples,
            self.speed,
            np.frombuffer(self.tacho, "<f8"),
            self.load,
            self.rotation,
            self.purpose,
            self.retention,
            self.request,
            self.meta,
            self.after,
        )


class _RestWithParcels(_Rest, array_like=True):
    waveforms: tuple[_Waveform, ...] = ()
    cycles: tuple[CycleRecord, ...] = ()


class BinaryRecordCodec:
    """:class:`core.ports.RecordCodec`. Not safe to share between threads: compressors hold state."""

    def __init__(self, *, compress: bool = True) -> None:
        self._compress = compress
        # level 1: on telemetry higher levels cost several times as much and save a few per cent
        self._compressor = zstandard.ZstdCompressor(level=1)
        self._decompressor = zstandard.ZstdDecompressor()
        self._encoder = msgspec.msgpack.Encoder()
        self._decoders: dict[int, msgspec.msgpack.Decoder[Any]] = {
            _WITHOUT_PARCELS: msgspec.msgpack.Decoder(_Rest),
            VERSION: msgspec.msgpack.Decoder(_RestWithParcels),
        }

    def encode(self, record: StreamRecord) -> bytes:
        """The record's bytes; equal records of one version give equal bytes."""
        batch = record.batch
        common = record.ticks, record.events, record.dead_letters, record.counts, record.sequences
        version, rest = _WITHOUT_PARCELS, _Rest(*common)
        if record.waveforms or record.cycles:
            version, rest = (
                VERSION,
                _RestWithParcels(*common, tuple(map(_Waveform.of, record.waveforms)), record.cycles),
            )
        body = b"".join(
            (
                np.ascontiguousarray(batch.ts, "<i8").tobytes(),
                np.ascontiguousarray(batch.value, "<f8").tobytes(),
                np.ascontiguousarray(batch.point_id, "<i4").tobytes(),
                np.ascontiguousarray(batch.quality, "u1").tobytes(),
                self._encoder.encode(rest),
            )
        )
        flags = 0
        if self._compress and len(body) > _WORTH_COMPRESSING:
            packed = self._compressor.compress(body)
            if len(packed) < len(body):
                body, flags = packed, _COMPRESSED
        checksum = zlib.crc32(body, zlib.crc32(_header(version, flags, len(batch), 0, batch.received_at)))
        return _header(version, flags, len(batch), checksum, batch.received_at) + body

    def decode(self, data: bytes) -> StreamRecord:
        """The record; :class:`DamagedRecordError` for bytes that are none. The arrays are read-only views."""
        if len(data) < _HEADER.size or data[:4] != MAGIC:
            raise _damaged("it does not begin like one")
        _, version, flags, zero, n, checksum, received_at = _HEADER.unpack_from(data)
        if version not in self._decoders:
            raise DamagedRecordError(
                f"a stream record of version {version}; this program reads versions up to {VERSION}",
                hint="a newer program wrote it: run that one, or let it stop cleanly before going back",
            )
        body: Any = memoryview(data)[_HEADER.size :]
        if zero or zlib.crc32(body, zlib.crc32(_header(version, flags, n, 0, received_at))) != checksum:
            raise _damaged("its checksum does not match")
        try:
            if flags & _COMPRESSED:
                body = memoryview(self._decompressor.decompress(body, max_output_size=_MAX_BODY))
            if len(body) < n * _READING_BYTES:
                raise _damaged(f"it is too short for {n} readings")
            rest = self._decoders[version].decode(body[n * _READING_BYTES :])
            parcels: tuple[Any, Any] = ((), ())
            if isinstance(rest, _RestWithParcels):
                parcels = tuple(w.waveform() for w in rest.waveforms), rest.cycles
        except (zstandard.ZstdError, msgspec.MsgspecError, ValueError) as error:
            raise _damaged(str(error)) from error
        batch = TelemetryBatch(
            np.frombuffer(body, "<i4", n, 16 * n),
            np.frombuffer(body, "<i8", n, 0),
            np.frombuffer(body, "<f8", n, 8 * n),
            np.frombuffer(body, "u1", n, 20 * n),
            received_at,
        )
        return StreamRecord(batch, rest.ticks, rest.events, rest.dead_letters, rest.counts, rest.sequences, *parcels)


def _header(version: int, flags: int, n: int, checksum: int, received_at: int) -> bytes:
    return _HEADER.pack(MAGIC, version, flags, 0, n, checksum, received_at)


def _damaged(why: str) -> DamagedRecordError:
    return DamagedRecordError(
        f"no stream record: {why}",
        hint="the journal or topic is damaged; restore a backup, or skip this offset by hand",
    )

"""The record on the log: what goes in comes out, and damage is an error in one sentence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.telemetry import DeadLetter, EventRecord, StreamRecord, TelemetryBatch, Tick
from formats.record import BinaryRecordCodec, DamagedRecordError

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_INT = st.integers(0, 2**40)
_VALUE = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | _TEXT | st.none()
_BODY = st.dictionaries(_TEXT, _VALUE, max_size=3)


@st.composite
def records(draw: st.DrawFn) -> StreamRecord:
    n = draw(st.sampled_from([0, 1, 7, 300]))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    batch = TelemetryBatch(
        rng.integers(0, 2**31 - 1, n).astype(np.int32),
        rng.integers(0, 2**52, n).astype(np.int64),
        rng.normal(size=n) * 10.0 ** rng.integers(-300, 300, n),
        rng.integers(0, 256, n).astype(np.uint8),
        draw(_INT),
    )
    return StreamRecord(
        batch,
        tuple(draw(st.lists(st.builds(Tick, st.integers(0, 99), _INT), max_size=3))),
        tuple(draw(st.lists(st.builds(EventRecord, st.integers(0, 99), _TEXT, _INT, _BODY), max_size=3))),
        tuple(
            draw(
                st.lists(
                    st.builds(
                        DeadLetter,
                        _TEXT,
                        st.binary(max_size=30),
                        _TEXT,
                        _TEXT,
                        _INT,
                        st.none() | st.integers(0, 9),
                        st.none() | st.integers(0, 9),
                        st.integers(1, 9),
                    ),
                    max_size=3,
                )
            )
        ),
        draw(st.dictionaries(_TEXT, _INT, max_size=3)),
    )


def same(a: StreamRecord, b: StreamRecord) -> bool:
    arrays = ("point_id", "ts", "value", "quality")
    return (
        all(np.array_equal(getattr(a.batch, name), getattr(b.batch, name)) for name in arrays)
        and all(getattr(a.batch, name).dtype == getattr(b.batch, name).dtype for name in arrays)
        and a.batch.received_at == b.batch.received_at
        and (a.ticks, a.events, a.dead_letters, dict(a.counts)) == (b.ticks, b.events, b.dead_letters, dict(b.counts))
    )


@settings(max_examples=100, deadline=None)
@given(records(), st.booleans())
def test_what_goes_in_comes_out(record: StreamRecord, compress: bool) -> None:
    codec = BinaryRecordCodec(compress=compress)
    data = codec.encode(record)
    assert same(codec.decode(data), record)
    assert codec.encode(record) == data


@settings(max_examples=200, deadline=None)
@given(records(), st.data())
def test_damage_is_an_error_never_a_wrong_reading(record: StreamRecord, data: st.DataObject) -> None:
    codec = BinaryRecordCodec()
    good = codec.encode(record)
    at = data.draw(st.integers(0, len(good) - 1))
    damaged = bytearray(good)
    damaged[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(DamagedRecordError):
        codec.decode(bytes(damaged))


@pytest.mark.parametrize("data", [b"", b"SVRC", b"x" * 100, b"SVRC\x09" + b"\0" * 40])
def test_foreign_bytes_are_no_record(data: bytes) -> None:
    with pytest.raises(DamagedRecordError):
        BinaryRecordCodec().decode(data)


def test_a_cut_record_is_an_error() -> None:
    data = BinaryRecordCodec().encode(StreamRecord(TelemetryBatch.empty(5), counts={"a": 1}))
    for length in range(len(data)):
        with pytest.raises(DamagedRecordError):
            BinaryRecordCodec().decode(data[:length])

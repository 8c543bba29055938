"""Rows to PostgreSQL's binary form and back."""

from __future__ import annotations

import struct

import numpy as np

from storage.packing import COPY_HEADER, COPY_TRAILER, PG_EPOCH, ByteaArray, Int4Array, Rows, TimeArray, pack, unpack


def some() -> Rows:
    return Rows(
        np.array([1, 2_000_000_000], np.int32),
        np.array([PG_EPOCH, -1], np.int64),
        np.array([1.5, np.nan]),
        np.array([0xC0, 0x01], np.uint8),
        np.array([PG_EPOCH + 7, 0], np.int64),
    )


def test_a_row_is_five_fields_each_behind_its_length() -> None:
    row = pack(some())[: len(pack(some())) // 2]
    assert row == struct.pack(">hiiiqidihiq", 5, 4, 1, 8, 0, 8, 1.5, 2, 0xC0, 8, 7)


def test_what_is_packed_is_unpacked() -> None:
    again = unpack(COPY_HEADER + pack(some()) + COPY_TRAILER)
    for name in ("point_id", "ts", "quality", "received_at"):
        assert getattr(again, name).tolist() == getattr(some(), name).tolist()
    assert again.value[0] == 1.5
    assert np.isnan(again.value[1])


def test_nothing_is_unpacked_from_an_empty_copy() -> None:
    assert len(unpack(COPY_HEADER + COPY_TRAILER)) == 0


def test_arrays_carry_their_header() -> None:
    assert Int4Array.of(np.array([7], np.int32)) == struct.pack(">iiiiiii", 1, 0, 23, 1, 1, 4, 7)
    assert TimeArray.of(np.array([PG_EPOCH + 1]))[-8:] == struct.pack(">q", 1)


def test_bytes_of_any_kind_go_as_they_are() -> None:
    data = ByteaArray.of_bytes([b"\0{,}", b""])
    assert data == struct.pack(">iiiii", 1, 0, 17, 2, 1) + struct.pack(">i", 4) + b"\0{,}" + struct.pack(">i", 0)

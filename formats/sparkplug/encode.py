"""Sparkplug B payloads that we write: commands of a host, and whole messages for tests and simulated edge nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from formats.sparkplug.datatypes import SIGNED, UNSIGNED, DataType
from formats.sparkplug.sparkplug_b_pb2 import Metric, Payload

REBIRTH: Final = "Node Control/Rebirth"
BDSEQ: Final = "bdSeq"


@dataclass(frozen=True, slots=True)
class Value:
    """One metric to write. ``ts`` µs, written as whole milliseconds. ``value`` None is written as null. ``described``:
    with its data type, as births and commands have it."""

    value: float | str | bytes | None
    datatype: DataType = DataType.DOUBLE
    name: str | None = None
    alias: int | None = None
    ts: int | None = None
    historical: bool = False
    transient: bool = False
    described: bool = False
    properties: Mapping[str, str | int] = field(default_factory=dict)


def encode_payload(ts: int | None, values: Iterable[Value] = (), seq: int | None = None) -> bytes:
    """The payload; ``ts`` µs UTC or None for none."""
    payload = Payload()
    if ts is not None:
        payload.timestamp = ts // 1000
    if seq is not None:
        payload.seq = seq
    for value in values:
        _write(payload.metrics.add(), value)
    return payload.SerializeToString()


def rebirth_command(ts: int) -> bytes:
    """The request to an edge node to send its birth certificates again; ``ts`` µs UTC. Commands carry no ``seq``."""
    return encode_payload(ts, [Value(True, DataType.BOOLEAN, REBIRTH, ts=ts, described=True)])


def _write(metric: Metric, value: Value) -> None:
    if value.name is not None:
        metric.name = value.name.encode()
    if value.alias is not None:
        metric.alias = value.alias
    if value.ts is not None:
        metric.timestamp = value.ts // 1000
    if value.described:
        metric.datatype = value.datatype
    if value.historical:
        metric.is_historical = True
    if value.transient:
        metric.is_transient = True
    for key, item in value.properties.items():
        metric.properties.keys.append(key.encode())
        found = metric.properties.values.add()
        if isinstance(item, str):
            found.type, found.string_value = DataType.STRING, item.encode()
        else:
            found.type, found.int_value = DataType.INT32, item & 0xFFFFFFFF
    content, datatype = value.value, value.datatype
    if content is None:
        metric.is_null = True
    elif isinstance(content, bytes):
        metric.bytes_value = content
    elif isinstance(content, str):
        metric.string_value = content.encode()
    elif datatype is DataType.BOOLEAN:
        metric.boolean_value = bool(content)
    elif datatype is DataType.FLOAT:
        metric.float_value = content
    elif datatype is DataType.DOUBLE:
        metric.double_value = content
    elif SIGNED.get(datatype, 64) <= 32 or UNSIGNED.get(datatype, 64) <= 32:
        metric.int_value = int(content) & 0xFFFFFFFF
    else:
        metric.long_value = int(content) & 0xFFFFFFFFFFFFFFFF

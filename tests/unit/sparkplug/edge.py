"""An edge node for tests: it keeps the protocol, or breaks it exactly as told. Gives (topic, payload), no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from formats.sparkplug.datatypes import DataType
from formats.sparkplug.encode import BDSEQ, REBIRTH, Value, encode_payload

T0 = 1_700_000_000_000_000
SECOND = 1_000_000
Sent = tuple[str, bytes]


@dataclass
class EdgeNode:
    group: str = "plant"
    node: str = "line1"
    bdseq: int = 0
    seq: int = 0
    aliases: dict[str, int] = field(default_factory=dict)

    def topic(self, verb: str, device: str | None = None) -> str:
        return f"spBv1.0/{self.group}/{verb}/{self.node}" + (f"/{device}" if device else "")

    def _next(self) -> int:
        seq, self.seq = self.seq, (self.seq + 1) % 256
        return seq

    def nbirth(self, ts: int, metrics: Sequence[Value] = (), *, bdseq: int | None = None) -> Sent:
        self.seq = 0
        control = [
            Value(self.bdseq if bdseq is None else bdseq, DataType.INT64, BDSEQ, ts=ts, described=True),
            Value(False, DataType.BOOLEAN, REBIRTH, ts=ts, described=True),
        ]
        return self.topic("NBIRTH"), encode_payload(ts, [*control, *self._described(metrics, ts)], self._next())

    def dbirth(self, device: str, ts: int, metrics: Sequence[Value]) -> Sent:
        return self.topic("DBIRTH", device), encode_payload(ts, self._described(metrics, ts), self._next())

    def ndata(self, ts: int, metrics: Sequence[Value]) -> Sent:
        return self.topic("NDATA"), encode_payload(ts, self._stamped(metrics, ts), self._next())

    def ddata(self, device: str, ts: int, metrics: Sequence[Value]) -> Sent:
        return self.topic("DDATA", device), encode_payload(ts, self._stamped(metrics, ts), self._next())

    def ddeath(self, device: str, ts: int) -> Sent:
        return self.topic("DDEATH", device), encode_payload(ts, (), self._next())

    def ndeath(self, *, bdseq: int | None = None) -> Sent:
        number = self.bdseq if bdseq is None else bdseq
        return self.topic("NDEATH"), encode_payload(None, [Value(number, DataType.INT64, BDSEQ, described=True)])

    @staticmethod
    def _stamped(metrics: Sequence[Value], ts: int) -> list[Value]:
        return [v if v.ts is not None else replace(v, ts=ts) for v in metrics]

    def _described(self, metrics: Sequence[Value], ts: int) -> list[Value]:
        return [replace(v, described=True) for v in self._stamped(metrics, ts)]


def speed(value: float | None, **options: object) -> Value:
    """The metric ``speed`` as births name it: alias 1."""
    return Value(value, DataType.DOUBLE, "speed", 1, **options)  # type: ignore[arg-type]


def by_alias(
    alias: int, value: float | str | bool | None, datatype: DataType = DataType.DOUBLE, **options: object
) -> Value:
    """A metric as data messages send it."""
    return Value(value, datatype, None, alias, **options)  # type: ignore[arg-type]

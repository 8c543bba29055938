"""Random and mutated payloads against the host: no crash, nothing unaccounted for, neighbours untouched.

5,000 payloads here; ``SERVITIZE_FUZZ=100000`` for the long run.
"""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from core import quality as q
from formats.decoded import Refusal
from formats.sparkplug.datatypes import DataType
from formats.sparkplug.decode import decode_payload
from formats.sparkplug.encode import Value
from ingest.sparkplug.limits import SparkplugSettings
from tests.unit.sparkplug.edge import SECOND, T0, EdgeNode, Sent, by_alias, speed
from tests.unit.sparkplug.hosting import Hosting, Reading

COUNT = int(os.environ.get("SERVITIZE_FUZZ", "5000"))
VERBS = ["NBIRTH", "NDEATH", "NDATA", "NCMD", "DBIRTH", "DDEATH", "DDATA", "DCMD"]


class Fuzzer:
    """Payloads that are almost right: births and data with mutated bytes, wrong types, wild numbers and times."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.node = EdgeNode(node="evil")

    def metric(self) -> Value:
        rng = self.rng
        content: list[float | str | bytes | None] = [
            *(rng.uniform(-1e9, 1e9), float("nan"), float("inf"), rng.getrandbits(63)),
            *("text", "\0", b"\xff\0", None, True),
        ]
        return Value(
            rng.choice([c for c in content if not (isinstance(c, float) and not -1e18 < c < 1e18)]),
            rng.choice(list(DataType)),
            rng.choice([None, "a", "b/c", "", "x" * 500, "bdSeq", "Node Control/Rebirth", f"m{rng.randrange(50)}"]),
            rng.choice([None, 0, 1, 2, rng.getrandbits(64)]),
            rng.choice([None, T0, T0 - SECOND, 0, 2**62]),
            rng.random() < 0.1,
            rng.random() < 0.1,
            rng.random() < 0.7,
            rng.choice([{}, {"Quality": 0}, {"engUnit": "bar"}, {"Quality": 2**31, "engUnit": "\0"}]),
        )

    def message(self) -> Sent:
        rng, node = self.rng, self.node
        metrics = [self.metric() for _ in range(rng.randrange(6))]
        ts = rng.choice([T0, T0 + rng.randrange(10**9), 0, 2**62])
        device = rng.choice(["d1", "d2"])
        topic, payload = rng.choice(
            [
                lambda: node.nbirth(ts, metrics),
                lambda: node.dbirth(device, ts, metrics),
                lambda: node.ndata(ts, metrics),
                lambda: node.ddata(device, ts, metrics),
                lambda: node.ddata(device, ts, metrics),
                lambda: node.ddeath(device, ts),
                lambda: node.ndeath(),
                lambda: (node.topic(rng.choice(VERBS), rng.choice([None, "d1"])), rng.randbytes(rng.randrange(200))),
            ]
        )()
        if rng.random() < 0.3 and payload:
            raw = bytearray(payload)
            for _ in range(rng.randrange(1, 6)):
                raw[rng.randrange(len(raw))] = rng.randrange(256)
            payload = bytes(raw[: rng.randrange(len(raw) + 1)]) if rng.random() < 0.3 else bytes(raw)
        if rng.random() < 0.05:
            node.seq = rng.randrange(256)
        return topic, payload


@pytest.mark.timeout(1200)
def test_no_payload_crashes_the_host_and_every_metric_is_accounted_for() -> None:
    hosting, fuzzer = Hosting(SparkplugSettings(reorder_messages=8)), Fuzzer(1)
    good = EdgeNode()
    hosting.send(good.nbirth(T0, [speed(0.0)]))
    hosting.take()
    expected = []
    for k in range(COUNT):
        hosting.send(fuzzer.message(), at=T0 + k * 1_000)
        if k % 10 == 0:
            ts = T0 + k * 1_000
            hosting.send(good.ndata(ts, [by_alias(1, float(k))]))
            expected.append(Reading("line1", "speed", ts, float(k)))
        if k % 100 == 0:
            hosting.wait(0)
        if k % 1000 == 0:
            hosting.events.clear()
    hosting.wait(60 * SECOND)
    mine = [r for r in hosting.take() if r.equipment == "line1"]
    assert mine == expected
    assert not [topic for topic in hosting.rebirths if topic.endswith("/line1")]


@pytest.mark.parametrize("seed", range(20))
def test_each_metric_of_a_message_becomes_one_thing(seed: int) -> None:
    """Sent = readings + texts + refused + ignored, for every message that is looked at."""
    fuzzer = Fuzzer(seed)
    for _ in range(20):
        hosting, node = Hosting(), EdgeNode(node="evil")
        births = [fuzzer.metric() for _ in range(5)]
        hosting.send(node.nbirth(T0), node.dbirth("d1", T0, births))
        hosting.send(node.ddata("d1", T0 + SECOND, [fuzzer.metric() for _ in range(5)]))
        marks = hosting.counts["sparkplug.stale_marks"]
        ignored = sum(count for name, count in hosting.counts.items() if name.startswith("ingest.ignored."))
        taken = len(hosting.readings) - marks + len(hosting.texts)
        assert taken + hosting.refused_readings + ignored == 12  # bdSeq, Rebirth, five and five


@pytest.mark.parametrize("seed", range(5))
def test_random_bytes_are_read_or_refused(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(500):
        found = decode_payload(rng.randbytes(rng.randrange(300)), birth=True)
        assert isinstance(found, Refusal) or len(found.metrics.alias) == len(found.metrics.ts)


class Neighbours(RuleBasedStateMachine):
    """A node that keeps the rules beside one that does anything: what the first has said is what is stored of it."""

    @initialize()
    def begin(self) -> None:
        self.hosting = Hosting(SparkplugSettings(nodes_per_group=5))
        self.good = EdgeNode()
        self.evil = EdgeNode(node="evil")
        self.at = T0
        self.hosting.send(self.good.nbirth(T0, [speed(0.0)]))
        self.expected = [(T0, 0.0, q.GOOD)]
        self.alive = True

    @rule(value=st.floats(-1e6, 1e6))
    def good_data(self, value: float) -> None:
        self.at += SECOND
        if not self.alive:
            self.good.bdseq += 1
            self.hosting.send(self.good.nbirth(self.at, [speed(value)]), at=self.at)
            self.alive = True
        else:
            self.hosting.send(self.good.ndata(self.at, [by_alias(1, value)]), at=self.at)
        self.expected.append((self.at, value, q.GOOD))

    @rule()
    def good_dies(self) -> None:
        self.at += SECOND
        self.hosting.send(self.good.ndeath(), at=self.at)
        if self.alive:
            self.expected.append((self.at, self.expected[-1][1], q.BAD | q.DEVICE))
        self.alive = False

    @rule(seconds=st.integers(0, 30))
    def time_passes(self, seconds: int) -> None:
        self.at += seconds * SECOND
        self.hosting.now = self.at
        self.hosting.wait(0)

    @rule(bdseq=st.integers(0, 3), name=st.sampled_from(["evil", "ghost1", "ghost2", "ghost3", "ghost4", "ghost5"]))
    def evil_birth(self, bdseq: int, name: str) -> None:
        evil = EdgeNode(node=name, bdseq=bdseq)
        self.hosting.send(evil.nbirth(self.at, [speed(666.0), by_alias(1, 667.0)]), at=self.at)

    @rule(seq=st.integers(0, 255), alias=st.integers(0, 3), ts=st.sampled_from([T0, T0 - SECOND, 2**60]))
    def evil_data(self, seq: int, alias: int, ts: int) -> None:
        self.evil.seq = seq
        self.hosting.send(self.evil.ndata(ts, [by_alias(alias, 666.0)]), at=self.at)

    @rule(bdseq=st.integers(0, 3))
    def evil_death(self, bdseq: int) -> None:
        self.hosting.send(self.evil.ndeath(bdseq=bdseq), at=self.at)

    @rule(verb=st.sampled_from(VERBS), payload=st.binary(max_size=60))
    def evil_noise(self, verb: str, payload: bytes) -> None:
        device = "d" if verb.startswith("D") else None
        self.hosting.send((self.evil.topic(verb, device), payload), at=self.at)

    @invariant()
    def the_good_node_is_as_it_said(self) -> None:
        if not hasattr(self, "hosting"):
            return
        stored = [(r.ts, r.value, r.quality) for r in self.hosting.readings if r.equipment == "line1"]
        assert stored == self.expected
        assert not any(topic.endswith("/line1") for topic in self.hosting.rebirths)


TestNeighbours = Neighbours.TestCase
TestNeighbours.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)

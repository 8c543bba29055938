"""Broken payloads, ten thousand or as many as SERVITIZE_FUZZ says: no crash, each bad value a dead letter with its
reason, valid neighbours stored."""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from typing import Any

import pytest

from tests.integration.ingest.conftest import System, readings
from tests.support.conservation import accounted

pytestmark = [pytest.mark.integration, pytest.mark.slow]

COUNT = int(os.environ.get("SERVITIZE_FUZZ", "10000"))
"""`make fuzz` runs a hundred thousand."""
TELEMETRY = "servitize/v1/acme/rig-{rig}/telemetry"


class Fuzzer:
    """Payloads with known faults, and what must come of each: readings stored, refusals by reason, events."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.stored: set[tuple[str, str, int, float]] = set()
        self.refused: Counter[str] = Counter()
        self.texts = 0
        self.clock = int(time.time() * 1000) - 3 * COUNT

    def message(self) -> tuple[str, bytes]:
        self.clock += 3  # every message has times of its own, so nothing here is a duplicate
        return self.rng.choice([self.frame, self.frame, self.frame, self.columns, self.garbage, self.stranger])()

    def rig(self) -> str:
        return f"rig-{self.rng.randrange(4)}"

    def bad(self) -> tuple[Any, str]:
        """A value as JSON text, and the reason it is refused with."""
        return self.rng.choice(
            [
                ("null", "not-a-number"),
                ("[1]", "not-a-number"),
                ("{}", "not-a-number"),
                ('"high"', "not-a-number"),
                ('"\\u0000\\ud800"', "not-a-number"),
                ("NaN", "not-finite"),
                ("-Infinity", "not-finite"),
                ("1e400", "not-finite"),
                ("9" * 500, "not-finite"),
                ('{"v":NaN,"q":"good"}', "not-finite"),
            ]
        )

    def frame(self) -> tuple[str, bytes]:
        rig, ts, parts = self.rig(), self.clock, []
        for name in self.rng.sample(range(8), self.rng.randint(1, 8)):
            value = self.rng.uniform(-1e9, 1e9)
            if self.rng.random() < 0.3:
                text, reason = self.bad()
                self.refused[reason] += 1
            else:
                text = json.dumps(value)
                self.stored.add((rig, f"p{name}", ts * 1000, value))
            parts.append(f'"p{name}":{text}')
        match self.rng.randrange(6):
            case 0:
                parts.append(f'"unheard-of-{ts}":1')
                self.refused["unknown-point"] += 1
            case 1:
                parts.append(f'"note":"it is {ts}"')
                self.texts += 1
            case 2:
                parts.append(parts[0])
                self.refused["duplicate-key"] += 1
        body = f'{{"ts":{ts},"values":{{{",".join(parts)}}}}}'
        return TELEMETRY.format(rig=rig[4:]), body.encode()

    def columns(self) -> tuple[str, bytes]:
        rig, n = self.rig(), 3
        times: list[Any] = [self.clock + i for i in range(n)]
        wrong = self.rng.randrange(n) if self.rng.random() < 0.3 else None
        values: dict[str, list[Any]] = {}
        for name in self.rng.sample(range(8), 2):
            column = [self.rng.uniform(-1, 1) for _ in times]
            for i, value in enumerate(column):
                if i == wrong:
                    self.refused["bad-timestamp"] += 1
                else:
                    self.stored.add((rig, f"p{name}", times[i] * 1000, value))
            values[f"p{name}"] = column
        if self.rng.random() < 0.3:
            free = next(f"p{i}" for i in range(8) if f"p{i}" not in values)
            values[free] = [1.0] * (n + 1)
            self.refused["length-mismatch"] += n + 1
        if wrong is not None:
            times[wrong] = "noon"
        return TELEMETRY.format(rig=rig[4:]), json.dumps({"ts": times, "values": values}).encode()

    def garbage(self) -> tuple[str, bytes]:
        noise = self.rng.randbytes(self.rng.randint(1, 60))
        payload, reason = self.rng.choice(
            [
                (b"\xff" + noise, "not-json"),
                (b"{?" + noise, "not-json"),  # never `{}` by chance
                (b"[" * 5_000 + b"%d" % self.clock, "not-json"),
                (b'{"ts":%d}' % self.clock, "no-values"),
                (b'{"ts":"%d o\'clock","values":{"p1":1}}' % self.clock, "bad-timestamp"),
                (b'{"ts":%d,"values":{"p1":1}}' % (self.clock + 10**9), "future"),
                (b'{"ts":%d,"ts":1,"values":{"p1":1}}' % self.clock, "duplicate-key"),
                (b" " * 300_000 + b"%d" % self.clock, "too-large") if self.rng.random() < 0.02 else (b"", "not-json"),
            ]
        )
        self.refused[reason] += 1
        return TELEMETRY.format(rig=self.rng.randrange(4)), payload

    def stranger(self) -> tuple[str, bytes]:
        topic, reason = self.rng.choice(
            [
                ("servitize/v1/acme/nosuch/telemetry", "unknown-equipment"),
                ("servitize/v1/nobody/rig-0/telemetry", "unknown-tenant"),
                ("servitize/v1/acme/rig-0/telemetri", "unknown-topic"),
            ]
        )
        self.refused[reason] += 1
        return topic, b'{"ts":%d,"values":{"p1":1}}' % self.clock


@pytest.mark.timeout(max(300, COUNT // 50))
def test_ten_thousand_broken_payloads(system: System) -> None:
    process = system.start()
    fuzzer = Fuzzer(20261122)
    with system.publisher() as publisher:
        for _ in range(COUNT):
            publisher.publish(*fuzzer.message())
        publisher.drain()
    system.settle(lambda: system.counts().get("ingest.messages", 0) >= COUNT, seconds=max(60, COUNT / 200))
    assert process.poll() is None, system.log()
    assert system.stop(process) == 0, system.log()

    assert {row[:4] for row in readings(system)} == fuzzer.stored
    by_reason = "SELECT reason, sum(readings)::int FROM servitize.dead_letter GROUP BY reason"
    assert dict(system.all(by_reason)) == dict(fuzzer.refused)
    assert system.one("SELECT count(*) FROM servitize.event WHERE kind = 'text'") == fuzzer.texts
    counts = system.counts()
    assert counts["ingest.messages"] == COUNT
    assert counts["ingest.readings"] == len(fuzzer.stored) + fuzzer.refused.total() + fuzzer.texts
    assert not accounted(counts)

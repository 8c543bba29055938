"""What Sparkplug costs: metrics per second of CPU for decoding alone, and for decoding to named readings (the host).

Frames of 50 metrics by alias, as devices send them; a device of 50 metrics, and one of 500 of which each message has
another 50. Figures, no verdicts.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from formats.sparkplug.decode import decode_payload
from formats.sparkplug.encode import Value
from formats.sparkplug.profile import parse_sparkplug
from ingest.sparkplug.host import Group, SparkplugHost
from tests.unit.sparkplug.edge import SECOND, T0, EdgeNode, Sent, by_alias

FRAME = 50
MESSAGES = 4_000


def rate(work: Callable[[], None], metrics: int) -> float:
    best = 0.0
    for _ in range(3):
        began = time.process_time()
        work()
        best = max(best, metrics / (time.process_time() - began))
    return best


def messages(width: int, *, one_time: bool = True) -> tuple[list[Sent], list[Sent]]:
    rng, node = random.Random(1), EdgeNode()
    metrics = [Value(float(k), name=f"m{k}", alias=k + 1) for k in range(width)]
    births = [node.nbirth(T0), node.dbirth("press", T0, metrics)]
    data = []
    for k in range(MESSAGES):
        ts = T0 + (k + 1) * SECOND
        chosen = rng.sample(range(1, width + 1), FRAME)
        values = [by_alias(a, rng.random(), ts=ts if one_time else ts + 1000 * i) for i, a in enumerate(chosen)]
        data.append(node.ddata("press", ts, values))
    return births, data


def test_decoding_alone() -> None:
    _, data = messages(FRAME)

    def work() -> None:
        for _, payload in data:
            decode_payload(payload)

    print(f"\nsparkplug decode: {rate(work, MESSAGES * FRAME) / 1e6:.2f} M metrics per CPU-second, frames of {FRAME}")


def test_from_payload_to_named_readings() -> None:
    for width, one_time in ((FRAME, True), (10 * FRAME, True), (FRAME, False)):
        births, data = messages(width, one_time=one_time)

        def work(births: list[Sent] = births, data: list[Sent] = data) -> None:
            host = SparkplugHost({"plant": Group("t", parse_sparkplug({"group": "plant"}))})
            for now, (topic, payload) in enumerate([*births, *data]):
                host.message(topic, payload, T0 + now * SECOND)

        times = "one time" if one_time else "a time each"
        figure = rate(work, MESSAGES * FRAME) / 1e6
        print(f"sparkplug host: {figure:.2f} M metrics per CPU-second, {FRAME} of {width} metrics, {times}")

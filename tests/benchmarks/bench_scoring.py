"""``python -m pytest tests/benchmarks/bench_scoring.py -s``: what a champion, and a challenger beside it, add to a live
processor's work, in CPU-seconds per million readings. A hundred machines of forty points send once a second; a model
of normal behaviour over all points takes a step a minute.
"""

from __future__ import annotations

import time
from dataclasses import replace
from statistics import median

import numpy as np

from core.equipment import PointKind
from core.learned import ModelEntry, ModelKind
from core.quality import GOOD
from core.telemetry import StreamRecord, TelemetryBatch
from core.time import DAY, MINUTE, SECOND
from models.drift import reference
from models.normal.behaviour import History, NormalBehaviour
from models.types import load_type
from stream_processors.pipeline import Processor
from tests.benchmarks.backtest import START, TYPE, values_of
from tests.unit.pipeline.world import of

MACHINES, SECONDS, ROUNDS = 100, 240, 3
WHOLE = 12.7
"""CPU-seconds per million readings of the whole embedded system: docs/reference/performance.md."""


def test_what_scoring_adds() -> None:
    type_ = load_type(TYPE)
    registry = of(type_, each=MACHINES)
    keys = [p.key for p in type_.point_instances() if p.definition.kind is PointKind.MEASURED]
    ids = np.array([[e.points[key].id for key in keys] for e in registry.equipment.values()], np.int32)
    rng = np.random.default_rng(1)
    seconds = np.arange(0, DAY // SECOND, 120)
    healthy = values_of(seconds, rng)
    model = NormalBehaviour(sensors=tuple(keys[1:]), settings=(keys[0],), settle_s=0.0, each_limit=5.0, calibrate=False)
    model.fit([History(START + seconds * SECOND, healthy[:, :1], healthy[:, 1:])])
    features = {"points": keys[1:], "settings": keys[:1], "step_us": MINUTE}
    known = reference(dict(zip(keys, healthy.T, strict=True)))
    champion, challenger = (
        ModelEntry("normal/b", version, first, ModelKind.NORMAL_BEHAVIOUR, type_.key, features, known, model)
        for version, first in ((1, True), (2, False))
    )
    frames = [values_of(np.arange(s, s + MACHINES), rng) for s in range(SECONDS)]

    def cost(*models: ModelEntry) -> float:
        processor = Processor(replace(registry, models=models))
        spent, told = 0.0, 0
        for second, values in enumerate(frames):
            ts = np.full(values.size, START + second * SECOND)
            batch = TelemetryBatch(ids.ravel(), ts, values.ravel(), np.full(values.size, GOOD, np.uint8), int(ts[0]))
            began = time.process_time()
            outcome = processor.step(StreamRecord(batch))
            spent += time.process_time() - began
            told += len(outcome.scores)
        assert bool(told) == bool(models)
        return 1e6 * spent / (SECONDS * ids.size)

    rounds = [(cost(), cost(champion), cost(champion, challenger)) for _ in range(ROUNDS)]
    none, one, two = (median(column) for column in zip(*rounds, strict=True))
    print(f"\nCPU-s per million readings: {none:.2f} without, {one:.2f} champion, {two:.2f} with a challenger")
    print(f"a champion adds {one - none:.2f}: {100 * (one - none) / WHOLE:.0f} % of the whole system's {WHOLE}")

"""History: what the sender calls historical is stored with the quality LATE and changes no decision anywhere."""

from __future__ import annotations

import numpy as np

from core import quality as q
from stream_processors.pipeline import Processor
from tests.unit.pipeline.world import of, pump, record

HISTORY = q.GOOD | q.LATE


def test_history_beyond_a_limit_raises_nothing_and_is_stored_as_it_came() -> None:
    registry = of(pump())
    present = [(1, "speed", float(t), 3000.0) for t in range(20)] + [(1, "pressure", float(t), 5.0) for t in range(20)]
    history = [(1, "pressure", float(t), 99.0, HISTORY) for t in range(-50, 40)]
    processor = Processor(registry)
    quiet = processor.step(record(registry, present, ticks=[20.0]))
    told = processor.step(record(registry, history, ticks=[21.0]))
    assert not quiet.transitions
    assert not told.transitions
    assert np.array_equal(told.readings.quality, np.full(len(history), HISTORY))
    assert len(told.readings) == len(history)


def test_history_moves_no_watermark_so_what_follows_is_in_time() -> None:
    registry = of(pump())
    processor = Processor(registry)
    processor.step(record(registry, [(1, "pressure", 50.0, 5.0, HISTORY)]))
    outcome = processor.step(record(registry, [(1, "pressure", 0.0, 5.0), (1, "speed", 0.0, 100.0)]))
    assert outcome.readings.quality.tolist() == [q.GOOD, q.GOOD]


def test_history_and_the_present_in_one_record_are_the_same_as_the_present_alone() -> None:
    registry = of(pump())
    present = [(1, "speed", float(t), 3000.0) for t in range(60)]
    present += [(1, "pressure", float(t), 25.0 if t > 30 else 5.0) for t in range(60)]
    mixed = [reading for r in present for reading in (r, (*r[:2], r[2] - 1000.0, 99.0, HISTORY))]
    alone = Processor(registry).step(record(registry, present, ticks=[70.0]))
    both = Processor(registry).step(record(registry, mixed, ticks=[70.0]))
    assert alone.transitions
    assert both.transitions == alone.transitions
    assert both.states == alone.states


def test_history_outside_the_instrument_s_range_is_bad_like_any_other_value() -> None:
    registry = of(pump())
    outcome = Processor(registry).step(record(registry, [(1, "pressure", 0.0, 500.0, HISTORY)]))
    assert outcome.readings.quality.tolist() == [q.BAD | q.LATE | q.OUT_OF_RANGE]

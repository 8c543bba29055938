"""Token buckets, sequence numbers, and the making of records."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core import quality as q
from core.telemetry import Tick
from core.time import SECOND
from ingest.coalesce import Coalescer
from ingest.ledger import Handle
from ingest.limits import TokenBucket
from ingest.sequences import SequenceTracker

T0 = 1_800_000_000_000_000


class TestTokenBucket:
    def test_a_burst_then_the_rate(self) -> None:
        bucket = TokenBucket(rate=10, burst=20)
        assert sum(bucket.take(1, T0) for _ in range(30)) == 20
        assert sum(bucket.take(1, T0 + SECOND) for _ in range(30)) == 10

    def test_it_never_saves_more_than_the_burst(self) -> None:
        bucket = TokenBucket(rate=10, burst=20)
        bucket.take(20, T0)
        assert sum(bucket.take(1, T0 + 3600 * SECOND) for _ in range(30)) == 20

    def test_a_clock_that_goes_back_gives_nothing(self) -> None:
        bucket = TokenBucket(rate=10, burst=10)
        bucket.take(10, T0)
        assert not bucket.take(1, T0 - SECOND)
        assert bucket.take(1, T0 + SECOND)

    def test_what_is_larger_than_the_burst_passes_once_and_leaves_debt(self) -> None:
        bucket = TokenBucket(rate=10, burst=10)
        assert bucket.take(25, T0)
        assert not bucket.take(1, T0 + SECOND)
        assert bucket.take(1, T0 + 2 * SECOND)


class TestSequences:
    def see(self, *numbers: int, again: Sequence[int] = ()) -> list[tuple[int, int] | None]:
        """What is said of numbers that come a second after each other; those in ``again`` with the time of before."""
        tracker, times = SequenceTracker(), dict[int, int]()
        said = []
        for place, number in enumerate(numbers):
            ts = times[number] if number in again and number in times else place * SECOND
            times[number] = ts
            said.append(tracker.see(1, number, ts))
        return said

    def test_no_gap(self) -> None:
        assert self.see(5, 6, 7) == [None] * 3

    def test_a_gap_names_what_is_missing(self) -> None:
        assert self.see(5, 6, 10, 11) == [None, None, (7, 9), None]

    def test_numbers_again_or_late_are_no_gap(self) -> None:
        assert self.see(5, 6, 6, 5, 7, 9, 8, 10) == [None] * 5 + [(8, 8), None, None]

    def test_a_device_that_starts_anew_is_noticed(self) -> None:
        assert self.see(100, 101, 0, 1, 2, 3, 4, 7) == [None] * 7 + [(5, 6)]

    def test_a_run_sent_again_after_a_lost_connection_is_no_new_start(self) -> None:
        assert self.see(*range(1, 11), *range(3, 11), 11, 12, again=range(1, 11)) == [None] * 20

    def test_nor_is_one_that_a_broker_remembers_only_in_part(self) -> None:
        assert self.see(*range(1, 11), *range(3, 8), 11, 15, again=range(1, 11)) == [None] * 16 + [(12, 14)]

    def test_a_gap_over_our_own_restart_is_a_gap(self) -> None:
        before, after = SequenceTracker(), SequenceTracker()
        before.see(1, 5, T0)
        after.resume({1: before.highest(1)})
        assert after.see(1, 8, T0 + SECOND) == (6, 7)

    def test_devices_are_apart(self) -> None:
        tracker = SequenceTracker()
        assert tracker.see(1, 5, T0) is None
        assert tracker.see(2, 9, T0) is None
        assert tracker.see(1, 6, T0) is None


def handle() -> Handle:
    return Handle(1, 1, 1, 0)


class TestCoalescer:
    def points(self, n: int, start: int = 0) -> np.ndarray:
        return np.arange(start, start + n, dtype=np.int32)

    def test_many_messages_become_one_record(self) -> None:
        coalescer = Coalescer()
        handles = [handle() for _ in range(3)]
        for number, one in enumerate(handles):
            coalescer.frame(self.points(2, number * 2), T0 + number, np.array([1.0, 2.0]))
            coalescer.message(one, T0)
        ((record, given),) = coalescer.take(T0 + 9)
        assert record.batch.point_id.tolist() == [0, 1, 2, 3, 4, 5]
        assert record.batch.ts.tolist() == [T0, T0, T0 + 1, T0 + 1, T0 + 2, T0 + 2]
        assert record.batch.quality.tolist() == [q.GOOD] * 6
        assert record.batch.received_at == T0 + 9
        assert given == handles
        assert coalescer.empty
        assert coalescer.take(T0) == []

    def test_due_by_age_or_size(self) -> None:
        coalescer = Coalescer(max_readings=4, max_age=50_000)
        assert not coalescer.due(T0)
        coalescer.frame(self.points(2), T0, np.zeros(2))
        coalescer.message(handle(), T0)
        assert not coalescer.due(T0 + 49_999)
        assert coalescer.due(T0 + 50_000)
        coalescer.frame(self.points(2), T0, np.zeros(2))
        assert coalescer.due(T0)

    def test_a_clock_set_back_does_not_hold_a_record(self) -> None:
        coalescer = Coalescer()
        coalescer.message(handle(), T0)
        assert coalescer.due(T0 - 3600 * SECOND)

    def test_no_record_exceeds_the_largest_and_a_message_goes_with_its_last_part(self) -> None:
        coalescer = Coalescer(max_readings=100)
        one = handle()
        coalescer.frames(self.points(50), np.arange(5) + T0, np.arange(250.0).reshape(5, 50), None, None)
        coalescer.count("x", 250)
        coalescer.message(one, T0)
        records = coalescer.take(T0)
        assert [len(record.batch) for record, _ in records] == [100, 100, 50]
        assert [handles for _, handles in records] == [[], [], [one]]
        assert [dict(record.counts) for record, _ in records] == [{}, {}, {"x": 250}]
        assert np.concatenate([record.batch.value for record, _ in records]).tolist() == list(range(250))

    def test_frames_with_holes_and_qualities(self) -> None:
        coalescer = Coalescer()
        coalescer.frame(self.points(1), T0, np.array([9.0]), q.UNCERTAIN)
        value, present = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[True, False], [True, True]])
        coalescer.frames(self.points(2), np.array([T0, T0 + 1]), value, np.full((2, 2), q.BAD, np.uint8), present)
        coalescer.frames(self.points(2), np.array([T0 + 2]), value[:1], None, None)
        coalescer.message(handle(), T0)
        batch = coalescer.take(T0)[0][0].batch
        assert batch.point_id.tolist() == [0, 0, 0, 1, 0, 1]
        assert batch.ts.tolist() == [T0, T0, T0 + 1, T0 + 1, T0 + 2, T0 + 2]
        assert batch.value.tolist() == [9, 1, 3, 4, 1, 2]
        assert batch.quality.tolist() == [q.UNCERTAIN, q.BAD, q.BAD, q.BAD, q.GOOD, q.GOOD]

    def test_a_message_without_content_still_needs_a_record(self) -> None:
        coalescer = Coalescer()
        one = handle()
        coalescer.message(one, T0)
        ((record, handles),) = coalescer.take(T0)
        assert len(record.batch) == 0
        assert handles == [one]

    def test_it_remembers_whose_time_has_passed(self) -> None:
        coalescer = Coalescer()
        coalescer.tick(Tick(7, T0))
        coalescer.message(None, T0)
        assert coalescer.ticked == {7}
        coalescer.take(T0)
        assert coalescer.ticked == set()

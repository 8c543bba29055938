"""The ledger: acknowledge in order, only what is durable, only on the connection that brought it."""

from __future__ import annotations

import random
import threading

from hypothesis import given
from hypothesis import strategies as st

from ingest.ledger import OVERHEAD, Ledger


def ledger_with(count: int) -> tuple[Ledger, list]:
    ledger = Ledger()
    ledger.new_connection()
    return ledger, [ledger.received(mid, 1, 100) for mid in range(1, count + 1)]


def test_nothing_is_acknowledged_before_it_is_durable() -> None:
    ledger, _ = ledger_with(3)
    assert ledger.take_acknowledgements() == []


def test_only_a_prefix_is_acknowledged() -> None:
    ledger, handles = ledger_with(4)
    assert not ledger.durable([handles[1], handles[3]])
    assert ledger.take_acknowledgements() == []
    assert ledger.durable([handles[0]])
    assert ledger.take_acknowledgements() == [1, 2]
    ledger.durable([handles[2]])
    assert ledger.take_acknowledgements() == [3, 4]
    assert ledger.take_acknowledgements() == []


def test_what_an_older_connection_brought_is_never_acknowledged() -> None:
    ledger, old = ledger_with(2)
    ledger.new_connection()
    again = ledger.received(1, 1, 100)
    ledger.durable(old)
    assert ledger.take_acknowledgements() == []
    ledger.durable([again])
    assert ledger.take_acknowledgements() == [1]
    counts = ledger.counts()
    assert (counts.received, counts.durable, counts.acknowledged, counts.superseded) == (3, 3, 1, 2)


def test_acknowledgements_not_sent_before_the_connection_was_lost_are_dropped() -> None:
    ledger, handles = ledger_with(1)
    ledger.durable(handles)
    ledger.new_connection()
    assert ledger.take_acknowledgements() == []


def test_bytes_are_pending_until_durable_whatever_the_connection() -> None:
    ledger, handles = ledger_with(3)
    assert ledger.pending_bytes == 3 * (100 + OVERHEAD)
    ledger.new_connection()
    assert ledger.pending_bytes == 3 * (100 + OVERHEAD)
    ledger.durable(handles)
    ledger.durable(handles)  # said twice, counted once
    assert ledger.pending_bytes == 0
    assert ledger.counts().pending == 0


def test_quality_of_service_0_is_counted_but_not_acknowledged() -> None:
    ledger, (first,) = ledger_with(1)
    plain = ledger.received(0, 0, 10)
    ledger.durable([plain])
    assert ledger.take_acknowledgements() == []
    ledger.durable([first])
    assert ledger.take_acknowledgements() == [1]


@given(st.integers(1, 60), st.randoms(use_true_random=False))
def test_whatever_the_order_of_durability_all_are_acknowledged_in_order_of_arrival(
    count: int, rng: random.Random
) -> None:
    ledger, handles = ledger_with(count)
    order = list(handles)
    rng.shuffle(order)
    acknowledged: list[int] = []
    while order:
        size = rng.randint(1, 5)
        ledger.durable(order[:size])
        del order[:size]
        acknowledged += ledger.take_acknowledgements()
    assert acknowledged == list(range(1, count + 1))


def test_two_threads_agree() -> None:
    ledger, handles = ledger_with(2000)

    def work(mine: list) -> None:
        for handle in mine:
            ledger.durable([handle])

    threads = [threading.Thread(target=work, args=(part,)) for part in (handles[::2], handles[1::2])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.take_acknowledgements() == list(range(1, 2001))

"""ISA-18.2: what an alarm may do, read off the one transition table."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.alarm import TRANSITIONS, AlarmEvent, AlarmState, reduce
from core.errors import ConflictError

E, S = AlarmEvent, AlarmState
PROCESSOR_EVENTS = (E.RAISED, E.CLEARED, E.SUPPRESSED, E.UNSUPPRESSED)
OPERATOR_EVENTS = tuple(e for e in E if e not in PROCESSOR_EVENTS)


def walk(*events: AlarmEvent, latching: bool = False) -> tuple[AlarmState, list[bool]]:
    state, active, announced = S.NORMAL, False, []
    for event in events:
        state, active, told = reduce(state, active, event, latching=latching)
        announced.append(told)
    return state, announced


def test_a_plain_alarm_goes_round_its_ring():
    assert walk(E.RAISED)[0] is S.UNACKNOWLEDGED
    assert walk(E.RAISED, E.ACKNOWLEDGE)[0] is S.ACKNOWLEDGED
    assert walk(E.RAISED, E.ACKNOWLEDGE, E.CLEARED)[0] is S.NORMAL
    assert walk(E.RAISED, E.CLEARED)[0] is S.RETURNED_UNACKNOWLEDGED
    assert walk(E.RAISED, E.CLEARED, E.ACKNOWLEDGE)[0] is S.NORMAL


def test_a_latching_alarm_stays_until_acknowledged_and_reset():
    assert walk(E.RAISED, E.CLEARED, latching=True)[0] is S.LATCHED_UNACKNOWLEDGED
    assert walk(E.RAISED, E.CLEARED, E.ACKNOWLEDGE, latching=True)[0] is S.LATCHED_ACKNOWLEDGED
    assert walk(E.RAISED, E.ACKNOWLEDGE, E.CLEARED, E.RESET, latching=True)[0] is S.NORMAL


def test_only_what_an_operator_does_not_know_is_announced():
    assert walk(E.RAISED, E.RAISED, E.ACKNOWLEDGE, E.CLEARED)[1] == [True, False, False, False]


def test_unshelving_by_hand_is_knowing_by_timeout_is_not():
    assert walk(E.RAISED, E.SHELVE, E.UNSHELVE) == (S.ACKNOWLEDGED, [True, False, False])
    assert walk(E.RAISED, E.SHELVE, E.SHELF_EXPIRED) == (S.UNACKNOWLEDGED, [True, False, True])
    assert walk(E.RAISED, E.SHELVE, E.CLEARED, E.SHELF_EXPIRED) == (S.NORMAL, [True, False, False, False])
    assert walk(E.RAISED, E.SHELVE, E.CLEARED, E.RAISED, E.SHELF_EXPIRED)[0] is S.UNACKNOWLEDGED


def test_suppression_by_design_speaks_again_only_if_the_condition_still_holds():
    assert walk(E.RAISED, E.SUPPRESSED, E.UNSUPPRESSED)[0] is S.UNACKNOWLEDGED
    assert walk(E.RAISED, E.SUPPRESSED, E.CLEARED)[0] is S.NORMAL


@pytest.mark.parametrize(("state", "event"), list(itertools.product(S, PROCESSOR_EVENTS)))
@pytest.mark.parametrize(("active", "latching"), list(itertools.product((False, True), repeat=2)))
def test_whatever_a_processor_says_is_covered_in_every_state(state, event, active, latching):
    reduce(state, active, event, latching=latching)


def test_no_two_rules_answer_the_same_question():
    for a, b in itertools.combinations(TRANSITIONS, 2):
        same = a.state == b.state and a.event == b.event
        apart = (None not in (a.active, b.active) and a.active != b.active) or (
            None not in (a.latching, b.latching) and a.latching != b.latching
        )
        assert not same or apart, (a, b)


@given(st.lists(st.sampled_from(E), max_size=30), st.booleans())
def test_a_refused_step_changes_nothing_and_says_what_to_do(events, latching):
    state, active = S.NORMAL, False
    for event in events:
        if any(rule.state is state and rule.event is event for rule in TRANSITIONS):
            state, active, _ = reduce(state, active, event, latching=latching)
        else:
            with pytest.raises(ConflictError, match=state.value) as refusal:
                reduce(state, active, event, latching=latching)
            assert event in OPERATOR_EVENTS
            assert refusal.value.hint


@given(st.lists(st.sampled_from(PROCESSOR_EVENTS), min_size=1, max_size=20))
def test_saying_the_same_twice_is_saying_it_once(events):
    once = walk(*events)[0]
    twice = walk(*(event for event in events for _ in range(2)))[0]
    assert once == twice

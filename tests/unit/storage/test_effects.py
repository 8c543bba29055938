"""The small things of a commit, as the database can hold them."""

from __future__ import annotations

import psycopg

from core.errors import UnavailableError
from core.telemetry import DeadLetter
from storage.effects import MAX_PAYLOAD, clean, dead_letter_parameters, event_hash
from storage.errors import is_outage, translate
from storage.secrets import digest, new_key, split_key


def test_text_that_postgresql_refuses_is_made_harmless() -> None:
    assert clean({"a\0": ["\ud800x", float("inf"), 1, None, {"b": (1.5,)}]}) == {
        "a␀": ["?x", None, 1, None, {"b": [1.5]}]
    }


def test_an_event_is_the_same_in_any_order_of_keys() -> None:
    assert event_hash({"a": 1, "b": 2}) == event_hash({"b": 2, "a": 1})
    assert event_hash({"a": 1}) != event_hash({"a": 2})


def test_dead_letters_add_up_by_tenant_topic_payload_and_reason() -> None:
    letters = [DeadLetter("t", b"x", "not-json", "", at, 1, None, 2) for at in (5, 3, 9)]
    letters += [DeadLetter("t", b"x", "future", "", 5, 1), DeadLetter("t", b"x", "not-json", "", 5, 2)]
    found = dead_letter_parameters(letters)
    assert sorted(zip(found["counts"], found["readings"], strict=True)) == [(1, 1), (1, 1), (3, 6)]
    assert found["hashes"] == sorted(found["hashes"])


def test_topic_and_payload_cannot_be_shifted_into_each_other() -> None:
    letters = [DeadLetter("ab", b"c", "r", "", 0), DeadLetter("a", b"bc", "r", "", 0)]
    assert len(dead_letter_parameters(letters)["hashes"]) == 2


def test_a_huge_payload_is_cut_and_its_length_kept() -> None:
    found = dead_letter_parameters([DeadLetter("t", b"x" * (MAX_PAYLOAD + 5), "too-large", "", 0)])
    assert (len(found["payloads"][0]), found["sizes"][0]) == (MAX_PAYLOAD, MAX_PAYLOAD + 5)


def test_a_key_is_found_by_its_prefix_and_proved_by_its_hash() -> None:
    prefix, text, hashed = new_key()
    assert split_key(text) == (prefix, hashed)
    assert digest(text) == hashed
    assert new_key()[1] != text
    for wrong in ("", "sv_", "sv_123_x", text[3:], "xx" + text[2:]):
        assert split_key(wrong) is None


def test_outages_are_told_from_defects() -> None:
    for kind in ("AdminShutdown", "DiskFull", "ReadOnlySqlTransaction", "TooManyConnections", "DeadlockDetected"):
        error = getattr(psycopg.errors, kind)("x")
        assert is_outage(error)
        assert isinstance(translate(error), UnavailableError)
    assert isinstance(translate(psycopg.OperationalError("connection refused")), UnavailableError)
    defect = psycopg.errors.UndefinedTable("x")
    assert translate(defect) is defect

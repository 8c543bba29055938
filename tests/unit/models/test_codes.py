"""Trouble codes: how a type names them, how a search goes by them, how many that come together are one trouble."""

from __future__ import annotations

import random

import pytest

from core.codes import TroubleCode
from core.time import SECOND
from models.codes import answered, look_at, titles, troubles
from models.types import check_type, from_document, load_type, to_document

T0 = 1_700_000_000 * SECOND
TYPE = """
type: tram
name: Tram
components:
  - {key: tram, name: Tram}
  - {key: "car{car}.door{door}", name: "Door {car}.{door}", repeat: {car: [1, 2], door: [1, 2]}}
points:
  - {key: "car{car}.door{door}.current", component: "car{car}.door{door}", unit: A}
codes:
  - code: 4711
    title: Door not locked
    component: "car{car}.door{door}"
    priority: high
    advice: end_of_day
    guide:
      - {key: free, ask: "Is the leaf free?", "yes": switch, "no": clean, look: ["car{car}.door{door}.current"]}
      - {key: switch, do: Change the switch.}
      - {key: clean, do: Clean the guide.}
"""


def test_a_guide_is_walked_by_answers_and_shows_where_to_look():
    type_ = load_type(TYPE)
    code = titles(type_)["4711"]
    assert from_document(to_document(type_)) == type_
    first = answered(code, [])
    assert first is not None
    assert first.ask == "Is the leaf free?"
    assert look_at(type_, code, first, "car2.door1") == ("car2.door1.current",)
    assert look_at(type_, code, first, "tram") == ()
    steps = [answered(code, [a]) for a in (True, False)]
    assert [step and step.do for step in steps] == ["Change the switch.", "Clean the guide."]
    with pytest.raises(IndexError):
        answered(code, [True, True])


@pytest.mark.parametrize(
    ("wrong", "right", "complaint"),
    [
        ('"no": clean', '"no": cleen', "no step 'cleen'"),
        ('"no": clean', '"no": free', "goes back"),
        ("do: Clean the guide.", 'ask: "Well?"', "either asks"),
        ("door{door}.current\"]", "door{door}.curent\"]", "no point"),
        ('component: "car{car}.door{door}"\n    priority', 'component: "door"\n    priority', "no component"),
        ("{key: clean", "{key: switch", "there twice"),
    ],
)  # fmt: skip
def test_mistakes_are_named(wrong, right, complaint):
    assert wrong in TYPE
    assert any(complaint in p.message for p in check_type(TYPE.replace(wrong, right)))


def report(second: float, code: str, component: str = "", *, active: bool = True) -> TroubleCode:
    return TroubleCode(T0 + round(second * SECOND), code, component, active)


def test_what_comes_together_is_one_trouble_whatever_the_order_of_arrival():
    rng = random.Random(5)
    storm = [report(0, "E701", "car3"), *(report(0.1 + 0.03 * i, f"N{600 + i % 9}", f"car{i % 6}") for i in range(499))]
    later = [report(600, "D101", "car1.door1"), report(605, "D101", "car1.door1", active=False)]
    expected = troubles([*storm, *later], 10 * SECOND)
    assert [(t.first_out.code, t.reports) for t in expected] == [("E701", 500), ("D101", 1)]
    assert not expected[1].codes[0].active
    for _ in range(5):
        mixed = [*storm, *later, *rng.sample(storm, 50)]
        rng.shuffle(mixed)
        assert troubles(mixed, 10 * SECOND) == expected


def test_bodies_without_a_code_are_none():
    assert TroubleCode.of(1, {"active": True}) is None
    assert TroubleCode.of(1, {"code": True}) is None
    assert TroubleCode.of(1, {"code": 12, "environment": "wet"}) == TroubleCode(1, "12", "", True)

"""The formula language: unknown decides nothing, names are checked, instances find each other, nothing unsafe gets
in."""

from __future__ import annotations

import contextlib
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import TypeDefinitionError
from models.expressions import FormulaError, Frame, compile_type, parse
from models.expressions.functions import FUNCTIONS, SPECIAL, VARIABLES
from models.types import check_type, load_type

NAN = math.nan
TRAIN = """
type: train
name: Train
components:
  - {{key: train, name: Train}}
  - {{key: "car{{car}}", name: "Car {{car}}", repeat: {{car: [1, 2]}}}}
  - {{key: "car{{car}}.box{{box}}", name: "Box {{car}}.{{box}}", repeat: {{car: [1, 2], box: [1, 2, 3]}}}}
points:
  - {{key: a, component: train, unit: "1"}}
  - {{key: b, component: train, unit: "1"}}
  - {{key: "car{{car}}.load", component: "car{{car}}", unit: "1"}}
  - {{key: "car{{car}}.box{{box}}.t", component: "car{{car}}.box{{box}}", unit: Cel}}
derived:
  - {{key: {key}, component: {component}, unit: "1", formula: "{formula}"}}
"""
BOXES = "car{car}.box{box}"


def evaluate(formula: str, values: list[float], key: str = "out", component: str = "train") -> list[float]:
    """Values of the derived point for one equipment with a, b, 2 loads, 6 temperatures."""
    type_ = load_type(TRAIN.format(key=f'"{key}"', component=f'"{component}"', formula=formula))
    program = compile_type(type_)
    program.allocate(1)
    columns = len(type_.point_instances())
    matrix = np.full((1, columns), NAN)
    matrix[0, : len(values)] = values
    program.run(Frame(slice(None), np.array([0]), np.array([[10**15]]), matrix))
    return [float(v) for v in matrix[0, 10:]]


def test_arithmetic_is_python_s():
    assert evaluate("2 + a * 3 - b / 4 ** 2 % 5", [7, 8]) == [2 + 7 * 3 - 8 / 4**2 % 5]


@given(st.sampled_from([0.0, 1.0, NAN]), st.sampled_from([0.0, 1.0, NAN]))
@settings(deadline=None, max_examples=9)
def test_unknown_follows_kleene(a, b):
    """False and anything is false, true or anything is true, else unknown stays unknown."""
    known_and = 0.0 if 0.0 in (a, b) else (NAN if math.isnan(a) or math.isnan(b) else 1.0)
    known_or = 1.0 if 1.0 in (a, b) else (NAN if math.isnan(a) or math.isnan(b) else 0.0)
    assert str(evaluate("a and b", [a, b])) == str([known_and])
    assert str(evaluate("a or b", [a, b])) == str([known_or])
    assert str(evaluate("not a", [a, b])) == str([1.0 - a])


@pytest.mark.parametrize("comparison", ["a > b", "a >= b", "a < b", "a <= b", "a == b", "a != b"])
def test_comparisons(comparison):
    for a, b in [(1.0, 2.0), (2.0, 2.0), (3.0, 2.0)]:
        assert evaluate(comparison, [a, b]) == [float(eval(comparison, {"a": a, "b": b}))]
    assert math.isnan(evaluate(comparison, [NAN, 1.0])[0])
    assert evaluate("1 < a < 3", [2.0]) == [1.0]


def test_division_by_zero_and_the_like_are_unknown():
    for formula in ("a / b", "log(b)", "sqrt(a - 2)", "0 / b"):
        assert math.isnan(evaluate(formula, [1.0, 0.0])[0])


def test_where_and_known():
    assert evaluate("where(a > 1, 10, 20)", [2.0]) == [10.0]
    assert evaluate("10 if a > 1 else 20", [1.0]) == [20.0]
    assert math.isnan(evaluate("where(a > 1, 10, 20)", [NAN])[0])
    assert evaluate("otherwise(a, 5) + known(a)", [NAN]) == [5.0]
    assert evaluate("table(a, 0, 0, 10, 100)", [2.5]) == [25.0]


def test_instances_find_each_other_by_placeholder():
    values = [NAN, NAN, 10, 20, 1, 2, 3, 4, 5, 6]
    formula = "car{car}.box{box}.t + car{car}.load"
    assert evaluate(formula, values, BOXES + ".x", BOXES) == [11, 12, 13, 24, 25, 26]
    assert evaluate("car2.box1.t - car1.box3.t", values) == [1.0]


def test_many_into_one_and_one_among_many():
    values = [NAN, NAN, 10, 20, 1, 2, 30, 4, NAN, 6]
    assert evaluate("max_of(car{car}.box{box}.t)", values) == [30.0]
    assert evaluate("mean_of(car{car}.box{box}.t)", values, "car{car}.m", "car{car}") == [11.0, 5.0]
    assert evaluate("count_of(car{car}.box{box}.t > 3)", values) == [3.0]
    assert evaluate("median_of(car{car}.load) + sum_of(car{car}.load) + min_of(car{car}.load)", values) == [55.0]


def test_peers():
    values = [NAN, NAN, 10, 20, 1, 2, 30, 4, NAN, 6]
    everywhere = evaluate("peer_median(car{car}.box{box}.t)", values, BOXES + ".m", BOXES)
    assert everywhere == [4.0] * 6
    by_car = evaluate("peer_median(car{car}.box{box}.t, by=car)", values, BOXES + ".m", BOXES)
    assert by_car[:3] == [2.0] * 3
    assert all(math.isnan(v) for v in by_car[3:]), "of two nobody knows which is wrong"
    spread = evaluate("peer_spread(car{car}.box{box}.t, by='car')", values, BOXES + ".m", BOXES)
    assert spread[0] == pytest.approx(1.4826)


@pytest.mark.parametrize(
    ("formula", "says"),
    [
        ("__import__('os')", "no function"),
        ("a.__class__", "no point"),
        ("(lambda: 1)()", "named functions"),
        ("[x for x in a]", "no place"),
        ("a if", "cannot read"),
        ("", "empty|non-empty|short"),
        ("temprature", "no point"),
        ("emwa(a, '1 min')", "did you mean 'ewma'"),
        ("ewma(a)", "lacks 'tau'"),
        ("ewma(a, 'soon')", "no duration"),
        ("ewma(a, b)", "duration in quotes"),
        ("ewma(a, '1 min', '2 min')", "fewer"),
        ("ewma(a, tau='1 min', x=b)", "no 'x'"),
        ("car{car}.load", "which one"),
        ("car3.load", "no point"),
        ("peer_median(a)", "differs between instances"),
        ("max_of(a)", "nothing in"),
        ("state + 1", "no number"),
        ("state == 'flying'", "no state"),
        ("active('a/high')", "no limit"),
        ("a in (1, 2)", "state only"),
        ("'text'", "no place"),
        ("out + 1", "need each other"),
        ("table(a, 1, 2, 0, 4)", "growing"),
        ("1 +" * 3000 + " 1", "characters"),
    ],
)
def test_what_is_wrong_is_said(formula, says):
    problems = check_type(TRAIN.format(key="out", component="train", formula=formula))
    assert problems
    assert any(re.search(says, str(p)) for p in problems), [str(p) for p in problems]
    assert all(p.line for p in problems)


@given(st.text(max_size=40))
@settings(max_examples=300, deadline=None)
def test_no_text_does_more_than_be_refused(text):
    with contextlib.suppress(FormulaError):
        parse(text)


def test_a_term_used_twice_is_computed_once():
    text = TRAIN.format(key="out", component="train", formula="ewma(a, '1 min') * ewma(a, '1 min') + ewma(a, '60 s')")
    assert len(compile_type(load_type(text)).operators) == 1


def test_circles_are_refused_with_their_members():
    text = (
        TRAIN.format(key="x", component="train", formula="y")
        + '  - {key: y, component: train, unit: "1", formula: x}\n'
    )
    with pytest.raises(TypeDefinitionError, match="x → y → x"):
        load_type(text)


def test_the_reference_names_every_function_and_variable():
    text = (Path(__file__).parents[3] / "docs/reference/types.md").read_text(encoding="utf-8")
    for name in (*FUNCTIONS, *SPECIAL):
        assert f"`{name}(" in text, f"docs/reference/types.md does not tell of {name}()"
    for function in FUNCTIONS.values():
        assert function.doc in text, f"what types.md says of {function.name}() is not what the program says"
    for name in VARIABLES:
        assert f"`{name}`" in text


def test_a_reading_is_fresh_in_the_frame_that_brought_it():
    type_ = load_type(TRAIN.format(key='"car{car}.out"', component='"car{car}"', formula="fresh(car{car}.load) + a"))
    program = compile_type(type_)
    program.allocate(1)
    matrix = np.array([[1.0, 2.0, 10.0, 20.0, *range(6), NAN, NAN]])
    came = np.zeros((1, 10), np.bool_)
    came[0, 2] = True
    program.run(Frame(slice(None), np.array([0]), np.array([[10**15]]), matrix, fresh=came))
    assert matrix[0, 10] == 11.0
    assert math.isnan(matrix[0, 11])


@pytest.mark.parametrize(
    "formula", ["fresh(a + b)", "fresh(state_age)", "fresh(out)", "median_last(a, 2)", "median_last(a, 1.5)"]
)
def test_what_counts_samples_wants_a_measured_point_and_a_whole_number(formula):
    with pytest.raises(TypeDefinitionError):
        evaluate(formula, [])

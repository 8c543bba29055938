"""Types as documents: every mistake is named with its line, and nothing is lost on the way to JSON and back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from core.equipment import LimitDef, PointDef, PointKind, Side
from core.errors import TypeDefinitionError
from core.time import MINUTE, SECOND
from models.types import catalog, check_type, from_document, load_type, to_document

GOOD = """
type: press
name: Press
version: 3
lateness: 1500 ms
components:
  - {key: frame, name: Frame, criticality: 2, class: ST}
  - {key: "die{n}", name: "Die {n}", repeat: {n: [1, 2]}}
points:
  - {key: force, component: frame, unit: kN, range: [0, 500], max_rate: 100, flatline: 30 min, stale: 90 s, names: [F1]}
  - {key: "die{n}.t", component: "die{n}", unit: °C}
derived:
  - {key: "die{n}.hot", component: "die{n}", unit: Cel, formula: "ewma(die{n}.t, '1 min')", when: [works], settle: 5 s}
states:
  - {name: works, when: force > 10}
running: [works]
limits:
  - {key: high, point: "die{n}.hot", high: {works: 200}, deadband: 5, on_delay: 1 min 30 s, title: "Die {n} at {value}"}
"""


def test_every_field_arrives():
    type_ = load_type(GOOD)
    assert (type_.key, type_.version, type_.lateness, type_.running_states) == ("press", 3, 1_500_000, ("works",))
    force = type_.points[0]
    assert force.range == (0.0, 500.0)
    assert (force.max_rate, force.flatline, force.stale, force.names) == (100.0, 30 * MINUTE, 90 * SECOND, ("F1",))
    hot = next(p for p in type_.points if p.kind is PointKind.DERIVED)
    assert (hot.when, hot.settle, hot.repeat) == (("works",), 5 * SECOND, {"n": ("1", "2")})
    limit = type_.limits[0]
    assert (limit.side, limit.value, limit.states, limit.on_delay) == (
        Side.HIGH,
        {"works": 200.0},
        ("works",),
        90 * SECOND,
    )


@pytest.mark.parametrize("key", ["press", *catalog()])
def test_through_json_and_back_it_is_the_same(key):
    type_ = load_type(GOOD) if key == "press" else catalog()[key]
    assert from_document(json.loads(json.dumps(to_document(type_)))) == type_


def test_all_that_a_type_can_say_survives():
    base = load_type(GOOD)
    point = PointDef(
        "x", "frame", "1", "an x", direction="H", flatline=5, flatline_states=("works",), stale=7, range=(-1, 1)
    )
    limit = LimitDef(
        "low", "x", Side.LOW, -0.5, 0.1, 1, 2, ("works",), 3, absolute=False, latching=True, unless="force > 5",
        failure_mode="f", consequence="c", action="a", component="die1", vetoes=("force",),
    )  # fmt: skip
    points = (base.points[0], point, *base.points[1:])
    type_ = replace(base, points=points, limits=(*base.limits, limit), open=True, description="d")
    assert from_document(to_document(type_)) == type_


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("high: {works", "hihg: {works", 18, "did you mean 'high'"),
        ("type: press", "typ: press", 2, "'typ' is not known"),
        ("component: frame, unit: kN", "component: fram, unit: kN", 10, "no component 'fram'.*'frame'"),
        ("unit: kN", "unit: kiloNewton", 10, "no UCUM unit"),
        ("range: [0, 500]", "range: [500, 0]", 10, "holds no value"),
        ("flatline: 30 min", "flatline: soon", 10, "no duration"),
        ("stale: 90 s", "stale: -1", 10, "longer than 0|duration"),
        ("when: [works]", "when: [wroks]", 13, "no state 'wroks'.*'works'"),
        ("running: [works]", "running: [idle]", 16, "no state 'idle'"),
        ("when: force > 10", "when: forc > 10", 15, "no point 'forc'.*'force'"),
        ('point: "die{n}.hot"', 'point: "die{n}.hto"', 18, "no point"),
        ("Die {n} at", "Die {m} at", 18, r"\{m\} is not known"),
        ("{value}", "{value:.1f}", 18, "no formats"),
        ("repeat: {n: [1, 2]}", "repeat: {m: [1, 2]}", 8, "has no values"),
        ("on_delay: 1 min 30 s", "on_delay: 1 min, on_delay: 2 min", None, "stands here twice"),
        ("name: Press", "name: [Press", None, "expected"),
    ],
)
def test_every_mistake_is_named_with_its_line(old, new, line, says):
    assert old in GOOD
    problems = check_type(GOOD.replace(old, new, 1))
    import re

    found = [p for p in problems if re.search(says, str(p))]
    assert found, [str(p) for p in problems]
    if line is not None:
        assert line in {p.line for p in found}
    with pytest.raises(TypeDefinitionError):
        load_type(GOOD.replace(old, new, 1))


@pytest.mark.parametrize("text", ["", "[]", "just words", "a: &a [*a]", "- 1", "type: 1\nname: 2", "\0"])
def test_what_is_no_type_at_all_is_refused_in_words(text):
    problems = check_type(text)
    assert problems
    assert all(str(p) for p in problems)


def test_all_mistakes_are_listed_at_once():
    text = GOOD.replace("component: frame, unit: kN", "component: fram, unit: kiloNewton").replace(
        "[works]\nlimits", "[idle]\nlimits"
    )
    assert len(check_type(text)) >= 3


def test_the_catalogue_is_in_order():
    assert catalog()
    for key, type_ in catalog().items():
        assert key == type_.key


def test_the_example_in_the_reference_is_a_type(tmp_path):
    import re

    text = (Path(__file__).parents[3] / "docs/reference/types.md").read_text(encoding="utf-8")
    example = re.search(r"```yaml\n(type:.*?)```", text, re.DOTALL)
    assert example is not None
    path = tmp_path / "example.yaml"
    path.write_text(example[1], encoding="utf-8")
    assert check_type(path) == []
    assert check_type(tmp_path / "missing.yaml")[0].hint

"""Commands offered are commands allowed; problems are named once; metrics are parseable."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.alarm import AlarmState, reduce
from core.errors import ConflictError
from services.alarms.service import COMMANDS, allowed
from services.api.errors import KINDS, document, responses
from services.api.metrics import Metrics


@pytest.mark.parametrize("state", AlarmState)
@pytest.mark.parametrize("active", [True, False])
@pytest.mark.parametrize("latching", [True, False])
def test_a_command_is_offered_exactly_where_the_table_has_it(state: AlarmState, active: bool, latching: bool) -> None:
    offered = allowed(state, active, latching)
    for command in COMMANDS:
        try:
            reduce(state, active, command, latching=latching)
        except ConflictError:
            assert command not in offered
        else:
            assert command in offered


def test_an_unknown_refusal_is_still_a_problem_document() -> None:
    answer = document("invented", "what happened", "/v1/x")
    assert answer.status_code == 400
    assert answer.media_type == "application/problem+json"


def test_documented_problems_have_examples_of_their_status() -> None:
    for status, entry in responses(*KINDS).items():
        for example in entry["content"]["application/problem+json"]["examples"].values():
            assert example["value"]["status"] == status


def test_figures_of_the_database_become_metrics() -> None:
    rows: list[dict[str, Any]] = [
        {"name": "servitize_x", "help": "X", "type": "counter", "labels": {"b": "2", "a": 'say "hi"'}, "value": 3},
        {"name": "servitize_y", "help": "Y", "type": "gauge", "labels": None, "value": 0.5},
    ]
    text = Metrics().render(rows, {"pool_size": 3, "pool_available": 1}).decode()
    samples = {s.name: s for family in text_string_to_metric_families(text) for s in family.samples}
    assert samples["servitize_x_total"].labels == {"a": 'say "hi"', "b": "2"}
    assert samples["servitize_y"].value == 0.5

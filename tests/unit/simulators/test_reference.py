"""The reference page names every component family and every failure mode, and its example runs."""

import re
from pathlib import Path
from typing import Any

import pytest

from simulators.fleet import CompressorTrainFleet, MetroTrainFleet

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "simulators.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", [CompressorTrainFleet, MetroTrainFleet])
def test_every_mode_and_point_name_is_on_the_page(kind):
    assert f"`{kind.TYPE}`, {len(kind.POINTS)} points" in PAGE
    for mode in kind.FAULTS:
        assert f"`{mode}`" in PAGE
    for point in kind.POINTS:
        name = point.key.removeprefix(f"{point.component}.")
        shown = re.sub(r"^n?de_[xy](?=_(pp|1x|phase))", "", name)
        assert shown in PAGE, point.key


def test_the_examples_run():
    compressors, trains = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compressors, names)  # the page is ours
    assert len(list(names["messages"])) == 360 * 3
    exec(trains, names)
    assert {suffix for suffix, _ in names["messages"]} <= {"cycle", "event"}

"""The generated code is what the .proto gives, and a profile's mistakes are named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from formats.profile import ProfileError, parse_profile

ROOT = Path(__file__).parents[3]


def test_the_generated_code_is_up_to_date(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        "-I",
        ".",
        f"--python_out={tmp_path}",
        f"--pyi_out={tmp_path}",
    ]
    subprocess.run([*command, "formats/sparkplug/sparkplug_b.proto"], cwd=ROOT, check=True)
    for name in ("sparkplug_b_pb2.py", "sparkplug_b_pb2.pyi"):
        made = (tmp_path / "formats" / "sparkplug" / name).read_text()
        assert made == (ROOT / "formats" / "sparkplug" / name).read_text(), "run make proto"


@pytest.mark.parametrize(
    ("section", "where"),
    [
        ({}, "sparkplug"),
        ({"group": "a/b"}, "sparkplug/group"),
        ({"group": "STATE"}, "sparkplug/group"),
        ({"group": "g", "device": "{machine}"}, "sparkplug/device"),
        ({"group": "g", "node": "{device}"}, "sparkplug/node"),
        ({"group": "g", "metrics": [{"metric": "m", "unit": "furlong/fortnight?"}]}, "sparkplug/metrics/0/unit"),
        ({"group": "g", "other": 1}, "sparkplug"),
    ],
)
def test_a_mistake_in_a_profile_is_named_with_its_place(section: dict[str, Any], where: str) -> None:
    with pytest.raises(ProfileError) as found:
        parse_profile({"profile": "p", "sparkplug": section})
    assert found.value.where == where


def test_an_ordinary_profile_cannot_take_sparkplug_topics() -> None:
    with pytest.raises(ProfileError, match="section of their own"):
        parse_profile(
            {"profile": "p", "topic": "spBv1.0/g/{x}", "equipment": "e", "points": [{"path": "a", "point": "b"}]}
        )

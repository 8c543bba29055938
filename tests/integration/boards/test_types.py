"""Grafana's own published types accept every dashboard, and would not accept a wrong one. Needs Node.js."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from boards.all import BOARDS
from boards.grafana.dashboards import render
from boards.grafana.parts import Place
from tests.support import node

pytestmark = [pytest.mark.boards, pytest.mark.integration]

FOLDER = Path(__file__).parents[2] / "support" / "grafana_types"
OPTIONS = [
    "--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--module", "commonjs",
    "--moduleResolution", "node10", "--ignoreDeprecations", "5.0",
]  # fmt: skip
"""The types are reached inside the package, past what its entry exports: those of panels' options are only there."""


@pytest.fixture(scope="module")
def compiler() -> list[str]:
    try:
        program = node.program(FOLDER, "typescript/bin/tsc")
    except node.NotHereError as error:
        pytest.skip(f"Grafana's types are not checked: {error}")
    return [program, str(FOLDER / "node_modules" / "typescript" / "bin" / "tsc"), *OPTIONS]


def source() -> str:
    """Every dashboard, and every panel held against the type of its kind."""
    lines = ["import type { Board, Panels } from './prelude';"]
    for board in BOARDS.values():
        document = render(board, Place("servitize-acme", "acme"))
        key = board.key.replace("-", "_")
        lines.append(f"export const {key}: Board = {json.dumps(document)};")
        for panel in document["panels"]:
            if panel["type"] != "row":
                body = {key: value for key, value in panel.items() if key != "type"}
                name = f"{key}_{panel['id']}"
                lines.append(f"export const {name}: Panels['{panel['type']}'] = {json.dumps(body)};")
    return "\n".join(lines)


WRONG = """
// @ts-expect-error: no text
export const title: Board = { title: 7, schemaVersion: 41 };
// @ts-expect-error: no such key
export const key: Board = { schemaVersion: 41, colour: 'red' };
type Settings = Panels['stat']['fieldConfig'];
// @ts-expect-error: no such mode of thresholds
export const mode: Settings = { overrides: [], defaults: { thresholds: { mode: 'x', steps: [] } } };
// @ts-expect-error: no such option
export const option: Panels['table'] = { targets: [], options: { cellHeight: 'tiny' } };
// @ts-expect-error: a query without text
export const query: Panels['table'] = { targets: [{ refId: 'A' }] };
"""


def test_grafanas_types_accept_every_dashboard_and_no_wrong_one(compiler: list[str], tmp_path: Path) -> None:
    made = FOLDER / "node_modules" / f"check_{tmp_path.name}.ts"
    made.write_text(source().replace("./prelude", "../prelude") + WRONG, encoding="utf-8")
    try:
        done = subprocess.run([*compiler, str(made)], cwd=FOLDER, capture_output=True, text=True, check=False)
    finally:
        made.unlink()
    assert done.returncode == 0, done.stdout[-4000:]

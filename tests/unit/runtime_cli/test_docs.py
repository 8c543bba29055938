"""What the documents tell people to type is what the command line takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from runtime.cli.app import app

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGES = [DOCS / "quickstart.md", *sorted((DOCS / "how-to").glob("*.md"))]


def commands() -> Iterator[tuple[str, str]]:
    """(page, line) of every ``servitize`` line in a shell block."""
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                if found := re.match(r"(?:\.venv/bin/)?servitize\s.*", line.split("#")[0].strip()):
                    yield page.name, found[0].removeprefix(".venv/bin/")


@pytest.mark.parametrize(("page", "line"), list(commands()))
def test_every_command_and_option_in_the_documents_exists(page: str, line: str) -> None:
    words = shlex.split(line)[1:]
    command = typer.main.get_command(app)
    while words and hasattr(command, "commands") and words[0] in command.commands:
        command = command.commands[words.pop(0)]
    assert not hasattr(command, "commands"), f"{line}: no such command"
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {word.split("=")[0] for word in words if word.startswith("--")} <= known

"""The page that a newcomer reads: its files and its commands are what the tests use, so that it stays true."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "add-a-machine-type.md"


def files() -> dict[str, str]:
    """Text by name of every file that the page tells to save."""
    return dict(re.findall(r"^```yaml (\S+)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL))


def commands() -> list[list[str]]:
    """Every ``servitize …`` line of the page's shell blocks, split into words, in order."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line) for line in lines if line.startswith("servitize ")]

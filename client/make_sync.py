"""Makes the synchronous client from the asynchronous one: ``make sync``.

Token by token: ``async`` and ``await`` go, a few names are another's, a few sentences say what holds for this client.
What is left to differ, such as a name of httpx2 that nobody entered here, mypy finds.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tokenize
from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).parent / "servitize_client"
SOURCE: Final = PACKAGE / "aio.py"
TARGET: Final = PACKAGE / "sync.py"

_HEADER: Final = """\
# Made from aio.py by `make sync`; change that file, never this one.
# ruff: noqa: UP028 - an asynchronous generator has no `yield from`
"""
_NAMES: Final = {
    "AsyncClient": "Client",
    "AsyncIterator": "Iterator",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "aclose": "close",
    "aiter_lines": "iter_lines",
    "aread": "read",
    "asyncio": "time",
}
_SENTENCES: Final = {
    "The asynchronous client; the synchronous one is made from it.": "The synchronous client.",
    "For one event loop.": "Safe to share between threads.",
}


def made(source: str) -> str:
    """The synchronous client's source, formatted, from that of the asynchronous one."""
    lines = source.splitlines(keepends=True)
    for token in reversed(list(tokenize.generate_tokens(io.StringIO(source).readline))):
        (row, start), (last, end) = token.start, token.end
        text = token.string
        if token.type == tokenize.NAME and text in ("async", "await"):
            text, end = "", end + 1  # and the space behind it
        elif token.type == tokenize.NAME:
            text = _NAMES.get(text, text)
        elif token.type == tokenize.STRING:
            for theirs, ours in _SENTENCES.items():
                text = text.replace(theirs, ours)
        if text != token.string:
            lines[row - 1 : last] = [lines[row - 1][:start] + text + lines[last - 1][end:]]
    ruff = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(TARGET), "-"]
    formatted = subprocess.run(ruff, input=_HEADER + "".join(lines), capture_output=True, text=True, check=True)
    return formatted.stdout


if __name__ == "__main__":
    TARGET.write_text(made(SOURCE.read_text(encoding="utf-8")), encoding="utf-8")

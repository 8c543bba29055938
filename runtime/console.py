"""Speaking to whoever started the program: one line on standard output, at once."""

from __future__ import annotations

import sys


def say(text: str = "") -> None:
    """Print a line and flush: a log that is followed must not lag behind."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()

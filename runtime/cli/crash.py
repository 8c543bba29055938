"""Where the traceback of an unexpected error goes, so that it is not lost and nobody has to look at it."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

_home: Path | None = None


def remember_home(home: Path) -> None:
    """The data directory at work: its logs are where a person looks first."""
    global _home  # noqa: PLW0603 - one command per process
    _home = home


def write_crash_file(error: BaseException, arguments: Sequence[str]) -> Path:
    """A file with traceback, versions and the command (values of secrets are never on a command line)."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    name = f"servitize-crash-{stamp}-{os.getpid()}.log"
    text = "\n".join(
        [
            f"servitize {' '.join(arguments)}",
            f"Python {sys.version}",
            platform.platform(),
            "",
            "".join(traceback.format_exception(error)),
        ]
    )
    for directory in (_logs(), Path(tempfile.gettempdir())):
        if directory is None:
            continue
        path = directory / name
        try:
            path.write_text(text)
        except OSError:
            continue
        path.chmod(0o600)
        return path
    return Path("(nowhere: no directory could be written)")


def _logs() -> Path | None:
    """The logs of the data directory that the command worked on, if it came so far."""
    directory = None if _home is None else _home / "logs"
    return directory if directory is not None and directory.is_dir() else None

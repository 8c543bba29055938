"""A data directory of its own and the command line as a separate process, as a person would use them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import clean_environ, short_directory

ROOT = Path(__file__).resolve().parents[2]


class Servitize:
    """``servitize`` on one data directory. Ports are any free ones, and stay what they were at the next start."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environ = {**clean_environ(), "SERVITIZE_HOME": str(home), "PYTHONPATH": str(ROOT)}
        self.environ.pop("SERVITIZE_DATABASE_URL", None)

    def __call__(self, *words: str, code: int | None = 0, timeout: float = 240.0) -> str:
        """Run a command; its standard output. ``code`` None: any exit code will do."""
        done = subprocess.run(
            [sys.executable, "-m", "runtime.cli", *words],
            env=self.environ, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip
        if code is not None:
            assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}\n{self.logs()}"
        return done.stdout if code == 0 else done.stdout + done.stderr

    def json(self, *words: str, code: int = 0) -> Any:
        """The JSON that a command prints."""
        return json.loads(self(*words, "--json", code=code))

    def start(self) -> str:
        """``servitize up --detach``: on any free ports the first time, on the same ones again later."""
        fresh = ("--api", "0", "--mqtt", "0") if not (self.home / "state.json").exists() else ()
        return self("up", "--detach", *fresh)

    def state(self) -> dict[str, Any]:
        found = json.loads((self.home / "state.json").read_text())
        assert isinstance(found, dict)
        return found

    def pid(self, server: str) -> int | None:
        return self.state().get("servers", {}).get(server, {}).get("pid")

    def logs(self) -> str:
        """The ends of all logs, for a failure's message."""
        parts = [f"--- {path.name}\n{path.read_text()[-1500:]}" for path in sorted((self.home / "logs").glob("*.log"))]
        return "\n".join(parts)


@pytest.fixture(scope="module")
def servitize() -> Iterator[Servitize]:
    """A command line on a fresh data directory; whatever runs there is stopped and removed at the end."""
    home = short_directory() / "home"
    home.parent.chmod(0o755)
    command = Servitize(home)
    yield command
    command("down", code=None)
    shutil.rmtree(home.parent, ignore_errors=True)


def overloaded() -> bool:
    """More is waiting for a processor than there are: no time measured now means anything."""
    return os.getloadavg()[0] > 1.5 * (os.cpu_count() or 1)

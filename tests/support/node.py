"""Packages of npm that tests need, each set in a folder of its own with a lock file; Node comes from the system."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path


class NotHereError(Exception):
    """Why something that runs on Node cannot be had here."""


def program(folder: Path, wanted: str) -> str:
    """Node's program, with what ``folder``'s lock names installed; ``wanted`` is a file that is there then.

    Raises :class:`NotHereError`.
    """
    found, npm = shutil.which("node"), shutil.which("npm")
    if found is None or npm is None:
        raise NotHereError("install nodejs and npm (Debian)")
    with (folder / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests may run in several processes
        if not (folder / "node_modules" / wanted).exists():
            done = subprocess.run(
                [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
                stdin=subprocess.DEVNULL,
            )
            if done.returncode:
                last = (done.stderr.strip().splitlines() or ["npm failed"])[-1]
                raise NotHereError(f"npm ci in {folder.name} failed: {last}")
    return found

"""Builds and calls the small Go program beside this file: the libraries of helm and docker compose, for machines that
have neither. ``python -m tests.support.charts`` builds it (make charts): minutes once, then it lies in the
user's cache."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent
HINT: Final = "needs the program of tests/support/charts: make charts (with Go: Debian: apt-get install golang)"


class RefusedError(Exception):
    """What helm or compose would have said."""


def program() -> Path:
    """Where the program lies, or would lie, for this version of it."""
    digest = hashlib.sha256()
    for name in ("main.go", "go.mod", "go.sum"):
        digest.update((HERE / name).read_bytes())
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "servitize" / f"charts-{digest.hexdigest()[:12]}"


def build() -> Path:
    """Build it where it is missing."""
    place = program()
    if not place.exists():
        go = shutil.which("go")
        if go is None:
            raise SystemExit("make charts needs Go (Debian: apt-get install golang)")
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh = place.with_suffix(".new")
        subprocess.run([go, "build", "-o", fresh, "."], cwd=HERE, check=True)
        fresh.replace(place)
    return place


def render(chart: Path, values: Mapping[str, Any], release: str = "sz", namespace: str = "plant") -> dict[str, str]:
    """Rendered text by file, after helm's lint and the schema of the values; :class:`RefusedError` with their words."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(values, file)
        file.flush()
        return dict(_call("helm", str(chart), release, namespace, file.name))


def load_compose(file: Path) -> dict[str, Any]:
    """The project as compose understands it; :class:`RefusedError` with its words."""
    return dict(_call("compose", str(file)))


def _call(*words: str) -> Any:
    done = subprocess.run([program(), *words], capture_output=True, text=True, check=False, timeout=60)
    if done.returncode != 0:
        raise RefusedError(done.stderr.strip())
    return json.loads(done.stdout)

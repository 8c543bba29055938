"""Data directories that the servers' account can reach, with what they started ended afterwards."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.local.accounts import service_account
from runtime.local.paths import DataDirectory


@pytest.fixture
def data() -> Iterator[DataDirectory]:
    """A locked data directory of its own, below the system's temporary directory (pytest's own is closed to others)."""
    root = Path(tempfile.mkdtemp(prefix="servitize-test-"))
    with DataDirectory(root, service_account()) as directory:
        yield directory
    shutil.rmtree(root, ignore_errors=True)

"""The passwords of the session's database roles. Roles belong to the server, not to a database: all tests agree."""

from __future__ import annotations

from typing import Final

from storage.migrate import API, BOARD, WRITER

PASSWORDS: Final = {WRITER: "write", API: "read", BOARD: "board"}

"""Every board there is, in the order of a menu."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from boards.alarms import ALARM_PERFORMANCE
from boards.compressor import COMPRESSOR
from boards.definition import Board
from boards.equipment import COMPONENT, EQUIPMENT
from boards.fleet import FLEET
from boards.operations import OPERATIONS
from boards.train import TRAIN

_ALL: Final = (FLEET, EQUIPMENT, COMPONENT, COMPRESSOR, TRAIN, ALARM_PERFORMANCE, OPERATIONS)
BOARDS: Final[Mapping[str, Board]] = MappingProxyType({board.key: board for board in _ALL})
"""By key."""


def boards_for(type_key: str | None) -> list[Board]:
    """Boards about one machine of that type: those made for the type first, then those for any."""
    about_one = [board for board in BOARDS.values() if any(v.key == "equipment" for v in board.variables)]
    return sorted(
        (board for board in about_one if not board.types or type_key in board.types), key=lambda board: not board.types
    )

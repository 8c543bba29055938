"""JMESPath for mapping profiles, bounded: a message costs so many evaluation steps at most, whatever it holds.

The limit is in steps and not in seconds, so the same payload is judged the same on a busy and on an idle machine.
200,000 steps take about a quarter of a second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import jmespath
import jmespath.exceptions
from jmespath.parser import ParsedResult
from jmespath.visitor import TreeInterpreter

from core.errors import InvalidInputError

MAX_EXPRESSION: Final = 300
MAX_STEPS: Final = 200_000
MAX_ITEMS: Final = 100_000
"""Length of any list on the way: `[@, @][]` doubles its input, and thirty of them in a row fit an expression."""


class PathTooCostlyError(InvalidInputError):
    """A JMESPath expression that would take too long on this payload."""

    code = "path-too-costly"


class Budget(TreeInterpreter):
    """Evaluates expressions on one message and counts what that costs."""

    def __init__(self, steps: int = MAX_STEPS) -> None:
        super().__init__()
        self.left = steps

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise PathTooCostlyError(f"the paths of the profile need more than {MAX_STEPS} steps on this payload")
        found = super().visit(node, *args, **kwargs)
        if isinstance(found, (list, str)) and len(found) > MAX_ITEMS:
            raise PathTooCostlyError(f"a path of the profile makes a list of more than {MAX_ITEMS} items")
        return found


Getter = Callable[[Any, Budget], Any]
"""``get(row, budget)``: what the path finds, None where it finds nothing. Raises :class:`PathTooCostlyError`."""


class Path:
    """A compiled path. ``field`` is the member's name where it is no more than that (then no interpreter is needed)."""

    __slots__ = ("_parsed", "expression", "field")

    def __init__(self, expression: str) -> None:
        if len(expression) > MAX_EXPRESSION:
            raise InvalidInputError(
                f"a path of {len(expression)} characters; at most {MAX_EXPRESSION}",
                hint="take it apart into several points",
            )
        try:
            self._parsed: ParsedResult = jmespath.compile(expression)
        except jmespath.exceptions.JMESPathError as error:
            reason = str(error).splitlines()[0]
            raise InvalidInputError(
                f"{expression!r} is no JMESPath: {reason}",
                hint="names with blanks or signs stand in double quotes, e.g. '\"Wind Speed (m/s)\"'",
            ) from error
        self.expression = expression
        tree = self._parsed.parsed
        self.field: str | None = tree["value"] if tree["type"] == "field" else None

    def __call__(self, row: Any, budget: Budget) -> Any:
        """What it finds in ``row``; a function of the language that does not fit the data finds nothing."""
        if self.field is not None:
            return row.get(self.field) if isinstance(row, dict) else None
        try:
            return budget.visit(self._parsed.parsed, row)
        except jmespath.exceptions.JMESPathError:
            return None

"""Formula text to a checked syntax tree: Python's own grammar, of which a small whitelist is let through.

Point keys may be dotted and may hold placeholders (``car{car}.axle_box{box}.temperature``); both are no Python names,
so they are swapped for plain names before parsing and back after it.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Final

from core.errors import InvalidInputError


class FormulaError(InvalidInputError):
    """A formula that is wrong: what, and what to write instead. ``position`` counts characters from 0 where known."""

    code = "invalid-formula"

    def __init__(self, message: str, *, hint: str = "", position: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.position = position


_TOKEN: Final = re.compile(
    r"""'[^']*'|"[^"]*"                                             # a text, left alone
    |(?<![\w.}])[A-Za-z_](?:\w|\{\w+\}|\.(?=[A-Za-z_{0-9]))*        # a name, perhaps dotted and with placeholders
    """,
    re.VERBOSE,
)
_MAX_LENGTH: Final = 4_000
_ALLOWED: Final = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Call, ast.keyword, ast.Name, ast.Load,
    ast.Constant, ast.Tuple, ast.IfExp, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.Mod, ast.USub, ast.UAdd,
    ast.And, ast.Or, ast.Not, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq, ast.In, ast.NotIn,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Formula:
    """A parsed formula. ``names`` gives back, for every Python name in ``tree``, what stood in the text."""

    text: str
    tree: ast.expr
    names: dict[str, str]

    def references(self) -> set[str]:
        """Names of points and variables (not of functions)."""
        called = {id(n.func) for n in ast.walk(self.tree) if isinstance(n, ast.Call)}
        return {
            self.names.get(n.id, n.id) for n in ast.walk(self.tree) if isinstance(n, ast.Name) and id(n) not in called
        }

    def calls(self) -> set[str]:
        """Names of the functions used."""
        return {n.func.id for n in ast.walk(self.tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}


def parse(text: str) -> Formula:
    """The tree of a formula; raises :class:`FormulaError` for what is no formula.

    >>> sorted(parse("car{car}.t - ambient").references())
    ['ambient', 'car{car}.t']
    """
    if not text.strip():
        raise FormulaError("the formula is empty", hint="write for example 'ewma(pressure, \"10 min\")'")
    if len(text) > _MAX_LENGTH:
        raise FormulaError(
            f"the formula has {len(text)} characters; at most {_MAX_LENGTH} are taken",
            hint="split it into derived points",
        )
    names: dict[str, str] = {}

    def swap(match: re.Match[str]) -> str:
        word = match[0]
        if word[0] in "'\"" or ("{" not in word and "." not in word):
            return word
        plain = "_ref_" + re.sub(r"\W", "_", word) + f"_{len(names)}"
        known = next((p for p, w in names.items() if w == word), plain)
        names[known] = word
        return known

    one_line = " ".join(text.split("\n")).strip()
    try:
        tree = ast.parse(_TOKEN.sub(swap, one_line), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise FormulaError(
            f"cannot read {one_line!r}: {getattr(error, 'msg', error)}",
            hint="formulas use + - * / **, comparisons, and/or/not, and the functions of docs/reference/types.md",
            position=(error.offset or 1) - 1 if isinstance(error, SyntaxError) else None,
        ) from None
    for node in ast.walk(tree):
        if not isinstance(node, _ALLOWED):
            raise FormulaError(
                f"{type(node).__name__} has no place in a formula: {one_line!r}",
                hint="only arithmetic, comparisons, and/or/not, where(...) and the listed functions",
            )
        if isinstance(node, ast.Call) and not isinstance(node.func, ast.Name):
            raise FormulaError(f"only named functions can be called: {one_line!r}")
        if isinstance(node, ast.Constant) and not isinstance(node.value, (int, float, str)):
            raise FormulaError(f"{node.value!r} is neither a number nor a text")
    return Formula(one_line, tree.body, names)

"""The formula language of equipment types: safe text in, array programs out. See docs/reference/types.md."""

from models.expressions.frame import Frame
from models.expressions.program import Program, compile_type
from models.expressions.syntax import FormulaError, parse

__all__ = ["Frame", "FormulaError", "Program", "compile_type", "parse"]

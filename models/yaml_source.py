"""YAML with memory of where things stand, strict about what YAML lets slip: keys twice, aliases that explode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from core.errors import TypeDefinitionError

_MAX_CHARACTERS = 2_000_000


@dataclass(frozen=True, slots=True)
class Source:
    """A parsed document. ``line(where)`` gives the line (from 1) of ``limits/3/point``, or of the nearest enclosing
    part."""

    document: Any
    lines: dict[str, int]

    def line(self, where: str) -> int | None:
        while where not in self.lines:
            if not where:
                return None
            where = where.rpartition("/")[0]
        return self.lines[where]


def read(text: str) -> Source:
    """Parse one YAML (or JSON) document; raises :class:`~core.errors.TypeDefinitionError` with the line."""
    if len(text) > _MAX_CHARACTERS:
        raise TypeDefinitionError(f"the document has {len(text)} characters", hint=f"at most {_MAX_CHARACTERS}")
    loader: yaml.SafeLoader | None = None
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            raise TypeDefinitionError("the document is empty", hint="begin with 'type:' and 'name:'")
        lines: dict[str, int] = {}
        _walk(node, "", lines, 0)
        return Source(loader.construct_document(node), lines)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = f"line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        raise TypeDefinitionError(
            str(getattr(error, "problem", None) or error), where=at, hint="look at indentation, colons and quotes there"
        ) from None
    except RecursionError:
        raise TypeDefinitionError("the document is nested too deeply") from None
    finally:
        if loader is not None:
            loader.dispose()


def _walk(node: yaml.Node, where: str, lines: dict[str, int], depth: int) -> None:
    if depth > 20 or len(lines) > 200_000:
        raise TypeDefinitionError("the document is nested too deeply or too long", where=where)
    lines.setdefault(where, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            here = f"{where}/{name}" if where else name
            if name in seen:
                raise TypeDefinitionError(
                    f"{name!r} stands here twice (line {key.start_mark.line + 1})", where=here, hint="keep one of them"
                )
            seen.add(name)
            lines.setdefault(here, key.start_mark.line + 1)
            _walk(value, here, lines, depth + 1)
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            _walk(value, f"{where}/{i}" if where else str(i), lines, depth + 1)

"""Query parameters are a contract: what a route does not know it refuses, since a misspelt filter answers another
question."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any, Final

from fastapi import Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import ParamTypes
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict

from services.api.errors import ParameterError

_KNOWN: Final[dict[Callable[..., Any], dict[str, bool]]] = {}
"""By endpoint: each stands for one route, and looking them up costs a request nothing."""


def _known(route: APIRoute) -> dict[str, bool]:
    """Names of a route's query parameters, and whether each may be given more than once."""
    found = _KNOWN.get(route.endpoint)
    if found is None:
        found = {
            field.alias: getattr(field.field_info.annotation, "__origin__", None) is list
            or "list[" in str(field.field_info.annotation)
            for field in get_flat_params(route.dependant)
            if getattr(field.field_info, "in_", None) is ParamTypes.query
        }
        _KNOWN[route.endpoint] = found
    return found


async def refuse_unknown(request: Request) -> None:
    """Refuse query parameters the route does not have, and repeated ones it reads once. A dependency of every route."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    known = _known(route)
    for name in request.query_params:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            meant = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(sorted(known)) or 'none'}"
            raise ParameterError(f"there is no query parameter {name[:60]!r}; {meant}", parameter=name[:60])
        if not known[name] and len(request.query_params.getlist(name)) > 1:
            raise ParameterError("given more than once", parameter=name)


class Strict(BaseModel):
    """A request body: nothing unknown, nothing coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, str_strip_whitespace=True)


class Answer(BaseModel):
    """An answer's body, built by ourselves out of rows."""

    model_config = ConfigDict(from_attributes=True)


def examples(**named: Any) -> dict[str, Any]:
    """OpenAPI ``examples`` of a JSON answer, ready for ``responses={200: …}``."""
    return {"content": {"application/json": {"examples": {name: {"value": value} for name, value in named.items()}}}}

"""ETags: a version that the thing carries. Readers save what they have; writers say which version they have seen."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel

from services.api.errors import ApiError, responses

TAGGED: Final[dict[int | str, dict[str, Any]]] = {
    304: {"description": "Unchanged since the ETag given in If-None-Match"},
}
"""OpenAPI ``responses`` of a route that answers with an ETag."""

MATCHED: Final[dict[int | str, dict[str, Any]]] = responses("changed")
"""OpenAPI ``responses`` of a route that looks at If-Match."""


def tag_of(version: object) -> str:
    """The ETag of a version; it says nothing of the version itself."""
    return f'"{hashlib.sha256(str(version).encode()).hexdigest()[:16]}"'


def _named(header: str) -> list[str]:
    return [candidate.strip().removeprefix("W/") for candidate in header.split(",")]


def answer_tagged(request: Request, body: BaseModel, version: object, *, volatile: bool = False) -> Response:
    """``body`` with an ETag of ``version``, or 304 where the request has that one already (RFC 9110, 13.1.2).

    ``volatile``: the body holds more than the version counts; the tag serves If-Match and is never answered by 304.
    """
    tag = tag_of(version)
    if volatile:
        return Response(body.model_dump_json(by_alias=True), media_type="application/json", headers={"ETag": tag})
    known = _named(request.headers.get("if-none-match", ""))
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(body.model_dump_json(by_alias=True), media_type="application/json", headers=headers)


def require_match(request: Request, version: object) -> None:
    """Refuse a change of another version than the one the asker has seen (If-Match; RFC 9110, 13.1.1).

    The thing must be locked before its ``version`` is read, or two who saw the same would both change it. Without the
    header nothing is looked at.
    """
    header = request.headers.get("if-match")
    if header is None or header.strip() == "*":
        return
    # weak tags never match here
    if tag_of(version) not in [candidate.strip() for candidate in header.split(",")]:
        raise ApiError("changed", "it has changed since you read it", hint="read it again and decide anew")

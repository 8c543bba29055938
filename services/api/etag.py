"""ETags where the tag costs nothing: a revision that the row carries."""

from __future__ import annotations

import hashlib

from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel


def answer_tagged(request: Request, body: BaseModel, version: str) -> Response:
    """``body`` with an ETag of ``version``, or 304 where the request has that one already (RFC 9110, 13.1.2)."""
    tag = f'"{hashlib.sha256(version.encode()).hexdigest()[:16]}"'
    known = [candidate.strip().removeprefix("W/") for candidate in request.headers.get("if-none-match", "").split(",")]
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(body.model_dump_json(by_alias=True), media_type="application/json", headers=headers)

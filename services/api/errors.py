"""Problem documents (RFC 9457): every refusal, from wherever it comes, leaves in this one form."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import psycopg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from core.errors import ServitizeError, UnavailableError
from storage.errors import translate

MEDIA_TYPE: Final = "application/problem+json"

log = logging.getLogger(__name__)


class InvalidParameter(BaseModel):
    """One thing wrong with a request. ``pointer`` (RFC 6901) leads into the body, ``parameter`` names a parameter."""

    detail: str
    pointer: str | None = None
    parameter: str | None = None


class Problem(BaseModel):
    """RFC 9457 problem details."""

    type: str = Field(description="Stable name of the kind of problem, as an address relative to this service")
    title: str = Field(description="The kind in words")
    status: int
    detail: str = Field(description="What happened here, and what to do about it")
    instance: str = Field(description="Path of the request")
    errors: list[InvalidParameter] | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem: its code is stable and the anchor in ``/docs``."""

    code: str
    status: int
    title: str
    advice: str


KINDS: Final[Mapping[str, Kind]] = {
    kind.code: kind
    for kind in (
        Kind("invalid-input", 400, "Invalid input", "The request was understood but a value in it is not allowed."),
        Kind("invalid-type", 400, "Invalid equipment type", "The type document is wrong where the detail says."),
        Kind("unit", 400, "Unknown unit", "Units are UCUM codes."),
        Kind("bad-request", 400, "Bad request", "The request is not valid HTTP or JSON."),
        Kind(
            "invalid-cursor",
            400,
            "Invalid cursor",
            "A cursor goes only with the route, filters and key it came from. Start from the first page.",
        ),
        Kind(
            "unauthenticated",
            401,
            "Not signed in",
            "Send `Authorization: Bearer …` with a key that is not revoked, or a token of your issuer.",
        ),
        Kind(
            "forbidden",
            403,
            "Not allowed",
            "You are known, but your role or key lacks the scope, or your right to the equipment does.",
        ),
        Kind("not-found", 404, "Not found", "There is no such thing, or it is not visible to this key."),
        Kind("method-not-allowed", 405, "Method not allowed", "The header `Allow` lists what this path offers."),
        Kind("not-acceptable", 406, "Not acceptable", "This service answers in JSON."),
        Kind("conflict", 409, "Conflict", "The thing is in a state that does not allow this. Read it again."),
        Kind(
            "changed", 412, "Changed meanwhile", "`If-Match` names another version than the present one. Read it again."
        ),
        Kind("too-large", 413, "Body too large", "Send less at once."),
        Kind("media-type", 415, "Unsupported media type", "Bodies are `application/json`."),
        Kind(
            "validation", 422, "Validation failed", "`errors` names each parameter or place in the body that is wrong."
        ),
        Kind(
            "idempotency-key",
            422,
            "Idempotency key",
            "`Idempotency-Key` is 1 to 255 visible characters and belongs to one request.",
        ),
        Kind("rate-limited", 429, "Too many requests", "Wait `Retry-After` seconds; `RateLimit` says what is left."),
        Kind("too-many-attempts", 429, "Too many attempts", "Wait a minute before the next attempt to sign in."),
        Kind("too-many-streams", 429, "Too many streams", "Close an event stream before opening another."),
        Kind("internal", 500, "Internal error", "A defect of ours; quote `X-Request-Id` when you report it."),
        Kind(
            "unavailable", 503, "Unavailable", "A part of the platform is away; try again after `Retry-After` seconds."
        ),
        Kind("too-slow", 503, "Question too wide", "Ask for less at once: a shorter time, fewer pixels, a filter."),
    )
}
_BY_STATUS: Final = {
    400: "bad-request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    412: "changed",
    406: "not-acceptable",
    409: "conflict",
    413: "too-large",
    415: "media-type",
    422: "validation",
    503: "unavailable",
}


class ApiError(ServitizeError):
    """A refusal that only HTTP knows. ``code`` is one of :data:`KINDS`."""

    def __init__(self, code: str, message: str, *, hint: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.headers = dict(headers or {})


class ParameterError(ApiError):
    """A query, path or body value that the schema cannot judge by itself; names where it is."""

    def __init__(self, detail: str, *, parameter: str | None = None, pointer: str | None = None) -> None:
        super().__init__("validation", detail)
        self.error = InvalidParameter(detail=detail, parameter=parameter, pointer=pointer)


def document(
    code: str,
    detail: str,
    instance: str,
    errors: Sequence[InvalidParameter] = (),
    headers: Mapping[str, str] | None = None,
    status: int | None = None,
) -> JSONResponse:
    """The response of a problem.

    An unknown ``code`` is treated as ``invalid-input``, since only refusals carry codes of their own.
    """
    kind = KINDS.get(code, KINDS["invalid-input"])
    problem = Problem(
        type=f"/docs#{kind.code}",
        title=kind.title,
        status=status or kind.status,
        detail=detail,
        instance=instance,
        errors=list(errors) or None,
    )
    all_headers = dict(headers or {})
    if kind.status == 401:
        all_headers.setdefault("WWW-Authenticate", 'Bearer realm="servitize"')
    if kind.status == 503:
        all_headers.setdefault("Retry-After", "2")
    return JSONResponse(
        problem.model_dump(mode="json", exclude_none=True),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers=all_headers,
    )


def _sentence(error: ServitizeError) -> str:
    return f"{error}: {error.hint}" if error.hint else str(error)


def _pointer(parts: Sequence[Any]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def _located(error: Mapping[str, Any]) -> InvalidParameter:
    where, *rest = error.get("loc", ("body",))
    message = str(error.get("msg", "invalid")).removeprefix("Value error, ")
    if where == "body":
        # A body that is no JSON has the byte offset as its place, which is no pointer.
        return InvalidParameter(detail=message, pointer="" if error.get("type") == "json_invalid" else _pointer(rest))
    return InvalidParameter(detail=message, parameter=".".join(map(str, rest)) or str(where))


async def on_servitize(request: Request, error: Exception) -> Response:
    """The problem document of a refusal of ours."""
    assert isinstance(error, ServitizeError)
    errors = [error.error] if isinstance(error, ParameterError) else []
    headers = error.headers if isinstance(error, ApiError) else None
    return document(error.code, _sentence(error), request.url.path, errors, headers)


async def _on_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = [_located(item) for item in error.errors()]
    summary = "; ".join(f"{e.parameter or e.pointer or 'body'}: {e.detail}" for e in found[:3])
    return document("validation", summary, request.url.path, found)


async def on_http(request: Request, error: Exception) -> Response:
    """The problem document of what the framework refuses."""
    assert isinstance(error, HTTPException)
    code = _BY_STATUS.get(error.status_code, "internal" if error.status_code >= 500 else "bad-request")
    detail = error.detail
    if detail == HTTPStatus(error.status_code).phrase:
        detail = KINDS[code].advice
    return document(code, str(detail), request.url.path, headers=error.headers, status=error.status_code)


async def _on_database(request: Request, error: Exception) -> Response:
    """A database that is away or overloaded is nobody's fault who asks; anything else is a defect and becomes a 500."""
    if isinstance(error, psycopg.errors.QueryCanceled):
        return document("too-slow", KINDS["too-slow"].advice, request.url.path)
    if isinstance(error, (psycopg.errors.UntranslatableCharacter, psycopg.errors.CharacterNotInRepertoire)):
        return document("invalid-input", "the text holds a character that cannot be stored", request.url.path)
    ours = translate(error) if isinstance(error, psycopg.Error) else error
    if isinstance(ours, UnavailableError):
        log.warning("database away or overloaded: %s", error)
        return document("unavailable", "the database is away or overloaded; nothing was changed", request.url.path)
    if isinstance(ours, ServitizeError):
        return await on_servitize(request, ours)
    return await _on_defect(request, error)


async def _on_defect(request: Request, error: Exception) -> Response:
    request_id = request.scope.get("servitize.request_id", "")
    log.error("request %s %s %s failed", request_id, request.method, request.url.path, exc_info=error)
    return document("internal", f"a defect of ours; quote request {request_id}", request.url.path)


def install(app: FastAPI) -> None:
    """Make every error of ``app`` a problem document."""
    app.add_exception_handler(ServitizeError, on_servitize)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(psycopg.Error, _on_database)
    app.add_exception_handler(Exception, _on_defect)


def responses(*codes: str) -> dict[int | str, dict[str, Any]]:
    """OpenAPI ``responses`` for these kinds of problem, each with an example."""
    documented: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        kind = KINDS[code]
        entry = documented.setdefault(
            kind.status,
            {
                "description": kind.title,
                "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}},
            },
        )
        entry["content"][MEDIA_TYPE]["examples"][code] = {
            "value": {
                "type": f"/docs#{kind.code}",
                "title": kind.title,
                "status": kind.status,
                "detail": kind.advice,
                "instance": "/v1/…",
            }
        }
    return documented

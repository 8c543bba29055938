"""For those who run the service: is it alive, is it ready, what are its figures? And the documents about itself."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import html
import ipaddress
from typing import Any, Final, Literal

import orjson
import psycopg
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from pydantic import BaseModel

from core.errors import ForbiddenError
from services.api.errors import KINDS, responses
from services.api.metrics import CONTENT_TYPE
from services.api.parameters import examples
from services.api.state import AppState, state_of

router = APIRouter(tags=["operations"])

_SEQUENCER_SILENT: Final = 5.0
"""Seconds without a sequencer at work after which events no longer flow: fifty of its rounds."""


class Alive(BaseModel):
    status: Literal["ok"] = "ok"


class Check(BaseModel):
    """One thing readiness depends on. ``detail`` says what was found."""

    ok: bool
    detail: str


class Ready(BaseModel):
    status: Literal["ok", "unavailable"]
    checks: dict[str, Check]


@router.get("/healthz", summary="Is the process alive?", responses={200: examples(alive={"status": "ok"})})
async def healthz() -> Alive:
    """Answers whenever the process can answer: restart it when this fails, and only then."""
    return Alive()


_READY: Final = {
    "status": "ok",
    "checks": {
        "database": {"ok": True, "detail": "answers"},
        "telemetry": {"ok": True, "detail": "last commit 0.4 s ago"},
        "sequencer": {"ok": True, "detail": "at work"},
    },
}


@router.get(
    "/readyz",
    summary="Can it do its work?",
    response_model=Ready,
    responses={200: examples(ready=_READY), 503: {"model": Ready, "description": "Something it needs is away"}},
)
async def readyz(request: Request) -> Response:
    """Database, age of the newest commit of telemetry (that is: ingest and its broker), sequencer of events."""
    app = state_of(request.app)
    checks = await _checks(app)
    ready = Ready(status="ok" if all(check.ok for check in checks.values()) else "unavailable", checks=checks)
    return JSONResponse(ready.model_dump(), status_code=200 if ready.status == "ok" else 503)


async def _checks(app: AppState) -> dict[str, Check]:
    try:
        async with app.database.transaction() as db:
            age = await db.value("commit_age")
    except psycopg.Error:
        return {"database": Check(ok=False, detail="does not answer")}
    fresh_within = app.settings.fresh_within
    seen = app.sequencer_seen
    silent = None if seen is None else asyncio.get_running_loop().time() - seen
    working = silent is not None and silent < _SEQUENCER_SILENT
    return {
        "database": Check(ok=True, detail="answers"),
        "telemetry": Check(
            ok=fresh_within is None or (age is not None and age <= fresh_within),
            detail="no commit yet" if age is None else f"last commit {age:.1f} s ago",
        ),
        "sequencer": Check(
            ok=working or not app.settings.sequence,
            detail="at work" if working else "left to another process" if not app.settings.sequence else "silent",
        ),
    }


def _from_here(request: Request) -> bool:
    """Asked on this machine, and not by a proxy on somebody else's behalf."""
    if "forwarded" in request.headers or "x-forwarded-for" in request.headers or request.client is None:
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=PlainTextResponse,
    responses={
        200: {"content": {"text/plain": {"example": 'servitize_conservation_total{name="storage.stored"} 42\n'}}},
        **responses("forbidden", "unavailable"),
    },
)
async def metrics(request: Request) -> Response:
    """Figures of this process, and conservation per hop (in = stored + duplicates + refused by reason + pending).

    They cover all tenants, so no tenant's key opens them: they are for who asks on this machine itself, without a
    proxy between, or with the operator's metrics token as bearer.
    """
    app = state_of(request.app)
    token = app.settings.metrics_token
    given = request.headers.get("authorization", "")
    if not _from_here(request) and not (token and hmac.compare_digest(given.encode(), f"Bearer {token}".encode())):
        raise ForbiddenError("metrics cover all tenants", hint="ask on the machine itself, or with the metrics token")
    async with app.database.transaction() as db:
        rows = await db.rows("platform_figures")
    return Response(app.metrics.render(rows, app.database.stats()), media_type=CONTENT_TYPE)


_STYLE: Final = (
    ":root{color-scheme:light dark}"
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}"
    "td,th{text-align:left;padding:.2rem 1rem .2rem 0;vertical-align:top}code{font-family:ui-monospace,monospace}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_DOCS_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


def _operations(document: dict[str, Any]) -> str:
    rows = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            rows.append(
                f"<tr><td><code>{method.upper()} {html.escape(path)}</code></td>"
                f"<td>{html.escape(operation.get('summary', ''))}</td></tr>"
            )
    return "".join(rows)


@router.get("/openapi.json", include_in_schema=False)
def openapi(request: Request) -> Response:
    """The contract. Made for who asks first, which takes seconds: in a thread, so others are answered meanwhile."""
    state = state_of(request.app)
    if not state.contract:
        state.contract = orjson.dumps(request.app.openapi())
    return Response(state.contract, media_type="application/json")


@router.get("/docs", include_in_schema=False)
def docs(request: Request) -> Response:
    """Operations and kinds of problems on one plain page: no script, nothing fetched from elsewhere."""
    problems = "".join(
        f"<tr id='{kind.code}'><td><code>{kind.code}</code></td><td>{kind.status}</td>"
        f"<td>{html.escape(kind.title)}</td><td>{html.escape(kind.advice)}</td></tr>"
        for kind in KINDS.values()
    )
    page = (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>servitize API</title>"
        f"<style>{_STYLE}</style></head><body><h1>servitize API</h1>"
        "<p>The contract in full, with examples: <a href='/openapi.json'>/openapi.json</a>.</p>"
        f"<h2>Operations</h2><table>{_operations(request.app.openapi())}</table>"
        "<h2>Problems</h2><p>Every refusal is <code>application/problem+json</code> (RFC 9457); "
        "its <code>type</code> leads here.</p>"
        f"<table><tr><th>type</th><th>status</th><th>title</th><th>what to do</th></tr>{problems}</table></body></html>"
    )
    return HTMLResponse(page, headers={"Content-Security-Policy": _DOCS_POLICY})

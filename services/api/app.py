"""The app: rooms put together, and nothing decided here but their order."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import APIRouter, Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

import services.access.routes
import services.alarms.routes
import services.contracts.routes
import services.diagnosis.routes
import services.lifecycle_health.routes
import services.notifications.routes
import services.predictive_maintenance.routes
import services.remote_operations.routes
import services.telemetry.routes
import services.tenancy.routes
import services.train_health.routes
from models.types import from_document
from services.api import contract, errors, operations, remember
from services.api.access import Scope
from services.api.auth import rule_of
from services.api.background import run_background
from services.api.metrics import Measure
from services.api.middleware import BodyLimit, Envelope
from services.api.parameters import refuse_unknown
from services.api.remember import Remembering
from services.api.settings import ApiSettings
from services.api.state import AppState, TypeParser
from services.predictive_maintenance.work_routes import PHOTO_LIMIT

_DESCRIPTION = """
Machines, what they measure, how they are, and what alarms about them want doing.

* Every request carries an API key (`Authorization: Bearer sv_…`) or a token of an OpenID provider that your
  organisation trusts. What is not yours is `404`, as if it did not exist; what your role may not do is `403`. Each
  operation says which scope it asks for (`security`) and which roles have it (`x-roles`).
* What changes something takes an `Idempotency-Key`: sent again within a day it is done once and answered the same.
* Refusals are problem documents (RFC 9457); their kinds are listed on `/docs`.
* Lists come in pages: give `next` of one page as `cursor` for the following one.
* Times come out as ISO 8601 in UTC (`Z`); in requests they may also be epoch milliseconds.
"""


ROOMS: Final = (
    services.access,
    services.tenancy,
    services.telemetry,
    services.lifecycle_health,
    services.alarms,
    services.predictive_maintenance,
    services.contracts,
    services.remote_operations,
    services.diagnosis,
    services.train_health,
    services.notifications,
)
"""Packages with ``routes.router``, in the order of the document."""


_LARGER: Final = ((re.compile(r"/v1/work-orders/\d+/photos"), PHOTO_LIMIT),)
"""What takes bodies beyond the settings' limit: photos."""


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    state: AppState = app.state.servitize
    state.loop = asyncio.get_running_loop()
    await state.database.refuse_unbound()
    await state.database.open()
    background = asyncio.create_task(run_background(state), name="api-background")
    try:
        yield
    finally:
        state.bell.close()
        background.cancel()
        await asyncio.gather(background, return_exceptions=True)
        await state.database.close()


def _routes(router: APIRouter) -> Iterator[APIRoute]:
    """Those of a router and of the routers that it includes."""
    for route in router.routes:
        if isinstance(route, APIRoute):
            yield route
        elif isinstance(included := getattr(route, "original_router", None), APIRouter):
            yield from _routes(included)


def _v1() -> APIRouter:
    router = APIRouter(
        prefix="/v1", responses=errors.responses("unauthenticated", "forbidden", "validation", "unavailable")
    )
    for room in ROOMS:
        for route in _routes(room.routes.router):
            # so that whatever changes something remembers, and no room has to think of it
            route.__class__ = Remembering
        router.include_router(room.routes.router)
    return router


def _rules() -> dict[str, Scope]:
    """By operation: the scope it asks for, as its route declares it."""
    found = {}
    for room in ROOMS:
        for route in _routes(room.routes.router):
            if (scope := rule_of(route)) is not None:
                found[route.name] = scope
    return found


def create_app(settings: ApiSettings, parse_type: TypeParser = from_document) -> FastAPI:
    """An ASGI app. Its lifespan opens the database pool and starts numbering of events, shelf timers and streams.

    ``parse_type`` makes an equipment type of its document, for registering equipment. The app starts without a database
    too and says so on ``/readyz``. Nothing here depends on what a former process remembered.
    """
    app = FastAPI(
        title="servitize",
        version="1",
        description=_DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        dependencies=[Depends(refuse_unknown)],
        generate_unique_id_function=lambda route: route.name,
        redirect_slashes=False,
    )
    app.state.servitize = AppState(settings, parse_type)
    errors.install(app)
    remember.install(app)
    app.include_router(operations.router)
    app.include_router(_v1())
    # Outermost last: every answer, refusals of the body limit included, is counted and carries the headers.
    app.add_middleware(BodyLimit, limit=settings.body_limit, larger=_LARGER)
    app.add_middleware(Measure, metrics=app.state.servitize.metrics)
    app.add_middleware(Envelope)

    making = threading.Lock()

    def document() -> dict[str, Any]:
        with making:
            if app.openapi_schema is None:
                app.openapi_schema = _document(app)
            return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]
    return app


def _document(app: FastAPI) -> dict[str, Any]:
    """OpenAPI with our problem documents in the place of FastAPI's own form of validation errors."""
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, openapi_version="3.1.0"
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    problem = errors.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs"))
    schemas["Problem"] = problem
    for methods in document["paths"].values():
        for operation in methods.values():
            refusal = operation["responses"].get("422")
            if refusal and "application/json" in refusal.get("content", {}):
                refusal["content"].pop("application/json")
                refusal["content"] |= errors.responses("validation")[422]["content"]
    contract.complete(document, _rules())
    return document

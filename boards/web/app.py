"""The board's own little app, mounted on the API's. Routes only: what they do is in the modules beside."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final
from urllib.parse import parse_qs, quote, urlsplit

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.exceptions import HTTPException

from boards.all import BOARDS
from boards.definition import Board
from boards.web import alarms, data, live, pages, session
from boards.web.assets import Assets
from boards.web.session import ROOT, Doorkeeper, Visitor, visit
from boards.web.words import language_of, say
from core.errors import NotFoundError, ServitizeError
from services.api import errors
from services.api.auth import Session
from services.api.state import state_of
from services.notifications import stream
from services.notifications.routes import resume_from

HOME: Final = f"{ROOT}/fleet"


def mount(app: FastAPI) -> None:
    """Serve the boards of ``app`` (made by :func:`services.api.app.create_app`) under ``/board``.

    A browser that asks for ``/`` is led there.
    """
    board = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    board.state.servitize = state_of(app)
    board.state.assets = Assets()
    board.state.doorkeeper = Doorkeeper()
    board.state.pulses = live.Pulses()
    errors.install(board)
    board.add_exception_handler(ServitizeError, _refused)
    board.add_exception_handler(HTTPException, _not_there)
    _routes(board)
    app.state.board = board
    app.mount(ROOT, board, name="board")
    app.add_route("/", _to_the_board, methods=["GET", "HEAD"], include_in_schema=False)
    app.add_route(ROOT, _to_the_board, methods=["GET", "HEAD"], include_in_schema=False)


async def _to_the_board(request: Request) -> Response:
    if request.url.path == "/" and not _wants_page(request):
        raise NotFoundError("there is nothing here; the contract is at /openapi.json")
    return RedirectResponse(HOME, 303)


def _wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _version(request: Request) -> str:
    assets = request.app.state.assets
    assert isinstance(assets, Assets)
    return assets.version


async def _refused(request: Request, error: Exception) -> Response:
    """A person gets a page: the one to sign in on, or a sentence. A script gets a problem document."""
    assert isinstance(error, ServitizeError)
    problem = await errors.on_servitize(request, error)
    if not _wants_page(request):
        return problem
    if problem.status_code == 401:
        asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"{ROOT}/sign-in?after={quote(asked, safe='')}", 303)
    language = language_of(request)
    page = pages.refusal_page(
        request, _version(request), problem.status_code, errors.KINDS[error.code].title, say(str(error), language)
    )
    for name in ("retry-after",):
        if name in problem.headers:
            page.headers[name] = problem.headers[name]
    return page


async def _not_there(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if _wants_page(request) and error.status_code == 404:
        return await _refused(request, NotFoundError("there is no such page"))
    return await errors.on_http(request, error)


def _routes(board: FastAPI) -> None:
    board.add_route("/static/{version}/{name}", board.state.assets.serve, methods=["GET", "HEAD"])
    board.add_route("/", _to_the_board, methods=["GET", "HEAD"])
    board.add_route("/sign-in", _sign_in_page, methods=["GET", "HEAD"])
    board.add_route("/sign-in", _sign_in, methods=["POST"])
    board.add_route("/sign-out", _sign_out, methods=["POST"])
    board.add_route(f"/{pages.LIST}", _alarms_page, methods=["GET", "HEAD"])
    board.add_api_route("/stream", _stream, response_class=EventSourceResponse)
    board.include_router(alarms.router)
    board.add_route("/data/{board}", _data, methods=["GET"])
    board.add_route("/{board}", _board_page, methods=["GET", "HEAD"])


# --- signing in and out -----------------------------------------------------------------------------------------------


def _after(text: str | None) -> str:
    """Where to go after signing in: a path of the board, and never another site."""
    parts = urlsplit(text or "")
    if (
        parts.scheme
        or parts.netloc
        or not parts.path.startswith(f"{ROOT}/")
        or "\\" in parts.path
        or "//" in parts.path
    ):
        return HOME
    return parts.path + (f"?{parts.query}" if parts.query else "")


async def _sign_in_page(request: Request) -> Response:
    return pages.sign_in_page(request, _version(request), _after(request.query_params.get("after")))


async def _form(request: Request) -> dict[str, str]:
    body = (await request.body()).decode(errors="replace")
    return {name: found[0] for name, found in parse_qs(body, max_num_fields=10).items()}


async def _sign_in(request: Request) -> Response:
    session.same_origin(request)
    request.app.state.doorkeeper.admit(request)
    form = await _form(request)
    after = _after(form.get("after"))
    ticket = form.get("ticket", "").strip()
    secret = await (session.sign_in_once(request, ticket) if ticket else session.sign_in(request, form.get("key", "")))
    if secret is None:
        request.app.state.doorkeeper.failed(request)
        why = (
            "This link was used already, or is too old. Sign in with a key."
            if ticket
            else "This key is wrong, revoked or expired."
        )
        return pages.sign_in_page(request, _version(request), after, say(why, language_of(request)), 401)
    # an older session of this browser ends: nobody could end it later
    await session.sign_out(request)
    response = RedirectResponse(after, 303)
    session.give_cookie(request, response, secret)
    return response


async def _sign_out(request: Request) -> Response:
    form = await _form(request)
    session.genuine(request, form.get("csrf"))
    await session.sign_out(request)
    response = RedirectResponse(f"{ROOT}/sign-in", 303)
    session.take_cookie(request, response)
    return response


# --- boards -----------------------------------------------------------------------------------------------------------


def _board(request: Request) -> Board:
    found = BOARDS.get(request.path_params["board"])
    if found is None:
        raise NotFoundError("there is no such board")
    return found


async def _board_page(request: Request) -> Response:
    async with visit(request) as (visitor, asked):
        board = _board(request)
        now = await data.now_us(asked)
        span = data.time_range(request.query_params, board.window, now)
        made = await data.choices(asked, board, request.query_params, span)
        about = await _machine(asked, made)
    return pages.board_page(request, visitor, _version(request), board, made, about, now)


async def _machine(asked: Session, made: list[data.Choice]) -> dict[str, Any] | None:
    chosen = next((choice.chosen for choice in made if choice.variable.key == "equipment"), None)
    return None if chosen is None else await session.row(asked.db, "machine", equipment=chosen)


async def _data(request: Request) -> Response:
    """``panels`` (comma-separated; all, if not given) and ``marks=1``; variables and time as on the page."""
    async with visit(request) as (_, asked):
        board = _board(request)
        query = request.query_params
        now = await data.now_us(asked)
        span = data.time_range(query, board.window, now)
        made = await data.choices(asked, board, query, span)
        chosen = {choice.variable.key: choice.chosen for choice in made}
        panels = {
            panel.key: await data.panel_answer(asked, panel, chosen, span) for panel in data.asked_panels(board, query)
        }
        marks = {}
        if query.get("marks"):
            marks = {note.key: await data.marks(asked, note, chosen, span) for note in board.annotations}
    body = {"now": now / 1000, "from": span.from_us / 1000, "to": span.to_us / 1000, "panels": panels, "marks": marks}
    return JSONResponse(body)


async def _alarms_page(request: Request) -> Response:
    async with visit(request) as (visitor, asked):
        now = await data.now_us(asked)
    return pages.alarms_page(request, visitor, _version(request), now)


# --- events -----------------------------------------------------------------------------------------------------------


async def _reserved(request: Request) -> Visitor:
    visitor = await session.identify(request)
    stream.reserve(state_of(request.app), visitor.principal)
    return visitor


async def _stream(
    request: Request,
    visitor: Annotated[Visitor, Depends(_reserved)],
    resume: Annotated[int | None, Depends(resume_from)],
) -> AsyncIterator[ServerSentEvent]:
    """As ``/v1/stream``, with a pulse; for the cookie's holder."""
    async for event in live.events(request, visitor, request.app.state.pulses, resume):
        yield event

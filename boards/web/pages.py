"""Pages as HTML: signing in, a board, alarms, refusals. Scripts fill them; without scripts they say so."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from boards.all import BOARDS, boards_for
from boards.definition import Board
from boards.queries import parameters
from boards.texts import LANGUAGES
from boards.web.data import Choice
from boards.web.session import ROOT, Visitor
from boards.web.view import board_view
from boards.web.words import language_of, say, words
from services.api.auth import Scope

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Nothing from elsewhere, nothing inline, and no text that a script could turn into markup."""
LIST: Final = "alarm-list"
"""Where the list of alarms is; in the menu behind the fleet."""
THEMES: Final = ("auto", "light", "dark")
THEME_COOKIE: Final = "board-theme"
_NAMES: Final = {"en": "English", "zh": "中文"}


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("boards.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def as_json(value: Any) -> Markup:
    """JSON that stays data inside a ``<script type="application/json">``, whatever texts are in it."""
    text = orjson.dumps(value, default=str).decode()
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))  # noqa: S704 - escaped here


def render(request: Request, template: str, version: str, status: int = 200, **more: Any) -> HTMLResponse:
    """A page in the reader's language and theme."""
    language = language_of(request)
    theme = request.cookies.get(THEME_COOKIE, "auto")
    html = (
        _environment()
        .get_template(template)
        .render(
            _=lambda text: say(text, language),
            language=language,
            languages=[(key, _NAMES[key]) for key in LANGUAGES],
            theme=theme if theme in THEMES else "auto",
            root=ROOT,
            static=f"{ROOT}/static/{version}",
            **{"visitor": None, "menu": [], "current": "", **more},
        )
    )
    headers = {"Content-Security-Policy": POLICY, "Vary": "Cookie, Accept-Language", "Content-Language": language}
    return HTMLResponse(html, status_code=status, headers=headers)


def menu(language: str) -> list[tuple[str, str]]:
    """(key, title) of boards that need no choice of a machine, and the list of alarms, in the order of the house."""
    whole = [(board.key, say(board.title, language)) for board in BOARDS.values() if not _about_one(board)]
    at = next((n + 1 for n, (key, _) in enumerate(whole) if key == "fleet"), 0)
    return [*whole[:at], (LIST, say("Alarms", language)), *whole[at:]]


def _about_one(board: Board) -> bool:
    return any(variable.key == "equipment" for variable in board.variables)


def _page_data(request: Request, visitor: Visitor, version: str, **more: Any) -> Markup:
    language = language_of(request)
    return as_json(
        {
            "root": ROOT,
            "language": language,
            "words": words(language),
            "csrf": visitor.csrf,
            "mayOperate": visitor.may(Scope.OPERATE),
            "version": version,
            **more,
        }
    )


def board_page(
    request: Request,
    visitor: Visitor,
    version: str,
    board: Board,
    made: list[Choice],
    about: Mapping[str, Any] | None,
    now: int,
) -> HTMLResponse:
    """A board, empty yet. ``about``: the machine chosen (``name``, ``points``, ``learned``), where it is about one.
    ``now``: the tenant's (µs)."""
    language = language_of(request)

    def word(text: str) -> str:
        return say(text, language)

    variables = [
        {
            "key": choice.variable.key,
            "title": word(choice.variable.title),
            "optional": choice.variable.optional,
            "chosen": choice.chosen,
            "dependent": bool(parameters(choice.variable.query) & {other.variable.key for other in made}),
            "options": [[value, word(text)] for value, text in choice.options],
        }
        for choice in made
    ]
    part = next((word(text) for choice in made if choice.variable.key == "component"
                 for value, text in choice.options if value == choice.chosen), None)  # fmt: skip
    units = {choice.variable.key: choice.unit for choice in made}
    fitting = boards_for(about["points"], learned=about["learned"]) if about else []
    tabs = [(other.key, word(other.title)) for other in fitting]
    data = _page_data(
        request, visitor, version, now=now / 1000, board=board_view(board, word, units), variables=variables
    )
    return render(
        request, "board.html", version, visitor=visitor, menu=menu(language), current=board.key, board=board,
        tabs=tabs if len(tabs) > 1 else [], about=about, part=part, variables=variables, data=data,
    )  # fmt: skip


def alarms_page(request: Request, visitor: Visitor, version: str, now: int) -> HTMLResponse:
    """The list of alarms, to be worked from."""
    data = _page_data(request, visitor, version, now=now / 1000)
    return render(
        request, "alarms.html", version, visitor=visitor, menu=menu(language_of(request)), current=LIST, data=data
    )


def sign_in_page(request: Request, version: str, after: str, refused: str = "", status: int = 200) -> HTMLResponse:
    """``after``: where to go then (checked by whoever goes there). ``refused``: why the last attempt failed."""
    return render(request, "sign_in.html", version, status, after=after, refused=refused)


def refusal_page(request: Request, version: str, status: int, title: str, detail: str) -> HTMLResponse:
    return render(request, "refusal.html", version, status, title=title, detail=detail)

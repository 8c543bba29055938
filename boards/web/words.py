"""The web board's own words: those of buttons, refusals and pages that no definition has. English is the key."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import yaml
from starlette.requests import Request

from boards.texts import LANGUAGES, translate

_FOLDER: Final = Path(__file__).parent / "texts"
LANGUAGE_COOKIE: Final = "board-language"


@functools.cache
def words(language: str) -> Mapping[str, str]:
    """English → ``language``; empty for English."""
    if language == "en":
        return {}
    found = yaml.safe_load((_FOLDER / f"{language}.yaml").read_text(encoding="utf-8"))
    return {str(key): str(value) for key, value in found.items()}


def say(text: str, language: str) -> str:
    """A word of the web board or of a definition in the reader's language; what is in no catalogue stays as it is."""
    return words(language).get(text) or translate(text, language)


def language_of(request: Request) -> str:
    """``?lang=``, else what was chosen before, else what the browser asks for first of what there is, else English."""
    for chosen in (request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE)):
        if chosen in LANGUAGES:
            return str(chosen)
    wanted: list[tuple[float, str]] = []
    for part in request.headers.get("accept-language", "")[:200].split(","):
        tag, _, weight = part.strip().partition(";q=")
        try:
            wanted.append((float(weight or 1), tag.split("-")[0].lower()))
        except ValueError:
            continue
    # "zh-CN", "zh-Hans" and "zh" are all Chinese to us
    for liking, language in sorted(wanted, key=lambda pair: -pair[0]):
        if liking > 0 and language in LANGUAGES:
            return language
    return "en"

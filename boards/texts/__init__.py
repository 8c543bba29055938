"""Texts of boards in the reader's language. English is the key; ``<language>.yaml`` beside this file maps it to the
other.

Every renderer asks here for the texts of definitions; a renderer's own words may have a catalogue of its own.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import yaml

LANGUAGES: Final = ("en", "zh")
_FOLDER = Path(__file__).parent


@functools.cache
def catalogue(language: str) -> Mapping[str, str]:
    """English → ``language``; empty for English. Raises KeyError for a language that is not there."""
    if language not in LANGUAGES:
        raise KeyError(language)
    if language == "en":
        return {}
    found = yaml.safe_load((_FOLDER / f"{language}.yaml").read_text(encoding="utf-8"))
    return {str(key): str(value) for key, value in found.items()}


def translate(text: str, language: str) -> str:
    """``text`` itself where there is no translation: a word out of the data (an alarm's title) is shown as it is."""
    return catalogue(language).get(text, text)

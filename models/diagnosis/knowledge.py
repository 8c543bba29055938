"""The failure modes and their symptoms, from ``knowledge.yaml`` (ISO 13379-1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml

from core.errors import NotFoundError


@dataclass(frozen=True, slots=True)
class Mode:
    """One failure mode, in words for a person."""

    key: str
    title: str
    support: tuple[str, ...]
    symptoms: tuple[str, ...]
    confirm: tuple[str, ...]
    refute: tuple[str, ...]
    action: str


@cache
def modes() -> Mapping[str, Mode]:
    """All modes by key."""
    return {
        key: Mode(
            key,
            entry["title"],
            tuple(entry["support"]),
            tuple(entry["symptoms"]),
            tuple(entry["confirm"]),
            tuple(entry["refute"]),
            entry["action"],
        )
        for key, entry in _data()["modes"].items()
    }


@cache
def types() -> Mapping[str, tuple[str, ...]]:
    """Modes by class of machine."""
    return {name: tuple(keys) for name, keys in _data()["types"].items()}


def modes_of(kind: str) -> tuple[str, ...]:
    """Modes of one class of machine; raises where it is not known."""
    found = types().get(kind)
    if found is None:
        raise NotFoundError(f"no class of machine {kind!r}", hint=f"there are {', '.join(types())}")
    return found


@cache
def _data() -> Mapping[str, Any]:
    text = resources.files("models.diagnosis").joinpath("knowledge.yaml").read_text(encoding="utf-8")
    data: Mapping[str, Any] = yaml.safe_load(text)
    return data

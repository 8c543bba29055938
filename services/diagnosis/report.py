"""A case as a document that stands by itself: for the customer's file, readable in ten years."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import numpy as np

from models.vibration import curves
from rendering import documents
from rendering.curves import draw, trend
from services.api.database import Row
from services.diagnosis.model import Case

ORDER: Final = ("envelope", "waterfall", "spectrum", "orbit", "waveform")
"""Plots as one reads them: first what decides."""
_MOST_TRENDS: Final = 6


def page(case: Case, frozen: Mapping[str, Any], journal: Sequence[Row]) -> str:
    """HTML with every picture inside."""
    pictures = sorted(frozen.get("curves", {}).items(), key=lambda item: _place(item[0]))
    plots = [
        {"title": found["title"], "data": _inline(draw(curves.from_document(found), "svg"))} for _, found in pictures
    ]
    about = round(case.about.timestamp() * 1e6)
    trends = sorted(frozen.get("trends", ()), key=_rank)[:_MOST_TRENDS]
    return documents.page(
        "case",
        {
            "case": case,
            "diagnosis": case.diagnosis,
            "plots": plots,
            "trends": [{"title": t["title"], "data": _inline(trend(t, about))} for t in trends],
            "journal": [
                {**row, "text": (row["body"] or {}).get("text") or (row["body"] or {}).get("title") or ""}
                for row in reversed(journal)
            ],
            "looked_back": timedelta(days=30).days,
        },
    )


def pdf(html: str, title: str) -> bytes:
    """The same as PDF."""
    return documents.pdf(html, title)


def _inline(svg: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode()


def _place(name: str) -> tuple[int, str]:
    kind = name.rpartition(".")[2]
    return (ORDER.index(kind) if kind in ORDER else len(ORDER), name)


def _rank(found: Mapping[str, Any]) -> tuple[float, str]:
    """What grew most comes first: the last tenth over the spread of the first half."""
    values = np.asarray(found["values"], np.float64)
    early, late = values[: max(len(values) // 2, 1)], values[-max(len(values) // 10, 1) :]
    spread = float(np.ptp(early)) + 0.02 * float(np.abs(values).max(initial=0.0)) + 1e-12
    return (-abs(float(late.mean() - early.mean())) / spread, str(found["point"]))

"""An inspection's report as a page that stands by itself, with pictures of what the round captured."""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime, timedelta

from core.errors import NotFoundError
from rendering import documents
from rendering.curves import draw
from services.api.database import Transaction
from services.api.state import TypeParser
from services.diagnosis import service as diagnosis
from services.remote_operations import rounds_model as model

_ANSWER_WITHIN = timedelta(hours=1)
"""As long as a device may take to answer a capture."""


async def page(db: Transaction, plan: model.Inspection, report: model.Report, parse: TypeParser) -> str:
    """HTML; of every captured channel the waveform, as far as its samples are still kept."""
    plots = []
    for number in report.waveforms:
        known = await diagnosis.places(db, parse, plan.equipment.id)
        try:
            data, _, _ = await diagnosis.one(db, number, None)
        except NotFoundError:
            continue
        for channel in data.channels:
            curve = await asyncio.to_thread(diagnosis.curve, known, data, channel, "waveform", None, None)
            picture = await asyncio.to_thread(draw, curve, "svg")
            inside = "data:image/svg+xml;base64," + base64.b64encode(picture).decode()
            plots.append({"title": f"{channel}, waveform {number}", "data": inside})
    return documents.page(
        "inspection",
        {
            "plan": plan,
            "report": report,
            "points": sorted(report.points.items()),
            "plots": plots,
            "late": datetime.now(UTC) - report.at > _ANSWER_WITHIN,
        },
    )

"""Documents for people outside: one template, as a page and as PDF."""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import jinja2

from core.time import to_datetime
from core.units import shown_unit


@functools.cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("rendering.documents", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["moment"] = _moment
    environment.filters["grouped"] = _grouped
    environment.filters["unit"] = shown_unit
    return environment


def _moment(value: int | datetime | None, timezone: str = "UTC", *, seconds: bool = False) -> str:
    """Local date and time of µs UTC or an aware datetime, with its offset's name."""
    if value is None:
        return "–"
    at = value if isinstance(value, datetime) else to_datetime(value)
    return at.astimezone(ZoneInfo(timezone)).strftime("%Y-%m-%d %H:%M:%S %Z" if seconds else "%Y-%m-%d %H:%M %Z")


def _grouped(value: str | None) -> str:
    """Digits of a decimal text in threes: ``1234567.80`` is ``1 234 567.80`` (thin spaces)."""
    if value is None:
        return ""
    sign, digits = ("−", value[1:]) if value.startswith("-") else ("", value)
    whole, _, rest = digits.partition(".")
    grouped = f"{int(whole):,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return f"{sign}{grouped}.{rest}" if rest else f"{sign}{grouped}"


def page(template: str, content: Mapping[str, Any]) -> str:
    """HTML of ``templates/<template>.html``, with its style inside: no script, nothing fetched from elsewhere."""
    return _templates().get_template(f"{template}.html").render(content)


def pdf(html: str, title: str) -> bytes:
    """The same page as PDF, A4."""
    # 145 MB of library: who prints nothing does not load it
    import plutoprint

    book = plutoprint.Book(plutoprint.PAGE_SIZE_A4, plutoprint.PAGE_MARGINS_NONE, plutoprint.MEDIA_TYPE_PRINT)
    book.set_metadata(plutoprint.PDF_METADATA_TITLE, title)
    book.load_html(html)
    stream = io.BytesIO()
    book.write_to_pdf_stream(stream)
    return stream.getvalue()

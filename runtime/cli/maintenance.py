"""``servitize evaluate maintenance``: what acting on advisories is worth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Years = Annotated[int, typer.Option("--years", min=2, max=200, metavar="N", help="Simulated fleet-years per policy.")]
Page = Annotated[Path | None, typer.Option("--page", metavar="FILE", help="Write the page of the reference there.")]


def evaluate_maintenance(years: Years = 12, page: Page = None) -> None:
    """Cost of a year of fifty machines under several policies: run to failure, fixed intervals, best age replacement
    (Weibull optimum), acting on advisories as the service does, and perfect foresight.

    \b
    Example:
      servitize evaluate maintenance --page docs/reference/maintenance.md
    """
    from workbench.maintenance import report

    found = report.evaluate(years, max(2, years // 4))
    text = report.page(found)
    if page is None:
        print(text)
    else:
        page.write_text(text, encoding="utf-8")
        print(f"written: {page}")

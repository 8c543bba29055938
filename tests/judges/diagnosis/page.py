"""Figures into docs/reference/diagnosis.md, between markers, by the command that measured them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "diagnosis.md"


def replace(section: str, text: str, page: Path = PAGE) -> None:
    """Replace what stands between ``<!-- section -->`` and ``<!-- /section -->``."""
    old = page.read_text(encoding="utf-8")
    pattern = re.compile(rf"(<!-- {section} -->\n).*?(<!-- /{section} -->)", re.DOTALL)
    if not pattern.search(old):
        raise SystemExit(f"{page} has no section {section!r}")
    page.write_text(pattern.sub(lambda found: found[1] + text + found[2], old), encoding="utf-8")


def judged(found: dict[str, Any]) -> str:
    """The table of the judge on drawn machines."""
    lines = ["| class | cases | decided | right of decided |", "|---|---|---|---|"]
    for kind, row in found["classes"].items():
        if row["right"] is None:
            lines.append(f"| {kind} | {row['cases']} | abstained {percent(row['abstained'], row['cases'])} | |")
        else:
            right = percent(row["right"], row["decided"])
            lines.append(f"| {kind} | {row['cases']} | {percent(row['decided'], row['cases'])} | {right} |")
    lines.append("")
    lines.append(
        f"Expected calibration error {found['ece']:.3f} over {found['claims']} claims; seed {found['seed']}, "
        f"{found['cpu_seconds'] / max(1, sum(r['cases'] for r in found['classes'].values())):.2f} CPU-s per machine of "
        "two or three channels, its drawing included."
    )
    return "\n".join(lines) + "\n"


def percent(part: int, whole: int) -> str:
    """``95 %``, or a dash of nothing."""
    return f"{100 * part / whole:.0f} %" if whole else "–"

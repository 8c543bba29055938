"""The command's face: progress while it runs, a table to read, JSON for programs."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from core.errors import InvalidInputError
from core.time import isoformat
from simulators.contract import NEVER
from workbench.evaluate.demo import machines_of, run_demo, summary, verdict_of
from workbench.evaluate.verdict import Announced, Finding, Verdict

_SEEDS: Final = re.compile(r"(\d+)(?:-(\d+))?")
MAX_SEEDS: Final = 500


def parse_seeds(text: str) -> list[int]:
    """Seeds of ``"1-10"``, ``"7"`` or ``"1-3,8"``; raises :class:`~core.errors.InvalidInputError`.

    >>> parse_seeds("1-3,8")
    [1, 2, 3, 8]
    """
    seeds: list[int] = []
    for part in text.split(","):
        match = _SEEDS.fullmatch(part.strip())
        if match is None:
            raise InvalidInputError(f"{text!r} names no seeds", hint="for example --seeds 1-10, or 3, or 1-3,8")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or last - first >= MAX_SEEDS:
            raise InvalidInputError(f"seeds {part.strip()}: from low to high, at most {MAX_SEEDS}", hint="--seeds 1-10")
        seeds += range(first, last + 1)
    return list(dict.fromkeys(seeds))


def evaluate_demo_command(
    seeds: str = "1-10",
    days: float = 7.0,
    faults: bool = True,
    as_json: bool = False,
    jobs: int = 2,
    models: Path | None = None,
) -> int:
    """``servitize evaluate demo``: run, show, return the exit code (0: it ran; the figures are the result).

    With ``as_json`` standard output is one JSON object; progress goes to standard error, if that is a terminal.
    ``models``: a folder of learned models that look beside the limits; they are learned into it where it is empty.
    Then the result has a second part, ``without_models``: the same run without their alarms.
    """
    wanted = parse_seeds(seeds)
    errors = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeElapsedColumn(),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        learned = None
        if models is not None:
            from workbench.evaluate.demo_models import kept  # with scikit-learn

            learning = bar.add_task("learning what is normal", total=1.0)
            learned = kept(models, lambda share: bar.update(learning, completed=share))
        task = bar.add_task(f"{4 * len(wanted)} machines, {days:g} days", total=1.0)
        runs = run_demo(
            wanted, days, faults, jobs=jobs, models=learned,
            progress=lambda share: bar.update(task, completed=share),
        )  # fmt: skip
    verdict, machines = verdict_of(runs), machines_of(runs)
    result = summary(verdict, wanted, days, machines)
    if learned is not None:
        from workbench.evaluate.demo_models import by_a_model

        plain = verdict_of(runs, lambda alarm: not by_a_model(alarm))
        result["without_models"] = summary(plain, wanted, days, machines)
    if as_json:
        sys.stdout.write(json.dumps(result) + "\n")
    else:
        show(Console(), verdict, result)
        if learned is not None:
            Console().print(_beside(result), highlight=False)
    return 0


def _beside(result: dict[str, Any]) -> Table:
    """Delays with and without learned models."""
    table = Table("fault", "with models", "limits alone", title="Median delay", title_justify="left")
    for kind, row in result["by_kind"].items():
        delays = (row["median_delay_h"], result["without_models"]["by_kind"][kind]["median_delay_h"])
        table.add_row(kind, *("–" if delay is None else f"{delay:.1f} h" for delay in delays))
    return table


def show(console: Console, verdict: Verdict, result: dict[str, Any]) -> None:
    """The table, then everything that is not as it should be, one line each."""
    if result["by_kind"]:
        console.print(_table(result["by_kind"]))
    console.print(
        f"{result['found']} of {result['faults']} faults found before their stated limit, {result['late']} late; "
        f"{result['wrong_component']} alarms on a wrong component, {result['false_alarms']} false alarms "
        f"in {result['equipment_days']:g} equipment-days.",
        highlight=False,
    )
    _lines(console, "Not found in time", [_of_finding(f) for f in verdict.findings if f.outcome != "found"])
    _lines(console, "Wrong component or concern", [_of_alarm(a) for a in verdict.wrong_component])
    _lines(console, "False alarms", [_of_alarm(a) for a in verdict.false_alarms])


def _table(by_kind: dict[str, dict[str, Any]]) -> Table:
    table = Table("fault", "n", "found", "median delay", title="Faults by kind", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for kind, row in by_kind.items():
        delay = row["median_delay_h"]
        style = None if row["found"] == row["n"] else "yellow" if row["found"] >= 0.9 * row["n"] else "red"
        table.add_row(kind, str(row["n"]), str(row["found"]), "–" if delay is None else f"{delay:.1f} h", style=style)
    return table


def _lines(console: Console, title: str, lines: Sequence[str]) -> None:
    if lines:
        console.print(f"\n{title}:")
        for line in lines:
            console.print(f"  {line}", highlight=False, markup=False)


def _of_finding(finding: Finding) -> str:
    fault = finding.fault
    where = fault.point or fault.component
    limit = "never reached" if fault.limit_at == NEVER else isoformat(fault.limit_at)
    found = "" if finding.at is None else f", alarmed {isoformat(finding.at)}"
    since = isoformat(fault.onset)
    return f"{finding.outcome}: {fault.mode} on {fault.equipment} {where} from {since}, limit {limit}{found}"


def _of_alarm(alarm: Announced) -> str:
    return f"{isoformat(alarm.at)} {alarm.equipment} {alarm.condition} ({alarm.concern}): {alarm.title}"

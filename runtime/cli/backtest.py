"""``servitize backtest``: what would have been said of history."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from runtime.cli.options import AsJson, Home, data_directory

From = Annotated[str | None, typer.Option("--from", metavar="TIME", help="ISO 8601 (default: the first reading).")]
To = Annotated[str | None, typer.Option("--to", metavar="TIME", help="ISO 8601 (default: the last reading).")]
Equipment = Annotated[list[str] | None, typer.Option("--equipment", metavar="KEY", help="Only this (repeatable).")]
Tenant = Annotated[str | None, typer.Option("--tenant", metavar="SLUG", help="Only this tenant's.")]
Limits = Annotated[
    list[Path] | None,
    typer.Option("--limits", metavar="FILE", help="A type as YAML, in place of the published one.", exists=True),
]
Failures = Annotated[
    Path | None,
    typer.Option(
        "--failures", metavar="CSV", help="equipment,at[,component,mode] (default: stored events).", exists=True
    ),
]
Horizon = Annotated[str, typer.Option("--horizon", metavar="D", help="How long before a failure an alarm warns of it.")]
WarmUp = Annotated[
    str | None, typer.Option("--warm-up", metavar="D", help="Learn so long before --from (default: all there is).")
]
Prices = Annotated[str | None, typer.Option("--prices", metavar="missed=N,foreseen=N,false=N", help="Adds the cost.")]
Models = Annotated[
    list[str] | None,
    typer.Option("--models", metavar="NAME@N", help="Let these speak, or 'none' (repeatable; default: the champions)."),
]
Jobs = Annotated[int, typer.Option("--jobs", min=1, max=64, help="Processes at work.")]


def backtest(
    time_from: From = None,
    time_to: To = None,
    equipment: Equipment = None,
    tenant: Tenant = None,
    limits: Limits = None,
    failures: Failures = None,
    horizon: Horizon = "30 d",
    warm_up: WarmUp = None,
    models: Models = None,
    prices: Prices = None,
    jobs: Jobs = 2,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Run stored history through the processor of the stream; nothing is written.

    Shows what would have been announced, how that compares with what was, and, where failures are known, how many
    were foreseen, how long before, and how many alarms were for nothing.

    \b
    Examples:
      servitize backtest --from 2026-03-01 --to 2026-04-01 --equipment K-101
      servitize types show compressor-train > tighter.yaml    (edit it, then)
      servitize backtest --models normal/compressor-train@2 --from 2026-03-01
      servitize backtest --limits tighter.yaml --failures failures.csv --prices missed=50000,foreseen=9000,false=800
    """
    from core.time import parse_duration, parse_instant
    from models.types import load_type
    from runtime import access
    from runtime.bootstrap import MODEL_SIGNING
    from workbench.backtest.command import Question, backtest_command, parse_models
    from workbench.backtest.verdict import parse_prices, read_failures

    data = data_directory(home)
    types = {t.key: t for t in (load_type(path) for path in limits or ())}
    question = Question(
        tenant,
        tuple(equipment or ()),
        None if time_from is None else parse_instant(time_from),
        None if time_to is None else parse_instant(time_to),
        None if warm_up is None else parse_duration(warm_up),
        types,
        None if models is None else parse_models(models),
        data.secret(MODEL_SIGNING),
    )
    known = None if failures is None else read_failures(failures)
    money = None if prices is None else parse_prices(prices)
    within = parse_duration(horizon)
    with access.endpoints_of(data) as endpoints:
        code = backtest_command(
            endpoints.databases["owner"], question,
            failures=known, horizon=within, prices=money, jobs=jobs, as_json=as_json,
        )  # fmt: skip
    sys.exit(code)

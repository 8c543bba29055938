"""``servitize replay`` and ``servitize evaluate``: recordings and judges, run at a desk."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from runtime.cli.groups import group
from runtime.cli.options import AsJson, Home, data_directory

evaluate = group(
    "Judge the detectors on simulated fleets.\n\n\b\nExample:\n  servitize evaluate demo --seeds 1-3 --days 2 --json"
)

Files = Annotated[list[Path], typer.Argument(metavar="FILE…", help="Recordings.", exists=True)]
Profile = Annotated[
    str, typer.Option("--profile", metavar="NAME", help="skab, azure_pdm, wind_scada, metropt3, or a profile's file.")
]
Speed = Annotated[str, typer.Option("--speed", metavar="X|max", help="Times as fast as recorded.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, metavar="N", help="Only the first N rows of each file.")]
Shuffle = Annotated[int | None, typer.Option("--shuffle", metavar="SEED", help="In a random order.")]
Twice = Annotated[bool, typer.Option("--twice", help="Send everything twice: the tables must not change.")]
Tenant = Annotated[str | None, typer.Option("--tenant", metavar="SLUG", help="Into this tenant (default replay-NAME).")]
Seeds = Annotated[str, typer.Option("--seeds", metavar="A-B", help="Fleets to judge, e.g. 1-10 or 3,5,8.")]
Days = Annotated[float, typer.Option("--days", min=0.5, help="Simulated days per fleet.")]
Faults = Annotated[str, typer.Option("--faults", metavar="all|none", help="none: nothing may be alarmed.")]

Models = Annotated[
    Path | None,
    typer.Option("--models", metavar="DIR", help="Learned models look too; made there if missing."),
]
Jobs = Annotated[int, typer.Option("--jobs", min=1, max=64, help="Processes at work.")]


def replay(
    files: Files,
    profile: Profile,
    speed: Speed = "max",
    limit: Limit = None,
    shuffle: Shuffle = None,
    twice: Twice = False,
    tenant: Tenant = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Publish recordings through the broker of the running instance.

    \b
    Examples:
      servitize replay data/*.csv --profile skab
      servitize replay telemetry.csv --profile azure_pdm --speed 3600
    """
    from runtime import access
    from runtime.recordings import service_session
    from workbench.replay.command import replay_command

    endpoints = access.running_endpoints(data_directory(home))
    with access.connected(endpoints.databases["owner"]) as connection:
        replay_command(
            files,
            profile,
            connection=connection,
            mqtt=service_session(endpoints),
            speed=speed,
            limit=limit,
            shuffle=shuffle,
            twice=twice,
            tenant=tenant,
            as_json=as_json,
        )


@evaluate.command("demo")
def evaluate_demo(
    seeds: Seeds = "1-3",
    days: Days = 2.0,
    faults: Faults = "all",
    jobs: Jobs = 2,
    models: Models = None,
    as_json: AsJson = False,
) -> None:
    """Run the core on simulated fleets faster than real time: three compressor trains and a six-car train each.

    \b
    Examples:
      servitize evaluate demo --seeds 1-3 --days 2
      servitize evaluate demo --seeds 1-10 --days 7 --faults none --json
      servitize evaluate demo --seeds 21-23 --days 7 --models demo-models     (learned there the first time)
    """
    from core.errors import InvalidInputError
    from workbench.evaluate.report import evaluate_demo_command

    if faults not in ("all", "none"):
        raise InvalidInputError(f"{faults!r} is no choice of faults", hint="all or none")
    sys.exit(evaluate_demo_command(seeds, days, faults=faults == "all", as_json=as_json, jobs=jobs, models=models))

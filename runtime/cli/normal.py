"""``servitize evaluate skab|azure|ims|metropt3``: what is told of public recordings whose truth is known."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from runtime.cli.options import AsJson

Data = Annotated[Path, typer.Option("--data", metavar="DIR", help="The folder of the recordings.", exists=True)]
Subsets = Annotated[str, typer.Option("--subsets", metavar="X,Y", help="Only these (default: all that are there).")]
Plots = Annotated[Path | None, typer.Option("--plots", metavar="DIR", help="Draw pictures into this folder.")]
Healthy = Annotated[
    Path | None,
    typer.Option(
        "--healthy", metavar="FILE", help="A long healthy recording (default: a simulated train).", exists=True
    ),
]
Quick = Annotated[bool, typer.Option("--no-healthy", help="Leave the healthy recording out.")]


def evaluate_skab(
    data: Data,
    subsets: Subsets = "",
    healthy: Healthy = None,
    no_healthy: Quick = False,
    plots: Plots = None,
    as_json: AsJson = False,
) -> None:
    """Find anomalies of a water circuit: learn from a file's first 400 rows, score the rest.

    \b
    Example:
      servitize evaluate skab --data skab
      servitize evaluate skab --data skab --subsets valve2,other --healthy anomaly-free.csv --json
    """
    from workbench.evaluate.normal_report import skab_command

    wanted = None if no_healthy else str(healthy) if healthy is not None else "simulated"
    sys.exit(skab_command(data, subsets, healthy=wanted, as_json=as_json, plots=plots))


def evaluate_azure(data: Data, subsets: Subsets = "", as_json: AsJson = False) -> None:
    """Foretell failures from telemetry, errors and services, each machine by a model of the others.

    \b
    Example:
      servitize evaluate azure --data azure_pdm --json
    """
    from workbench.evaluate.normal_report import azure_command

    sys.exit(azure_command(data, subsets, as_json=as_json))


def evaluate_ims(data: Data, subsets: Subsets = "", as_json: AsJson = False) -> None:
    """Watch bearings run until some of them fail.

    A file <test>_failed.csv with their numbers says which did, where the data set's own readme does not.

    \b
    Example:
      servitize evaluate ims --data ims --subsets test1
    """
    from workbench.evaluate.normal_report import ims_command

    sys.exit(ims_command(data, subsets, as_json=as_json))


def evaluate_metropt3(data: Data, subsets: Subsets = "", as_json: AsJson = False) -> None:
    """Tell failing windows of a train's air production unit from normal ones, learned from normal ones alone.

    \b
    Example:
      servitize evaluate metropt3 --data metropt3 --json
    """
    from workbench.evaluate.normal_report import metropt3_command

    sys.exit(metropt3_command(data, subsets, as_json=as_json))

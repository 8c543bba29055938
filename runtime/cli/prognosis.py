"""``servitize evaluate cmapss``: remaining life, judged on run-to-failure data."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from runtime.cli.options import AsJson

Data = Annotated[
    Path, typer.Option("--data", metavar="DIR", help="Folder with train_X.txt, test_X.txt, RUL_X.txt.", exists=True)
]
Subsets = Annotated[str, typer.Option("--subsets", metavar="X,Y", help="Only these (default: all that are there).")]
Plots = Annotated[Path | None, typer.Option("--plots", metavar="DIR", help="Draw pictures into this folder.")]


def evaluate_cmapss(data: Data, subsets: Subsets = "", plots: Plots = None, as_json: AsJson = False) -> None:
    """Learn remaining life from machines run to failure, and judge it on machines cut off before.

    \b
    Example:
      servitize evaluate cmapss --data CMAPSSData --subsets FD001,FD003 --plots pictures
    """
    from workbench.evaluate.cmapss_report import evaluate_cmapss_command

    sys.exit(evaluate_cmapss_command(data, subsets, as_json=as_json, plots=plots))

"""``servitize diagnose`` and ``servitize evaluate bearings``: vibration recordings, at a desk."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runtime.cli.options import AsJson, print_json, print_table

if TYPE_CHECKING:
    from models.vibration.bearings import Bearing

Designation = Annotated[
    str, typer.Option("--bearing", metavar="NAME", help="From the catalogue, e.g. 6205 or 'SKF 6310-2Z'.")
]
Multiples = Annotated[
    str,
    typer.Option("--multiples", metavar="IR=…,OR=…,B=…,FTF=…", help="Its lines in orders of the shaft; B is 2×BSF."),
]
ChannelName = Annotated[str | None, typer.Option("--channel", metavar="NAME", help="Only this channel, e.g. DE or FE.")]
Rate = Annotated[
    float | None, typer.Option("--rate", metavar="HZ", min=1.0, help="Samples per second (default: by name or file).")
]
Rpm = Annotated[float | None, typer.Option("--rpm", metavar="N", min=1.0, help="Speed (default: by name or file).")]


def diagnose(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="npz, csv, wav or mat.", exists=True, dir_okay=False)],
    rpm: Rpm = None,
    designation: Designation = "",
    multiples: Multiples = "",
    rate: Rate = None,
    channel: ChannelName = None,
    unit: Annotated[str, typer.Option("--unit", metavar="UCUM", help="Of the samples: g, m/s2, mm/s, um.")] = "g",
    teeth: Annotated[str, typer.Option("--gear", metavar="Z1/Z2", help="Teeth: on the shaft measured / mate.")] = "",
    line: Annotated[float | None, typer.Option("--line", metavar="HZ", help="Supply of the motor.")] = None,
    poles: Annotated[int, typer.Option("--poles", help="Of the motor.")] = 0,
    blades: Annotated[int, typer.Option("--blades", help="Of impeller or fan.")] = 0,
    plot: Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="Draw a picture: .png or .svg.")] = None,
    as_json: AsJson = False,
) -> None:
    """Diagnose a vibration recording: which failure mode, by what evidence, what to do.

    \b
    Example:
      servitize diagnose motor.csv --rpm 1485 --rate 12000 --bearing 6205 --plot motor.png
      servitize diagnose 1797_IR_7_DE12.npz --bearing 6205 --json
    """
    from workbench.diagnose.command import Wanted, diagnose_command

    wanted = Wanted(rpm, rate, channel, unit, _bearing(designation, multiples), teeth, line, poles, blades)
    sys.exit(diagnose_command(file, wanted, plot=plot, as_json=as_json))


def evaluate_bearings(
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="Folder with recordings.", exists=True)],
    designation: Designation = "",
    multiples: Multiples = "",
    channel: ChannelName = None,
    rate: Rate = None,
    rpm: Rpm = None,
    as_json: AsJson = False,
) -> None:
    """Judge the diagnosis of bearings on recordings whose truth is in their names; nothing is learned from them.

    \b
    Names: CWRU (1797_OR@6_21_DE12.npz, 1797_Normal.npz) and MFPT (OuterRaceFault_1.mat with bearing.gs, sr, rate).
    \b
    Example:
      servitize evaluate bearings --data cwru --json
      servitize evaluate bearings --data cwru --multiples IR=4.947,OR=3.053,B=3.988,FTF=0.382 --channel FE
    """
    from workbench.evaluate.bearings import evaluate_bearings as judge
    from workbench.evaluate.bearings import figures, table

    judged = judge(data, given=_bearing(designation, multiples), channel=channel, rate=rate, speed=rpm)
    found = figures(judged)
    if as_json:
        print_json(found)
        return
    print_table(("file", "truth", "said", "", "because"), table(found), empty="no recordings")
    print(
        f"\n{found['faults']} records with a fault: {found['decided']} decided, {found['right']} right, "
        f"{found['wrong']} wrong; {found['normals']} normal: {found['normal_flagged']} flagged"
    )


def _bearing(designation: str, multiples: str) -> Bearing | None:
    from core.errors import InvalidInputError
    from models.vibration.bearings import bearing, from_multiples

    if designation and multiples:
        raise InvalidInputError("--bearing and --multiples are two answers to one question", hint="give one of them")
    if designation:
        return bearing(designation)
    if not multiples:
        return None
    given = {}
    for part in multiples.split(","):
        name, _, value = part.partition("=")
        try:
            given[name.strip()] = float(value)
        except ValueError:
            raise InvalidInputError(
                f"{part.strip()!r} is no line", hint="for example IR=5.415,OR=3.585,B=4.714,FTF=0.398"
            ) from None
    return from_multiples("given", given)

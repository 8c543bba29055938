"""``servitize backup`` and ``servitize restore``: an instance as one file, and back."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runtime.cli.options import AsJson, Home, data_directory, print_json

if TYPE_CHECKING:
    from runtime.steps import Steps


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it; must not exist.", dir_okay=False)],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Write everything of an instance into one file, while it runs: readings, alarms, types, devices, access rights.

    The file opens doors (password hashes, keys): it is readable by you alone, keep it so. What is in it is one moment,
    the one at which the backup began.

    \b
    Examples:
      servitize backup monday.backup
      servitize backup /srv/backups/$(date +%F).backup --json
    """
    from runtime.backup import make_backup, size

    say, steps = _speakers(as_json)
    done = make_backup(data_directory(home), file.absolute(), steps, say)
    if as_json:
        print_json(asdict(done))
        return
    print(f"{file}: {done.readings} readings, {done.alarms} alarms, {done.equipment} equipment, {done.devices} devices")
    print(f"newest reading {done.newest or '-'}; {size(done.bytes)} in {done.seconds:.1f} s")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A backup.", exists=True, dir_okay=False)],
    force: Annotated[bool, typer.Option("--force", help="Give up what the instance holds now.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make a stopped instance what a backup holds; brought up to this version's schema, and checked.

    Exit 1 also where the restored tables contradict each other, which no backup of ours should do.

    \b
    Examples:
      servitize restore monday.backup --home /srv/new
      servitize down && servitize restore monday.backup --force && servitize up --detach
    """
    from runtime.backup import restore_backup, size

    say, steps = _speakers(as_json)
    done = restore_backup(data_directory(home), file.absolute(), force=force, steps=steps, say=say)
    if as_json:
        print_json(asdict(done))
    else:
        print(f"{done.home} is as it was at {done.made_at}: {done.readings} readings, {done.alarms} alarms,")
        print(f"{done.equipment} equipment, {done.devices} devices; newest reading {done.newest or '-'}")
        print(f"{size(done.bytes)} restored in {done.seconds:.1f} s; start it: servitize up")
        if done.board_logins:
            print(f"logins of boards that need a new password: {', '.join(done.board_logins)}")
        for problem in done.problems:
            print(f"contradiction: {problem}")
    if done.problems:
        sys.exit(1)


def _speakers(as_json: bool) -> tuple[Callable[[str], None], Steps]:
    """Who hears of progress and steps: a person, or nobody where a program reads."""
    from runtime.console import say
    from runtime.host import print_step
    from runtime.steps import Steps

    if as_json:
        return (lambda text: None), Steps(lambda step: None)
    return say, Steps(print_step)

"""``servitize train|models|promote|rollback``: learned models, from history to the one that speaks."""

from __future__ import annotations

import contextlib
import getpass
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from runtime.cli.options import AsJson, Home, data_directory

Name = Annotated[str, typer.Argument(metavar="MODEL", help="For example remaining-life/pump.")]
Version = Annotated[int, typer.Argument(metavar="VERSION", min=1)]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why: it stays on record.")]
TypeKey = Annotated[str, typer.Option("--type", metavar="KEY", help="Machines of this type.")]
Kind = Annotated[str, typer.Option("--kind", metavar="K", help="remaining-life or normal.")]
Step = Annotated[
    str | None,
    typer.Option("--step", metavar="D", help="A step of the machine's clock (default: '1 h'; normal: '1 min')."),
]
From = Annotated[str | None, typer.Option("--from", metavar="TIME", help="ISO 8601 (default: the first reading).")]
To_ = Annotated[str | None, typer.Option("--to", metavar="TIME", help="ISO 8601 (default: the last reading).")]
Horizon = Annotated[float, typer.Option("--horizon", min=2.0, help="Steps beyond which lives are not told apart.")]
Points = Annotated[
    str, typer.Option("--points", metavar="A,B", help="What to look at (default: all that is measured).")
]
Settings = Annotated[str, typer.Option("--settings", metavar="A,B", help="Points that say how the machine is driven.")]
Alone = Annotated[
    str, typer.Option("--alone", metavar="A,B", help="Points that are the only witnesses of a fault (normal).")
]
Component = Annotated[str, typer.Option("--component", metavar="KEY", help="Only failures of this component.")]
Tenant = Annotated[str | None, typer.Option("--tenant", metavar="SLUG", help="Only this tenant's machines.")]
Failures = Annotated[
    Path | None,
    typer.Option("--failures", metavar="CSV", help="equipment,at[,component] (default: stored events).", exists=True),
]
To = Annotated[str, typer.Option("--to", metavar="PLACE", help="champion, challenger or retired.")]


def train(
    type_key: TypeKey,
    kind: Kind = "remaining-life",
    step: Step | None = None,
    horizon: Horizon = 125.0,
    points: Points = "",
    settings: Settings = "",
    component: Component = "",
    tenant: Tenant = None,
    failures: Failures = None,
    alone: Alone = "",
    time_from: From = None,
    time_to: To_ = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Learn from stored history: remaining life of a type's machines, or what is normal for them; the model is kept as
    a candidate.

    A life goes from one failure to the next, in steps in which the machine ran. Normal is what was while no condition
    of the machine stood and no failure followed within two weeks.

    \b
    Examples:
      servitize train --type pump --step '1 h' --horizon 200 --settings load
      servitize train --type pump --kind normal --settings load,train.speed --from 2026-03-01
    """
    from core.errors import InvalidInputError, NotFoundError
    from core.time import parse_duration
    from models.types import from_document
    from storage.queries import load
    from workbench.train.command import train as learn
    from workbench.train.history import Wanted

    known: dict[str, list[int]] | None = None
    if failures is not None:
        from workbench.backtest.verdict import read_failures

        known = {}
        for failure in read_failures(failures):
            if not component or failure.component == component:
                known.setdefault(failure.equipment, []).append(failure.at)
    if kind not in ("remaining-life", "normal"):
        raise InvalidInputError(f"{kind!r} is no kind of model", hint="remaining-life or normal")
    if kind == "normal":
        _train_normal(type_key, step, points, settings, alone, tenant, time_from, time_to, home, as_json=as_json)
        return
    wanted = Wanted(type_key, parse_duration(step or "1 h"), _keys(points), _keys(settings), component, tenant, known)
    with _signing(home) as (connection, key):
        document = load("registry").type_document(connection, key=type_key)
        if document is None:
            raise NotFoundError(f"there is no type {type_key!r}", hint="see what there is: servitize types list")
        name, version, metrics = learn(
            connection, wanted, from_document(document[1]), key=key, actor=getpass.getuser(), horizon=horizon
        )
    _say_learned(name, version, metrics, as_json=as_json)


def _train_normal(
    type_key: str,
    step: str | None,
    points: str,
    settings: str,
    alone: str,
    tenant: str | None,
    time_from: str | None,
    time_to: str | None,
    home: Path | None,
    *,
    as_json: bool,
) -> None:
    from core.time import parse_duration, parse_instant
    from runtime import access
    from runtime.bootstrap import MODEL_SIGNING
    from workbench.train.normal import Wanted, train_normal

    window = tuple(None if text is None else parse_instant(text) for text in (time_from, time_to))
    wanted = Wanted(
        type_key,
        _keys(settings),
        _keys(points),
        parse_duration(step or "1 min"),
        (window[0], window[1]),
        tenant,
        _keys(alone),
    )
    data = data_directory(home)
    with access.endpoints_of(data) as endpoints, access.connected(endpoints.databases["owner"]) as connection:
        name, version, metrics = train_normal(
            connection,
            endpoints.databases["owner"],
            wanted,
            key=data.secret(MODEL_SIGNING).encode(),
            actor=getpass.getuser(),
        )
    _say_learned(name, version, metrics, as_json=as_json)


def _say_learned(name: str, version: int, metrics: dict[str, Any], *, as_json: bool) -> None:
    from runtime.cli.options import print_json, print_pairs

    if as_json:
        print_json({"model": name, "version": version, "metrics": metrics})
        return
    print_pairs({"model": name, "version": version, **metrics})
    print(f"\nlet it speak: servitize promote {name} {version}")


def models(
    name: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="Only this, with who decided what; or: compare MODEL.")
    ] = None,
    compared: Annotated[str | None, typer.Argument(metavar="", hidden=True)] = None,
    time_from: From = None,
    time_to: To_ = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Learned models: versions, how well each does, which one speaks. With `compare`: champion and challenger side by
    side on what both saw, judged by what turned out to be true.

    \b
    Examples:
      servitize models remaining-life/pump
      servitize models compare remaining-life/pump --from 2026-03-01
    """
    from core.errors import InvalidInputError
    from core.time import parse_instant, to_datetime
    from workbench.train.command import models_command
    from workbench.train.compare import compare_command

    if (name == "compare") != (compared is not None):
        raise InvalidInputError("which model?", hint="servitize models compare remaining-life/pump")
    with _signing(home) as (connection, _):
        if compared is None:
            models_command(connection, name, as_json=as_json)
            return
        window = [None if text is None else to_datetime(parse_instant(text)) for text in (time_from, time_to)]
        compare_command(connection, compared, *window, as_json=as_json)


def promote(name: Name, version: Version, to: To = "champion", reason: Reason = "", home: Home = None) -> None:
    """Let a version speak, or be scored beside the one that does; whoever had the place is retired.

    \b
    Example:
      servitize promote remaining-life/pump 3 --to challenger --reason 'with the new bearings'
    """
    from workbench.train.command import promote_command

    with _signing(home) as (connection, key):
        print(promote_command(connection, name, version, to, key=key, actor=getpass.getuser(), reason=reason))


def rollback(name: Name, reason: Reason = "", home: Home = None) -> None:
    """Let the champion before this one speak again.

    \b
    Example:
      servitize rollback remaining-life/pump --reason 'too many early calls'
    """
    from storage import models as registry

    with _signing(home) as (connection, _):
        version = registry.rollback(connection, name, getpass.getuser(), reason)
    print(f"{name} version {version} is champion again")


@contextlib.contextmanager
def _signing(home: Path | None) -> Iterator[tuple[Any, bytes]]:
    """The owner's connection in one transaction, and the key of this installation."""
    from runtime import access
    from runtime.bootstrap import MODEL_SIGNING

    data = data_directory(home)
    with access.owner(data) as connection:
        yield connection, data.secret(MODEL_SIGNING).encode()


def _keys(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())

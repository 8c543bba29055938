"""Options that many commands share, so that they are spelt and explained alike."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from runtime.local.paths import DataDirectory

Home = Annotated[
    Path | None,
    typer.Option("--home", metavar="DIR", help="Data directory (default: SERVITIZE_HOME, else the user's data home)."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
TenantSlug = Annotated[str, typer.Option("--tenant", metavar="SLUG", help="Whose: the tenant's short name.")]
ApiListen = Annotated[
    str | None, typer.Option("--api", metavar="[HOST:]PORT", help="Where the API listens (default 127.0.0.1:8080).")
]
MqttListen = Annotated[
    str | None, typer.Option("--mqtt", metavar="[HOST:]PORT", help="Where the broker listens (default 127.0.0.1:1883).")
]
TlsCertificate = Annotated[Path | None, typer.Option("--tls-cert", metavar="PEM", help="Certificate chain.")]
TlsKey = Annotated[Path | None, typer.Option("--tls-key", metavar="PEM", help="Key of the certificate.")]
Insecure = Annotated[
    bool, typer.Option("--insecure-listen", help="Allow plain text on other interfaces than loopback.")
]

SparkplugHostId = Annotated[
    str | None,
    typer.Option(
        "--sparkplug-host-id", metavar="ID", help="Name of this Sparkplug host application (default servitize)."
    ),
]


def data_directory(home: Path | None) -> DataDirectory:
    """The data directory that ``--home`` or the environment names; made if missing."""
    import os

    from runtime.cli.crash import remember_home
    from runtime.local.paths import DataDirectory

    environ = dict(os.environ)
    if home is not None:
        environ["SERVITIZE_HOME"] = str(home.expanduser().absolute())
    data = DataDirectory.from_environment(environ)
    remember_home(data.root)
    return data


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    json.dump(value, sys.stdout, indent=2, default=str, ensure_ascii=False)
    print()


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, empty: str) -> None:
    """Aligned columns without ruling, for a person and for ``awk``; ``empty`` is said when there are no rows."""
    if not rows:
        print(empty)
        return
    cells = [list(columns), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    for row in cells:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def print_pairs(pairs: Mapping[str, Any]) -> None:
    """``name   value`` lines, aligned."""
    width = max(map(len, pairs), default=0)
    for name, value in pairs.items():
        print(f"{name:<{width}}  {_cell(value)}")


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)

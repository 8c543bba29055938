"""``servitize serve``: one service of a deployment; what docker compose and Kubernetes start."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from runtime.cli.options import Home, data_directory


def serve(
    kind: Annotated[Literal["ingest", "worker", "api", "caretaker"], typer.Argument(help="Which service.")],
    home: Home = None,
) -> None:
    """Run one service of a deployment in the foreground, told by environment and secrets; nothing else is started.

    ingest: MQTT to Kafka. worker: Kafka through the core into the database. api: the API and the web board.
    caretaker: rollups, retention, numbering of events, accounts at the broker. docs/reference/settings.md lists the
    variables; on one machine `servitize up` does it all.

    \b
    Example:
      SERVITIZE_SECRETS=secrets SERVITIZE_DATABASE_URL=postgresql://servitize_api@db/servitize servitize serve api
    """
    from runtime import serve as services

    sys.exit(services.serve(kind, data_directory(home)))

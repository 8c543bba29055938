"""``servitize up``, ``down``, ``status``, ``doctor``, ``migrate``: the instance as a whole."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from runtime.cli.options import (
    ApiListen,
    AsJson,
    Home,
    Insecure,
    MqttListen,
    SparkplugHostId,
    TlsCertificate,
    TlsKey,
    data_directory,
    print_json,
)


def up(
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Run in the background; `servitize down` ends it.")
    ] = False,
    api: ApiListen = None,
    mqtt: MqttListen = None,
    tls_cert: TlsCertificate = None,
    tls_key: TlsKey = None,
    insecure: Insecure = False,
    sparkplug_host_id: SparkplugHostId = None,
    home: Home = None,
) -> None:
    """Start database, broker, ingest and API on this machine, and keep them alive. Ctrl-C stops them in order.

    \b
    Examples:
      servitize up
      servitize up --detach --home /srv/servitize
      servitize up --mqtt 0.0.0.0 --tls-cert chain.pem --tls-key key.pem
    """
    from runtime import host
    from runtime.settings import choose_settings

    settings = choose_settings(
        home=home,
        api=api,
        mqtt=mqtt,
        certificate=tls_cert,
        key=tls_key,
        insecure=insecure,
        sparkplug_host_id=sparkplug_host_id,
    )
    data = data_directory(home)
    if detach:
        host.start_detached(data, settings)
    else:
        host.run_up(data, settings)


def down(home: Home = None) -> None:
    """Stop the instance in order: ingest commits what it has taken, then the broker, then the database.

    \b
    Example:
      servitize down
    """
    from runtime import host

    print(host.stop_running(data_directory(home)))


def status(home: Home = None, as_json: AsJson = False) -> None:
    """What runs, how fast, how healthy, and the newest alarms. Exit 1 when nothing runs.

    \b
    Example:
      servitize status
    """
    from runtime import host

    found = host.current_status(data_directory(home))
    if as_json:
        print_json(found.as_document())
    else:
        host.print_status(found)
    if not found.running:
        sys.exit(1)


def doctor(home: Home = None, as_json: AsJson = False) -> None:
    """Explain what was found, what is used and why, and how to get what is missing. Exit 1 if something is wrong.

    \b
    Example:
      servitize doctor
    """
    from runtime.doctor import examine, print_findings

    findings = examine(home)
    if as_json:
        print_json([finding.as_document() for finding in findings])
    else:
        print_findings(findings)
    if any(finding.level == "wrong" for finding in findings):
        sys.exit(1)


def migrate(
    engine: Annotated[
        Literal["plain", "timescale"] | None,
        typer.Option("--engine", help="What a new database keeps readings in; it stays for life."),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit 1 if migrations are missing.")] = False,
    catalogue: Annotated[
        bool, typer.Option("--catalogue", help="Also publish the catalogue's types, as `servitize up` does.")
    ] = False,
    home: Home = None,
) -> None:
    """Bring the database to this version's schema and say its engine. `servitize up` does it by itself.

    The first run chooses the engine: TimescaleDB where the server has it, else plain PostgreSQL.

    Works on SERVITIZE_DATABASE_URL if that is set, else on the instance in the data directory.

    \b
    Example:
      SERVITIZE_DATABASE_URL=postgresql://owner@db/servitize servitize migrate
    """
    from runtime import host

    message, missing = host.migrate_database(data_directory(home), check=check, engine=engine, catalogue=catalogue)
    print(message)
    if check and missing:
        sys.exit(1)

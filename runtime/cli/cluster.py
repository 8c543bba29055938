"""``servitize cluster``: the whole set with Kafka, several ingests and workers on this machine."""

from __future__ import annotations

import sys
from functools import partial
from typing import Annotated

import typer

from runtime.cli.options import ApiListen, AsJson, Home, MqttListen, data_directory, print_json, print_table

app = typer.Typer(help="A cluster on this machine: Kafka between ingests and workers.", no_args_is_help=True)

Ingests = Annotated[int, typer.Option("--ingests", min=1, max=16, metavar="N", help="Each serves some tenants.")]
Workers = Annotated[int, typer.Option("--workers", min=1, max=64, metavar="N", help="They share 64 partitions.")]


@app.command()
def up(
    ingests: Ingests = 1,
    workers: Workers = 2,
    demo: Annotated[bool, typer.Option("--demo", help="With the simulated fleet, judged at the end.")] = False,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=10, metavar="N", help="With --demo: end by itself after N seconds.")
    ] = None,
    api: ApiListen = None,
    mqtt: MqttListen = None,
    home: Home = None,
) -> None:
    """Start database, broker, Kafka, workers, ingests and API, and keep them alive. Ctrl-C stops them in order.

    Kafka is fetched once by Maven and needs Java; SERVITIZE_KAFKA_SERVERS names one of yours instead, and
    SERVITIZE_DATABASE_URL a database (with TimescaleDB, if it has that).

    \b
    Examples:
      servitize cluster up --home /tmp/cluster --workers 2
      servitize cluster up --home /tmp/cluster --demo --seconds 120
    """
    from runtime import host
    from runtime.cluster.supervisor import ClusterSupervisor, Size
    from runtime.settings import choose_settings

    make = partial(ClusterSupervisor, size=Size(ingests, workers))
    settings, data = choose_settings(home=home, api=api, mqtt=mqtt), data_directory(home)
    if not demo:
        host.run_up(data, settings, make)
        return
    from runtime.demo.run import run_demo

    if not run_demo(data, settings, seconds=seconds, speed=None, seed=None, make=make):
        sys.exit(1)


@app.command()
def status(home: Home = None, as_json: AsJson = False) -> None:
    """How far behind each worker is, and what has stopped. Exit 1 if not all is well.

    \b
    Example:
      servitize cluster status --home /tmp/cluster
    """
    from runtime.cluster.status import cluster_status

    found = cluster_status(data_directory(home))
    if as_json:
        print_json(found.as_document())
    else:
        print(found.sentence)
        rows = [
            [w.name, "running" if w.fresh else "silent", w.partitions, w.lag, w.stored, len(w.stopped)]
            for w in found.workers
        ]
        print_table(("worker", "state", "partitions", "lag", "stored", "stopped"), rows, empty="no worker has run here")
        lines = [
            [i.name, "running" if i.fresh else "silent", i.connected, i.sent, i.unconfirmed] for i in found.ingests
        ]
        print_table(("ingest", "state", "connected", "sent", "unconfirmed"), lines, empty="no ingest has run here")
        for worker in found.workers:
            for partition, reason in worker.stopped.items():
                print(f"partition {partition} has stopped: {reason}")
    if not found.well:
        sys.exit(1)


@app.command("give-up")
def give_up(
    partition: Annotated[int, typer.Argument(min=0, max=63, help="The partition that has stopped.")],
    upto: Annotated[int, typer.Argument(min=1, help="The first offset that the log still has.")],
    home: Home = None,
) -> None:
    """Go on behind records that nobody has any more. What was in them is lost; the audit log says so.

    A worker stops a partition whose records expired before they were stored, and says at which offset the log begins.

    \b
    Example:
      servitize cluster give-up 17 48210
    """
    from getpass import getuser

    from runtime.bootstrap import WRITER
    from runtime.endpoints import read_endpoints
    from storage.cluster import give_up as skip
    from stream_processors.kafka.host import stream_name

    dsn = read_endpoints(data_directory(home)).databases[WRITER]
    lost = skip(dsn, stream_name(partition), upto, getuser())
    print(f"partition {partition} goes on at {upto}; {lost} records are given up. Restart the worker that stopped it.")

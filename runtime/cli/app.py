"""The tree of commands. Each module holds a few; help texts teach with an example."""

from __future__ import annotations

import typer

from runtime.cli import (
    backtest,
    backup,
    boards,
    broker,
    cluster,
    deadletter,
    demo,
    device,
    diagnosis,
    instance,
    keys,
    maintenance,
    models,
    normal,
    outcomes,
    profile,
    prognosis,
    registry,
    replay,
    serve,
    types,
)

app = typer.Typer(
    name="servitize",
    help="Telemetry from machines in, maintenance decisions out.\n\n"
    "\b\nFirst steps:\n"
    "  servitize demo --seconds 90     a simulated fleet that goes wrong, and whether it was noticed\n"
    "  servitize up --detach           database, broker, ingest and API on this machine\n"
    "  servitize device add press-7 --type compressor-train\n"
    "  servitize doctor                what was found, what is used, what is missing",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
app.command()(demo.demo)
app.command()(instance.up)
app.command()(instance.down)
app.command()(instance.status)
app.command()(instance.doctor)
app.add_typer(device.app, name="device")
app.add_typer(broker.app, name="broker")
app.add_typer(cluster.app, name="cluster")
app.add_typer(registry.equipment, name="equipment")
app.add_typer(registry.tenant, name="tenant")
app.add_typer(keys.app, name="key")
app.add_typer(types.app, name="types")
app.add_typer(profile.app, name="profile")
app.add_typer(deadletter.app, name="deadletter")
app.add_typer(boards.app, name="boards")
app.command()(replay.replay)
app.add_typer(replay.evaluate, name="evaluate")
replay.evaluate.command("cmapss")(prognosis.evaluate_cmapss)
replay.evaluate.command("skab")(normal.evaluate_skab)
replay.evaluate.command("azure")(normal.evaluate_azure)
replay.evaluate.command("ims")(normal.evaluate_ims)
replay.evaluate.command("metropt3")(normal.evaluate_metropt3)
replay.evaluate.command("maintenance")(maintenance.evaluate_maintenance)
replay.evaluate.command("bearings")(diagnosis.evaluate_bearings)
app.command()(diagnosis.diagnose)
app.add_typer(outcomes.app, name="outcome")
app.command()(models.train)
app.command()(models.models)
app.command()(models.promote)
app.command()(models.rollback)
app.command()(backtest.backtest)
app.command()(instance.migrate)
app.command()(serve.serve)
app.command()(backup.backup)
app.command()(backup.restore)

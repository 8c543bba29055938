"""``servitize broker``: the accounts of a Mosquitto that somebody else runs, kept as the database says."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from runtime.cli.groups import group
from runtime.cli.options import AsJson, Home, data_directory, print_json

app = group(
    "A broker of your own: Mosquitto with its dynamic security plugin.\n\n"
    "\b\nExample:\n"
    "  servitize broker sync\n"
    "gives a broker that lost its accounts those of all devices again."
)


@app.command()
def sync(
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit 1 if something is unlike.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make the accounts of the broker of SERVITIZE_MQTT_URL what the database says; who is right is left alone.

    \b
    Example:
      servitize broker sync --check
    """
    from runtime import access, bootstrap
    from runtime.broker_accounts import reconcile, wanted_accounts
    from runtime.local.dynsec import DynamicSecurity
    from runtime.local.rights import BrokerRights

    data = data_directory(home)
    with access.owner(data) as connection:
        control = BrokerRights(data).external_control()
        master = data.secret(bootstrap.DEVICE_MASTER)
        with DynamicSecurity(control) as broker:
            repair = reconcile(broker, lambda: wanted_accounts(connection, master), change=not check)
    if as_json:
        print_json(repair.as_document())
    else:
        for line in repair.lines(done=not check):
            print(line)
    if check and (repair.anything or repair.lost):
        sys.exit(1)


@app.command()
def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The plugin's file (plugin_opt_config_file).")],
    devices: Annotated[
        bool, typer.Option("--devices", help="Also the accounts of all devices, out of the database.")
    ] = False,
    home: Home = None,
) -> None:
    """Write the platform's own two accounts into the plugin's file, before the broker starts; others in it stay.

    Their passwords are the secrets servitize-service and servitize-control of SERVITIZE_SECRETS (else of the data
    directory), so a changed secret holds from the broker's next start. A running broker would overwrite the file.
    With --devices a broker that lost its file has everybody again at its start; `servitize broker sync` does it while
    it runs, which takes a while with thousands of devices.

    \b
    Example:
      SERVITIZE_SECRETS=secrets servitize broker init dynamic-security.json
    """
    from core.errors import UnavailableError
    from runtime import access, bootstrap
    from runtime.broker_accounts import initial_file, wanted_accounts

    data, wanted = data_directory(home), None
    if devices:
        with access.owner(data) as connection:
            wanted = wanted_accounts(connection, data.secret(bootstrap.DEVICE_MASTER))
    try:
        before = file.read_text() if file.exists() else None
        text = initial_file(data, before, wanted)
        data.write_private(file.absolute(), text)
    except OSError as error:
        raise UnavailableError(
            f"{file} cannot be written: {error.strerror}", hint="run this as the user that the broker runs as"
        ) from error
    print(f"{file}: {'made' if before is None else 'brought up to date'}; nothing is allowed but what accounts say")

"""``servitize demo``: the whole system with machines that go wrong."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from runtime.cli.options import ApiListen, Home, MqttListen, data_directory


def demo(
    seconds: Annotated[
        float | None,
        typer.Option("--seconds", min=10, metavar="N", help="End by itself after N seconds and judge the alarms."),
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option("--speed", min=1, metavar="X", help="Simulated seconds per second (default about 1200)."),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            min=0,
            max=10_000_000,
            metavar="N",
            help="Which fleet and which faults (default: 1, or that of the data directory).",
        ),
    ] = None,
    story: Annotated[
        bool,
        typer.Option("--story", help="One bearing wears: from its alarm by way of advisory and repair to closed work."),
    ] = False,
    api: ApiListen = None,
    mqtt: MqttListen = None,
    home: Home = None,
) -> None:
    """Run everything with a simulated fleet: three compressor trains and a six-car metro train, some of which fail.

    At the end every seeded fault is compared with what was alarmed. Exit 0 only if each was alarmed on its component
    and nothing healthy was. Ctrl-C ends it in order at any time and judges what had to be told by then.

    \b
    Examples:
      servitize demo --seconds 90
      servitize demo --home /tmp/demo --seed 7
      servitize demo --story
    """
    from runtime.demo.run import run_demo
    from runtime.settings import choose_settings

    settings = choose_settings(home=home, api=api, mqtt=mqtt)
    passed = run_demo(data_directory(home), settings, seconds=seconds, speed=speed, seed=seed, story=story)
    if not passed:
        sys.exit(1)

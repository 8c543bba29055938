"""What ``status`` makes of what ingest says of itself."""

from __future__ import annotations

import io

from rich.console import Console

from runtime.status import Flow, Snapshot, Sparkplug, Totals, flow
from runtime.view import plain_line, render

SAID = {
    "connected": True,
    "paused": False,
    "ledger": {"received": 12, "durable": 11, "acknowledged": 10, "superseded": 1, "pending": 1, "pending_bytes": 90},
    "channels": [
        {
            "name": "sparkplug",
            "host_id": "north",
            "connected": True,
            "groups": 1,
            "nodes": 4,
            "online": 3,
            "session": {},
        }
    ],
}


def shown(snapshot: Snapshot) -> str:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(render(snapshot, "running"))
    return console.export_text()


def test_the_flow_is_what_ingest_wrote() -> None:
    assert flow(SAID) == Flow(True, False, 12, 10, 1, 90, Sparkplug("north", True, 1, 4, 3))


def test_a_sparkplug_host_without_groups_is_not_shown() -> None:
    assert flow({**SAID, "channels": [{"name": "sparkplug", "groups": 0, "connected": False}]}).sparkplug is None
    assert flow({}) == Flow(False, False, 0, 0, 0, 0)


def test_the_view_shows_nodes_and_what_is_missing_and_refused() -> None:
    snapshot = Snapshot(Totals(0.0, refused=7, missing=12), flow=flow(SAID))
    text = shown(snapshot)
    assert "sparkplug host 'north': 1 group, 3 of 4 edge nodes online" in text
    assert "7 readings refused, 12 messages missing" in text
    assert "12 messages missing" in plain_line(snapshot)


def test_a_lost_connection_is_said_and_nothing_missing_is_not() -> None:
    text = shown(Snapshot(Totals(0.0), flow=flow({**SAID, "connected": False, "paused": True})))
    assert "NOT CONNECTED" in text
    assert "holding the broker back" in text
    assert "missing" not in text

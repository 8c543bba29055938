"""What an account at the broker may do: a device speaks for its machine, a gateway for its tenant."""

from __future__ import annotations

import pytest

from core.errors import InvalidInputError
from runtime.devices import credential, edge_node_credential
from runtime.edge_nodes import split


def test_a_device_sends_for_its_own_equipment_only() -> None:
    rights = credential("acme", "press-7", "acme.press-7", "acme.press-7", "word")
    assert all(topic.startswith("servitize/v1/acme/press-7/") for topic in (*rights.publish, *rights.subscribe))


def test_a_gateway_sends_for_its_tenant_its_clock_and_the_topics_of_its_profiles() -> None:
    rights = credential("acme", None, "acme.hall-2", "acme.hall-2", "word", ["boiler/+/+"])
    assert "servitize/v1/acme/+/telemetry" in rights.publish
    assert "servitize/v1/acme/clock" in rights.publish
    assert [topic for topic in rights.publish if not topic.startswith("servitize/v1/acme/")] == ["boiler/+/+"]
    assert all(topic.startswith("servitize/v1/acme/") for topic in rights.subscribe)


def test_an_edge_node_sends_its_own_messages_and_hears_its_own_commands() -> None:
    rights = edge_node_credential("Hall/line-1", "acme.Hall.line-1", "acme.Hall.line-1", "word")
    assert rights.publish == [
        *(f"spBv1.0/Hall/{kind}/line-1" for kind in ("NBIRTH", "NDATA", "NDEATH")),
        *(f"spBv1.0/Hall/{kind}/line-1/+" for kind in ("DBIRTH", "DDATA", "DDEATH")),
    ]
    assert not any("NCMD" in topic or "STATE" in topic for topic in rights.publish)
    assert rights.subscribe == ["spBv1.0/Hall/NCMD/line-1/#", "spBv1.0/Hall/DCMD/line-1/#", "spBv1.0/STATE/+"]
    assert rights.client_id == "acme.Hall.line-1"


@pytest.mark.parametrize("name", ["Hall", "Hall/", "/n", "Hall/a/b", "Hall/+", "#/n", "H\0/n", "H/" + 201 * "n"])
def test_a_name_that_would_widen_the_rights_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError):
        split(name)

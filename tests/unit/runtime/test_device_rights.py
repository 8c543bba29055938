"""What an account at the broker may do: a device speaks for its machine, a gateway for its tenant."""

from __future__ import annotations

from runtime.devices import credential


def test_a_device_sends_for_its_own_equipment_only() -> None:
    rights = credential("acme", "press-7", "acme.press-7", "acme.press-7", "word")
    assert all(topic.startswith("servitize/v1/acme/press-7/") for topic in (*rights.publish, *rights.subscribe))


def test_a_gateway_sends_for_its_tenant_its_clock_and_the_topics_of_its_profiles() -> None:
    rights = credential("acme", None, "acme.hall-2", "acme.hall-2", "word", ["boiler/+/+"])
    assert "servitize/v1/acme/+/telemetry" in rights.publish
    assert "servitize/v1/acme/clock" in rights.publish
    assert [topic for topic in rights.publish if not topic.startswith("servitize/v1/acme/")] == ["boiler/+/+"]
    assert all(topic.startswith("servitize/v1/acme/") for topic in rights.subscribe)

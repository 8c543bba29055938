"""The configuration of the iotcore wheel's broker (rumqttd's TOML)."""

from __future__ import annotations

from runtime.local.mosquitto import BrokerLimits

USERS_PLACE = "# USERS"

_SEGMENTS = 16
"""Each subscription's log holds this many segments, acknowledged or not, and then drops its oldest whole."""


def configuration_template(host: str, port: int, mqtt5_port: int, limits: BrokerLimits) -> str:
    """The TOML with ``USERS_PLACE`` where each listener's table of users goes; MQTT 5 has a listener of its own."""
    common = f"""next_connection_delay_ms = 1
[{{table}}.connections]
connection_timeout_ms = 60000
max_payload_size = {limits.payload_bytes}
max_inflight_count = {min(limits.inflight, 500)}
dynamic_filters = false
[{{table}}.connections.auth]
{USERS_PLACE}
"""
    listeners = "".join(
        f'[{table}]\nname = "{name}"\nlisten = "{host}:{number}"\n' + common.format(table=table)
        for table, name, number in (("v4.1", "mqtt311", port), ("v5.1", "mqtt5", mqtt5_port))
    )
    return f"""id = 0
[router]
id = 0
max_connections = 10010
max_outgoing_packet_count = 200
max_segment_size = {limits.backlog_bytes // _SEGMENTS}
max_segment_count = {_SEGMENTS}
{listeners}"""

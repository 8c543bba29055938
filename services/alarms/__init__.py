"""Alarms as people meet them: listed, explained, acknowledged, shelved. The state machine itself is core.alarm,
reduced in the database."""

"""The processes of the embedded host: data directory, ports, PostgreSQL and the MQTT broker on this machine."""

#!/bin/sh
# Starts Kafka in its container; formats its volume first, if that is empty. Nothing is written but the volume and /tmp.
set -eu
bin=${KAFKA_BIN:-/opt/kafka/bin}
config=${KAFKA_CONFIG:-/etc/servitize/server.properties}
export LOG_DIR=${LOG_DIR:-/tmp/kafka-logs}
"$bin/kafka-storage.sh" format --ignore-formatted -t "$(cat "${SECRETS:-/run/secrets}/kafka-cluster-id")" -c "$config"
exec "$bin/kafka-server-start.sh" "$config"

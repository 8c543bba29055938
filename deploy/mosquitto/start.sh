#!/bin/sh
# Starts the broker in its container. The platform's account is made anew from SERVITIZE_MQTT_PASSWORD at every start,
# so a changed password works after a restart; accounts of devices in the same file stay.
set -eu
umask 077
passwords=${PASSWORD_FILE:-/mosquitto/data/passwords}

: "${SERVITIZE_MQTT_PASSWORD:?set it: the password of the platform at the broker}"
case $SERVITIZE_MQTT_PASSWORD in
    *[[:space:]]*) echo "SERVITIZE_MQTT_PASSWORD must not contain white space" >&2; exit 1 ;;
esac

# mosquitto_passwd hashes whole files, so ours is hashed alone (never on a command line) and then put in its place.
fresh=$(mktemp)
printf 'servitize:%s\n' "$SERVITIZE_MQTT_PASSWORD" >"$fresh"
mosquitto_passwd -U "$fresh"
if [ -f "$passwords" ]; then
    sed '/^servitize:/d' "$passwords" >>"$fresh"
fi
cat "$fresh" >"$passwords"
rm -f "$fresh"
exec mosquitto -c "${CONFIG_FILE:-/mosquitto/config/mosquitto.conf}"

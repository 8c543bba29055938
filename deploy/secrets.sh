#!/bin/sh
# Makes what an installation keeps to itself: passwords, an authority of its own, the broker's certificate.
#
#   deploy/secrets.sh [DIR [NAME…]]      DIR: default ./secrets; NAME: under which devices reach the broker (host or address)
#
# Needs openssl. What is there already is kept, so it can be run again after an update; remove a file to have it made anew.
# The directory is closed to others (0700). The files in it are readable (0444), because compose shows a container the file as
# it is, and each service runs as a user of its own.
set -eu
umask 077
directory=${1:-secrets}
[ $# -gt 0 ] && shift
mkdir -p "$directory"
chmod 0700 "$directory"
cd "$directory"

made=
keep() { # moves NAME.new to its place, readable
    chmod 0444 "$1.new"
    mv "$1.new" "$1"
    made="$made $1"
}

# 192 bits as letters, digits, - and _, so that they may stand in an address.
for name in \
    database-postgres database-servitize database-servitize_writer database-servitize_api database-board \
    servitize-service servitize-control device-master model-signing metrics-token grafana-admin
do
    if [ ! -s "$name" ]; then
        openssl rand -base64 24 | tr '+/' '-_' | tr -d '\n' >"$name.new"
        keep "$name"
    fi
done
# Kafka's cluster id: 16 bytes in the form Kafka wants, the first of them fixed, so that it cannot begin with a dash.
if [ ! -s kafka-cluster-id ]; then
    { printf '\001'; openssl rand 15; } | openssl base64 -A | tr '+/' '-_' | tr -d '=' >kafka-cluster-id.new
    keep kafka-cluster-id
fi

key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null; }

# Two authorities: one signs the broker, one signs devices. Whoever holds the key of the second can be any device.
for authority in mqtt-ca mqtt-devices-ca; do
    if [ ! -s "$authority.crt" ]; then
        key "$authority.key.new"
        openssl req -x509 -new -key "$authority.key.new" -sha256 -days 3650 -subj "/CN=servitize $authority" \
            -addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign,cRLSign \
            -out "$authority.crt.new"
        mv "$authority.key.new" "$authority.key" # stays 0600: no service needs it
        keep "$authority.crt"
    fi
done

if [ ! -s mqtt-server.crt ]; then
    names=DNS:mosquitto,DNS:localhost,IP:127.0.0.1
    for name in "$@"; do
        case $name in
            *[!0-9.]*) names=$names,DNS:$name ;;
            *) names=$names,IP:$name ;;
        esac
    done
    key mqtt-server.key.new
    openssl req -new -key mqtt-server.key.new -subj /CN=mosquitto -out mqtt-server.csr.new
    printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n' "$names" >extensions.new
    openssl x509 -req -in mqtt-server.csr.new -CA mqtt-ca.crt -CAkey mqtt-ca.key -CAcreateserial -sha256 -days 825 \
        -extfile extensions.new -out mqtt-server.crt.new 2>/dev/null
    rm -f mqtt-server.csr.new extensions.new mqtt-ca.srl
    keep mqtt-server.key
    keep mqtt-server.crt
fi
echo "secrets in $(pwd):${made:- nothing new}"

#!/bin/sh
# Makes the key and the certificate of one device that comes in by certificate.
#
#   deploy/device-certificate.sh USERNAME [DIR]      DIR: where deploy/secrets.sh put the authority of devices; default ./secrets
#
# USERNAME is what `servitize device add … --certificate` printed, e.g. main.press-7. Writes USERNAME.key and USERNAME.crt here.
set -eu
umask 077
name=${1:?"usage: deploy/device-certificate.sh USERNAME [DIR]"}
authority=${2:-secrets}/mqtt-devices-ca
case $name in
    */* | *[[:space:]]*) echo "device-certificate: $name cannot be a file's name" >&2; exit 1 ;;
esac
[ ! -e "$name.key" ] || { echo "device-certificate: $name.key is here already" >&2; exit 1; }
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$name.key" 2>/dev/null
openssl req -new -key "$name.key" -subj "/CN=$name" -out "$name.csr"
printf 'extendedKeyUsage=clientAuth\nbasicConstraints=CA:FALSE\n' >"$name.ext"
openssl x509 -req -in "$name.csr" -CA "$authority.crt" -CAkey "$authority.key" -set_serial "0x$(openssl rand -hex 16)" \
    -sha256 -days 825 -extfile "$name.ext" -out "$name.crt" 2>/dev/null
rm -f "$name.csr" "$name.ext"
echo "$name.key and $name.crt, valid for 825 days"

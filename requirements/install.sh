#!/bin/sh
# Makes .venv hold exactly one locked set, and the project itself.   usage: requirements/install.sh runtime|dev
#
# PYTHON=…  the interpreter for a new .venv (default: the first of python3.13, 3.12, 3.11, python3 that is 3.11 or newer)
# The package index is the one your pip is configured for. uv does the work; where it cannot, pip does, more slowly.
set -eu
cd "$(dirname "$0")/.."

set_name=${1:?"usage: requirements/install.sh runtime|dev"}
python=.venv/bin/python
lock=requirements/$set_name.lock
[ -f "$lock" ] || { echo "install: there is no $lock; the sets are runtime and dev" >&2; exit 2; }

is_recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3 python}; do
        if is_recent "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    echo "servitize needs Python 3.11 or newer${PYTHON:+, and $PYTHON is not}: install it (Debian: apt-get install python3 python3-venv) or name it, as in make PYTHON=/path/to/python3.12 …" >&2
    return 1
}

# An environment whose creation was cut short, or whose interpreter has gone, is made anew.
if ! is_recent $python || ! $python -m pip --version >/dev/null 2>&1; then
    found=$(find_python)
    if ! "$found" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        echo "$found cannot make virtual environments: install its venv module (Debian: apt-get install python3-venv)" >&2
        exit 1
    fi
    echo "making .venv with $("$found" --version)"
    "$found" -m venv --clear .venv
fi

quiet_pip() { $python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: "$@"; }

with_uv() {
    [ -x .venv/bin/uv ] || quiet_pip --no-deps -r requirements/bootstrap.lock || return 1
    # uv does not read pip's settings, so the two that decide where packages come from are handed over.
    index=$($python -m pip config get global.index-url 2>/dev/null) || index=
    index=${PIP_INDEX_URL:-$index}
    if [ -n "$index" ]; then export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"; fi
    if [ -n "${PIP_CERT:-}" ]; then export SSL_CERT_FILE="${SSL_CERT_FILE:-$PIP_CERT}"; fi
    .venv/bin/uv pip sync --quiet --python $python --require-hashes --only-binary :all: \
        requirements/bootstrap.lock requirements/build.lock "$lock"
}

with_pip() {
    echo "uv could not do it, so pip does (a minute or two)"
    quiet_pip -r requirements/build.lock -r "$lock"
}

echo "installing the $set_name packages into .venv"
with_uv || with_pip
$python -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation --editable .

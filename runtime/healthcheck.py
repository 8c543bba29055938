"""``python -m runtime.healthcheck KIND|any [--ready]``: does the service in this container live? Exit 0 yes, 1 no.

Every service but the API writes a status file once a second; the API is asked. Standard library only, since this runs
every few seconds. ``--ready`` asks more: may it be given work (the API reaches its database, ingest its broker).
"""

from __future__ import annotations

import json
import os
import ssl
import sys
import time
import urllib.request
from pathlib import Path

FRESH_SECONDS = 15.0
KINDS = ("ingest", "worker", "api", "caretaker")


def check(kind: str, home: Path, *, ready: bool = False, now: float | None = None) -> str | None:
    """What is wrong, None if nothing is."""
    if kind == "any":
        files = sorted((home / "run").glob("*.json"), key=lambda path: path.stat().st_mtime)
        kind = files[-1].stem if files else "api"
    if kind == "api":
        return _api(home, "/readyz" if ready else "/healthz")
    path = home / "run" / f"{kind}.json"
    try:
        age = (time.time() if now is None else now) - path.stat().st_mtime
        status = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        return f"no status yet: {error}"
    if age > FRESH_SECONDS:
        return f"its last sign of life is {age:.0f} s old"
    if ready and status.get("connected") is False:
        return "not connected to the broker"
    return None


def _api(home: Path, path: str) -> str | None:
    try:
        api = json.loads((home / "endpoints.json").read_text())["api"]
        host = "127.0.0.1" if api["host"] in ("0.0.0.0", "::", "localhost") else api["host"]  # noqa: S104 - compared only
        context = None
        if api["certificate"]:  # our own, asked for by loopback: its name is for those outside
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        url = f"{'https' if context else 'http'}://{f'[{host}]' if ':' in host else host}:{api['port']}{path}"
        with urllib.request.urlopen(url, timeout=4, context=context) as answer:  # noqa: S310 - http(s) by construction
            answer.read()
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{path}: {error}"
    return None


def main(arguments: list[str]) -> int:
    words = [word for word in arguments if word != "--ready"]
    if len(words) != 1 or words[0] not in (*KINDS, "any"):
        sys.stderr.write(f"usage: python -m runtime.healthcheck {'|'.join(KINDS)}|any [--ready]\n")
        return 2
    home = Path(os.environ.get("SERVITIZE_HOME") or "/var/lib/servitize")
    wrong = check(words[0], home, ready="--ready" in arguments)
    if wrong is not None:
        sys.stderr.write(f"{words[0]}: {wrong}\n")
    return 0 if wrong is None else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

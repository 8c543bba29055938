"""``python -m stream_processors.ingest_process CONFIG.json``: ingest of the cluster as a process.

Who is told to stop while it is still importing must stop as well, so the signals come first (:mod:`ingest.told`).
"""

from __future__ import annotations

import sys

from ingest.told import StopSignal


def main() -> int:
    """The exit code; 2 for a wrong command line."""
    if len(sys.argv) != 2:
        sys.stderr.write("usage: python -m stream_processors.ingest_process CONFIG.json\n")
        return 2
    with StopSignal() as told:
        from core.errors import ServitizeError
        from stream_processors.ingest_main import FAILED, load_config, run

        try:
            return run(load_config(sys.argv[1]), told)
        except ServitizeError as error:
            sys.stderr.write(f"{error}\n{error.hint}\n")
            return FAILED


if __name__ == "__main__":
    sys.exit(main())

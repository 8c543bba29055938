"""``python -m stream_processors.process embedded|ingest|worker CONFIG.json``: one process of a host, by hand.

Who is told to stop while it is still importing must stop as well, so the signals come first (:mod:`ingest.told`).
"""

from __future__ import annotations

import sys
from typing import Final

from ingest.told import StopSignal

KINDS: Final = ("embedded", "ingest", "worker")


def main() -> int:
    """The exit code; 2 for a wrong command line."""
    if len(sys.argv) != 3 or sys.argv[1] not in KINDS:
        sys.stderr.write(f"usage: python -m stream_processors.process {'|'.join(KINDS)} CONFIG.json\n")
        return 2
    with StopSignal() as told:
        from core.errors import ServitizeError
        from stream_processors.hosting import FAILED, read_config

        try:
            if sys.argv[1] == "embedded":
                from stream_processors import embedded_main

                return embedded_main.run(read_config(sys.argv[2], embedded_main.EmbeddedConfig), told)
            if sys.argv[1] == "ingest":
                from stream_processors import ingest_main

                return ingest_main.run(read_config(sys.argv[2], ingest_main.IngestConfig), told)
            from stream_processors import worker_main

            return worker_main.run(read_config(sys.argv[2], worker_main.WorkerConfig), told)
        except ServitizeError as error:
            sys.stderr.write(f"{error}\n{error.hint}\n")
            return FAILED


if __name__ == "__main__":
    sys.exit(main())

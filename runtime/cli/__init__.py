"""The command ``servitize``: what people type. Nothing heavy is imported until a command needs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from core.errors import ServitizeError

EXIT_REFUSED = 1
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 fine, 1 refused or failed with a sentence, 2 wrong usage, 130 interrupted."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code. A person never sees a traceback: unexpected errors go to a file."""
    from runtime.cli.app import app

    try:
        app(args=None if arguments is None else list(arguments), prog_name="servitize")
    except ServitizeError as error:
        _complain(str(error), error.hint)
    except KeyboardInterrupt:
        _complain("interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # `servitize … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except SystemExit as end:
        return _code(end)
    except Exception as error:
        from runtime.cli.crash import write_crash_file

        path = write_crash_file(error, sys.argv[1:] if arguments is None else arguments)
        _complain(
            f"this should not have happened ({type(error).__name__}: {error})",
            f"what was going on is written to {path}; please send it along with a report",
        )
    else:
        return 0
    return EXIT_REFUSED


def _code(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    _complain(str(end.code))
    return EXIT_REFUSED


def _complain(message: str, hint: str = "") -> None:
    print(f"servitize: {message}", file=sys.stderr)
    if hint:
        print(f"  → {hint}", file=sys.stderr)

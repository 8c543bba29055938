"""Runs the ``iotcore`` wheel's broker: ``python -m runtime.local.iotcore_server CONFIG UID GID``.

The broker has no call to stop or to read its users again, so this process keeps it in a child: SIGHUP replaces the
child, which then reads the configuration anew; SIGTERM ends both. As root the child gives its rights up *after* the
libraries are loaded, because the interpreter may lie in a directory that an ordinary user cannot enter (UID -1: keep).
"""

from __future__ import annotations

import logging
import os
import signal
import sys

from iotcore import IotCoreBroker

from runtime.local.process import die_with_parent

_SIGNALS = {signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}


def serve(config: str, uid: int, gid: int, parent: int) -> None:
    """The child: drop rights, then be the broker until killed."""
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    die_with_parent(signal.SIGKILL, parent)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # The broker opens an error-level span for every packet; as log lines they would drown everything.
    for name in ("rumqttd", "tracing"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    IotCoreBroker(config_path=config).run_forever()


def main() -> int:
    """Keep one child alive; its own end is ours, so that whoever started us sees it."""
    config, uid, gid = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    child = _fork(config, uid, gid)
    while True:
        number = signal.sigwait(_SIGNALS)
        if number == signal.SIGCHLD:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status) or 1
            continue
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        if number != signal.SIGHUP:
            return 0
        child = _fork(config, uid, gid)


def _fork(config: str, uid: int, gid: int) -> int:
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            serve(config, uid, gid, parent)
        finally:
            os._exit(1)
    return child


if __name__ == "__main__":
    sys.exit(main())

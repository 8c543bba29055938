"""One lifecycle for the servers that the embedded host starts: start, ready, watch, stop, kill.

A server runs in a session of its own, so that Ctrl-C reaches us first and we stop things in the right order. On Linux
the kernel ends it when we die by whatever cause (``PR_SET_PDEATHSIG``); elsewhere only an orderly end stops it.
"""

from __future__ import annotations

import ctypes
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Self, TypedDict

from runtime.local.accounts import Account
from runtime.local.errors import ProcessFailedError

_PR_SET_PDEATHSIG = 1
_POLL_SECONDS = 0.03
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class _Spawner:
    """Starts every child from one thread that lives as long as the interpreter.

    The kernel's parent-death signal fires when the *thread* that forked ends, not the process; started from a
    short-lived worker thread, a server would be killed as soon as that thread returned.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._pid = 0
        self._requests: queue.SimpleQueue[tuple[Callable[[], subprocess.Popen[bytes]], Future[subprocess.Popen[bytes]]]]

    def start(self, make: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        with self._guard:
            if self._pid != os.getpid():  # first use, or we are a fork of a process that had the thread
                self._pid = os.getpid()
                self._requests = queue.SimpleQueue()
                threading.Thread(target=self._run, args=(self._requests,), name="spawner", daemon=True).start()
        answer: Future[subprocess.Popen[bytes]] = Future()
        self._requests.put((make, answer))
        return answer.result()

    @staticmethod
    def _run(
        requests: queue.SimpleQueue[tuple[Callable[[], subprocess.Popen[bytes]], Future[subprocess.Popen[bytes]]]],
    ) -> None:
        while True:
            make, answer = requests.get()
            try:
                answer.set_result(make())
            except BaseException as error:  # the caller's thread raises it
                answer.set_exception(error)
            # Neither may live on in this frame until the next request: the child's pipes and log hang on them.
            del make, answer


_spawner = _Spawner()


def die_with_parent(parent_signal: int, parent: int) -> None:
    """Ask the kernel to send this process ``parent_signal`` when the thread that made it ends.

    To be called in the new process after its last change of user, which would clear it. Ends at once when
    ``parent`` has died meanwhile. Does nothing where there is no such call.
    """
    if _libc is None:
        return
    _libc.prctl(_PR_SET_PDEATHSIG, parent_signal)
    if os.getppid() != parent:
        os._exit(1)


class ChildProcess:
    """One server process of ours.

    ``ready`` is asked every 30 ms after the start until it says True; ``stop`` sends ``stop_signal`` and waits
    ``stop_timeout`` seconds before it sends SIGQUIT, then SIGKILL. ``on_exit`` is called with this object and the
    exit code, from a thread of its own, when the process ends without having been asked to.
    As a context manager it starts on entry and stops on exit. It can be started again after it has ended.

    Raises :class:`ProcessFailedError`, with the end of the log, when the process ends or times out before ready.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | os.PathLike[str]],
        *,
        directory: Path,
        log: Path,
        account: Account | None = None,
        environment: Mapping[str, str] | None = None,
        ready: Callable[[], bool] = lambda: True,
        ready_timeout: float = 30.0,
        stop_signal: signal.Signals = signal.SIGTERM,
        stop_timeout: float = 30.0,
        on_exit: Callable[[ChildProcess, int], None] | None = None,
    ) -> None:
        self.name = name
        self.command = [os.fspath(part) for part in command]
        self.directory = directory
        self.log = log
        self.account = account
        self.environment = environment
        self.on_exit = on_exit
        self._ready = ready
        self._ready_timeout = ready_timeout
        self._stop_signal = stop_signal
        self._stop_timeout = stop_timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        """Process id while it runs, else None."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Exit code of the last run (negative: the signal that ended it), None while running or never started."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start it and return when it is ready; nothing happens when it runs already."""
        if self.running:
            return
        self._stopping = False
        parent, stop_signal = os.getpid(), int(self._stop_signal)

        def prepare() -> None:
            die_with_parent(stop_signal, parent)

        def make() -> subprocess.Popen[bytes]:
            with open(self.log, "ab") as output:
                self._log_start = output.tell()
                return subprocess.Popen(
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=self.directory,
                    env=None if self.environment is None else dict(self.environment),
                    start_new_session=True,
                    preexec_fn=prepare if _libc is not None else None,  # noqa: PLW1509 - one prctl call, no locks
                    **_as_account(self.account),
                )

        self._process = _spawner.start(make)
        try:
            self._wait_ready(self._process)
        except BaseException:
            self.kill()
            raise
        # Watched from here on only: an end before it was ready is the caller's exception, not news for ``on_exit``.
        threading.Thread(target=self._watch, args=(self._process,), name=f"watch-{self.name}", daemon=True).start()

    def _wait_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self._ready_timeout
        while True:
            if (code := process.poll()) is not None:
                raise ProcessFailedError(
                    f"{self.name} ended with code {code} before it was ready:\n{self.log_tail()}",
                    hint=f"its whole log is {self.log}",
                )
            if self._ready():
                return
            if time.monotonic() > deadline:
                raise ProcessFailedError(
                    f"{self.name} was not ready after {self._ready_timeout:g} s:\n{self.log_tail()}",
                    hint=f"its whole log is {self.log}",
                )
            time.sleep(_POLL_SECONDS)

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        code = process.wait()
        if not self._stopping and process is self._process and self.on_exit is not None:
            self.on_exit(self, code)

    def stop(self) -> None:
        """End it in order, with force when it does not listen; nothing happens when it does not run."""
        process = self._process
        if process is None:
            return
        self._stopping = True
        for number, patience in (
            (self._stop_signal, self._stop_timeout),
            (signal.SIGQUIT, 5.0),
            (signal.SIGKILL, 5.0),
        ):
            if process.poll() is not None:
                return
            process.send_signal(number)
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                continue

    def kill(self) -> None:
        """End it at once (SIGKILL), as a power cut would."""
        self._stopping = True
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(10.0)

    def signal(self, number: signal.Signals) -> None:
        """Send ``number`` if it runs."""
        if self._process is not None:
            self._process.send_signal(number)

    def log_tail(self, lines: int = 12) -> str:
        """The last ``lines`` lines that the current or last run has written."""
        with open(self.log, "rb") as file:
            file.seek(self._log_start)
            text = file.read().decode(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def run_tool(
    command: Sequence[str | os.PathLike[str]],
    *,
    directory: Path,
    account: Account | None = None,
    environment: Mapping[str, str] | None = None,
    timeout: float = 120.0,
) -> subprocess.CompletedProcess[str]:
    """Run a short-lived helper program (``initdb``, ``postgres -C``) as ``account``; the caller looks at its code."""
    return subprocess.run(
        [os.fspath(part) for part in command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        cwd=directory,
        env=None if environment is None else dict(environment),
        timeout=timeout,
        check=False,
        **_as_account(account),
    )


def end_leftovers(directory: Path, program: str, *, marker: str = "", patience: float = 10.0) -> bool:
    """End servers of an instance that died, which still work in ``directory``; True when any were found.

    A leftover is a process whose working directory is ``directory``, whose name starts with ``program`` and whose
    command line contains ``marker``. Call it only while holding the lock of the data directory: then no such process
    can belong to a living instance. Most are ending already (their parent is gone) and are given ``patience``
    seconds; then SIGQUIT, then SIGKILL. Needs /proc; where there is none it finds nothing.
    """
    found = False
    for number, wait in ((None, patience), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
        pids = _working_in(directory, program, marker)
        if not pids:
            return found
        found = True
        if number is not None:
            for pid in pids:
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    continue
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline:
            if not _working_in(directory, program, marker):
                return True
            time.sleep(_POLL_SECONDS)
    raise ProcessFailedError(
        f"{program} of an earlier run still works in {directory} and cannot be ended",
        hint="end it by hand (see `ps`), then start again",
    )


def _working_in(directory: Path, program: str, marker: str) -> list[int]:
    wanted = str(directory.resolve())
    pids: list[int] = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (
                os.readlink(entry / "cwd") == wanted
                and (entry / "comm").read_text().startswith(program)
                and marker.encode() in (entry / "cmdline").read_bytes()
            ):
                pids.append(int(entry.name))
        except OSError:  # it ended meanwhile, or belongs to somebody else
            continue
    return pids


class _Credentials(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[str | int]


def _as_account(account: Account | None) -> _Credentials:
    """What makes ``subprocess`` drop to ``account``; nothing when there is none or we are not root."""
    if account is None or os.geteuid() != 0:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}

"""Child processes: ready or a reason, stopped in order, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from runtime.local.errors import ProcessFailedError
from runtime.local.process import ChildProcess, end_leftovers

pytestmark = pytest.mark.integration


def shell(script: str, directory: Path, **options: object) -> ChildProcess:
    return ChildProcess("helper", ["/bin/sh", "-c", script], directory=directory, log=directory / "log", **options)  # type: ignore[arg-type]


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False


def wait_until(condition, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_it_runs_from_entry_to_exit_and_can_run_again(tmp_path: Path) -> None:
    child = shell("exec sleep 60", tmp_path)
    for _ in range(2):
        with child:
            pid = child.pid
            assert pid is not None
            assert child.running
        assert not alive(pid)
        assert child.exit_code == -signal.SIGTERM


def test_an_end_before_ready_tells_the_last_lines_of_the_log(tmp_path: Path) -> None:
    codes: list[int] = []
    child = shell(
        "echo the disk is full; exit 3", tmp_path, ready=lambda: False, on_exit=lambda _child, code: codes.append(code)
    )
    with pytest.raises(ProcessFailedError, match=r"code 3(.|\n)*the disk is full"):
        child.start()
    time.sleep(0.1)
    assert codes == [], "the exception has said it"


def test_one_that_never_becomes_ready_is_ended(tmp_path: Path) -> None:
    child = shell("exec sleep 60", tmp_path, ready=lambda: False, ready_timeout=0.2)
    with pytest.raises(ProcessFailedError, match="not ready"):
        child.start()
    assert not child.running


def test_one_that_does_not_listen_is_ended_with_force(tmp_path: Path) -> None:
    child = shell(
        "trap '' TERM; touch deaf; while :; do sleep 0.1; done",
        tmp_path,
        ready=lambda: (tmp_path / "deaf").exists(),
        stop_timeout=0.3,
    )
    with child:
        pass
    assert child.exit_code in (-signal.SIGQUIT, -signal.SIGKILL)


def test_an_unexpected_end_is_reported_and_an_asked_one_is_not(tmp_path: Path) -> None:
    codes: list[int] = []
    with shell("exec sleep 60", tmp_path, on_exit=lambda _child, code: codes.append(code)) as child:
        child.signal(signal.SIGKILL)
        assert wait_until(lambda: codes == [-signal.SIGKILL])
    with shell("exec sleep 60", tmp_path, on_exit=lambda _child, code: codes.append(code)):
        pass
    time.sleep(0.1)
    assert codes == [-signal.SIGKILL]


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_it_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    child = shell("exec sleep 60", tmp_path)
    starter = threading.Thread(target=child.start)
    starter.start()
    starter.join()
    time.sleep(0.2)
    assert child.running
    child.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_it_dies_when_the_parent_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time, pathlib; from runtime.local.process import ChildProcess; d = pathlib.Path(sys.argv[1]);"
        "c = ChildProcess('x', ['/bin/sleep', '60'], directory=d, log=d / 'log'); c.start();"
        "print(c.pid, flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen(
        [sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert alive(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert wait_until(lambda: not alive(pid))


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="leftovers are found through /proc")
def test_leftovers_of_a_dead_instance_are_ended_and_strangers_are_not(tmp_path: Path) -> None:
    theirs, elsewhere = tmp_path / "theirs", tmp_path / "elsewhere"
    theirs.mkdir()
    elsewhere.mkdir()
    left = subprocess.Popen(["/bin/sleep", "60"], cwd=theirs)
    other_place = subprocess.Popen(["/bin/sleep", "60"], cwd=elsewhere)
    other_program = subprocess.Popen(["/bin/sh", "-c", "sleep 60; :"], cwd=theirs)
    try:
        threading.Thread(target=left.wait, daemon=True).start()
        assert end_leftovers(theirs, "sleep", marker="sleep", patience=0.2)
        assert not alive(left.pid)
        assert other_place.poll() is None
        assert not end_leftovers(theirs, "postgres")
    finally:
        for process in (left, other_place, other_program):
            process.kill()
            process.wait()

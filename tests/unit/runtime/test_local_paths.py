"""The data directory: where it is, who may read it, one instance at a time, state that is never half written."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

import pytest

from runtime.local.accounts import Account, first_unreachable
from runtime.local.errors import DataDirectoryError, InstanceRunningError
from runtime.local.paths import SYSTEM_HOME, DataDirectory, default_home


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_named_directory_wins_over_everything() -> None:
    environ = {"SERVITIZE_HOME": "/srv/data", "XDG_DATA_HOME": "/xdg", "HOME": "/people/ann"}
    assert default_home(environ) == Path("/srv/data")


def test_xdg_data_home_is_used_and_a_relative_one_ignored() -> None:
    assert default_home({"XDG_DATA_HOME": "/xdg", "HOME": "/people/ann"}) == Path("/xdg/servitize")
    assert default_home({"XDG_DATA_HOME": "xdg", "HOME": "/people/ann"}) == Path("/people/ann/.local/share/servitize")


def test_root_with_a_closed_home_keeps_data_where_the_servers_account_can_reach_it(tmp_path: Path) -> None:
    closed = tmp_path / "root-home"
    closed.mkdir(mode=0o700)
    stranger = Account("stranger", os.getuid() + 12345, os.getgid() + 12345)
    assert default_home({"HOME": str(closed)}, stranger) == SYSTEM_HOME


def test_a_directory_behind_a_closed_one_is_refused_with_the_way_out(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    stranger = Account("stranger", os.getuid() + 12345, os.getgid() + 12345)
    with pytest.raises(DataDirectoryError, match="may not enter") as caught:
        DataDirectory(closed / "data", stranger)
    assert "SERVITIZE_HOME" in caught.value.hint


def test_reachability_is_judged_by_the_class_the_account_falls_into(tmp_path: Path) -> None:
    inner = tmp_path / "a"
    inner.mkdir()
    mine = Account("me", os.getuid(), os.getgid())
    assert first_unreachable(inner, mine) is None
    inner.chmod(0o077)
    assert first_unreachable(inner, mine) == inner
    inner.chmod(0o755)


def test_everything_is_private(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path / "home")
    data.update_state("ports", mqtt=1883)
    assert mode(data.root) == 0o700
    assert mode(data.directory("postgres")) == 0o700
    assert mode(data.secret_path("x")) == 0o600
    assert mode(data.root / "state.json") == 0o600


def test_a_secret_stays_the_same_and_differs_by_name(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path)
    first = data.secret("a")
    assert len(first) >= 32
    assert DataDirectory(tmp_path).secret("a") == first
    assert data.secret("b") != first


def test_two_instances_do_not_share_a_directory(tmp_path: Path) -> None:
    first, second = DataDirectory(tmp_path), DataDirectory(tmp_path)
    with first:
        assert second.holder() == os.getpid()
        with pytest.raises(InstanceRunningError, match=str(os.getpid())) as caught:
            second.acquire()
        assert "servitize down" in caught.value.hint
    assert second.holder() is None
    with second:
        pass


def test_state_merges_and_none_removes(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path)
    assert data.state() == {}
    data.update_state("servers", a={"pid": 1}, b={"pid": 2})
    data.update_state("servers", a=None)
    assert DataDirectory(tmp_path).state() == {"servers": {"b": {"pid": 2}}}


def test_state_from_several_threads_is_never_half_written(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path)
    data.update_state("x", start=0)
    broken: list[str] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            text = (tmp_path / "state.json").read_text()
            try:
                json.loads(text)
            except ValueError:
                broken.append(text)

    reader = threading.Thread(target=read)
    reader.start()

    def write(writer: int) -> None:
        for i in range(10):
            data.update_state("x", **{f"k{writer}-{i}": i})

    writers = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    done.set()
    reader.join()
    assert broken == []
    assert len(data.state()["x"]) == 41


def test_an_unreadable_state_file_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{")
    assert DataDirectory(tmp_path).state() == {}

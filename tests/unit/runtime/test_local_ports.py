"""Ports: the usual one if free, else another, and the same again next time."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.local import ports
from runtime.local.paths import DataDirectory
from runtime.local.ports import any_free_port, choose_port, is_free


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_listened_port_is_not_free(taken: int) -> None:
    assert not is_free(taken)
    assert is_free(any_free_port())


def test_the_usual_port_is_taken_when_it_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = any_free_port()
    monkeypatch.setitem(ports.USUAL_PORTS, "mqtt", usual)
    assert choose_port(DataDirectory(tmp_path), "mqtt") == usual


def test_a_taken_usual_port_is_passed_over_and_the_choice_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    monkeypatch.setitem(ports.USUAL_PORTS, "mqtt", taken)
    chosen = choose_port(DataDirectory(tmp_path), "mqtt")
    assert chosen != taken
    monkeypatch.setitem(ports.USUAL_PORTS, "mqtt", any_free_port())
    assert choose_port(DataDirectory(tmp_path), "mqtt") == chosen


def test_a_remembered_port_that_is_taken_now_gives_way(tmp_path: Path, taken: int) -> None:
    data = DataDirectory(tmp_path)
    data.update_state("ports", other=taken)
    assert choose_port(data, "other") != taken


def test_zero_leaves_the_usual_port_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = any_free_port()
    monkeypatch.setitem(ports.USUAL_PORTS, "mqtt", usual)
    data = DataDirectory(tmp_path)
    chosen = choose_port(data, "mqtt", wanted=0)
    assert chosen != usual
    assert choose_port(data, "mqtt", wanted=0) == chosen

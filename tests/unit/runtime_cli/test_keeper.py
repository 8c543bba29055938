"""Who dies is started again, soon at first; at the end all stop in reverse order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from runtime.backoff import LONGEST_SECONDS, STABLE_SECONDS, BackOff
from runtime.keeper import Keeper, Part


class FakePart:
    """A process that starts as told; ``fails`` times it does not."""

    def __init__(self, name: str, log: list[str], fails: int = 0) -> None:
        self.name, self.log, self.fails = name, log, fails
        self.pid: int | None = 1
        self.started = threading.Event()

    def start(self) -> None:
        if self.fails:
            self.fails -= 1
            raise OSError(f"no luck with {self.name}\nmore lines")
        self.pid = 2
        self.started.set()

    def stop(self) -> None:
        self.log.append(self.name)

    def part(self, *, finishes: bool = False) -> Part:
        return Part(self.name, self.start, self.stop, lambda: self.pid, finishes=finishes)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class TestBackOff:
    def test_it_doubles_up_to_half_a_minute(self) -> None:
        backoff = BackOff()
        delays = [backoff.delay(lived=1.0) for _ in range(12)]
        assert delays[:4] == [0.25, 0.5, 1.0, 2.0]
        assert delays[-1] == LONGEST_SECONDS

    def test_a_long_life_forgives_early_deaths(self) -> None:
        backoff = BackOff()
        for _ in range(8):
            backoff.delay(lived=1.0)
        assert backoff.delay(lived=STABLE_SECONDS) == 0.25


class TestKeeper:
    def test_a_dead_part_comes_back_and_both_are_told(self) -> None:
        news: list[str] = []
        keeper, fake = Keeper(news.append), FakePart("ingest", [])
        keeper.add(fake.part())
        keeper.start()
        keeper.died("ingest", -9)
        wait_for(lambda: len(news) == 2)
        keeper.stop()
        assert news[0] == "ingest was ended by signal 9; starting it again in 0.25 s"
        assert news[1].startswith("ingest is back after")
        assert keeper.parts[0].restarts == 1
        assert keeper.parts[0].down_since is None

    def test_a_start_that_fails_is_tried_again_later(self) -> None:
        news: list[str] = []
        keeper, fake = Keeper(news.append), FakePart("api", [], fails=1)
        keeper.add(fake.part())
        keeper.start()
        keeper.died("api", 1)
        assert fake.started.wait(10)
        wait_for(lambda: len(news) == 3)
        keeper.stop()
        assert news[1] == "api did not start: no luck with api; starting it again in 0.5 s"

    def test_one_that_is_slow_to_come_back_keeps_nobody_from_it(self) -> None:
        release, news = threading.Event(), list[str]()
        keeper, quick = Keeper(news.append), FakePart("quick", [])

        def start_slowly() -> None:
            release.wait(10)

        keeper.add(Part("slow", start_slowly, lambda: None, lambda: 1))
        keeper.add(quick.part())
        keeper.start()
        keeper.died("slow", 1)
        keeper.died("quick", 1)
        assert quick.started.wait(5)
        release.set()
        keeper.stop()

    def test_finishing_is_no_death(self) -> None:
        news: list[str] = []
        keeper = Keeper(news.append)
        keeper.add(FakePart("publisher", []).part(finishes=True))
        keeper.start()
        keeper.died("publisher", 0)
        wait_for(lambda: keeper.parts[0].finished)
        keeper.stop()
        assert news == []

    def test_all_stop_in_reverse_even_if_one_refuses(self) -> None:
        news: list[str] = []
        stopped: list[str] = []
        log: list[str] = []
        keeper = Keeper(news.append)

        def refuse() -> None:
            raise OSError("I will not")

        keeper.add(FakePart("database", log).part())
        keeper.add(Part("broker", lambda: None, refuse, lambda: 1))
        keeper.add(FakePart("ingest", log).part())
        keeper.start()
        keeper.stop(lambda name, seconds: stopped.append(name))
        assert log == ["ingest", "database"]
        assert stopped == ["ingest", "broker", "database"]
        assert "I will not" in news[0]

    def test_stopping_before_starting_stops_what_was_added(self) -> None:
        log: list[str] = []
        keeper = Keeper(lambda _: None)
        keeper.add(FakePart("database", log).part())
        keeper.stop()
        assert log == ["database"]

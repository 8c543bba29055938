"""The demonstration's history, played once, in a database of each engine, with a board login of each tenant."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from storage import board_logins
from storage.caretaker import roll_up
from storage.migrate import API, WRITER, Engine, migrate
from tests.conftest import DatabaseFactory
from tests.integration.storage.conftest import timescaledb  # noqa: F401 - a fixture
from tests.support import demo_business, demo_fleet, demo_work, timescale
from tests.support.demo_fleet import DemoHistory, Played
from tests.support.logins import PASSWORDS

OF_ANOTHER_CASE = {("diagnosis", "orbit")}
"""What the case that a reader is shown first cannot have: it is about a bearing's housing, and only shafts have orbits.
Seen in the other case of the same machine."""


@dataclass(frozen=True)
class Demo:
    """A filled database: DSN of its owner, of the API's login, of the board logins of the demonstration's tenant and
    of another."""

    dsn: str
    api: str
    board: str
    other_board: str
    history: DemoHistory


class Film:
    """What the machines did, computed on first use for whichever database is filled first."""

    def __init__(self) -> None:
        self._played: list[Played] | None = None
        self._history: DemoHistory | None = None

    def of(self, history: DemoHistory) -> list[Played]:
        if self._played is None or self._history is None:
            self._history, self._played = history, demo_fleet.play(history)
        # the same numbers in both databases, or a record would name points of the other
        assert history.snapshot.equipment == self._history.snapshot.equipment
        return self._played


@pytest.fixture(scope="session")
def film() -> Film:
    return Film()


def fill(dsn: str, engine: Engine, film: Film) -> Demo:
    migrate(dsn, PASSWORDS, engine=engine)
    logins = {role: make_conninfo(dsn, user=role, password=password) for role, password in PASSWORDS.items()}
    history = demo_fleet.install(dsn)
    demo_fleet.store(dsn, logins[WRITER], logins[API], history, film.of(history))
    demo_work.work(logins[API], history.tenant)
    demo_business.trade(logins[WRITER], logins[API], history)
    with psycopg.connect(dsn) as connection:
        names = [board_logins.put(connection, tenant, "look") for tenant in (history.tenant, history.other)]
    if engine is Engine.PLAIN:
        with psycopg.connect(logins[WRITER], autocommit=True) as connection:
            roll_up(connection, everything=True)
    else:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("SET ROLE servitize_owner")
            connection.execute("CALL servitize.refresh_rollups()")
    board, other = (make_conninfo(dsn, user=name, password="look") for name in names)
    return Demo(dsn, logins[API], board, other, history)


@pytest.fixture(scope="session")
def plain_demo(database_factory: DatabaseFactory, film: Film) -> Demo:
    return fill(database_factory().dsn, Engine.PLAIN, film)


@pytest.fixture(scope="session")
def timescale_demo(timescaledb: timescale.Timescale, film: Film) -> Demo:  # noqa: F811
    return fill(timescaledb.create()[1], Engine.TIMESCALE, film)


@pytest.fixture(params=["plain", pytest.param("timescale", marks=pytest.mark.timescale)])
def demo(request: pytest.FixtureRequest) -> Demo:
    """On each engine in turn."""
    found: Demo = request.getfixturevalue(f"{request.param}_demo")
    return found

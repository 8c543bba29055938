"""Put a tenant's boards into a Grafana: data source, folder, dashboards. What is there and equal is left alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from boards.definition import Board
from boards.grafana.client import Grafana, Json
from boards.grafana.dashboards import render
from boards.grafana.parts import DATASOURCE_TYPE, Place
from boards.grafana.provisioning import connection_settings

_GRAFANAS_OWN: Final = ("id", "version", "iteration")
"""Keys of a dashboard that each Grafana gives itself."""
_COMPARED: Final = ("name", "type", "access", "url", "user", "jsonData", "isDefault")


class Done(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Pushed:
    """``what``: data source, folder or dashboard, with its title."""

    what: str
    title: str
    uid: str
    done: Done


@dataclass(frozen=True, slots=True)
class Database:
    """How Grafana reaches the database: ``host`` with port as *it* sees them. ``password`` None: leave the one it
    has."""

    host: str
    name: str
    login: str
    ssl_mode: str
    password: str | None = None


def push(grafana: Grafana, place: Place, database: Database, boards: Iterable[Board]) -> Iterator[Pushed]:
    """In the order in which each needs the one before; interrupted, it goes on where it is run again."""
    yield Pushed("data source", place.title, place.uid("data"), _datasource(grafana, place, database))
    yield Pushed("folder", place.title, place.uid("folder"), _folder(grafana, place))
    for board in boards:
        document = render(board, place)
        yield Pushed("dashboard", document["title"], document["uid"], _dashboard(grafana, place, document))


def _datasource(grafana: Grafana, place: Place, database: Database) -> Done:
    uid = place.uid("data")
    document: Json = {
        "name": place.title,
        "uid": uid,
        "type": DATASOURCE_TYPE,
        "access": "proxy",
        "url": database.host,
        "user": database.login,
        "jsonData": connection_settings(database.name, database.ssl_mode),
        "isDefault": False,
    }
    if database.password is not None:
        document["secureJsonData"] = {"password": database.password}
    known = grafana.datasource(uid)
    if known is None:
        grafana.create_datasource(document)
        return Done.CREATED
    if database.password is None and all(known.get(key) == document[key] for key in _COMPARED):
        return Done.UNCHANGED
    grafana.update_datasource(uid, document)
    return Done.UPDATED


def _folder(grafana: Grafana, place: Place) -> Done:
    uid = place.uid("folder")
    known = grafana.folder(uid)
    if known is None:
        grafana.create_folder(uid, place.title)
        return Done.CREATED
    if known.get("title") != place.title:
        grafana.rename_folder(uid, place.title)
        return Done.UPDATED
    return Done.UNCHANGED


def _dashboard(grafana: Grafana, place: Place, document: Json) -> Done:
    known = grafana.dashboard(document["uid"])
    if known is not None and _same(known, document, place.uid("folder")):
        return Done.UNCHANGED
    grafana.put_dashboard(document, place.uid("folder"), "servitize boards push")
    return Done.CREATED if known is None else Done.UPDATED


def _same(known: Json, document: Json, folder: str) -> bool:
    there: dict[str, Any] = {key: value for key, value in known["dashboard"].items() if key not in _GRAFANAS_OWN}
    return there == document and known.get("meta", {}).get("folderUid") == folder

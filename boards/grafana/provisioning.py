"""The boards as files that Grafana reads at its start: data source, folder, dashboards.

Nothing secret and nothing of one installation is in them: Grafana puts in what its environment says
(``BOARD_…``) and the login's password out of a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import yaml

from boards.all import BOARDS
from boards.grafana.dashboards import render, text_of
from boards.grafana.parts import DATASOURCE_TYPE, Place

_HEADER: Final = "# Made by `servitize boards render`; a test says when it is old.\n"
MOUNTED: Final = "/etc/grafana/servitize"
"""Where the dashboards' folder lies in Grafana's container."""
PASSWORD_FILE: Final = "/run/secrets/database-board"  # noqa: S105 - where it is, not what it is
PLACE: Final = Place("servitize", "Servitize")


def files(place: Place = PLACE) -> Mapping[str, str]:
    """Text by path, relative to ``deploy/grafana``."""
    found = {
        "provisioning/datasources/servitize.yaml": _yaml(_datasources(place)),
        "provisioning/dashboards/servitize.yaml": _yaml(_providers(place)),
    }
    for board in BOARDS.values():
        found[f"dashboards/{board.key}.json"] = text_of(render(board, place))
    return found


def _datasources(place: Place) -> dict[str, object]:
    return {
        "apiVersion": 1,
        "datasources": [
            {
                "name": place.title,
                "uid": place.uid("data"),
                "type": DATASOURCE_TYPE,
                "access": "proxy",
                "url": "${BOARD_DATABASE_HOST}",
                "user": "${BOARD_LOGIN}",
                "jsonData": connection_settings("${BOARD_DATABASE}", "${BOARD_SSLMODE}"),
                "secureJsonData": {"password": f"$__file{{{PASSWORD_FILE}}}"},
                "editable": False,
            }
        ],
    }


def connection_settings(database: str, ssl_mode: str) -> dict[str, object]:
    """What the data source says about its connection beside address and login."""
    return {
        "database": database,
        "sslmode": ssl_mode,
        "maxOpenConns": 10,
        "maxIdleConns": 4,
        "connMaxLifetime": 14400,
        # macros for PostgreSQL 15 and later; TimescaleDB's own are not used, since both engines get the same SQL
        "postgresVersion": 1500,
        "timescaledb": False,
    }


def _providers(place: Place) -> dict[str, object]:
    return {
        "apiVersion": 1,
        "providers": [
            {
                "name": place.title,
                "folder": place.title,
                "folderUid": place.uid("folder"),
                "type": "file",
                "disableDeletion": False,
                "allowUiUpdates": False,
                "updateIntervalSeconds": 30,
                "options": {"path": f"{MOUNTED}/dashboards"},
            }
        ],
    }


def _yaml(document: object) -> str:
    return _HEADER + yaml.safe_dump(document, sort_keys=False, allow_unicode=True)

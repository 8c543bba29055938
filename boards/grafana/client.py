"""The one place that speaks to a Grafana. Behind it stands grafana-api, which knows addresses and errors of the API.

Data sources are found by uid, for which grafana-api has no method yet: those calls go through its session.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import requests
from grafana_api.grafana_api import GrafanaClientError, GrafanaException, GrafanaUnauthorizedError
from grafana_api.grafana_face import GrafanaFace

from core.errors import ForbiddenError, InvalidInputError, UnavailableError

Json = dict[str, Any]
_NOT_FOUND = 404


class Grafana:
    """``url`` as a browser has it (``https://grafana.example.org/path``); ``access`` the token of a service account
    that may edit dashboards and data sources, or (user, password) of somebody who may. Either belongs to one
    organisation of Grafana's, and so does all that is put."""

    def __init__(self, url: str, access: str | tuple[str, str], timeout: float = 10.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise InvalidInputError(f"{url!r} is no address of a Grafana", hint="like https://grafana.example.org")
        path = parts.path.strip("/")
        self._where = url
        self._face = GrafanaFace(
            auth=access,
            host=f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname,
            port=parts.port,
            url_path_prefix=f"{path}/" if path else "",
            protocol=parts.scheme,
            timeout=timeout,
        )

    def datasource(self, uid: str) -> Json | None:
        return self._find(lambda: self._face.api.GET(f"/datasources/uid/{_checked(uid)}"))

    def create_datasource(self, document: Json) -> None:
        self._ask(lambda: self._face.datasource.create_datasource(document))

    def update_datasource(self, uid: str, document: Json) -> None:
        self._ask(lambda: self._face.api.PUT(f"/datasources/uid/{_checked(uid)}", json=document))

    def folder(self, uid: str) -> Json | None:
        return self._find(lambda: self._face.folder.get_folder(_checked(uid)))

    def create_folder(self, uid: str, title: str) -> None:
        self._ask(lambda: self._face.folder.create_folder(title, _checked(uid)))

    def rename_folder(self, uid: str, title: str) -> None:
        self._ask(lambda: self._face.folder.update_folder(_checked(uid), title, overwrite=True))

    def dashboard(self, uid: str) -> Json | None:
        """``{"dashboard": …, "meta": …}``."""
        return self._find(lambda: self._face.dashboard.get_dashboard(_checked(uid)))

    def put_dashboard(self, document: Json, folder: str, message: str) -> None:
        """Make it, or replace the one of that uid; an older version stays in its history."""
        body = {"dashboard": document, "folderUid": _checked(folder), "message": message, "overwrite": True}
        self._ask(lambda: self._face.dashboard.update_dashboard(body))

    def _find(self, call: Any) -> Json | None:
        try:
            return self._ask(call)
        except _MissingError:
            return None

    def _ask(self, call: Any) -> Json:
        try:
            answer: Json = call()
        except GrafanaUnauthorizedError as error:
            raise ForbiddenError(
                f"{self._where} does not know the token or password", hint="make a service account's token there"
            ) from error
        except GrafanaClientError as error:
            if error.status_code == _NOT_FOUND:
                raise _MissingError(f"{self._where}: there is no such thing") from error
            raise ForbiddenError(
                f"{self._where} refuses: {error.message}",
                hint="who pushes needs the role Admin, or rights on data sources, folders and dashboards",
            ) from error
        except GrafanaException as error:
            raise UnavailableError(f"{self._where} failed: {error.message}", hint="look into Grafana's log") from error
        except (requests.RequestException, ValueError) as error:
            raise UnavailableError(
                f"{self._where} does not answer as a Grafana does: {error}",
                hint="check the address; a proxy may differ",
            ) from error
        return answer


class _MissingError(UnavailableError):
    """Grafana's 404."""


def _checked(uid: str) -> str:
    """Uids become parts of addresses."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", uid):
        raise InvalidInputError(f"{uid!r} is no uid of Grafana's")
    return uid

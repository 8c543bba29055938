"""A stand-in for Grafana's HTTP API, as far as boards use it: keeps what it is given, refuses what Grafana would
refuse, and remembers every request. No Grafana was at hand to compare with; it follows the published API of version 11.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import unquote

Json = dict[str, Any]
Answer = tuple[int, Json]
_UID: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
_DATASOURCE_KEYS: Final = {
    "name", "uid", "type", "access", "url", "user", "jsonData", "secureJsonData", "isDefault", "database", "version",
}  # fmt: skip
_DASHBOARD_BODY_KEYS: Final = {"dashboard", "folderUid", "message", "overwrite"}
_PANEL_TYPES: Final = {
    "row", "stat", "table", "timeseries", "state-timeline", "status-history", "barchart", "xychart",
}  # fmt: skip


class RefusedError(Exception):
    """What Grafana would answer with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def wanted(condition: object, message: str, status: int = 400) -> None:
    if not condition:
        raise RefusedError(status, message)


class GrafanaServer:
    """``with GrafanaServer(token) as server: server.url``. ``requests`` are (method, path) in order."""

    def __init__(self, token: str, prefix: str = "") -> None:
        self.token = token
        self.prefix = prefix
        self.datasources: dict[str, Json] = {}
        self.passwords: dict[str, str] = {}
        self.folders: dict[str, Json] = {}
        self.dashboards: dict[str, Json] = {}
        self.requests: list[tuple[str, str]] = []
        self.broken: Callable[[], Answer] | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def _serve(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                status, answer = outer.answer(self.command, self.path, dict(self.headers), body)
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - the base class looks for these names

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}{self.prefix}"

    @property
    def writes(self) -> list[tuple[str, str]]:
        return [(method, path) for method, path in self.requests if method != "GET"]

    def __enter__(self) -> GrafanaServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    # -- the API -----------------------------------------------------------------------------------------------------

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        self.requests.append((method, path))
        try:
            if self.broken is not None:
                return self.broken()
            basic = base64.b64encode(f"admin:{self.token}".encode()).decode()
            wanted(headers.get("Authorization") in (f"Bearer {self.token}", f"Basic {basic}"), "Invalid API key", 401)
            wanted(path.startswith(f"{self.prefix}/api/"), "Not found", 404)
            document: Json = {}
            if method in ("POST", "PUT"):
                wanted(headers.get("Content-Type") == "application/json", "Unsupported media type", 415)
                document = json.loads(body)
                wanted(isinstance(document, dict), "bad request data")
            else:
                wanted(not body, "a body where none belongs")
            return self._route(method, unquote(path.removeprefix(f"{self.prefix}/api")), document)
        except RefusedError as error:
            return error.status, {"message": str(error)}

    def _route(self, method: str, path: str, document: Json) -> Answer:
        kind, _, rest = path.strip("/").partition("/")
        if kind == "datasources":
            return self._datasource(method, rest, document)
        if kind == "folders":
            return self._folder(method, rest, document)
        if kind == "dashboards":
            return self._dashboard(method, rest, document)
        raise RefusedError(404, "Not found")

    def _datasource(self, method: str, rest: str, document: Json) -> Answer:
        if method == "POST" and not rest:
            self._check_datasource(document)
            uid = document["uid"]
            wanted(uid not in self.datasources, "data source with the same uid already exists", 409)
            names = {known["name"] for known in self.datasources.values()}
            wanted(document["name"] not in names, "data source with the same name already exists", 409)
            self._keep_datasource(uid, document)
            return 200, {"datasource": self.datasources[uid], "message": "Datasource added"}
        wanted(rest.startswith("uid/"), "Not found", 404)
        uid = rest.removeprefix("uid/")
        wanted(uid in self.datasources, "Data source not found", 404)
        if method == "PUT":
            self._check_datasource(document)
            wanted(document["uid"] == uid, "uid differs")
            self._keep_datasource(uid, document)
            return 200, {"datasource": self.datasources[uid], "message": "Datasource updated"}
        return 200, {**self.datasources[uid], "secureJsonFields": {"password": uid in self.passwords}}

    def _check_datasource(self, document: Json) -> None:
        wanted(set(document) <= _DATASOURCE_KEYS, f"unknown: {sorted(set(document) - _DATASOURCE_KEYS)}")
        wanted(_UID.fullmatch(document.get("uid", "")), "uid is not valid")
        wanted(document.get("name") and document.get("access") == "proxy", "name and access are required")
        wanted(document.get("type") == "grafana-postgresql-datasource", "there is no such plugin")
        wanted(re.fullmatch(r"[^/\s]+:\d+", document.get("url", "")), "url is host:port")
        settings = document.get("jsonData", {})
        wanted(
            settings.get("database") and settings.get("sslmode") in ("disable", "require", "verify-full"), "jsonData"
        )
        wanted("password" not in json.dumps(settings), "a secret in plain sight")

    def _keep_datasource(self, uid: str, document: Json) -> None:
        if "secureJsonData" in document:
            self.passwords[uid] = document["secureJsonData"]["password"]
        wanted(uid in self.passwords, "a data source without a password")
        number = self.datasources.get(uid, {}).get("id", len(self.datasources) + 1)
        kept = {key: value for key, value in document.items() if key != "secureJsonData"}
        self.datasources[uid] = {**kept, "id": number, "orgId": 1, "readOnly": False}

    def _folder(self, method: str, rest: str, document: Json) -> Answer:
        if method == "POST" and not rest:
            wanted(set(document) <= {"uid", "title"}, "unknown keys")
            wanted(_UID.fullmatch(document.get("uid", "")), "uid contains illegal characters or is too long")
            wanted(document.get("title"), "folder title cannot be empty")
            wanted(document["uid"] not in self.folders, "a folder with the same uid already exists", 412)
            self.folders[document["uid"]] = {**document, "id": len(self.folders) + 1, "version": 1}
            return 200, self.folders[document["uid"]]
        wanted(rest in self.folders, "folder not found", 404)
        if method == "PUT":
            wanted(
                document.get("overwrite") or document.get("version") == self.folders[rest]["version"], "changed", 412
            )
            self.folders[rest] |= {"title": document["title"], "version": self.folders[rest]["version"] + 1}
        return 200, self.folders[rest]

    def _dashboard(self, method: str, rest: str, document: Json) -> Answer:
        if method == "POST" and rest == "db":
            wanted(set(document) <= _DASHBOARD_BODY_KEYS, f"unknown: {sorted(set(document) - _DASHBOARD_BODY_KEYS)}")
            wanted(document.get("folderUid") in self.folders, "folder not found", 404)
            board = document["dashboard"]
            self._check_dashboard(board)
            known = self.dashboards.get(board["uid"])
            wanted(known is None or document.get("overwrite"), "a dashboard with the same uid already exists", 412)
            version = known["dashboard"]["version"] + 1 if known else 1
            number = known["dashboard"]["id"] if known else len(self.dashboards) + 1
            self.dashboards[board["uid"]] = {
                "dashboard": {**board, "id": number, "version": version},
                "meta": {"folderUid": document["folderUid"], "slug": "x", "provisioned": False},
            }
            return 200, {"id": number, "uid": board["uid"], "status": "success", "version": version}
        wanted(rest.startswith("uid/"), "Not found", 404)
        uid = rest.removeprefix("uid/")
        wanted(uid in self.dashboards, "Dashboard not found", 404)
        return 200, self.dashboards[uid]

    def _check_dashboard(self, board: Json) -> None:
        wanted(board.get("title"), "Dashboard title cannot be empty")
        wanted(_UID.fullmatch(board.get("uid", "")), "uid contains illegal characters or is too long")
        wanted(board.get("id") is None, "an id of another Grafana")
        wanted(board.get("schemaVersion", 0) >= 36, "an old schema")
        ids = [panel["id"] for panel in board["panels"]]
        wanted(len(ids) == len(set(ids)) and all(0 < i < 2**31 for i in ids), "panel ids")
        for panel in board["panels"]:
            wanted(panel["type"] in _PANEL_TYPES, f"there is no plugin {panel['type']}")
            at = panel["gridPos"]
            wanted(at["x"] >= 0 and at["x"] + at["w"] <= 24 and at["h"] > 0, "gridPos")
            for target in panel.get("targets", ()):
                wanted(target["datasource"]["uid"] in self.datasources, "data source not found")
                wanted(target["rawSql"].strip(), "an empty query")

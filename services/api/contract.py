"""What the OpenAPI document says of every operation alike: who may, how often, and how it is sent again safely."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from services.api import remember
from services.api.access import MEANING, Scope, roles_with
from services.api.errors import MEDIA_TYPE, responses
from services.api.identity import TENANT_HEADER

_TOKEN: Final[dict[str, Any]] = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "A token of an OpenID provider that your organisation trusts; where several organisations trust it, "
    f"the header `{TENANT_HEADER}` says which one is meant",
}

_KEY: Final[dict[str, Any]] = {
    "name": remember.HEADER,
    "in": "header",
    "required": False,
    "description": "Made up by you for this one request, best a random UUID. Sent again with it, the request is done "
    f"once and answered the same, for {remember.KEPT_HOURS} hours",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x21-\\x7e]+$"},
}

_MATCH: Final[dict[str, Any]] = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of the version that you have seen; another one is `412`",
    "schema": {"type": "string", "maxLength": 200, "pattern": '^(\\*|"[0-9a-f]{16}")$'},
}

HEADERS: Final[dict[str, Any]] = {
    "RateLimit-Policy": {
        "description": "How many requests (`q`) are allowed in how many seconds (`w`)",
        "schema": {"type": "string", "examples": ['"default";q=6000;w=60']},
    },
    "RateLimit": {
        "description": "How many may follow at once (`r`), and in how many seconds all are there again (`t`)",
        "schema": {"type": "string", "examples": ['"default";r=5999;t=1']},
    },
}


def _refuse(operation: dict[str, Any], code: str) -> None:
    """Document one more kind of refusal."""
    for status, entry in responses(code).items():
        known = operation["responses"].setdefault(str(status), entry)
        if known is not entry:
            examples = known.setdefault("content", {}).setdefault(MEDIA_TYPE, entry["content"][MEDIA_TYPE])
            examples.setdefault("examples", {}).update(entry["content"][MEDIA_TYPE]["examples"])


def complete(document: dict[str, Any], rules: Mapping[str, Scope]) -> None:
    """Write into each operation what holds for it by ``rules`` (operation → scope)."""
    document["components"].setdefault("securitySchemes", {})["token"] = _TOKEN
    document["x-scopes"] = {scope.value: meaning for scope, meaning in MEANING.items()}
    for methods in document["paths"].values():
        for method, operation in methods.items():
            scope = rules.get(operation["operationId"])
            if scope is None:
                continue
            # OpenAPI 3.1: for schemes other than OAuth the list names what is required, beside the scheme
            operation["security"] = [{"apiKey": [scope.value]}, {"token": [scope.value]}]
            operation["x-roles"] = roles_with(scope)
            _refuse(operation, "rate-limited")
            for status, answer in operation["responses"].items():
                if not status.startswith("5"):
                    answer.setdefault("headers", {}).update(HEADERS)
            if method.upper() in remember.CHANGING:
                operation.setdefault("parameters", []).append(_KEY)
                _refuse(operation, "idempotency-key")
                if "412" in operation["responses"]:
                    operation["parameters"].append(_MATCH)

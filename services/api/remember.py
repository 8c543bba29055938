"""Requests that may be sent again: the answer is kept with the Idempotency-Key, committed together with what was done.

The key is written down before anything is done and waits for another request with the same key that is under way, so a
request is done once however often and at how many doors it comes. Who sends it again gets the same answer; a refusal
rolls everything back, its key included, and may be tried again.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from services.api.database import Transaction
from services.api.errors import ApiError
from storage.sealing import Sealer

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
KEPT_HOURS: Final = 24
CHANGING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_FORM: Final = re.compile(r"[\x21-\x7e]{1,255}")
_HEADERS: Final = ("content-type", "location", "etag", "cache-control")
"""What of an answer's headers belongs to the answer and not to its journey."""
_PENDING: Final = "servitize.remember"


class Replay(Exception):  # noqa: N818 - no error: the way past the endpoint
    """The request was done before; ``response`` is what it was answered."""

    def __init__(self, response: Response) -> None:
        super().__init__("this request was done before")
        self.response = response


@dataclass(frozen=True, slots=True)
class _Pending:
    db: Transaction
    actor: str
    key_hash: bytes
    sealer: Sealer


async def begin(request: Request, db: Transaction, actor: str, master: str | None) -> None:
    """Note the request's key in its transaction, if it carries one.

    Raises :class:`Replay` where it was done before, ``idempotency-key`` where the key is no key or was another
    request's.
    """
    key = request.headers.get(HEADER)
    if key is None or request.method not in CHANGING:
        return
    if not _FORM.fullmatch(key):
        raise ApiError(
            "idempotency-key", f"{HEADER} is 1 to 255 visible ASCII characters", hint="a random UUID is best"
        )
    query = request.url.query.encode()
    asked = b"\0".join([request.method.encode(), request.url.path.encode(), query, await request.body()])
    fingerprint = hashlib.sha256(asked).digest()
    # the key is what opens the answer, so no more than a hash of it is kept
    key_hash = hashlib.sha256(f"{actor}\0{key}".encode()).digest()
    pending = _Pending(db, actor, key_hash, Sealer(f"{master or ''}\0{key}", "request"))
    if await db.value("begin_request", actor=actor, key_hash=key_hash, fingerprint=fingerprint) is not None:
        request.scope[_PENDING] = pending
        return
    earlier = await db.row("earlier_request", actor=actor, key_hash=key_hash)
    assert earlier is not None
    if bytes(earlier["fingerprint"]) != fingerprint:
        raise ApiError(
            "idempotency-key", f"this {HEADER} belongs to another request", hint="each request has a key of its own"
        )
    raise Replay(_opened(pending, earlier["status"], bytes(earlier["answer"])))


def _opened(pending: _Pending, status: int, sealed: bytes) -> Response:
    kept = json.loads(pending.sealer.open(sealed, pending.actor))
    return Response(base64.b64decode(kept["body"]), status, {**kept["headers"], REPLAYED: "true"})


async def _finish(pending: _Pending, response: Response) -> None:
    kept = {
        "headers": {name: response.headers[name] for name in _HEADERS if name in response.headers},
        "body": base64.b64encode(response.body).decode(),
    }
    sealed = pending.sealer.seal(json.dumps(kept).encode(), pending.actor)
    await pending.db.run(
        "remember_answer",
        actor=pending.actor,
        key_hash=pending.key_hash,
        status=response.status_code,
        answer=sealed,
    )


class Remembering(APIRoute):
    """A route whose answers are remembered: between the endpoint's end and the transaction's."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def remembering(request: Request) -> Response:
            response = await handle(request)
            pending = request.scope.pop(_PENDING, None)
            if pending is not None:
                await _finish(pending, response)
            return response

        return remembering


async def _replay(request: Request, error: Exception) -> Response:
    assert isinstance(error, Replay)
    return error.response


def install(app: FastAPI) -> None:
    """Answer repeated requests of ``app``."""
    app.add_exception_handler(Replay, _replay)

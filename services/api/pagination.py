"""Pages by cursor: opaque, signed, bound to the question they came from. Pages neither skip nor repeat what stays."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel, Field

from services.api.errors import ApiError

_MAC_BYTES: Final = 16
CURSOR_LENGTH: Final = 600

T = TypeVar("T")
Row = dict[str, Any]


class Page(BaseModel, Generic[T]):
    """Some items in a stable order and where to go on."""

    items: list[T]
    next: str | None = Field(None, description="Give it as `cursor` for the next page; null on the last")


class Cursors:
    """Makes and reads cursors.

    ``question`` says what was asked (tenant, route, filters): a cursor answers that question only. A cursor holds the
    sort key of the last item seen; it is signed, so that nobody learns to make them up and the key's form may change.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def _mac(self, question: Sequence[Any], payload: bytes) -> bytes:
        asked = json.dumps(question, default=str, separators=(",", ":")).encode()
        return hmac.new(self._key, hashlib.sha256(asked).digest() + payload, hashlib.sha256).digest()[:_MAC_BYTES]

    def encode(self, question: Sequence[Any], position: Sequence[str | int | None]) -> str:
        payload = json.dumps(position, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._mac(question, payload) + payload).rstrip(b"=").decode()

    def decode(self, question: Sequence[Any], cursor: str) -> list[Any]:
        """The position in ``cursor``.

        Raises ``invalid-cursor`` for one that is not ours or belongs to another question.
        """
        try:
            raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (UnicodeEncodeError, binascii.Error):
            raw = b""
        mac, payload = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not payload or not hmac.compare_digest(mac, self._mac(question, payload)):
            raise ApiError(
                "invalid-cursor", "this cursor does not belong to this question", hint="start from the first page"
            )
        position = json.loads(payload)
        assert isinstance(position, list)
        return position

    def page(
        self,
        question: Sequence[Any],
        rows: Sequence[Row],
        limit: int,
        position: Callable[[Row], Sequence[str | int | None]],
    ) -> tuple[Sequence[Row], str | None]:
        """The first ``limit`` of ``rows`` (asked for one more than that) and the cursor behind them, if there is
        more."""
        if len(rows) <= limit:
            return rows, None
        kept = rows[:limit]
        return kept, self.encode(question, position(kept[-1]))

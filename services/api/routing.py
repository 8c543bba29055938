"""What the routes of all rooms share: a request's page, and the equipment somebody refers to."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

from fastapi import Depends, Path, Query, Request

from core.errors import NotFoundError
from services.api.auth import Session
from services.api.database import Row, Transaction
from services.api.errors import ParameterError
from services.api.pagination import CURSOR_LENGTH, Page
from services.api.state import state_of

T = TypeVar("T")

_NUL: Final = re.compile(r"[\x00-\x1f\x7f]")
INT4: Final = 2_147_483_647
INT8: Final = 9_223_372_036_854_775_807


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page a request asks for.

    ``limit`` is the size wanted; statements fetch one more to know whether there is more.
    """

    request: Request
    limit: int
    cursor: str | None

    @property
    def count(self) -> int:
        return self.limit + 1

    def after(self, session: Session, length: int) -> Sequence[Any]:
        """Where the page begins: ``length`` values out of the cursor, all None for the first page."""
        if self.cursor is None:
            return [None] * length
        return session.app.cursors.decode(session.question(self.request), self.cursor)

    def cut(
        self, session: Session, rows: Sequence[Row], position: Callable[[Row], Sequence[Any]]
    ) -> tuple[Sequence[Row], str | None]:
        """The page out of ``rows``, and the cursor behind it."""
        return session.app.cursors.page(session.question(self.request), rows, self.limit, position)

    async def listed(
        self, session: Session, query: str, make: Callable[[Row], T], *, by: str = "id", **parameters: Any
    ) -> Page[T]:
        """The page of a statement that lists by one column, ``by``, from ``after`` on, ``count`` rows at most."""
        (after,) = self.after(session, 1)
        rows = await session.db.rows(query, after=after, count=self.count, **parameters)
        kept, following = self.cut(session, rows, lambda row: (row[by],))
        return Page(items=[make(row) for row in kept], next=following)


async def _paging(
    request: Request,
    limit: Annotated[
        int | None, Query(ge=1, description="Most items of a page; at most 1000, 100 if not given")
    ] = None,
    cursor: Annotated[str | None, Query(max_length=CURSOR_LENGTH, description="`next` of the page before")] = None,
) -> Paging:
    settings = state_of(request.app).settings
    if limit is not None and limit > settings.page_max:
        raise ParameterError(f"at most {settings.page_max}", parameter="limit")
    return Paging(request, limit or settings.page_default, cursor)


Pages = Annotated[Paging, Depends(_paging)]
EquipmentRef = Annotated[
    str,
    Path(
        min_length=1,
        max_length=128,
        description="Number or key; a key of digits only is written `key:123`",
        examples=["K-101"],
    ),
]
Number = Annotated[int, Path(ge=1, le=INT4, examples=[7])]
LongNumber = Annotated[int, Path(ge=1, le=INT8, examples=[42])]


def plain(text: str) -> str:
    """Text that the database can hold; a control character in a filter matches nothing of ours."""
    return _NUL.sub("\N{REPLACEMENT CHARACTER}", text)


async def equipment_id(db: Transaction, reference: str) -> int:
    """The number of visible equipment by number or key. Raises NotFoundError for what is not there or not visible."""
    number: int | None = None
    key: str | None = plain(reference)
    if reference.isascii() and reference.isdigit():
        number, key = min(int(reference[:11]), INT4), None
    elif reference.startswith("key:"):
        key = plain(reference.removeprefix("key:"))
    found = await db.value("equipment_id", number=number, key=key)
    if found is None:
        raise NotFoundError("there is no such equipment, or it is not yours to see")
    assert isinstance(found, int)
    return found


async def maybe_equipment_id(db: Transaction, reference: str | None) -> int | None:
    """For filters: None stays None; unknown equipment is refused as not found rather than answered by an empty list."""
    return None if reference is None else await equipment_id(db, reference)

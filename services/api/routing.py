"""What the routes of all rooms share: a request's page, and the equipment somebody refers to."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar, overload

from fastapi import Depends, Path, Query, Request

from core.errors import NotFoundError
from services.api.auth import Session
from services.api.database import Row, Transaction
from services.api.errors import ParameterError, responses
from services.api.moments import Moment
from services.api.pagination import CURSOR_LENGTH, Page
from services.api.parameters import examples
from services.api.state import state_of

T = TypeVar("T")

_NUL: Final = re.compile(r"[\x00-\x1f\x7f]")
INT4: Final = 2_147_483_647
INT8: Final = 9_223_372_036_854_775_807
Listing = Callable[..., Awaitable[list[Row]]]
"""A room's function that lists: the transaction, how many rows at most, and filters by name."""
_BY_ID: Final = {"after": "id"}


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
        self,
        session: Session,
        rows: str | Listing,
        make: Callable[[Row], T],
        *,
        by: Mapping[str, str] = _BY_ID,
        **filters: Any,
    ) -> Page[T]:
        """The page of what a statement, or a room's function, lists: ``make`` of each row.

        ``by``: parameters that say where a page begins, each with the column that it follows; the list is in the order
        of these columns.
        """
        after = dict(zip(by, self.after(session, len(by)), strict=True))
        if isinstance(rows, str):
            found = await session.db.rows(rows, count=self.count, **after, **filters)
        else:
            found = await rows(session.db, self.count, **after, **filters)
        kept, following = self.cut(session, found, lambda row: [_position(row[column]) for column in by.values()])
        return Page(items=[make(row) for row in kept], next=following)


def _position(value: Any) -> str | int | None:
    """A column's value as a cursor holds it."""
    return value.isoformat() if isinstance(value, datetime) else value


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


def paged(*problems: str, **item: Any) -> dict[int | str, dict[str, Any]]:
    """OpenAPI ``responses`` of a list: an item by the example's name, and what may be wrong beside the cursor."""
    pages = {name: {"items": [one], "next": None} for name, one in item.items()}
    return {200: examples(**pages), **responses(*problems, "invalid-cursor")}


EquipmentRef = Annotated[
    str,
    Path(
        min_length=1,
        max_length=128,
        description="Number or key; a key of digits only is written `key:123`",
        examples=["K-101"],
    ),
]
MaybeEquipment = Annotated[str | None, Query(max_length=128, description="Number or key")]
MaybeFrom = Annotated[Moment | None, Query(alias="from", description="Inclusive")]
MaybeTo = Annotated[Moment | None, Query(alias="to", description="Exclusive")]
Number = Annotated[int, Path(ge=1, le=INT4, examples=[7])]
LongNumber = Annotated[int, Path(ge=1, le=INT8, examples=[42])]


@overload
def plain(text: str) -> str: ...
@overload
def plain(text: str | None) -> str | None: ...
def plain(text: str | None) -> str | None:
    """Text that the database can hold; a control character in a filter matches nothing of ours. None stays None."""
    return None if text is None else _NUL.sub("\N{REPLACEMENT CHARACTER}", text)


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

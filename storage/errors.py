"""What the database says, in the words of core.errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors

from core.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    ServitizeError,
    UnavailableError,
)

_OWN: dict[str, type[ServitizeError]] = {
    "SV400": InvalidInputError,
    "SV403": ForbiddenError,
    "SV404": NotFoundError,
    "SV409": ConflictError,
}
"""SQLSTATEs that our own functions raise."""


def translate(error: psycopg.Error) -> Exception:
    """The error of ours that ``error`` means, or ``error`` itself where it is a defect and not a refusal.

    Lost connections, shutdowns, a full disk and a read-only server are :class:`~core.errors.UnavailableError`:
    trying again later is right.
    """
    state = error.sqlstate or ""
    message = (error.diag.message_primary or str(error)).strip()
    hint = error.diag.message_hint or ""
    if state in _OWN:
        return _OWN[state](message, hint=hint)
    if isinstance(error, errors.UniqueViolation):
        return ConflictError(error.diag.message_detail or message, hint="choose another key")
    if isinstance(error, errors.ForeignKeyViolation):
        return NotFoundError(error.diag.message_detail or message)
    if isinstance(error, (errors.CheckViolation, errors.InvalidParameterValue)):
        return InvalidInputError(message, hint=hint)
    if is_outage(error):
        return UnavailableError(f"the database does not answer: {message}", hint="it is tried again")
    return error


def is_outage(error: psycopg.Error) -> bool:
    """Whether the same transaction may succeed once the server is well again: connection, resources, read-only, a
    conflict in time."""
    state = error.sqlstate or ""
    return (
        state[:2] in {"08", "40", "53", "57", "58"}
        or state in {"25006", "55P03"}
        or (isinstance(error, psycopg.OperationalError) and not state)
    )


@contextmanager
def translated() -> Iterator[None]:
    """Raises :func:`translate` of what the block raises."""
    try:
        yield
    except psycopg.Error as error:
        ours = translate(error)
        if ours is error:
            raise
        raise ours from error

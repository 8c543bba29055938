"""The tree of errors: each says what happened and what to do about it."""

from __future__ import annotations


class ServitizeError(Exception):
    """Something the platform refuses or cannot do.

    ``str(error)`` is a sentence for a person; ``hint`` says what to do next and may be empty.
    ``code`` is stable: it is the reason of a dead letter and the ``type`` of a problem document.
    """

    code = "error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class InvalidInputError(ServitizeError):
    """Input that cannot be understood or lies outside what is allowed; nothing was stored from it."""

    code = "invalid-input"


class TypeDefinitionError(InvalidInputError):
    """An equipment type (YAML) that is wrong; ``where`` is the path inside the document, e.g. ``limits/3/point``."""

    code = "invalid-type"

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message, hint=hint)
        self.where = where


class UnitError(InvalidInputError):
    """A unit that is no UCUM code or does not convert to the point's unit."""

    code = "unit"


class NotFoundError(ServitizeError):
    """There is no such thing, or it is not visible to who asks: the two are told apart by nobody."""

    code = "not-found"


class ForbiddenError(ServitizeError):
    """Known and visible, but the role or scope does not allow the action."""

    code = "forbidden"


class ConflictError(ServitizeError):
    """The thing is in a state that does not allow this, e.g. an alarm that is not active cannot be shelved."""

    code = "conflict"


class UnavailableError(ServitizeError):
    """A part the platform needs (database, broker, binaries) is missing or away."""

    code = "unavailable"


class FencedError(ServitizeError):
    """Another processor has taken over ``stream``: this one must drop its state and stop writing it."""

    code = "fenced"

    def __init__(self, message: str, *, hint: str = "", stream: str = "") -> None:
        super().__init__(message, hint=hint)
        self.stream = stream

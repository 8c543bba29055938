"""What a call may end with besides its answer: the service's refusals in its own words, and no answer at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final


class ServitizeError(Exception):
    """Base of all errors of this package."""


class NoAnswerError(ServitizeError):
    """The service could not be reached, or the line broke, as often as it was tried."""


class ApiError(ServitizeError):
    """A refusal (RFC 9457). ``kind`` is its stable name, ``errors`` what is wrong with the request, part by part."""

    def __init__(
        self, status: int, kind: str, title: str, detail: str, errors: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        super().__init__(f"{title}: {detail}")
        self.status, self.kind, self.title, self.detail, self.errors = status, kind, title, detail, list(errors)


class UnauthenticatedError(ApiError):
    """401: the key is wrong, revoked or expired."""


class ForbiddenError(ApiError):
    """403: the key or the role may not do that."""


class NotFoundError(ApiError):
    """404: not there, or not yours to see."""


class ConflictError(ApiError):
    """409: its state does not allow it. Read it again."""


class ChangedError(ApiError):
    """412: somebody changed it since you read it."""


class RateLimitedError(ApiError):
    """429, also after waiting."""


class UnavailableError(ApiError):
    """503, also after waiting."""


_BY_STATUS: Final[Mapping[int, type[ApiError]]] = {
    401: UnauthenticatedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    412: ChangedError,
    429: RateLimitedError,
    503: UnavailableError,
}


def refusal(status: int, document: object) -> ApiError:
    """The exception for a problem document; also for a proxy's answer that is none."""
    problem = document if isinstance(document, Mapping) else {}
    kind = str(problem.get("type", "")).rsplit("#", 1)[-1] or "unknown"
    title = str(problem.get("title", f"HTTP {status}"))
    detail = str(problem.get("detail", "no problem document in the answer"))
    errors = problem.get("errors") or ()
    return _BY_STATUS.get(status, ApiError)(status, kind, title, detail, errors)

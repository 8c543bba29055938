"""Typed client of the servitize API: :class:`Client` (synchronous) and :class:`AsyncClient`."""

from servitize_client.aio import AsyncClient
from servitize_client.errors import (
    ApiError,
    ChangedError,
    ConflictError,
    ForbiddenError,
    NoAnswerError,
    NotFoundError,
    RateLimitedError,
    ServitizeError,
    UnauthenticatedError,
    UnavailableError,
)
from servitize_client.models import Advisory, Alarm, Calendar, Equipment, Event, OilSample, Part, WorkOrder
from servitize_client.sync import Client

__all__ = [
    "Client",
    "AsyncClient",
    "Advisory",
    "Alarm",
    "Calendar",
    "Equipment",
    "Event",
    "OilSample",
    "Part",
    "WorkOrder",
    "ServitizeError",
    "ApiError",
    "ChangedError",
    "ConflictError",
    "ForbiddenError",
    "NoAnswerError",
    "NotFoundError",
    "RateLimitedError",
    "UnauthenticatedError",
    "UnavailableError",
]

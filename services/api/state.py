"""What one running app holds: settings, database, cursors, and the bell that wakes event streams."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from core.equipment import EquipmentType
from services.api.database import Database
from services.api.identity import KeyStore
from services.api.metrics import Metrics
from services.api.pagination import Cursors
from services.api.quota import Policy, Quotas
from services.api.settings import ApiSettings

TypeParser = Callable[[Mapping[str, Any]], EquipmentType]
"""Makes a type of its document; raises :class:`~core.errors.TypeDefinitionError`."""


class Bell:
    """Wakes every waiting event stream when the outbox has grown, or for good when the service closes."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()
        self.closed = False
        self.head: int | None = None
        """Highest number given, as far as this process knows; None before it knows."""

    def ear(self) -> asyncio.Event:
        """The event of the next ring; taken before looking at the table, it cannot miss what comes right after the
        look."""
        return self._rung

    async def after(self, ear: asyncio.Event, seconds: float) -> bool:
        """True when ``ear`` was rung within ``seconds`` (or the service closes), False on silence."""
        if self.closed:
            return True
        try:
            async with asyncio.timeout(seconds):
                await ear.wait()
        except TimeoutError:
            return False
        return True

    def ring(self, head: int | None = None) -> None:
        """The outbox has grown to ``head``. Call inside the event loop."""
        self.head = self.head if head is None else head
        rung, self._rung = self._rung, asyncio.Event()
        rung.set()

    def close(self) -> None:
        self.closed = True
        self.ring()


class AppState:
    """One per app; reachable from a request by :func:`state_of`."""

    def __init__(self, settings: ApiSettings, parse_type: TypeParser) -> None:
        self.settings = settings
        self.parse_type = parse_type
        self.database = Database(settings)
        self.cursors = Cursors(settings.signing_key())
        self.bell = Bell()
        self.key_store = KeyStore(settings.outbound)
        self.quota = Quotas(Policy("default", settings.quota, settings.quota_window))
        self.tenant_quota = Quotas(Policy("tenant", settings.tenant_quota, settings.quota_window))
        self.metrics = Metrics()
        self.contract = b""
        """The OpenAPI document as it is sent; empty until somebody asks for it."""
        self.streams: Counter[int] = Counter()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.sequencer_seen: float | None = None
        """Loop time at which a sequencer (ours, or another process's by its lock) last proved to be at work."""

    def close_streams(self) -> None:
        """End the event streams; may be called from a signal handler or another thread."""
        if self.loop is not None and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.bell.close)


def state_of(app: Any) -> AppState:
    """The state of a FastAPI app made by ``create_app``."""
    state = app.state.servitize
    assert isinstance(state, AppState)
    return state

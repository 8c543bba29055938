"""The asynchronous client; the synchronous one is made from it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import Any, Final, TypeVar

import httpx2

from servitize_client import calls, events, wire
from servitize_client import models as m
from servitize_client.calls import Call
from servitize_client.errors import NoAnswerError

_WAITS: Final = (0.2, 0.5, 1.0, 2.0)
"""Seconds before a call is tried again; the service's own ``Retry-After`` wins up to :data:`LONGEST`."""
LONGEST: Final = 30.0

T = TypeVar("T")


class AsyncClient:
    """One organisation's door. ``key``: an API key or a bearer token. For one event loop.

    ``patience`` seconds of waiting in all before a call that is refused for load, or gets no answer, is given up.
    """

    def __init__(self, url: str, key: str, *, timeout: float = 30.0, patience: float = 30.0) -> None:
        self._http = httpx2.AsyncClient(base_url=url, headers=wire.headers(key), timeout=timeout)
        self._patience = patience

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def _send(self, call: Call[T]) -> Any:
        """The answer's JSON. What changes something carries one idempotency key through all tries."""
        request = wire.arguments(call)
        waited, tries = 0.0, 0
        while True:
            try:
                response = await self._http.request(**request)
            except httpx2.TransportError as error:
                pause = _WAITS[min(tries, len(_WAITS) - 1)]
                if waited + pause > self._patience:
                    raise NoAnswerError(f"no answer: {error}") from error
            else:
                wait = wire.retry_after(response.status_code, response.headers)
                if wait is None:
                    return wire.answer(response.status_code, response.content)
                pause = max(_WAITS[min(tries, len(_WAITS) - 1)], min(wait, LONGEST))
                if waited + pause > self._patience:
                    return wire.answer(response.status_code, response.content)
            await asyncio.sleep(pause)
            waited, tries = waited + pause, tries + 1

    async def _do(self, call: Call[T]) -> T:
        return wire.decoded(call, await self._send(call))

    async def _pages(self, call: Call[T]) -> AsyncIterator[T]:
        cursor: str | None = None
        while True:
            page = await self._send(wire.page(call, cursor))
            for item in wire.items(call, page):
                yield item
            cursor = page.get("next")
            if cursor is None:
                return

    async def events(self, *, after: int | None = None, kinds: Sequence[str] = ()) -> AsyncIterator[m.Event]:
        """Events as they happen, for ever; of ``kinds`` only, if any are named. Goes on by itself where a line broke.

        The first is ``ready``: its ``seq`` is where the stream begins; ``gap`` says which numbers are no longer kept.
        """
        seen = after
        tries = 0
        while True:
            reader = events.Reader()
            try:
                async with self._http.stream("GET", "/v1/stream", **wire.stream_arguments(seen)) as response:
                    if response.status_code != 200:
                        wait = wire.retry_after(response.status_code, response.headers)
                        if wait is None:
                            wire.answer(response.status_code, await response.aread())
                    else:
                        async for line in response.aiter_lines():
                            event = reader.feed(line)
                            if event is None:
                                continue
                            repeated, seen, tries = (
                                seen is not None and event.kind == "ready" and tries > 0,
                                event.seq,
                                0,
                            )
                            if not repeated and (not kinds or event.kind in kinds):
                                yield event
            except httpx2.TransportError:
                pass
            await asyncio.sleep(_WAITS[min(tries, len(_WAITS) - 1)])
            tries += 1

    # --- operations ---

    async def me(self) -> m.Me:
        """Who the key belongs to."""
        return await self._do(calls.get(m.Me, "/v1/me"))

    def equipment(self, *, of_type: str | None = None, health_below: float | None = None) -> AsyncIterator[m.Equipment]:
        """Machines you may see, in order of key."""
        return self._pages(calls.pages(m.Equipment, "/v1/equipment", type=of_type, health_below=health_below))

    def latest(self, equipment: int | str) -> AsyncIterator[m.LatestPoint]:
        """Newest reading of every point of a machine."""
        return self._pages(calls.pages(m.LatestPoint, f"/v1/equipment/{calls.ref(equipment)}/latest"))

    def alarms(
        self,
        *,
        standing: bool | None = None,
        state: Sequence[str] | None = None,
        priority: Sequence[str] | None = None,
        equipment: int | str | None = None,
        grouped: bool | None = None,
    ) -> AsyncIterator[m.Alarm]:
        """Alarms, newest change first."""
        return self._pages(
            calls.pages(
                m.Alarm,
                "/v1/alarms",
                standing=standing,
                state=state,
                priority=priority,
                equipment=equipment,
                grouped=grouped,
            )
        )

    def advisories(
        self,
        *,
        state: Sequence[str] | None = None,
        priority: Sequence[str] | None = None,
        equipment: int | str | None = None,
        due_before: datetime | None = None,
    ) -> AsyncIterator[m.Advisory]:
        """What should be done, newest change first."""
        return self._pages(
            calls.pages(
                m.Advisory, "/v1/advisories", state=state, priority=priority, equipment=equipment, due_before=due_before
            )
        )

    async def advisory(self, advisory: int) -> m.Advisory:
        """One advisory."""
        return await self._do(calls.get(m.Advisory, f"/v1/advisories/{advisory}"))

    async def accept(self, advisory: int, comment: str = "") -> m.Decision:
        """Do it: makes a work order."""
        return await self._do(calls.decision(advisory, "accept", comment=comment))

    async def reject(self, advisory: int, reason: str) -> m.Decision:
        """Do nothing, for a reason."""
        return await self._do(calls.decision(advisory, "reject", reason=reason))

    async def defer(self, advisory: int, until: datetime, reason: str) -> m.Decision:
        """Later, for a reason."""
        return await self._do(calls.decision(advisory, "defer", until=until, reason=reason))

    def work_orders(
        self,
        *,
        state: Sequence[str] | None = None,
        unfinished: bool | None = None,
        kind: str | None = None,
        equipment: int | str | None = None,
        advisory: int | None = None,
    ) -> AsyncIterator[m.WorkOrder]:
        """Work orders, newest change first."""
        return self._pages(
            calls.pages(
                m.WorkOrder,
                "/v1/work-orders",
                state=state,
                unfinished=unfinished,
                kind=kind,
                equipment=equipment,
                advisory=advisory,
            )
        )

    async def work_order(self, work_order: int) -> m.WorkOrder:
        """One work order with entries and photos."""
        return await self._do(calls.get(m.WorkOrder, f"/v1/work-orders/{work_order}"))

    async def plan_work(
        self,
        equipment: int | str,
        title: str,
        *,
        component: str = "",
        task: str | None = None,
        kind: str = "corrective",
        priority: str = "medium",
        due_at: datetime | None = None,
    ) -> m.WorkOrder:
        """Plan work that no advisory asked for."""
        return await self._do(
            calls.post(
                m.WorkOrder,
                "/v1/work-orders",
                equipment=str(equipment),
                title=title,
                component=component,
                task=task,
                kind=kind,
                priority=priority,
                due_at=due_at,
            )
        )

    async def approve(self, work_order: int, comment: str = "") -> m.WorkStep:
        """Release it; its parts are reserved."""
        return await self._do(calls.work_step(work_order, "approve", comment=comment))

    async def schedule(self, work_order: int, start: datetime, end: datetime, crew: str = "") -> m.WorkStep:
        """Set a time and a crew."""
        return await self._do(calls.work_step(work_order, "schedule", start=start, end=end, crew=crew))

    async def start(self, work_order: int, at: datetime | None = None) -> m.WorkStep:
        """Begin."""
        return await self._do(calls.work_step(work_order, "start", at=at))

    async def tick(self, work_order: int, line: int, note: str = "", *, done: bool = True) -> m.WorkOrder:
        """Tick a line of the checklist; lines count from 0."""
        return await self._do(
            calls.put(m.WorkOrder, f"/v1/work-orders/{work_order}/checklist/{line}", done=done, note=note)
        )

    async def enter(
        self,
        work_order: int,
        kind: str,
        item: str = "",
        *,
        quantity: Decimal | None = None,
        unit: str = "1",
        cost: Decimal | None = None,
        note: str = "",
    ) -> m.WorkOrder:
        """Enter hours (labour), lubricant or a finding."""
        return await self._do(
            calls.post(
                m.WorkOrder,
                f"/v1/work-orders/{work_order}/entries",
                kind=kind,
                item=item,
                quantity=quantity,
                unit=unit,
                cost=cost,
                note=note,
            )
        )

    async def keep_photo(
        self, work_order: int, picture: bytes, media_type: str = "image/jpeg", note: str = ""
    ) -> m.Photo:
        """Keep a photo: JPEG, PNG or WebP, 4 MB at most."""
        return await self._do(
            calls.Call(
                m.Photo,
                "POST",
                f"/v1/work-orders/{work_order}/photos",
                {"note": note},
                content=picture,
                media_type=media_type,
            )
        )

    async def complete(
        self, work_order: int, findings: str = "", *, outcome: str = "repaired", at: datetime | None = None
    ) -> m.WorkStep:
        """People have finished; from now on the telemetry is watched."""
        return await self._do(calls.work_step(work_order, "complete", findings=findings, outcome=outcome, at=at))

    async def verify(self, work_order: int, comment: str = "") -> m.WorkStep:
        """It is well, by your word."""
        return await self._do(calls.work_step(work_order, "verify", comment=comment))

    async def close_work(self, work_order: int, comment: str = "") -> m.WorkStep:
        """Close a verified work order."""
        return await self._do(calls.work_step(work_order, "close", comment=comment))

    async def reopen(self, work_order: int, reason: str) -> m.WorkStep:
        """It was not repaired after all."""
        return await self._do(calls.work_step(work_order, "reopen", reason=reason))

    async def cancel(self, work_order: int, reason: str) -> m.WorkStep:
        """Do not do it; its advisory is open again."""
        return await self._do(calls.work_step(work_order, "cancel", reason=reason))

    def preventive_tasks(self, equipment: int | str) -> AsyncIterator[m.PreventiveTask]:
        """What is due by itself on a machine, the most used up first."""
        return self._pages(calls.pages(m.PreventiveTask, f"/v1/equipment/{calls.ref(equipment)}/preventive-tasks"))

    def parts(self) -> AsyncIterator[m.Part]:
        """Your spare parts, in order of key."""
        return self._pages(calls.pages(m.Part, "/v1/parts"))

    async def move_stock(
        self, part: str, kind: str, quantity: Decimal | int, *, work_order: int | None = None, note: str = ""
    ) -> m.Stock:
        """Into or out of stock: received, taken, returned, counted."""
        return await self._do(
            calls.post(
                m.Stock,
                f"/v1/parts/{part}/movements",
                kind=kind,
                quantity=str(quantity),
                work_order=work_order,
                note=note,
            )
        )

    async def calendar(self, days: float = 28.0, stop_cost: float = 2000.0) -> m.Calendar:
        """When to do what, and why: a proposal."""
        return await self._do(calls.get(m.Calendar, "/v1/maintenance/calendar", days=days, stop_cost=stop_cost))

    def oil_samples(self, equipment: int | str | None = None) -> AsyncIterator[m.OilSample]:
        """Oil samples as they were judged, newest first."""
        return self._pages(calls.pages(m.OilSample, "/v1/oil-samples", equipment=equipment))

    async def hand_in_oil_sample(self, equipment: int | str, sampled_at: datetime, **figures: Any) -> m.OilSample:
        """Hand in an oil sample; ``figures`` as viscosity_40, water, acid_number, cleanliness, metals."""
        return await self._do(
            calls.post(
                m.OilSample, f"/v1/equipment/{calls.ref(equipment)}/oil-samples", sampled_at=sampled_at, **figures
            )
        )

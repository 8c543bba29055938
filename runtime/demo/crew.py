"""The people of the story, at the customer's: one watches what the service says and prints it, one does the work.

Both know nothing but the API, by its client (``client/servitize_client``); only the bearing itself is changed where a
bearing is: in the simulated machine.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

from core.errors import UnavailableError
from core.time import isoformat, to_datetime
from runtime.demo.files import DemoFiles
from servitize_client import Client, ConflictError, NoAnswerError, ServitizeError
from servitize_client.models import Event, WorkOrder

MODE = "motor_bearing"
_PATIENCE_SECONDS = 240.0
_LOOK_SECONDS = 0.3
TOLD = ("alarm", "advisory", "advisory_change", "work_order", "work_order_change", "case")


class Crew:
    """Two background threads. ``say`` prints a line; ``closed`` is set when the story has come to its good end."""

    def __init__(self, url: str, key: str, files: DemoFiles, say: Callable[[str], None]) -> None:
        self._url, self._key, self._files, self._say = url, key, files, say
        self.closed = threading.Event()
        self.trouble: str | None = None
        self.steps: list[str] = []
        """What happened, as ``kind:event`` or ``kind:state``, for who judges."""
        self._over = threading.Event()
        self._advisory: threading.Event = threading.Event()
        self._number = 0
        self._threads = [
            threading.Thread(target=self._watch, name="demo-customer", daemon=True),
            threading.Thread(target=self._work, name="demo-crew", daemon=True),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._over.set()
        self._threads[1].join(5.0)

    # --- the one who watches ---

    def _watch(self) -> None:
        with Client(self._url, self._key) as client:
            try:
                for event in client.events(kinds=TOLD):
                    self._tell(event)
                    if self._over.is_set():
                        return
            except ServitizeError as error:
                if not self._over.is_set():
                    self.trouble = f"the customer heard no more: {error}"

    def _tell(self, event: Event) -> None:
        said = event.payload
        if event.kind == "alarm" and said.get("concern") == "connection":
            return
        state = said.get("state", "")
        self.steps.append(f"{event.kind.removesuffix('_change')}:{said.get('event', '')}:{state}")
        moment = isoformat(said["at"])[:16].replace("T", " ") if isinstance(said.get("at"), int) else ""
        due = f"  by {isoformat(said['due_at'])[:16].replace('T', ' ')}" if said.get("due_at") else ""
        where = f"{said.get('equipment', '')} {said.get('component', '')}".strip()
        what = event.kind.removesuffix("_change").replace("_", " ")
        why = f" ({said['reason']})" if said.get("reason") else ""
        self._say(f"{moment}  {what:<10} {state:<14} {where}: {said.get('title', '')}{due}{why}")
        if event.kind == "advisory" and state == "open" and said.get("failure_mode") == MODE and not self._number:
            self._number = int(said["advisory_id"])
            self._advisory.set()
        if event.kind == "work_order" and state == "closed":
            self.closed.set()

    # --- the one who works ---

    def _work(self) -> None:
        while not self._advisory.wait(_LOOK_SECONDS):
            if self._over.is_set():
                return
        try:
            with Client(self._url, self._key) as client:
                self._do(client)
        except (ServitizeError, UnavailableError, OSError) as error:
            self.trouble = f"the crew could not go on: {error}"
            self._say(self.trouble)

    def _do(self, client: Client) -> None:
        advisory = client.advisory(self._number)
        assert advisory.work is not None
        for reason in advisory.evidence:
            self._say(f"    because {reason.title}")
        self._say(f"    {advisory.work.name}: {advisory.work.cost} {advisory.work.currency}, {advisory.due_rule}")
        number = client.accept(advisory.id, "as advised").work_order_id
        assert number is not None
        order = client.approve(number).work_order
        for part in order.work.parts:
            client.move_stock(part.key, "received", part.quantity)
        begin = self._now()
        client.schedule(number, begin, begin + timedelta(minutes=order.work.minutes), "the demo's crew")
        client.start(number)
        self._files.ask_for_repair(advisory.equipment.key, advisory.component)
        done_at = self._repaired(advisory.equipment.key)
        self._finish(client, order, done_at)

    def _now(self) -> datetime:
        progress = self._files.progress()
        if progress is None:
            raise UnavailableError("the simulators say nothing", hint="look at the publisher's log")
        return to_datetime(progress.event_time)

    def _repaired(self, equipment: str) -> datetime:
        """Wait until the simulated bearing has been changed: its moment has passed on the machine's timeline."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline and not self._over.wait(_LOOK_SECONDS):
            for repair in self._files.repairs():
                if repair["equipment"] == equipment and repair["done_at"] is not None:
                    done_at = to_datetime(repair["done_at"])
                    if self._now() >= done_at:
                        return done_at
        raise UnavailableError("the simulated machine was not repaired in time", hint="give the story more time")

    def _finish(self, client: Client, order: WorkOrder, done_at: datetime) -> None:
        for line in order.checklist:
            if line.obligatory:
                client.tick(order.id, line.line)
        for part in order.work.parts:
            client.move_stock(part.key, "taken", part.quantity, work_order=order.id)
        hours = Decimal(order.work.minutes * order.work.crew) / 60
        client.enter(order.id, "labour", "mechanic", quantity=hours, unit="h", cost=64 * hours)
        # what the service has of the machine may be a moment behind the machine
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                client.complete(order.id, "outer race spalled over 40 degrees, cage sound", at=done_at)
                return
            except (ConflictError, NoAnswerError):
                raise
            except ServitizeError:
                if time.monotonic() > deadline or self._over.wait(_LOOK_SECONDS):
                    raise

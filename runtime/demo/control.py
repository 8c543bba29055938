"""The demonstration's machines hear commands and obey: each keeps the device's contract, checks its own interlocks
against its own readings, and says what it did."""

from __future__ import annotations

import json
import logging
import math
import queue
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from core.command import Known, Situation
from core.errors import InvalidInputError
from formats.commands import Receipt, order_topic, read_order, write_receipt
from runtime.demo.fleet import DemoFleet
from runtime.demo.plan import COMPRESSORS, TYPES
from simulators.command_device import CommandDevice

log = logging.getLogger(__name__)

_MODE_SECONDS: Final = 10.0
"""A platform that was away when they spoke hears it soon."""
_STANDS: Final = 4 * 3600.0
"""How long a compressor that was unloaded stands, in its own time: nothing here starts one."""
_LOADED_FROM: Final = 8000.0
_RAMP_FROM: Final = 600.0


class DemoControl:
    """``publish(topic, payload)`` sends at QoS 1. ``hear`` may be called from any thread; ``work`` where the fleet is
    advanced."""

    def __init__(self, tenant: str, publish: Callable[[str, bytes], None]) -> None:
        self._tenant, self._publish = tenant, publish
        self._heard: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self._fleet: DemoFleet | None = None
        self._said = -math.inf
        self._devices = {key: CommandDevice(self._actor(key)) for key in TYPES}

    def topics(self) -> list[tuple[str, int]]:
        """Filters to subscribe, with their QoS."""
        return [(f"servitize/v1/{self._tenant}/+/{leaf}", 1) for leaf in ("commands/+", "twin/desired")]

    def hear(self, payload: bytes, topic: str) -> None:
        self._heard.put((topic, payload))

    def take_over(self, fleet: DemoFleet) -> None:
        """The machines of a new segment: they say that they are in remote. Set points do not outlive a repair."""
        self._fleet = fleet
        self._say_mode()

    def _say_mode(self) -> None:
        self._said = time.monotonic()
        for key, device in self._devices.items():
            self._report(key, {"control_mode": "local" if device.local else "remote"})

    def work(self) -> None:
        """Take every order heard since, and answer; now and then say which mode the machines are in."""
        if time.monotonic() - self._said > _MODE_SECONDS:
            self._say_mode()
        while True:
            try:
                topic, payload = self._heard.get_nowait()
            except queue.Empty:
                return
            levels = topic.split("/")
            if len(levels) < 6 or levels[3] not in self._devices:
                continue
            if levels[4] == "twin":
                self._follow(levels[3], payload)
                continue
            try:
                order = read_order(payload)
            except InvalidInputError as error:
                log.warning("an order on %s makes no sense: %s", topic, error)
                continue
            situation = self._situation(levels[3], order.parameters)
            for said in self._devices[levels[3]].take(order, time.time_ns() // 1000, situation):
                receipt = Receipt(said.id, said.word, said.note, said.detail)
                self._publish(f"{order_topic(self._tenant, levels[3], said.id)}/receipt", write_receipt(receipt))

    def _situation(self, key: str, parameters: Mapping[str, float]) -> Situation:
        """As the machine's own controller sees it: its own readings, at its own time; alarms are the platform's."""
        ts, values = self._fleet.latest(key) if self._fleet else (0, {})
        points = {name: Known(value, ts, not math.isnan(value)) for name, value in values.items()}
        speed = values.get("train.speed", math.nan)
        state = None
        if not math.isnan(speed):
            state = "loaded" if speed >= _LOADED_FROM else "ramp" if speed >= _RAMP_FROM else "stopped"
        return Situation(ts, points, state, ts, None, parameters)

    def _actor(self, key: str) -> Callable[[str, Mapping[str, float]], Mapping[str, Any]]:
        def act(command: str, parameters: Mapping[str, float]) -> Mapping[str, Any]:
            if self._fleet is None:
                raise RuntimeError("the machine is not there")
            if command == "set_speed" and key in COMPRESSORS:
                self._fleet.set_speed(key, parameters["speed"])
                self._report(key, {"speed_set_point": parameters["speed"]})
                return {"speed_set_point": parameters["speed"]}
            if command == "unload" and key in COMPRESSORS:
                begins = self._fleet.unload(key, _STANDS)
                return {"stops_at": int(begins * 1_000_000), "starts_after_s": _STANDS}
            if command == "read_settings":
                return {"capacity_ramp": 20.0, "keep_out": [4420, 5980]}
            raise RuntimeError(f"this machine cannot {command}")

        return act

    def _follow(self, key: str, payload: bytes) -> None:
        """Take over what is desired, and say with which version."""
        try:
            said = json.loads(payload)
            self._report(key, dict(said["properties"]), dict(said["versions"]))
        except (ValueError, KeyError, TypeError):
            log.warning("the desired state of %s makes no sense", key)

    def _report(self, key: str, properties: Mapping[str, Any], versions: Mapping[str, int] | None = None) -> None:
        payload = json.dumps({"properties": dict(properties), "versions": dict(versions or {})})
        self._publish(f"servitize/v1/{self._tenant}/{key}/twin/reported", payload.encode())

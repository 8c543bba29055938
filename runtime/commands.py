"""Carries commands to machines and their receipts back: beside the broker, for an API that has none.

A command is marked as on its way before it is published, so a receipt that outruns us is believed; it is called sent
when the broker has acknowledged it. What was on its way when we died is published again: the device does it once. A
receipt is acknowledged to the broker after it is stored.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from core.command import Known, Situation, check
from core.errors import InvalidInputError, ServitizeError, UnavailableError
from formats.commands import Order, order_topic, read_receipt, read_reported, write_order
from runtime.endpoints import BrokerEndpoint

log = logging.getLogger(__name__)

_BEAT: Final = 0.5
"""Seconds between looks when nothing is announced; also how late an expiry may be noticed."""
_LONGEST_PAUSE: Final = 15.0
_PUBACK_SECONDS: Final = 5.0
_GOOD: Final = 192
RECEIPTS: Final = "servitize/v1/+/+/commands/+/receipt"
REPORTED: Final = "servitize/v1/+/+/twin/reported"


class Commands:
    """A background thread. ``dsn`` is a login of the writer role; ``broker`` where machines are, None while there is
    none. Several at once do no harm: a device does an order once, and the database takes each step once."""

    def __init__(
        self, dsn: Callable[[], str], broker: Callable[[], BrokerEndpoint | None], client_id: str = "servitize-commands"
    ) -> None:
        self._dsn, self._broker, self._client_id = dsn, broker, client_id
        self._stop = threading.Event()
        self._heard: queue.Queue[Any] = queue.Queue(10_000)
        self._thread = threading.Thread(target=self._run, name="commands", daemon=True)
        self.stored = 0
        """Receipts stored so far."""

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        pause, failing = _BEAT, False
        while not self._stop.is_set():
            broker = self._broker()
            if broker is None:
                self._stop.wait(_BEAT)
                continue
            try:
                for _ in self._working(broker):
                    if failing:
                        log.info("commands flow again")
                    pause, failing = _BEAT, False
            except (psycopg.Error, ServitizeError, OSError) as error:
                if not failing:
                    log.warning("commands wait: %s", str(error).splitlines()[0] if str(error) else type(error).__name__)
                failing = True
                self._stop.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _working(self, broker: BrokerEndpoint) -> Any:
        from storage.queries import load

        queries = load("commands")
        with (
            psycopg.connect(
                self._dsn(), autocommit=True, connect_timeout=5, application_name="servitize commands",
                row_factory=dict_row,
            ) as connection,
            _Line(broker, self._client_id, self._heard) as line,
        ):  # fmt: skip
            queries.listen_to_commands(connection)
            queries.listen_to_twins(connection)
            wished: set[int] = set()
            while not self._stop.is_set():
                self._take_heard(connection, queries, line)
                queries.expire(connection)
                queries.advance_rollouts(connection)
                queries.run_inspections(connection)
                for row in list(queries.to_send(connection)):
                    self._send(connection, queries, line, row)
                for equipment in wished:
                    self._wish(connection, queries, line, equipment)
                wished.clear()
                yield
                for note in connection.notifies(timeout=_BEAT if self._heard.empty() else 0, stop_after=1):
                    if note.channel == "servitize_twin":
                        wished.add(int(note.payload))
                if not line.up:
                    raise UnavailableError("the broker is gone")

    def _send(self, connection: psycopg.Connection[Any], queries: Any, line: _Line, row: dict[str, Any]) -> None:
        """Look at its interlocks once more, mark it, publish it, and say so when the broker has it."""
        interlocks = row["interlocks"]
        against = self._against(connection, queries, row) if not row["dispatched"] else []
        if not queries.dispatch(connection, command=row["id"], against="; ".join(against) or None):
            return
        order = Order(row["id"], row["key"], row["class"], row["parameters"], row["expires_us"], tuple(interlocks))
        if line.publish(order_topic(row["tenant"], row["equipment"], row["id"]), write_order(order)):
            queries.acknowledged(connection, command=row["id"])

    def _against(self, connection: psycopg.Connection[Any], queries: Any, row: dict[str, Any]) -> list[str]:
        found = queries.situation(connection, equipment=row["equipment_id"])
        points = {
            key: Known(float("nan") if value is None else value, ts, quality >= _GOOD and value is not None)
            for key, (value, ts, quality) in found["points"].items()
        }
        state, state_at = found["state"] or (None, None)
        now = row["now_us"] or time.time_ns() // 1000
        alarms = [(component, priority) for component, priority in found["alarms"]]
        situation = Situation(now, points, state, state_at, alarms, row["parameters"])
        held: list[str] = []
        for condition in row["interlocks"]:
            if "forbidden_states" in condition:
                if state is None or state in condition["forbidden_states"]:
                    held.append(f"the machine is {state or 'in no known state'}")
            else:
                held += check([condition], situation)
        return held

    def _wish(self, connection: psycopg.Connection[Any], queries: Any, line: _Line, equipment: int) -> None:
        """All that is desired of a machine, retained: a device that comes back finds it."""
        rows = list(queries.desired_of(connection, equipment=equipment))
        if rows:
            said = {
                "properties": {row["property"]: row["desired"] for row in rows},
                "versions": {row["property"]: row["desired_version"] for row in rows},
            }
            topic = f"servitize/v1/{rows[0]['slug']}/{rows[0]['key']}/twin/desired"
            line.publish(topic, json.dumps(said, separators=(",", ":")).encode(), retain=True)

    def _take_heard(self, connection: psycopg.Connection[Any], queries: Any, line: _Line) -> None:
        while True:
            try:
                message = self._heard.get_nowait()
            except queue.Empty:
                return
            try:
                self._store(connection, queries, message.topic, bytes(message.payload))
            except InvalidInputError as error:
                log.warning("a device's answer on %s makes no sense: %s", message.topic[:120], error)
            line.acknowledge(message)

    def _store(self, connection: psycopg.Connection[Any], queries: Any, topic: str, payload: bytes) -> None:
        if topic.endswith("/twin/reported"):
            values, versions = read_reported(payload)
            _, _, tenant, machine, *_ = topic.split("/")
            queries.reported(
                connection, whose=tenant, machine=machine, given=json.dumps(values), versions=json.dumps(versions)
            )
            return
        tenant, machine, receipt = read_receipt(topic, payload)
        became = queries.receipt(
            connection,
            command=receipt.id,
            whose=tenant,
            machine=machine,
            happened=receipt.event.value,
            said=receipt.note,
            facts=json.dumps(dict(receipt.detail)),
        )
        self.stored += 1
        log.debug("receipt %s of command %s: %s", receipt.word, receipt.id, became)


class _Line:
    """The MQTT connection: a session that outlives us, receipts acknowledged by hand."""

    def __init__(self, broker: BrokerEndpoint, client_id: str, heard: queue.Queue[Any]) -> None:
        import paho.mqtt.client as mqtt
        from paho.mqtt.enums import CallbackAPIVersion

        from ingest.tls import ClientTls

        self._broker = broker
        self.up = False
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id, clean_session=False, manual_ack=True, reconnect_on_failure=False
        )
        self._client.username_pw_set(broker.username, broker.password)
        if broker.tls:
            tls = ClientTls(broker.ca, broker.certificate, broker.key, broker.server_name)
            self._client.tls_set_context(tls.context())
        self._client.on_message = lambda client, data, message: heard.put(message)
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._gone

    def _connected(self, client: Any, *_: Any) -> None:
        client.subscribe([(RECEIPTS, 1), (REPORTED, 1)])
        self.up = True

    def _gone(self, *_: Any) -> None:
        self.up = False

    def __enter__(self) -> _Line:
        self._client.connect(self._broker.host, self._broker.port, keepalive=20)
        self._client.loop_start()
        deadline = time.monotonic() + 10
        while not self.up:
            if time.monotonic() > deadline:
                self.__exit__()
                raise UnavailableError("the broker does not let us in", hint="servitize doctor")
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """True when the broker has acknowledged it in time."""
        sent = self._client.publish(topic, payload, qos=1, retain=retain)
        try:
            sent.wait_for_publish(_PUBACK_SECONDS)
        except (RuntimeError, ValueError):
            return False
        return bool(sent.is_published())

    def acknowledge(self, message: Any) -> None:
        self._client.ack(message.mid, message.qos)

"""Receivers that fail, are slow, lie, send elsewhere or change their address: nothing is lost, nothing comes twice, and
nothing is connected to that must not be."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from standardwebhooks import Webhook

from core.errors import InvalidInputError, UnavailableError
from services import vetted
from services.notifications.deliverer import Deliverer, Patience
from services.notifications.senders import SEAL, Channels, SmtpSettings, owner_of
from services.vetted import OutboundPolicy
from storage.sealing import Sealer
from tests.integration.notifications.conftest import (
    LOOPBACK,
    MASTER,
    OK,
    SECRET,
    SOON,
    Book,
    Receiver,
    eventually,
)

pytestmark = pytest.mark.integration

Deliver = Callable[..., Deliverer]


def status(code: int, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {code} X", "Content-Length: 0", *headers, "", ""]
    return "\r\n".join(lines).encode()


def test_a_message_is_signed_stamped_and_says_what_happened(book: Book, deliver: Deliver) -> None:
    with Receiver(lambda n, head, body: OK) as receiver:
        book.subscribe(book.endpoint(receiver.url))
        seq = book.event("urgent", title="Öldruck niedrig")
        deliver()
        assert eventually(lambda: book.states() == {"delivered": 1})
        ((headers, body),) = receiver.got
    said = Webhook(SECRET).verify(body, headers)
    assert (said["seq"], said["type"], said["tenant"]) == (seq, "alarm", "anvil")
    assert said["data"]["title"] == "Öldruck niedrig"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 30


def test_one_that_fails_gets_each_event_once_it_is_well_and_under_one_id(book: Book, deliver: Deliver) -> None:
    ways = [status(500), None, b"rubbish\r\n\r\n", status(503, "Retry-After: 0"), b"HTTP/1.1 200 OK\r\nContent-Le"]

    def answer(n: int, head: str, body: bytes) -> bytes | None:
        return ways[n % 6] if n % 6 < 5 else OK

    with Receiver(answer) as receiver:
        book.subscribe(book.endpoint(receiver.url))
        seqs = [book.event() for _ in range(4)]
        deliver(patience=Patience(delays=(0.02,) * 40, lease=20))
        assert eventually(lambda: book.states() == {"delivered": 4}, 60)
        time.sleep(0.3)
        assert list(dict.fromkeys(receiver.events)) == seqs
        # each id is one event's, and after its 204 it never came again
        assert len(set(zip(receiver.ids, receiver.events, strict=True))) == len(set(receiver.ids)) == 4
        good = [n for n in range(1, len(receiver.got) + 1) if n % 6 == 5]
        assert sorted(receiver.events[n - 1] for n in good) == seqs
        assert all(receiver.ids[n - 1] not in receiver.ids[n:] for n in good)


def test_one_that_never_is_well_becomes_dead_letters_which_can_be_replayed(book: Book, deliver: Deliver) -> None:
    answers = [status(500)]
    with Receiver(lambda n, head, body: answers[0]) as receiver:
        book.subscribe(book.endpoint(receiver.url))
        seq = book.event()
        deliver(patience=Patience(delays=(0.02, 0.02), lease=10))
        assert eventually(lambda: book.states() == {"dead": 1})
        assert len(receiver.got) == 3
        assert len(set(receiver.ids)) == 1
        answers[0] = OK
        book.world.as_owner(
            "SELECT servitize.step_delivery(id, 'replay', now(), now(), NULL, NULL, NULL) FROM servitize.delivery"
        )
        assert eventually(lambda: book.states() == {"delivered": 1})
        assert receiver.events == [seq] * 4
        assert receiver.ids[3] != receiver.ids[0]  # asked for: the receiver shall not take it for a repetition


def test_one_that_is_slow_holds_up_nobody_else_and_is_given_up_in_time(book: Book, deliver: Deliver) -> None:
    def drip(n: int, head: str, body: bytes) -> bytes | None:
        time.sleep(8)
        return OK

    with Receiver(drip) as slow, Receiver(lambda n, head, body: OK) as quick:
        book.subscribe(book.endpoint(slow.url))
        book.subscribe(book.endpoint(quick.url))
        began = time.monotonic()
        seqs = [book.event() for _ in range(5)]
        policy = OutboundPolicy(allowed=(ip_network("127.0.0.0/8"),), seconds=1.0)
        deliver(Channels(outbound=policy, master=MASTER), Patience(delays=(0.1,), lease=10))
        assert eventually(lambda: quick.events == seqs, 10)
        assert time.monotonic() - began < 8
        assert eventually(lambda: book.states().get("dead", 0) >= 1, 10)
        rows = book.world.execute(
            "SELECT a.event FROM servitize.delivery_attempt a JOIN servitize.delivery d ON d.id = a.delivery_id"
            " WHERE d.endpoint_id = (SELECT min(endpoint_id) FROM servitize.delivery) ORDER BY a.at, a.id"
        )
        # one at a time
        assert {event for (event,) in rows[::2]} == {"take"}
        assert {event for (event,) in rows[1::2]} <= {"fail", "give_up"}


def test_one_that_sends_a_byte_now_and_then_gains_nothing(book: Book) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def trickle() -> None:
        line, _ = listener.accept()
        with line:
            line.recv(1000)
            try:
                for byte in b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000:
                    line.sendall(bytes([byte]))
                    time.sleep(0.1)
            except OSError:
                pass

    threading.Thread(target=trickle, daemon=True).start()
    policy = OutboundPolicy(allowed=(ip_network("127.0.0.0/8"),), seconds=0.8)
    began = time.monotonic()
    with pytest.raises(Exception, match="did not answer"):
        vetted.call("POST", f"http://127.0.0.1:{listener.getsockname()[1]}/", policy, body=b"{}")
    assert time.monotonic() - began < 2
    listener.close()


def test_an_answer_without_end_is_read_to_a_bound(book: Book, deliver: Deliver) -> None:
    big = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5_000_000
    with Receiver(lambda n, head, body: big) as receiver:
        book.subscribe(book.endpoint(receiver.url))
        book.event()
        deliver()
        assert eventually(lambda: book.states() == {"delivered": 1})


def test_one_that_wants_no_more_is_switched_off(book: Book, deliver: Deliver) -> None:
    with Receiver(lambda n, head, body: status(410)) as receiver:
        book.subscribe(book.endpoint(receiver.url))
        book.event()
        book.event()
        deliver()
        assert eventually(lambda: book.states() == {"dead": 1, "pending": 1})
        assert len(receiver.got) == 1
        (row,) = book.world.execute("SELECT enabled, disabled_reason FROM servitize.notification_endpoint")
        assert row == (False, "it answered 410: gone")


def test_a_redirect_is_not_followed(book: Book, deliver: Deliver) -> None:
    with Receiver(lambda n, head, body: OK) as inside:
        away = status(307, f"Location: {inside.url}")
        with Receiver(lambda n, head, body: away) as receiver:
            book.subscribe(book.endpoint(receiver.url))
            book.event()
            deliver(patience=Patience(delays=(0.02,), lease=10))
            assert eventually(lambda: book.states() == {"dead": 1})
            assert len(receiver.got) == 2
        assert inside.connections == 0


FORBIDDEN = [
    "10.0.0.1", "172.16.5.4", "192.168.1.1", "127.0.0.1", "0.0.0.0", "169.254.169.254", "100.100.100.200", "224.0.0.1",
    "198.18.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a00:1", "2002:7f00:1::", "2001:db8::1", "not an address",
]  # fmt: skip


@pytest.mark.parametrize("address", FORBIDDEN)
def test_a_name_that_leads_inside_is_not_connected_to(address: str) -> None:
    with pytest.raises(InvalidInputError, match="no public address"):
        vetted.vet("https://a.example/", OutboundPolicy(), lambda host, port: [address])
    # one good address beside a bad one makes the name no better
    with pytest.raises(InvalidInputError, match="no public address"):
        vetted.vet("https://a.example/", OutboundPolicy(), lambda host, port: ["93.184.216.34", address])


@pytest.mark.parametrize(
    "url",
    [
        "http://127.1/", "http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/", "http://localhost/",
        "https://user:pw@a.example/", "ftp://a.example/", "file:///etc/passwd", "https:///x", "gopher://a.example",
        "https://a.example\\@127.0.0.1/", "https://a.example/\r\nX: y", "http://[::ffff:127.0.0.1]/", "https://a:0/",
    ],
)  # fmt: skip
def test_other_spellings_of_inside_are_refused(url: str) -> None:
    with pytest.raises(InvalidInputError):
        vetted.vet(url, OutboundPolicy())


def test_a_name_that_changes_its_address_is_connected_to_where_it_was_looked_at(book: Book, deliver: Deliver) -> None:
    """Whoever answers 'outside' to the look and 'inside' to the connection is asked only once."""
    asked: list[str] = []
    with Receiver(lambda n, head, body: OK) as inside, Receiver(lambda n, head, body: OK) as outside:
        # "outside" is the allowed network 127.0.0.0/8 here, "inside" an address that is never allowed
        answers: Iterator[list[str]] = iter([["127.0.0.1"], ["10.255.255.1"]] * 100)

        def find(host: str, port: int) -> list[str]:
            asked.append(host)
            return next(answers)

        book.subscribe(book.endpoint(f"http://rebinding.example:{outside.port}/hook"))
        book.event()
        book.event()
        deliver(Channels(outbound=LOOPBACK, master=MASTER, find=find), Patience(delays=(0.02,) * 5, lease=10))
        assert eventually(lambda: book.states() == {"delivered": 2})
        assert len(outside.got) == 2
        assert outside.got[0][0]["host"] == f"rebinding.example:{outside.port}"
        assert inside.connections == 0
        assert len(asked) == 3  # good, refused, good: one look per attempt
        (said,) = {
            row[0] for row in book.world.execute("SELECT detail FROM servitize.delivery_attempt WHERE event = 'fail'")
        }
        assert "10.255.255.1, which is no public address" in said


def test_a_connection_goes_nowhere_but_to_the_vetted_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """By every way in which Python opens one."""
    opened: list[Any] = []
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        opened.append(address)
        real(self, address)

    with Receiver(lambda n, head, body: OK) as receiver:
        monkeypatch.setattr(socket.socket, "connect", connect)
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        url = f"http://somewhere.example:{receiver.port}/"
        assert vetted.call("POST", url, LOOPBACK, body=b"x", find=lambda host, port: ["127.0.0.1"]).status == 204
    assert opened == [("127.0.0.1", receiver.port)]


def test_a_secret_rotates_without_a_gap(book: Book, deliver: Deliver) -> None:
    with Receiver(lambda n, head, body: OK) as receiver:
        endpoint = book.endpoint(receiver.url)
        book.subscribe(endpoint)
        fresh = Sealer(MASTER, SEAL).seal(b"n" * 32, owner_of(endpoint))
        book.world.as_owner(
            "UPDATE servitize.notification_endpoint"
            " SET former_secret = secret, former_until = now() + interval '1 hour', secret = %s",
            [fresh],
        )
        deliver()
        book.event()
        assert eventually(lambda: len(receiver.got) == 1)
        book.world.as_owner("UPDATE servitize.notification_endpoint SET former_until = now()")
        book.event()
        assert eventually(lambda: len(receiver.got) == 2)
    (first, second) = receiver.got
    for secret in (SECRET, b"n" * 32):
        Webhook(secret).verify(first[1], first[0])
    Webhook(b"n" * 32).verify(second[1], second[0])
    with pytest.raises(Exception, match="No matching signature"):
        Webhook(SECRET).verify(second[1], second[0])


def test_secrets_do_not_open_elsewhere(book: Book) -> None:
    one = book.endpoint("https://a.example")
    sealed = bytes(book.world.execute("SELECT secret FROM servitize.notification_endpoint")[0][0])
    assert SECRET not in sealed
    for master, owner in (("another installation", owner_of(one)), (MASTER, owner_of(one + 1))):
        with pytest.raises(UnavailableError):
            Sealer(master, SEAL).open(sealed, owner)


def test_a_deliverer_that_dies_loses_nothing_and_two_send_nothing_twice(book: Book, deliver: Deliver) -> None:
    with Receiver(lambda n, head, body: OK) as receiver:
        for _ in range(4):
            book.subscribe(book.endpoint(receiver.url))
        for _ in range(5):
            book.event()
        # somebody took four and died with them
        taken = book.world.execute(
            "SELECT batch FROM servitize.take_deliveries(now(), now() + interval '1 second', 100)"
        )
        assert taken == []  # not before they are fanned out
        book.fan_out(datetime.now(UTC))
        dead = book.world.execute(
            "SELECT batch FROM servitize.take_deliveries(now(), now() + interval '1 second', 100)"
        )
        assert len(dead) == 4
        deliver()
        deliver()
        assert eventually(lambda: book.states() == {"delivered": 20}, 30)
        time.sleep(0.3)
        assert len(receiver.ids) == len(set(receiver.ids)) == 20
        rows = book.world.execute("SELECT attempts, count(*) FROM servitize.delivery GROUP BY 1 ORDER BY 1")
        assert rows == [(1, 16), (2, 4)]


def test_a_database_that_goes_away_and_comes_back(book: Book, deliver: Deliver) -> None:
    with Receiver(lambda n, head, body: OK) as receiver:
        book.subscribe(book.endpoint(receiver.url))
        deliver()
        seqs = [book.event()]
        assert eventually(lambda: receiver.events == seqs)
        book.world.as_owner(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'servitize deliverer'"
            " AND datname = current_database() AND pg_has_role(usename, 'MEMBER')"
        )
        seqs.append(book.event())
        assert eventually(lambda: book.states() == {"delivered": 2})
        assert receiver.events == seqs


@contextmanager
def mail_server(answer: str = "250 OK") -> Iterator[tuple[SmtpSettings, list[Any]]]:
    """A real SMTP server that keeps what it gets."""
    got: list[Any] = []

    class Keep:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            got.append(envelope)
            return answer

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(Keep(), hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield SmtpSettings("127.0.0.1", port, "servitize@works.example", security="none", seconds=5), got
    finally:
        controller.stop()


def test_mail_says_what_to_do_and_a_title_breaks_no_header(book: Book, deliver: Deliver) -> None:
    with mail_server() as (smtp, got):
        book.subscribe(book.endpoint("kim@example.com", "email"))
        book.event("urgent", title="Lager heiß\r\nBcc: all@example.com", action="Stop the machine", equipment_key="P-1")
        deliver(Channels(smtp=smtp))
        assert eventually(lambda: book.states() == {"delivered": 1})
    (envelope,) = got
    assert envelope.rcpt_tos == ["kim@example.com"]
    text = envelope.content.decode()
    assert "\r\nBcc:" not in text.partition("\r\n\r\n")[0]
    import email
    import email.policy

    mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
    assert "Lager heiß" in mail["Subject"]
    assert "What to do: Stop the machine" in mail.get_content()


def test_a_mail_server_that_refuses_is_tried_again_and_then_given_up(book: Book, deliver: Deliver) -> None:
    with mail_server("451 try later") as (smtp, got):
        book.subscribe(book.endpoint("kim@example.com", "email"))
        book.event()
        deliver(Channels(smtp=smtp), Patience(delays=(0.02,), lease=10))
        assert eventually(lambda: book.states() == {"dead": 1})
        assert len(got) == 2
    (row,) = book.world.execute("SELECT last_status, last_error FROM servitize.delivery")
    assert row[0] == 451


def test_mqtt_goes_to_a_topic_of_the_tenant(book: Book, deliver: Deliver) -> None:
    published: list[tuple[str, bytes]] = []
    book.subscribe(book.endpoint("hall/2", "mqtt"))
    seq = book.event()
    deliver(Channels(publish=lambda topic, payload: published.append((topic, payload))))
    assert eventually(lambda: book.states() == {"delivered": 1})
    ((topic, payload),) = published
    assert topic == "servitize/v1/anvil/notifications/hall/2"
    assert json.loads(payload)["seq"] == seq


def test_what_breaks_the_sender_ends_nobody_elses_messages(book: Book, deliver: Deliver) -> None:
    def publish(topic: str, payload: bytes) -> None:
        raise KeyError("a defect")

    with Receiver(lambda n, head, body: OK) as receiver:
        book.subscribe(book.endpoint("hall", "mqtt"))
        book.subscribe(book.endpoint(receiver.url))
        book.event()
        deliver(Channels(outbound=LOOPBACK, master=MASTER, publish=publish), SOON)
        assert eventually(lambda: receiver.events != [])
        assert eventually(lambda: book.states() == {"delivered": 1, "dead": 1})

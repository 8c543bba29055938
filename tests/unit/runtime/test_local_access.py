"""Who may use the broker: the record, what is refused, and what each kind of broker is given."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import InvalidInputError
from runtime.local.access import (
    AccessBook,
    DeviceCredential,
    acl_file,
    dynamic_security_file,
    own_accounts,
    password_file,
    plain_table,
)
from runtime.local.endpoints import TlsFiles, check_listener, parse_url
from runtime.local.errors import AccessError, ListenerRefusedError
from runtime.local.paths import DataDirectory
from runtime.local.rights import BrokerRights

PRESS = DeviceCredential(
    "press-7",
    "acme.press-7",
    "s3cret-s3cret",
    ["servitize/v1/acme/press-7/#"],
    ["servitize/v1/acme/press-7/commands/#"],
)


@pytest.fixture
def book(tmp_path: Path) -> AccessBook:
    return AccessBook(DataDirectory(tmp_path))


def test_passwords_are_kept_as_salted_hashes_only(book: AccessBook, tmp_path: Path) -> None:
    book.put([PRESS])
    assert PRESS.password not in (tmp_path / "broker" / "access.json").read_text()
    entry = book.entries()[PRESS.username]
    assert entry.matches(PRESS.password)
    assert not entry.matches("another")


def test_putting_the_same_again_changes_nothing(book: AccessBook) -> None:
    assert book.put([PRESS]) == [PRESS.username]
    before = book.entries()
    assert book.put([PRESS]) == []
    assert book.entries() == before


@pytest.mark.parametrize("change", [{"password": "new"}, {"publish": []}, {"client_id": "other"}])
def test_any_difference_is_a_change(book: AccessBook, change: dict) -> None:
    book.put([PRESS])
    assert book.put([replace(PRESS, **change)]) == [PRESS.username]


def test_readable_passwords_are_kept_only_where_a_broker_needs_them(book: AccessBook) -> None:
    book.put([PRESS])
    assert plain_table(book.entries()) == {}
    assert book.put([PRESS], keep_passwords=True) == []
    assert plain_table(book.entries()) == {PRESS.username: PRESS.password}


@pytest.mark.parametrize(
    "change",
    [
        {"username": ""},
        {"username": "a:b"},
        {"username": "a\nuser root"},
        {"username": " a"},
        {"password": ""},
        {"publish": ["a\ntopic write #"]},
        {"publish": ["a/#/b"]},
        {"publish": ["a/b+"]},
        {"subscribe": [""]},
    ],
)
def test_what_could_break_out_of_a_file_is_refused_and_nothing_is_recorded(book: AccessBook, change: dict) -> None:
    with pytest.raises(InvalidInputError):
        book.put([replace(PRESS, username="fine"), replace(PRESS, **change)])
    assert book.entries() == {}


def test_removing_tells_whether_it_was_known(book: AccessBook) -> None:
    book.put([PRESS])
    assert book.remove(PRESS.username)
    assert not book.remove(PRESS.username)


def test_the_plugin_denies_by_default_and_binds_client_ids(book: AccessBook) -> None:
    book.put([PRESS])
    document = json.loads(dynamic_security_file(book.entries()))
    defaults = document["defaultACLAccess"]
    assert [defaults[kind] for kind in ("publishClientSend", "publishClientReceive", "subscribe")] == [False] * 3
    assert document["clients"][0]["clientid"] == "press-7"
    granted = {(rule["acltype"], rule["topic"]) for rule in document["roles"][0]["acls"]}
    assert granted == {
        ("publishClientSend", "servitize/v1/acme/press-7/#"),
        ("subscribePattern", "servitize/v1/acme/press-7/commands/#"),
        ("publishClientReceive", "servitize/v1/acme/press-7/commands/#"),
    }


def test_files_name_each_user_with_its_rights(book: AccessBook) -> None:
    book.put([PRESS])
    assert password_file(book.entries()).startswith("acme.press-7:$7$101$")
    assert acl_file(book.entries()).splitlines()[:3] == [
        "user acme.press-7",
        "topic write servitize/v1/acme/press-7/#",
        "topic read servitize/v1/acme/press-7/commands/#",
    ]


def test_the_control_account_sees_no_data_and_the_service_account_does_not_control(tmp_path: Path) -> None:
    service, control = own_accounts(DataDirectory(tmp_path))
    assert all(topic.startswith("$CONTROL/") for topic in (*control.publish, *control.subscribe))
    assert not any(topic.startswith("$CONTROL") for topic in (*service.publish, *service.subscribe))


def test_devices_cannot_take_the_platforms_own_names(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="platform"):
        BrokerRights(DataDirectory(tmp_path)).provision([replace(PRESS, username="servitize-service")])


def test_rights_can_be_recorded_while_no_broker_runs(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path)
    BrokerRights(data).provision([PRESS])
    assert PRESS.username in AccessBook(data).entries()
    assert BrokerRights(data).revoke(PRESS.username)


def test_an_external_brokers_users_are_not_ours_to_make(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path)
    data.update_state("servers", broker={"kind": "external", "host": "broker", "port": 1883})
    with pytest.raises(AccessError, match="SERVITIZE_MQTT_URL"):
        BrokerRights(data).provision([PRESS])
    assert AccessBook(data).entries() == {}


def test_plain_text_is_not_offered_to_a_network_by_accident() -> None:
    for address in ("0.0.0.0", "192.168.1.5", "::"):
        with pytest.raises(ListenerRefusedError) as caught:
            check_listener(address, None, False)
        assert "--insecure-plain-listener" in caught.value.hint
        check_listener(address, None, True)
        check_listener(address, TlsFiles(Path("c"), Path("k")), False)
    for address in ("127.0.0.1", "::1", "localhost"):
        check_listener(address, None, False)
    with pytest.raises(ListenerRefusedError, match="no address"):
        check_listener("broker.example", None, True)


def test_broker_urls() -> None:
    endpoint = parse_url("mqtts://ann:p%40ss@broker.example")
    assert (endpoint.host, endpoint.port, endpoint.username, endpoint.password, endpoint.tls) == (
        "broker.example", 8883, "ann", "p@ss", True,
    )  # fmt: skip
    assert parse_url("mqtt://h:1900").port == 1900
    assert "p@ss" not in repr(endpoint)
    with pytest.raises(InvalidInputError, match="SERVITIZE_MQTT_URL"):
        parse_url("http://broker")

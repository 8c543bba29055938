"""What may be chosen, and what is refused before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import InvalidInputError
from runtime.settings import Listen, choose_settings, parse_listen


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        (None, "127.0.0.1", None),
        ("8080", "127.0.0.1", 8080),
        ("0", "127.0.0.1", 0),
        ("192.0.2.7", "192.0.2.7", None),
        ("192.0.2.7:99", "192.0.2.7", 99),
        ("[::1]:8080", "::1", 8080),
        ("[::1]", "::1", None),
    ],
)
def test_where_to_listen(text: str | None, host: str, port: int | None) -> None:
    assert parse_listen(text, "--api") == Listen(host, port)


@pytest.mark.parametrize("text", ["host:port", "host:70000", ":80"])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="no address to listen on"):
        parse_listen(text, "--api")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_loopback_needs_no_leave(host: str) -> None:
    assert Listen(host).is_loopback


class TestBeyondLoopback:
    def test_plain_text_is_refused(self) -> None:
        with pytest.raises(InvalidInputError, match="API would take passwords in plain text"):
            choose_settings(api="0.0.0.0:80", environ={})

    def test_it_may_be_asked_for_in_so_many_words(self) -> None:
        assert choose_settings(api="0.0.0.0", insecure=True, environ={}).insecure
        assert choose_settings(api="0.0.0.0", environ={"SERVITIZE_INSECURE_LISTEN": "1"}).insecure

    def test_zero_is_no_leave(self) -> None:
        with pytest.raises(InvalidInputError):
            choose_settings(api="0.0.0.0", environ={"SERVITIZE_INSECURE_LISTEN": "0"})

    def test_with_tls_files_it_is_allowed(self, tmp_path: Path) -> None:
        certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
        certificate.touch()
        key.touch()
        settings = choose_settings(mqtt="0.0.0.0", certificate=certificate, key=key, environ={})
        assert settings.tls is not None

    def test_half_of_tls_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInputError, match="a certificate and a key"):
            choose_settings(certificate=tmp_path / "c.pem", environ={})

    def test_missing_files_are_named(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInputError, match=r"no TLS file .*c\.pem"):
            choose_settings(certificate=tmp_path / "c.pem", key=tmp_path / "k.pem", environ={})


def test_options_win_over_the_environment() -> None:
    environ = {"SERVITIZE_API_LISTEN": "127.0.0.1:1", "SERVITIZE_MQTT_LISTEN": "127.0.0.1:2"}
    settings = choose_settings(api="3", environ=environ)
    assert (settings.api.port, settings.mqtt.port) == (3, 2)


def test_the_sparkplug_host_id_is_checked() -> None:
    assert choose_settings(environ={}).sparkplug_host_id == "servitize"
    assert choose_settings(environ={"SERVITIZE_SPARKPLUG_HOST_ID": "north"}).sparkplug_host_id == "north"
    with pytest.raises(InvalidInputError, match="host id"):
        choose_settings(sparkplug_host_id="a/b", environ={})

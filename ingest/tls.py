"""How our own connections to a broker are made safe: whom we trust, who we are, and which name we expect."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class ClientTls:
    """PEM files of a client.

    ``ca_file``: who may have signed the broker's certificate (None: the system's authorities). ``certificate_file`` and
    ``key_file``: our own certificate, where the broker wants one. ``server_name``: the name that the broker's
    certificate must bear, where it is not the host we connect to (an address, a name inside a cluster).
    """

    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        if (self.certificate_file is None) != (self.key_file is None):
            raise InvalidInputError(
                "a client certificate needs its key, and a key its certificate", hint="give both files, or neither"
            )

    def context(self) -> ssl.SSLContext:
        """Verifies the broker's chain and name, TLS 1.2 or newer; raises
        :class:`~core.errors.InvalidInputError` naming a file that cannot be used."""
        for path in (self.ca_file, self.certificate_file, self.key_file):
            if path is not None and not Path(path).is_file():
                raise InvalidInputError(f"there is no TLS file {path}", hint="give PEM files that we may read")
        context = _Context(ssl.PROTOCOL_TLS_CLIENT)  # demands a chain and a name
        context.expected = self.server_name
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.ca_file is None:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        else:
            try:
                context.load_verify_locations(self.ca_file)
            except (ssl.SSLError, OSError) as error:
                raise InvalidInputError(
                    f"{self.ca_file} holds no certificate: {error}", hint="give the authority as PEM"
                ) from error
        if self.certificate_file is not None:
            try:
                context.load_cert_chain(self.certificate_file, self.key_file)
            except (ssl.SSLError, OSError) as error:
                raise InvalidInputError(
                    f"{self.certificate_file} and {self.key_file} are no certificate with its key: {error}",
                    hint="both are PEM; the key is the certificate's own and has no passphrase",
                ) from error
        return context


class _Context(ssl.SSLContext):
    """Asks for one name, if it has one, whatever host it is used for: the client library always hands on the host."""

    expected: str | None = None

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        if self.expected is not None:
            kwargs["server_hostname"] = self.expected
        return super().wrap_socket(*args, **kwargs)

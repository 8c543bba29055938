"""Secrets that must be read again (what webhooks are signed with, passwords of mail servers), sealed at rest.

AES-256-GCM under a key derived (HKDF-SHA256, RFC 5869) from a secret of the installation that is not in the database:
the database alone opens nothing. What a seal is for goes into it, so that a sealed text moved to another row does not
open there.
"""

from __future__ import annotations

import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.errors import UnavailableError

_NONCE: Final = 12
_VERSION: Final = b"\x01"


class Sealer:
    """Seals and opens. ``master`` is the installation's secret; ``use`` keeps different uses of it apart.

    >>> sealer = Sealer("a secret of the installation", "webhook")
    >>> sealer.open(sealer.seal(b"hush", "endpoint/7"), "endpoint/7")
    b'hush'
    """

    def __init__(self, master: str | bytes, use: str) -> None:
        material = master.encode() if isinstance(master, str) else master
        key = HKDF(SHA256(), 32, salt=None, info=b"servitize seal\0" + use.encode()).derive(material)
        self._cipher = AESGCM(key)

    def seal(self, secret: bytes, owner: str) -> bytes:
        """The secret, sealed for ``owner`` (the row it belongs to)."""
        nonce = secrets.token_bytes(_NONCE)
        return _VERSION + nonce + self._cipher.encrypt(nonce, secret, owner.encode())

    def open(self, sealed: bytes, owner: str) -> bytes:
        """Raises UnavailableError for what was sealed with another secret of the installation, or for another owner."""
        version, nonce, text = sealed[:1], sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :]
        if version == _VERSION:
            try:
                return self._cipher.decrypt(nonce, text, owner.encode())
            except InvalidTag:
                pass
        raise UnavailableError(
            f"the secret of {owner} was sealed by another installation", hint="make it again: rotate it"
        )

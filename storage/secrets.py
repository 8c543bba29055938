"""API keys and device passwords: random, shown once, kept as a hash.

A secret of 256 random bits cannot be guessed, so its SHA-256 is as safe as a slow password hash and costs a
microsecond instead of
a tenth of a second per request. (People's passwords are another matter: none are kept here.)
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Final

_MARK: Final = "sv"
"""Tells people and secret scanners what such a text is."""


def digest(secret: str) -> bytes:
    """What is stored of a secret."""
    return hashlib.sha256(secret.encode()).digest()


def new_key() -> tuple[str, str, bytes]:
    """(prefix, the whole key, hash of the whole key). The prefix (48 bits, hex) finds the row and may be shown."""
    prefix = secrets.token_hex(6)
    text = f"{_MARK}_{prefix}_{secrets.token_urlsafe(32)}"
    return prefix, text, digest(text)


def new_ticket() -> str:
    """A word that stands for a key once."""
    return secrets.token_urlsafe(32)


def split_key(text: str) -> tuple[str, bytes] | None:
    """(prefix, hash) to authenticate with; None for a text that is no key of ours."""
    parts = text.split("_", 2)
    if len(parts) != 3 or parts[0] != _MARK or len(parts[1]) != 12 or len(parts[2]) < 40:
        return None
    return parts[1], digest(text)


def new_password() -> str:
    """A device's one-time shown password, 192 bits, without characters that a shell or a URL would mind."""
    return secrets.token_urlsafe(24)


def new_nonce() -> bytes:
    """What makes one device's password another than every other's; new with each rotation."""
    return secrets.token_bytes(16)


def derived_password(master: str, nonce: bytes) -> str:
    """A device's password, 192 bits, without characters that a shell or a URL would mind.

    HMAC-SHA256 of the nonce under the installation's master secret. So a broker that lost its accounts can be given
    them again, while neither the database nor the master alone opens anything.
    """
    code = hmac.digest(master.encode(), b"servitize device password\0" + nonce, "sha256")
    return base64.urlsafe_b64encode(code[:24]).decode()

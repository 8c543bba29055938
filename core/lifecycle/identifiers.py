"""Names that mean one thing in the whole world and lead to it: GS1 Digital Link (GTIN and serial number) and
identification links after IEC 61406-1 (an address of the maker's own domain)."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from core.errors import InvalidInputError

GS1_RESOLVER: Final = "id.gs1.org"
_LONGEST: Final = 255
"""IEC 61406-1: an identification link has at most that many characters."""
_DOMAIN: Final = re.compile(r"(?=.{1,180}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")
_SERIAL: Final = re.compile(r"[!%-?A-Z_a-z\"]{1,20}")
"""GS1 General Specifications: AI (21), the 82 characters of ISO/IEC 646 that are allowed in it."""
_LINK: Final = re.compile(r"https?://[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")


def check_digit(digits: str) -> str:
    """The GS1 check digit behind ``digits`` (weights 3, 1, 3 … from the right).

    >>> check_digit("0952110153000")
    '9'
    """
    total = sum(int(digit) * (3 if n % 2 == 0 else 1) for n, digit in enumerate(reversed(digits)))
    return str(-total % 10)


def digital_link(gtin: str, serial: str, domain: str = GS1_RESOLVER) -> str:
    """GS1 Digital Link of one serial number: ``https://domain/01/GTIN-14/21/serial``.

    >>> digital_link("09521101530001", "K-101")
    'https://id.gs1.org/01/09521101530001/21/K-101'
    """
    if not gtin.isascii() or not gtin.isdigit() or len(gtin) not in (8, 12, 13, 14):
        raise InvalidInputError(f"{gtin!r} is no GTIN", hint="8, 12, 13 or 14 digits")
    full = gtin.zfill(14)
    if check_digit(full[:-1]) != full[-1]:
        raise InvalidInputError(f"the check digit of GTIN {gtin} should be {check_digit(full[:-1])}")
    if not _SERIAL.fullmatch(serial):
        raise InvalidInputError(f"{serial!r} is no GS1 serial number", hint="1 to 20 letters, digits and some signs")
    return _checked(f"https://{_domain(domain)}/01/{full}/21/{quote(serial, safe='')}")


def identification_link(domain: str, kind: str, serial: str) -> str:
    """Identification link after IEC 61406-1 below a domain that the maker keeps.

    >>> identification_link("id.example.com", "bearing", "B 7")
    'https://id.example.com/bearing/B%207'
    """
    return _checked(f"https://{_domain(domain)}/{quote(kind, safe='')}/{quote(serial, safe='')}")


def canonical(link: str) -> str:
    """The one spelling of a link: host in lower case, no query or fragment, escapes only where needed, so that what a
    scanner read is found whatever it made of it."""
    scheme, separator, rest = link.strip().partition("://")
    parts = urlsplit(_checked(f"{scheme.lower()}{separator}{rest}"))
    path = "/".join(quote(unquote(part), safe="") for part in parts.path.rstrip("/").split("/"))
    return f"https://{parts.netloc.lower()}{path}"


def _domain(domain: str) -> str:
    if not _DOMAIN.fullmatch(domain):
        raise InvalidInputError(f"{domain!r} is no domain", hint="for example id.example.com")
    return domain


def _checked(link: str) -> str:
    if len(link) > _LONGEST or not _LINK.fullmatch(link):
        raise InvalidInputError(
            f"{link[:60]!r} is no identification link", hint=f"an http(s) address of at most {_LONGEST} characters"
        )
    return link

"""Exact numbers: how a reading becomes a decimal, how amounts are rounded, how they are written."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from fractions import Fraction
from typing import Final

from core.errors import InvalidInputError
from core.time import HOUR

_DIGITS: Final = {"JPY": 0, "KRW": 0, "VND": 0, "CLP": 0, "ISK": 0, "BHD": 3, "KWD": 3, "OMR": 3, "TND": 3, "JOD": 3}
"""Decimals of the currencies (ISO 4217) that do not have two."""
_WIDE: Final = Context(prec=50)


def minor_unit(currency: str) -> Decimal:
    """The smallest amount of a currency.

    >>> minor_unit("EUR")
    Decimal('0.01')
    """
    return Decimal(1).scaleb(-_DIGITS.get(currency, 2))


def rounded(value: Decimal | Fraction, step: Decimal) -> Decimal:
    """To a multiple of ``step``, halves away from zero: the one rounding of this package.

    >>> rounded(Decimal("2.345"), Decimal("0.01"))
    Decimal('2.35')
    """
    if isinstance(value, Fraction):
        scaled = value / Fraction(step)
        whole, rest = divmod(abs(scaled.numerator), scaled.denominator)
        count = whole + (2 * rest >= scaled.denominator)
        return _WIDE.multiply(Decimal(count if scaled >= 0 else -count), step)
    with localcontext(_WIDE):
        return ((value / step).quantize(Decimal(1), rounding=ROUND_HALF_UP)) * step


def of_reading(value: float) -> Decimal:
    """A stored reading as people read it: the shortest decimal that is this float.

    >>> of_reading(1234.1)
    Decimal('1234.1')
    """
    return Decimal(repr(float(value)))


def hours(us: int) -> Fraction:
    """Exact hours of a number of microseconds."""
    return Fraction(us, HOUR)


def decimal(value: object, where: str) -> Decimal:
    """A decimal out of a document: text or a whole number; a float has lost what was written before we could see it."""
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise InvalidInputError(
            f"{where}: {value!r} is no exact number", hint='write it as text, for example "85.50", or as a whole number'
        )
    try:
        found = Decimal(value)
    except ArithmeticError:
        raise InvalidInputError(f"{where}: {value!r} is no number", hint='for example "85.50"') from None
    if not found.is_finite() or abs(found) >= Decimal(10) ** 15:
        raise InvalidInputError(f"{where}: {value!r} is no amount anybody could mean")
    return found


def text(value: Decimal | None) -> str | None:
    """Plain digits, never an exponent.

    >>> text(Decimal("1E+2"))
    '100'
    """
    return None if value is None else f"{value:f}"

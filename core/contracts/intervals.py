"""Stretches of time as sorted, disjoint, half-open [from, to) pairs of microseconds: what clocks and guarantees
count."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

Span = tuple[int, int]
Spans = tuple[Span, ...]

NOTHING: Final[Spans] = ()


def tidy(spans: Iterable[Span]) -> Spans:
    """Sorted, empty ones dropped, those that touch or overlap joined.

    >>> tidy([(5, 9), (1, 3), (3, 4), (7, 7)])
    ((1, 4), (5, 9))
    """
    found: list[Span] = []
    for low, high in sorted(s for s in spans if s[1] > s[0]):
        if found and low <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return tuple(found)


def length(spans: Spans) -> int:
    """Microseconds in all."""
    return sum(high - low for low, high in spans)


def common(one: Spans, other: Spans) -> Spans:
    """What lies in both.

    >>> common(((0, 10),), ((2, 4), (8, 12)))
    ((2, 4), (8, 10))
    """
    found: list[Span] = []
    i = j = 0
    while i < len(one) and j < len(other):
        low, high = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if low < high:
            found.append((low, high))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return tuple(found)


def without(one: Spans, other: Spans) -> Spans:
    """What lies in the first and not in the other.

    >>> without(((0, 10),), ((2, 4), (8, 12)))
    ((0, 2), (4, 8))
    """
    found: list[Span] = []
    for low, high in one:
        at = low
        for cut_low, cut_high in other:
            if cut_high <= at:
                continue
            if cut_low >= high:
                break
            if cut_low > at:
                found.append((at, cut_low))
            at = max(at, cut_high)
        if at < high:
            found.append((at, high))
    return tuple(found)


def first_part(spans: Spans, most: int) -> Spans:
    """The earliest ``most`` microseconds of them: an allowance is used up in the order in which it was drawn on."""
    found: list[Span] = []
    for low, high in spans:
        if most <= 0:
            break
        end = min(high, low + most)
        found.append((low, end))
        most -= end - low
    return tuple(found)


def holds(spans: Spans, at: int) -> bool:
    """Does the moment lie in one of them?"""
    return any(low <= at < high for low, high in spans)

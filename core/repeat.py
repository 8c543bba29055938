"""Repeated parts of a type: written once with placeholders, expanded to the concrete keys."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

Repeat = Mapping[str, tuple[str, ...]]
"""Placeholders and their values, e.g. ``{"car": ("1", "2"), "box": ("1", …)}``; expanded as a product in this order."""


def expand(template: str, repeat: Repeat) -> Iterator[tuple[str, dict[str, str]]]:
    """The keys a template stands for, with the placeholder values of each.

    >>> [key for key, _ in expand("car{car}.door", {"car": ("1", "2")})]
    ['car1.door', 'car2.door']
    """
    for values in itertools.product(*repeat.values()):
        binding = dict(zip(repeat, values, strict=True))
        yield template.format_map(binding), binding

"""``servitize replay`` and ``servitize evaluate``: recordings and judges, run at a desk."""

from __future__ import annotations

from runtime.cli.groups import group

evaluate = group(
    "Judge the detectors on simulated fleets.\n\n\b\nExample:\n  servitize evaluate demo --seeds 1-3 --days 2 --json"
)


def replay() -> None:
    """x"""

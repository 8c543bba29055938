"""The sentences of docs/reference/conservation.md, of a host of any kind."""

from __future__ import annotations


def accounted(counts: dict[str, int]) -> list[str]:
    """What of them does not hold: at every hop, in = out by reason."""
    refused = sum(count for name, count in counts.items() if name.startswith("ingest.refused."))
    others = sum(
        counts.get(name, 0)
        for name in (
            "ingest.texts",
            "ingest.events",
            "ingest.waveforms",
            "ingest.cycles",
            "ingest.ignored.retained",
        )
    )
    known = sum(counts.get(f"storage.{name}", 0) for name in ("stored", "duplicates", "conflicts"))
    into = counts.get("storage.in_measured", 0) + counts.get("storage.in_derived", 0)
    accepted = counts.get("ingest.accepted", 0)
    sums = (
        ("readings in = accepted + refused + others", counts.get("ingest.readings", 0), accepted + refused + others),
        ("accepted = into storage", accepted, counts.get("storage.in_measured", 0)),
        ("refused = dead letters", refused, counts.get("storage.dead_letter_readings", 0)),
        ("into storage = stored + known", into, known),
    )
    return [f"{what}: {left} and {right}" for what, left, right in sums if left != right]

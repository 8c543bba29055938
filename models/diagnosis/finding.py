"""What a diagnosis says, and what it stands on."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from models.vibration.channels import ChannelFinding


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing seen. Frequencies in Hz (NaN where it is no line), ``level`` and ``background`` in ``unit``,
    ``over_db`` how far the one is over the other; ``band`` Hz of an envelope."""

    kind: str
    channel: str
    what: str
    expected: float = float("nan")
    found: float = float("nan")
    order: float = float("nan")
    level: float = float("nan")
    unit: str = ""
    background: float = float("nan")
    over_db: float = float("nan")
    band: tuple[float, float] | None = None

    def sentence(self) -> str:
        """For a person."""
        place = ""
        if np.isfinite(self.found):
            place = f" at {self.found:.2f} Hz"
            if np.isfinite(self.expected):
                place += f" (expected {self.expected:.2f} Hz, {100 * (self.found / self.expected - 1):+.1f} %)"
        parts = [f"{self.channel}: {self.what}{place}"]
        if np.isfinite(self.level):
            parts.append(f"{self.level:.3g} {self.unit}".rstrip())
        if np.isfinite(self.over_db):
            parts.append(f"{self.over_db:.0f} dB over its surroundings")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Finding:
    """One failure mode. ``confidence``: probability that it is there, by how often such evidence was right;
    ``decided``: the engine stands by it."""

    mode: str
    component: str
    title: str
    confidence: float
    decided: bool
    evidence: tuple[Evidence, ...]
    confirm: tuple[str, ...] = ()
    refute: tuple[str, ...] = ()
    action: str = ""
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """``verdict``: ``fault``, ``healthy``, ``instrument`` or ``abstained``; ``confidence`` of the verdict.

    ``findings`` ranked by confidence, the undecided ones too; ``unexplained``: what stands out and belongs to no mode;
    ``speed`` r/min as found in the recording; ``reason`` says why in one sentence.
    """

    verdict: str
    confidence: float
    reason: str
    findings: tuple[Finding, ...] = ()
    instruments: tuple[ChannelFinding, ...] = ()
    unexplained: tuple[Evidence, ...] = ()
    speed: float = float("nan")
    severity: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def decided(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.decided)

    @property
    def abstained(self) -> bool:
        return self.verdict == "abstained"

    def document(self) -> dict[str, Any]:
        """As plain JSON values; what is not known is null."""
        found: dict[str, Any] = _plain(asdict(self))
        found["decided"] = [finding.mode for finding in self.decided]
        found["abstained"] = self.abstained
        for finding, source in zip(found["findings"], self.findings, strict=True):
            for entry, evidence in zip(finding["evidence"], source.evidence, strict=True):
                entry["sentence"] = evidence.sentence()
        return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float | np.floating):
        return round(float(value), 6) if np.isfinite(value) else None
    if isinstance(value, np.integer | np.bool_):
        return value.item()
    return value

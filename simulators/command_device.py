"""A device's side of commands: the contract that every device keeps, and what the simulated machines run.

* An order it has seen is answered again as before and not done again.
* One whose time is over, or that its own interlocks forbid, or in local mode (but for reading), is refused with the
  reason.
* It says ``received``, ``started`` and at the end ``done`` or ``failed``, each when it is so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from core.command import Situation, check


class Order(Protocol):
    """What :class:`formats.commands.Order` has."""

    @property
    def id(self) -> int: ...
    @property
    def command(self) -> str: ...
    @property
    def command_class(self) -> str: ...
    @property
    def parameters(self) -> Mapping[str, float]: ...
    @property
    def expires(self) -> int: ...
    @property
    def interlocks(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Said:
    """One receipt: number of the order, word, note, detail."""

    id: int
    word: str
    note: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class CommandDevice:
    """``act(command, parameters)`` does it and returns what to report, or raises with the reason why it failed.
    ``memory``: by order what was said of it; kept through power cuts."""

    act: Callable[[str, Mapping[str, float]], Mapping[str, Any]]
    local: bool = False
    memory: dict[int, list[Said]] = field(default_factory=dict)

    def take(self, order: Order, now: int, situation: Situation) -> list[Said]:
        """The receipts for an order at ``now`` µs of the wall clock; ``situation`` is in the machine's own time."""
        if order.id in self.memory:
            return list(self.memory[order.id])
        why = self._refusal(order, now, situation)
        if why:
            self.memory[order.id] = [Said(order.id, "refused", why)]
            return list(self.memory[order.id])
        said = [Said(order.id, "received"), Said(order.id, "started")]
        # remembered before it is done: after a power cut it is answered for, and never done twice
        self.memory[order.id] = said
        try:
            said.append(Said(order.id, "done", detail=dict(self.act(order.command, order.parameters))))
        except Exception as error:  # whatever an actuator does, the order gets its answer
            said.append(Said(order.id, "failed", str(error) or type(error).__name__))
        return list(said)

    def _refusal(self, order: Order, now: int, situation: Situation) -> str:
        if now >= order.expires:
            return "its time was over when it came"
        if order.command_class == "read":
            return ""
        if self.local:
            return "the machine is in local"
        forbidden = [i["forbidden_states"] for i in order.interlocks if "forbidden_states" in i]
        if any(situation.state in states or situation.state is None for states in forbidden):
            return f"the machine is {situation.state or 'in no known state'}"
        return "; ".join(check([i for i in order.interlocks if "forbidden_states" not in i], situation))

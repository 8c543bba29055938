"""State as bytes, and state carried over to another registry: matched by equipment id, point key, condition, state
name.

Format: zstd over msgpack {"v": 1, "types": {key: {"ids", "codes", "labels", "arrays", "memory", "waiting",
"learned"}}, "groups", "ticks", "codes"}; arrays are [dtype, shape, bytes], little endian. What no longer exists is
dropped, what is new starts fresh, what stays goes on as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np
import zstandard
from numpy.typing import NDArray

from core.errors import InvalidInputError
from stream_processors.pipeline.fleet import FIELDS, Fleet, TypeState
from stream_processors.pipeline.waiting import Waiting

VERSION: Final = 1
_AXES: Final = ("col", "lim", "set", "comp")
Image = dict[str, Any]


def pack(image: Image) -> bytes:
    """Bytes of an image whose leaves may be arrays."""
    return zstandard.ZstdCompressor(level=1).compress(msgspec.msgpack.encode({"v": VERSION, **image}, enc_hook=_encode))


def unpack(data: bytes) -> Image:
    """The image; raises :class:`~core.errors.InvalidInputError` for bytes of another version or none of ours."""
    try:
        image: Image = msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(data))
        version = image["v"]
    except (zstandard.ZstdError, msgspec.DecodeError, KeyError, TypeError) as error:
        raise InvalidInputError(
            f"this is no processor snapshot: {error}", hint="start from an older snapshot"
        ) from None
    if version != VERSION:
        raise InvalidInputError(
            f"the snapshot has version {version}, this program reads {VERSION}",
            hint="start the program that wrote it, or replay the journal from its beginning",
        )
    return image


def _encode(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [value.dtype.str, list(value.shape), np.ascontiguousarray(value).tobytes()]
    if isinstance(value, np.generic):
        return value.item()
    raise NotImplementedError(f"{type(value)} in a snapshot")


def array(value: Any) -> NDArray[Any]:
    """An array of an image, from memory or from bytes."""
    if isinstance(value, np.ndarray):
        return value
    dtype, shape, data = value
    return np.frombuffer(data, np.dtype(dtype)).reshape(shape).copy()


def image_of(state: TypeState) -> Image:
    """All of a type's state, without copies."""
    return {
        "ids": state.ids,
        "codes": list(state.layout.codes),
        "labels": {axis: state.labels(axis) for axis in _AXES},
        "arrays": {name: getattr(state, name) for name in FIELDS},
        "memory": {key: operator.arrays for key, operator in state.layout.program.operators.items()},
        "waiting": state.waiting.all(),
        "learned": state.learned.image(),
    }


def carry_over(fleet: Fleet, images: Mapping[str, Image]) -> None:
    """Take over into a fresh fleet what the images know of its equipment."""
    for state in fleet.types:
        image = images.get(state.layout.type.key)
        if image is not None:
            _TypeTransfer(state, image).run()


class _TypeTransfer:
    def __init__(self, state: TypeState, image: Image) -> None:
        self.state, self.image = state, image
        ids = array(image["ids"])
        self.new_rows, self.old_rows = _matches([int(i) for i in state.ids], [int(i) for i in ids])
        self.axes = {axis: _matches(state.labels(axis) or [], image["labels"][axis]) for axis in _AXES}
        names = {name: code for code, name in enumerate(state.layout.codes)}
        self.codes = np.array([names.get(name, 0) for name in image["codes"]], np.int64)
        self.old_ids = ids

    def run(self) -> None:
        state = self.state
        for name, field in FIELDS.items():
            if name not in self.image["arrays"]:
                continue
            stored = array(self.image["arrays"][name])
            target = getattr(state, name)
            if field.axis == "":
                target[self.new_rows] = stored[self.old_rows]
            else:
                new, old = self.axes[field.axis]
                target[np.ix_(self.new_rows, new)] = stored[np.ix_(self.old_rows, old)]
        state.state[self.new_rows] = self.codes[state.state[self.new_rows]]
        state.history_state[self.new_rows] = self.codes[state.history_state[self.new_rows]]
        known = len(self.axes["set"][0])
        if known < len(state.layout.sets):  # sets nobody had before: entered with the present state
            fresh = np.setdiff1d(np.arange(len(state.layout.sets)), self.axes["set"][0])
            rows = np.ix_(self.new_rows, fresh)
            state.in_set[rows] = state.layout.member[state.state[self.new_rows]][:, fresh]
            state.set_since[rows] = state.state_since[self.new_rows][:, None]
        self._memory()
        self._learned()
        self._waiting()
        state.refresh(np.arange(state.n))

    def _memory(self) -> None:
        for key, operator in self.state.layout.program.operators.items():
            stored = self.image["memory"].get(key)
            if stored is None:
                continue  # the formula changed: it starts anew
            for name, target in operator.arrays.items():
                source = array(stored[name])
                if source.shape[1:] == target.shape[1:]:
                    target[self.new_rows] = source[self.old_rows]

    def _learned(self) -> None:
        """Steps by their length and point, each model's memory by its name and version."""
        image = self.image.get("learned", {"steps": {}, "models": {}})
        for clock in self.state.learned.clocks:
            stored = image["steps"].get(str(clock.steps.step))
            if stored is not None:
                keys = [self.state.learned.keys[c] for c in clock.columns]
                new, old = _matches(keys, stored["points"])
                clock.steps.number[self.new_rows] = array(stored["number"])[self.old_rows]
                for name in ("sum", "count"):
                    target, source = clock.steps.arrays()[name], array(stored[name])
                    target[np.ix_(self.new_rows, new)] = source[np.ix_(self.old_rows, old)]
        for model in self.state.learned.models:
            stored = image["models"].get(model.entry.label, {})
            for name, target in model.arrays().items():
                source = array(stored[name]) if name in stored else target[:0]
                if source.shape[1:] == target.shape[1:] and len(source) == len(self.old_ids):
                    target[self.new_rows] = source[self.old_rows]

    def _waiting(self) -> None:
        waiting = {name: array(values) for name, values in self.image["waiting"].items()}
        row = np.full(len(self.old_ids), -1, np.intp)
        row[self.old_rows] = self.new_rows
        new, old = self.axes["col"]
        column = np.full(len(self.image["labels"]["col"]) + 1, -1, np.intp)
        column[old] = new
        rows, columns = row[waiting["row"]], column[waiting["column"]]
        stays = (rows >= 0) & (columns >= 0) & (columns < self.state.layout.measured)
        waiting["row"], waiting["column"] = rows, columns
        self.state.waiting = Waiting(self.state.n, {name: values[stays] for name, values in waiting.items()})


def _matches(new: list[Any], old: list[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Places in ``new`` and in ``old`` of what both have."""
    place = {label: i for i, label in enumerate(old)}
    both = [(i, place[label]) for i, label in enumerate(new) if label in place]
    pairs = np.array(both, np.intp).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]

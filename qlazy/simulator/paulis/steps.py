"""The operations of a circuit as steps for words that go through it, in arrays that kernels read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from qlazy.base.errors import UnsupportedModelError, refuse
from qlazy.simulator.operations import Channel, Operation, PauliRotation
from qlazy.simulator.paulis.cliffords import Conjugation, conjugation
from qlazy.simulator.paulis.words import CODE

ROTATION, TURNS, TABLE, CHANNEL = 0, 1, 2, 3
"""A rotation by an angle; quarter turns of a fixed one; any other Clifford gate, by its table; noise, by its number."""


class Steps(NamedTuple):
    """Steps in the order of the circuit; step k has the wires and letters ``start[k]`` to ``start[k + 1]``."""

    kinds: NDArray[np.int64]
    starts: NDArray[np.int64]
    wires: NDArray[np.int64]
    letters: NDArray[np.uint8]
    values: NDArray[np.int64]  # the number of a rotation, quarter turns, or where a table begins
    images: NDArray[np.int64]
    signs: NDArray[np.int8]


def steps_of(operations: Sequence[Operation]) -> Steps:
    """Steps of ``operations``: rotations without a fixed angle are random, and numbered in order, channels apart.

    Raises UnsupportedModelError, naming the gate, where a fixed one is not a Clifford gate and where a rotation has
    controls: its generator is then no Pauli word.
    """
    tables = _Tables()
    steps = [_step(operation, tables) for operation in operations]
    kinds = np.array([step.kind for step in steps], np.int64)
    values = np.array([step.value for step in steps], np.int64)
    for kind in (ROTATION, CHANNEL):
        values[kinds == kind] = np.arange(int((kinds == kind).sum()))
    return Steps(
        kinds,
        np.cumsum([0, *(len(step.wires) for step in steps)], dtype=np.int64),
        np.array([wire for step in steps for wire in step.wires], np.int64),
        np.array([letter for step in steps for letter in step.letters], np.uint8),
        values,
        np.concatenate([np.zeros(0, np.int64), *tables.images]),
        np.concatenate([np.zeros(0, np.int8), *tables.signs]),
    )


def channels_of(operations: Sequence[Operation]) -> NDArray[np.float64]:
    """The channels in order, (k, 4): what Z adds to the word without it, and the factors of X, Z and Y."""
    found = [(one.offset, one.x, one.z, one.y) for one in operations if isinstance(one, Channel)]
    return np.array(found, float).reshape(-1, 4)


class _Step(NamedTuple):
    kind: int
    wires: tuple[int, ...]
    letters: tuple[int, ...]
    value: int


class _Tables:
    """Tables one after the other, each once."""

    def __init__(self) -> None:
        self.images: list[NDArray[np.int64]] = []
        self.signs: list[NDArray[np.int8]] = []
        self._places: dict[bytes, int] = {}

    def place(self, table: Conjugation) -> int:
        """Where the table begins, which is added if it is new."""
        key = table.images.tobytes() + table.signs.tobytes()
        if key not in self._places:
            self._places[key] = sum(len(images) for images in self.images)
            self.images.append(table.images)
            self.signs.append(table.signs)
        return self._places[key]


def _step(operation: Operation, tables: _Tables) -> _Step:
    if isinstance(operation, Channel):
        return _Step(CHANNEL, operation.wires, (0,), 0)
    if isinstance(operation, PauliRotation) and not operation.controls:
        letters = tuple(CODE[letter] for letter in operation.word)
        if operation.angle is None:
            return _Step(ROTATION, operation.wires, letters, 0)
        return _Step(TURNS, operation.wires, letters, _turns(operation.angle, operation))
    if isinstance(operation, PauliRotation) and operation.angle is None:
        _refuse_gate(operation, "under controls, whose generator is no Pauli word")
    wires, table = conjugation(operation)
    if table is None:
        _refuse_gate(operation, "not a Clifford gate")
    return _Step(TABLE, wires, (0,) * len(wires), tables.place(table))


def _turns(angle: float, rotation: PauliRotation) -> int:
    turns = 2 * angle / math.pi
    if abs(turns - round(turns)) > 1e-9:
        _refuse_gate(rotation, f"by {angle:.6g}, not a multiple of pi/2")
    return round(turns) % 4


def _refuse_gate(operation: Operation, what: str) -> NoReturn:
    name = type(operation).__name__
    word = f" {operation.word}" if isinstance(operation, PauliRotation) else ""
    refuse(
        "circuit", "consist of rotations by one weight each and Clifford gates after its data",
        f"one with a {name}{word} on wires {operation.wires} {what}", UnsupportedModelError,
    )  # fmt: skip

"""Operations and observables on states (..., 2^n, batch) in torch. Wire 0 is the most significant bit of an index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from qlazy.simulator.observables import Hermitian, Observable, PauliSum, Probabilities, Projector
from qlazy.simulator.operations import (
    Cnot,
    Diagonal,
    Flip,
    Operation,
    PauliRotation,
    Swap,
    Unitary,
    controls_of,
)


class Space(NamedTuple):
    """The indices 0 .. 2^n - 1 of amplitudes, on a device, and the dtype of amplitudes."""

    num_wires: int
    indices: Tensor
    dtype: torch.dtype

    @classmethod
    def on(cls, device: torch.device, num_wires: int, dtype: torch.dtype) -> Space:
        return cls(num_wires, torch.arange(2**num_wires, device=device), dtype)

    def bit(self, wire: int) -> Tensor:
        """The value of a wire at every index."""
        return (self.indices >> (self.num_wires - 1 - wire)) & 1

    def outcome(self, wires: Iterable[int]) -> Tensor:
        """The value of several wires at every index, the first the most significant."""
        found = torch.zeros_like(self.indices)
        for wire in wires:
            found = 2 * found + self.bit(wire)
        return found

    def where(self, values: Iterable[tuple[int, int]]) -> Tensor:
        """Whether every (wire, value) holds at an index, (2^n, 1)."""
        found = torch.ones_like(self.indices, dtype=torch.bool)
        for wire, value in values:
            found = found & (self.bit(wire) == value)
        return found.unsqueeze(1)

    def tensor(self, array: object) -> Tensor:
        return torch.as_tensor(array, dtype=self.dtype, device=self.indices.device)


def pauli(space: Space, word: str, wires: Sequence[int], state: Tensor) -> Tensor:
    """P state: amplitudes move by the X and Y of the word, and get the signs of its Y and Z."""
    flip, sign = 0, torch.zeros_like(space.indices)
    for letter, wire in zip(word, wires, strict=True):
        if letter in "XY":
            flip |= 1 << (space.num_wires - 1 - wire)
        if letter in "YZ":
            sign = sign ^ space.bit(wire)
    phases = space.tensor((-1j) ** word.count("Y")) * (1 - 2 * sign)
    moved = state.index_select(-2, space.indices ^ flip) if flip else state
    return phases.unsqueeze(1) * moved


def dense(space: Space, matrix: Tensor, wires: Sequence[int], state: Tensor) -> Tensor:
    """A matrix (2^k, 2^k) on some wires."""
    first, k = state.ndim - 2, len(wires)
    split = state.unflatten(-2, (2,) * space.num_wires)
    places = [first + wire for wire in wires]
    moved = split.movedim(places, list(range(k)))
    found = (matrix @ moved.reshape(2**k, -1)).reshape(moved.shape)
    return found.movedim(list(range(k)), places).reshape(state.shape)


def generated(space: Space, rotation: PauliRotation, state: Tensor) -> Tensor:
    """P state where every control has its value, 0 elsewhere."""
    found = pauli(space, rotation.word, rotation.wires, state)
    return found * space.where(controls_of(rotation)) if rotation.controls else found


def rotated(space: Space, rotation: PauliRotation, angle: Tensor, state: Tensor) -> Tensor:
    """exp(-i angle P / 2) state for an angle () or (batch,)."""
    turned = torch.cos(angle / 2) * state
    turned = turned - 1j * torch.sin(angle / 2) * pauli(space, rotation.word, rotation.wires, state)
    return torch.where(space.where(controls_of(rotation)), turned, state) if rotation.controls else turned


def fixed(space: Space, operation: Operation, state: Tensor, inverse: bool) -> Tensor:
    """An operation without an angle, or its inverse."""
    match operation:
        case Cnot(control, target):
            return state.index_select(
                -2, space.indices ^ (space.bit(control) << (space.num_wires - 1 - target))
            )
        case Flip(wire):
            return state.index_select(-2, space.indices ^ (1 << (space.num_wires - 1 - wire)))
        case Swap(first, second):
            differ = space.bit(first) ^ space.bit(second)
            mask = (1 << (space.num_wires - 1 - first)) | (1 << (space.num_wires - 1 - second))
            return state.index_select(-2, space.indices ^ (differ * mask))
        case Diagonal(wires, phases):
            given = space.tensor(phases)
            given = given.conj().resolve_conj() if inverse else given
            return given[space.outcome(wires)].unsqueeze(1) * state
        case Unitary(wires, matrix):
            given = space.tensor(matrix)
            found = dense(space, given.mH if inverse else given, wires, state)
            held = space.where(controls_of(operation))
            return torch.where(held, found, state) if operation.controls else found
    raise TypeError(f"{type(operation).__name__} has an angle")


def measured(space: Space, observables: Sequence[Observable], state: Tensor) -> Iterator[Tensor]:
    """O state for every output in turn."""
    for observable in observables:
        match observable:
            case PauliSum(words):
                total = torch.zeros_like(state)
                for word in words:
                    total = total + float(word.coefficient) * pauli(space, word.word, word.wires, state)
                yield total
            case Hermitian(matrix, wires):
                yield dense(space, space.tensor(matrix), wires, state)
            case Projector(bits, wires):
                yield space.where(zip(wires, bits, strict=True)) * state
            case Probabilities(wires):
                outcome = space.outcome(wires).unsqueeze(1)
                for value in range(2 ** len(wires)):
                    yield (outcome == value) * state

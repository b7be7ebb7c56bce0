"""Linear algebra over GF(2): the basis in which CNOT, SWAP and X cost nothing.

Amplitudes are stored in *rows*, numbered by bit strings k. A row's logical bit of wire q is parity(k &
read[q]) xor offset[q]; flipping that bit alone leads to row k xor flip[q]. CNOT, SWAP and X only change these
masks (`Frame`), never the state. A Pauli word becomes a pair of masks (`Pauli`), and the rows on which a gate
acts are a *coset*: the solutions of linear conditions parity(k & mask) = value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Condition = tuple[int, int]  # (mask, value): parity(row & mask) == value


def parity(bits: int) -> int:
    return bits.bit_count() & 1


def row_parity(num_wires: int, mask: int) -> NDArray[np.int64]:
    """parity(k & mask) of every row k, shape (2^n,)."""
    return (np.bitwise_count(np.arange(2**num_wires) & mask) & 1).astype(np.int64)


@dataclass(frozen=True)
class Label:
    """Where a wire lives: the masks that flip and read it, and whether the reading is inverted."""

    flip: int
    read: int
    offset: int

    def reads(self, value: int) -> Condition:
        return (self.read, self.offset ^ value)


@dataclass(frozen=True)
class Pauli:
    """phase * X^flip Z^read: row k goes to k xor flip with the factor phase * (-1)^parity(k & read)."""

    flip: int
    read: int
    phase: complex = 1.0

    def commutes(self, other: Pauli) -> bool:
        return parity(self.flip & other.read) == parity(self.read & other.flip)


class Frame:
    """The labels of all wires, moved along by the gates that cost nothing."""

    def __init__(self, num_wires: int) -> None:
        self.labels = [Label(1 << wire, 1 << wire, 0) for wire in range(num_wires)]

    def cnot(self, control: int, target: int) -> None:
        c, t = self.labels[control], self.labels[target]
        self.labels[control] = Label(c.flip ^ t.flip, c.read, c.offset)
        self.labels[target] = Label(t.flip, t.read ^ c.read, t.offset ^ c.offset)

    def swap(self, first: int, second: int) -> None:
        labels = self.labels
        labels[first], labels[second] = labels[second], labels[first]

    def invert(self, wire: int) -> None:
        label = self.labels[wire]
        self.labels[wire] = Label(label.flip, label.read, label.offset ^ 1)

    def pauli(self, word: str, wires: Sequence[int]) -> Pauli:
        """A Pauli word on wires, as masks on rows. Y = i X Z; an inverted reading changes the sign of Z."""
        flip, read, phase = 0, 0, 1 + 0j
        for letter, wire in zip(word, wires, strict=True):
            label = self.labels[wire]
            if letter in "XY":
                flip ^= label.flip
            if letter in "YZ":
                read ^= label.read
                phase *= -1 if label.offset else 1
            if letter == "Y":
                phase *= 1j
        return Pauli(flip, read, phase)


@dataclass(frozen=True)
class Coset:
    """The rows start xor (span of basis). A reduced, ascending basis brings them in near-ascending order."""

    start: int
    basis: tuple[int, ...]

    def __len__(self) -> int:
        return 1 << len(self.basis)

    def rows(self) -> NDArray[np.int64]:
        rows = np.array([self.start])
        for vector in self.basis:
            rows = np.concatenate([rows, rows ^ vector])
        return rows

    def steps(self) -> list[int]:
        """steps[t] leads from row number i - 1 to row number i, where t counts the trailing zeros of i."""
        steps, step = [], 0
        for vector in self.basis:
            step ^= vector
            steps.append(step)
        return [*steps, 0]


def coset(num_wires: int, conditions: Iterable[Condition]) -> Coset:
    """All rows that satisfy linearly independent conditions."""
    pivots: dict[int, Condition] = {}  # pivot bit -> reduced condition that alone contains it
    for mask, value in conditions:
        for bit, (other, other_value) in pivots.items():
            if mask >> bit & 1:
                mask, value = mask ^ other, value ^ other_value
        assert mask, "conditions must be independent"
        pivot = (mask & -mask).bit_length() - 1  # the lowest bit: neighbouring rows stay neighbours
        for bit, (other, other_value) in pivots.items():
            if other >> pivot & 1:
                pivots[bit] = (other ^ mask, other_value ^ value)
        pivots[pivot] = (mask, value)
    start = sum(value << bit for bit, (_, value) in pivots.items())
    basis = tuple(_free_vector(wire, pivots) for wire in range(num_wires) if wire not in pivots)
    return Coset(start, basis)


def _free_vector(free: int, pivots: dict[int, Condition]) -> int:
    return (1 << free) | sum(1 << bit for bit, (mask, _) in pivots.items() if mask >> free & 1)

"""The backward light cone of an observable: the gates and wires that its value and gradient depend on.

<psi| O |psi> is followed back through the circuit as an algebra of Pauli words, at first the words of O. A gate that
commutes with all of them changes nothing and drops out; any other joins, and adds the words that generate it. CNOT and
SWAP carry words to words, so that they add none.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush
from typing import NamedTuple, final

from qlazy.simulator.compiling.frames import parity
from qlazy.simulator.operations import (
    Cnot,
    Diagonal,
    Flip,
    Operation,
    PauliRotation,
    Swap,
    Unitary,
    Wires,
)

Word = tuple[str, Wires]  # letters I, X, Y, Z and their wires
STOP = 64
"""Wires from which a cone is not followed further: no state of so many fits anywhere."""


class Cone(NamedTuple):
    """The wires of a cone and its operations by number, both ascending; incomplete if it was given up as too wide."""

    wires: tuple[int, ...]
    operations: tuple[int, ...]
    is_complete: bool = True


@final
class Walker:
    """Finds cones in one circuit.

    Where a cone has reached every wire of the circuit nothing is gained by looking on: all earlier operations are
    taken to be in it.
    """

    def __init__(self, num_wires: int, operations: Sequence[Operation]) -> None:
        self.num_wires = num_wires
        self.whole = Cone(tuple(range(num_wires)), tuple(range(len(operations))))
        self._operations = operations
        self._on: list[list[int]] = [[] for _ in range(num_wires)]
        for number, operation in enumerate(operations):
            for wire in touched(operation):
                self._on[wire].append(number)

    def cone(self, words: Iterable[Word]) -> Cone:
        """The cone of an observable in the algebra of ``words``."""
        algebra = _Algebra()
        for word in words:
            algebra.add(word)
        if len(algebra.bits) == self.num_wires:
            return self.whole
        waiting = [-self._on[wire][-1] for wire in algebra.bits if self._on[wire]]
        heapify(waiting)
        kept: list[int] = []
        last = len(self._operations)
        while waiting:
            number = -heappop(waiting)
            if number == last:
                continue
            last = number
            operation = self._operations[number]
            if algebra.absorb(operation):
                kept.append(number)
                if len(algebra.bits) == self.num_wires:
                    return Cone(self.whole.wires, (*range(number), *reversed(kept)))
                if len(algebra.bits) > STOP:
                    return Cone(tuple(sorted(algebra.bits)), tuple(reversed(kept)), is_complete=False)
            for wire in touched(operation):
                if wire in algebra.bits:
                    numbers = self._on[wire]
                    earlier = bisect_left(numbers, number)
                    if earlier:
                        heappush(waiting, -numbers[earlier - 1])
        return Cone(tuple(sorted(algebra.bits)), tuple(reversed(kept)))


def _letters(letters: str, wires: Wires) -> tuple[Word, ...]:
    return tuple((letter, (wire,)) for wire in wires for letter in letters)


def touched(operation: Operation) -> Wires:
    """All wires of an operation, controls included."""
    if isinstance(operation, Unitary | PauliRotation):
        return operation.wires + operation.controls
    return operation.wires


def generators(operation: Operation) -> tuple[Word, ...]:
    """Pauli words that generate the algebra in which an operation lives."""
    match operation:
        case PauliRotation(word, wires):
            return ((word, wires), *_letters("Z", operation.controls))
        case Diagonal(wires):
            return _letters("Z", wires)
        case Unitary(wires):
            return _letters("XZ", wires) + _letters("Z", operation.controls)
        case Flip(wire):
            return _letters("X", (wire,))
    raise TypeError(f"{type(operation).__name__} carries words to words")


class _Algebra:
    """Pauli words up to phases that generate an algebra, as masks (flip, read) over the wires met so far."""

    def __init__(self) -> None:
        self.bits: dict[int, int] = {}
        self._words: list[tuple[int, int]] = []

    def add(self, word: Word) -> None:
        """Another generator; its wires are met."""
        for letter, wire in zip(*word, strict=True):
            if letter != "I":
                self.bits.setdefault(wire, 1 << len(self.bits))
        self._add(*self._masks(word))

    def absorb(self, operation: Operation) -> bool:
        """Go back through an operation; whether it changes anything."""
        match operation:
            case Cnot(control, target):
                return self._cnot(control, target)
            case Swap(first, second):
                return self._swap(first, second)
        words = generators(operation)
        if all(self._commutes(*self._masks(word)) for word in words):
            return False
        if not isinstance(operation, Flip):  # which changes signs alone
            for word in words:
                self.add(word)
        return True

    def _masks(self, word: Word) -> tuple[int, int]:
        """Wires not met yet are left out: nothing there tells one letter from another."""
        flip = read = 0
        for letter, wire in zip(*word, strict=True):
            bit = self.bits.get(wire, 0)
            if letter in "XY":
                flip |= bit
            if letter in "YZ":
                read |= bit
        return flip, read

    def _commutes(self, flip: int, read: int) -> bool:
        return all(parity(flip & other) == parity(read & own) for own, other in self._words)

    def _add(self, flip: int, read: int) -> None:
        for known in self._words:
            flip, read = min((flip, read), (flip ^ known[0], read ^ known[1]))
        if flip or read:
            self._words.append((flip, read))

    def _cnot(self, control: int, target: int) -> bool:
        c, t = self.bits.get(control, 0), self.bits.get(target, 0)
        if not any(read & t or flip & c for flip, read in self._words):
            return False
        c = self.bits.setdefault(control, 1 << len(self.bits))
        t = self.bits.setdefault(target, 1 << len(self.bits))
        self._replace([(f ^ (t if f & c else 0), r ^ (c if r & t else 0)) for f, r in self._words])
        return True

    def _swap(self, first: int, second: int) -> bool:
        a, b = self.bits.get(first, 0), self.bits.get(second, 0)
        if all(_even(flip, a, b) and _even(read, a, b) for flip, read in self._words):
            return False
        a = self.bits.setdefault(first, 1 << len(self.bits))
        b = self.bits.setdefault(second, 1 << len(self.bits))
        self._replace([(_swapped(f, a, b), _swapped(r, a, b)) for f, r in self._words])
        return True

    def _replace(self, words: list[tuple[int, int]]) -> None:
        if len(words) <= 2 * len(self.bits):
            self._words = words
            return
        self._words = []  # some depend on others: those that were added after words had been carried along
        for word in words:
            self._add(*word)


def _even(mask: int, a: int, b: int) -> bool:
    return bool(mask & a) == bool(mask & b)


def _swapped(mask: int, a: int, b: int) -> int:
    return mask if _even(mask, a, b) else mask ^ a ^ b

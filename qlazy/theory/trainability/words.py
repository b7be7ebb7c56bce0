"""Sums of Pauli words with words as whole numbers: products, commutators, and what fixed gates make of them.

A word on n wires is x + 2^n z with one bit a wire in x (X or Y) and in z (Z or Y), any n. The word is Hermitian:
i^(number of Y) times the X of its bits times the Z of its bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from qlazy.base.errors import UnsupportedModelError, refuse
from qlazy.simulator.operations import MAX_DENSE_WIRES, Operation
from qlazy.simulator.paulis.cliffords import matrix_of, wires_of
from qlazy.simulator.paulis.words import LETTERS, pauli_matrix

Sum = Mapping[int, float]
"""A real sum of words, by word."""

NEGLIGIBLE = 1e-12


def word_of(letters: str, wires: tuple[int, ...], num_wires: int) -> int:
    """The word with these letters on these wires, as a number."""
    x = z = 0
    for letter, wire in zip(letters, wires, strict=True):
        x |= (letter in "XY") << wire
        z |= (letter in "ZY") << wire
    return x | z << num_wires


def letters_of(word: int, num_wires: int) -> str:
    """A word as text, wire 0 first."""
    x, z = _parts(word, num_wires)
    return "".join("IXZY"[(x >> k & 1) + 2 * (z >> k & 1)] for k in range(num_wires))


def anticommute(one: int, other: int, num_wires: int) -> bool:
    (x, z), (u, v) = _parts(one, num_wires), _parts(other, num_wires)
    return bool(((x & v).bit_count() + (z & u).bit_count()) & 1)


def half_commutator(one: int, other: int, num_wires: int) -> tuple[int, int]:
    """i [P, Q] / 2 of two words that anticommute: a word, and its sign."""
    (x, z), (u, v) = _parts(one, num_wires), _parts(other, num_wires)
    product = one ^ other
    p, q = _parts(product, num_wires)
    power = (x & z).bit_count() + (u & v).bit_count() - (p & q).bit_count() + 2 * (z & u).bit_count()
    return product, -1 if power % 4 == 1 else 1  # P Q = i^power R, and i times i is -1


def commute(one: Sum, other: Sum, num_wires: int) -> bool:
    """Whether two sums commute."""
    total: dict[int, float] = {}
    for word, value in one.items():
        for other_word, factor in other.items():
            if anticommute(word, other_word, num_wires):
                product, sign = half_commutator(word, other_word, num_wires)
                total[product] = total.get(product, 0.0) + sign * value * factor
    return all(abs(value) < NEGLIGIBLE for value in total.values())


def conjugated(operation: Operation, terms: Sum, num_wires: int) -> dict[int, float]:
    """U^dagger A U for a fixed operation U on at most 5 wires. Raises UnsupportedModelError for one on more."""
    wires = wires_of(operation)
    must = f"have fixed gates on at most {MAX_DENSE_WIRES} wires"
    if len(wires) > MAX_DENSE_WIRES:
        refuse("circuit", must, f"one with {len(wires)}, on wires {wires}", UnsupportedModelError)
    images = _images(matrix_of(operation).tobytes(), len(wires))
    mask = sum(1 << wire | 1 << (num_wires + wire) for wire in wires)
    found: dict[int, float] = {}
    for word, value in terms.items():
        x, z = _parts(word, num_wires)
        local = 0
        for wire in wires:
            local = 4 * local + (x >> wire & 1) + 2 * (z >> wire & 1)
        for image, factor in images[local]:
            moved = word & ~mask | _spread(image, wires, num_wires)
            found[moved] = found.get(moved, 0.0) + factor * value
    return {word: value for word, value in found.items() if abs(value) > NEGLIGIBLE}


def _parts(word: int, num_wires: int) -> tuple[int, int]:
    return word & ((1 << num_wires) - 1), word >> num_wires


def _spread(local: int, wires: tuple[int, ...], num_wires: int) -> int:
    word = 0
    for position, wire in enumerate(reversed(wires)):
        letter = local >> 2 * position & 3
        word |= (letter & 1) << wire | (letter >> 1) << (num_wires + wire)
    return word


@lru_cache(maxsize=256)
def _images(matrix: bytes, wires: int) -> list[list[tuple[int, float]]]:
    """U^dagger P U of every word P on the gate's wires, as words and coefficients; the first wire is highest."""
    size = 2**wires
    unitary = np.frombuffer(matrix, complex).reshape(size, size)
    basis = np.stack([pauli_matrix(_text(number, wires)) for number in range(4**wires)])
    moved = (unitary.conj().T @ basis @ unitary).reshape(4**wires, -1)
    table: NDArray[np.float64] = (moved @ basis.transpose(0, 2, 1).reshape(4**wires, -1).T).real / size
    return [[(int(k), float(row[k])) for k in np.flatnonzero(abs(row) > NEGLIGIBLE)] for row in table]


def _text(number: int, wires: int) -> str:
    return "".join(LETTERS[number >> 2 * position & 3] for position in reversed(range(wires)))

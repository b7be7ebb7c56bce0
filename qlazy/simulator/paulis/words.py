"""Pauli words as letters, and observables as sums of them.

A letter is two bits, x + 2 z: I 0, X 1, Z 2, Y 3. The product of two letters is their exclusive or, times a power of i.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qlazy.base.errors import UnsupportedModelError, require
from qlazy.simulator.observables import Hermitian, Observable, PauliSum, Probabilities, Projector
from qlazy.simulator.operations import ComplexArray

LETTERS = "IXZY"
CODE = {letter: code for code, letter in enumerate(LETTERS)}
MATRICES: dict[str, ComplexArray] = {
    "I": np.eye(2, dtype=complex),
    "X": np.array([[0, 1], [1, 0]], complex),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1, -1]).astype(complex),
}
MAX_OUTCOMES = 4096


def pauli_matrix(word: str) -> ComplexArray:
    """The matrix (2^k, 2^k) of a word, the first letter most significant."""
    matrix: ComplexArray = np.eye(1, dtype=complex)
    for letter in word:
        matrix = np.kron(matrix, MATRICES[letter]).astype(complex)
    return matrix


class Words(NamedTuple):
    """Pauli words of all outputs: letters (t, n), coefficients (t,), and the output (t,) that each belongs to."""

    letters: NDArray[np.uint8]
    coefficients: NDArray[np.float64]
    outputs: NDArray[np.int64]
    num_outputs: int


def words_of(num_wires: int, observables: tuple[Observable, ...]) -> Words:
    """All observables as sums of Pauli words; equal words of an output are added up.

    Raises UnsupportedModelError for probabilities of more than 4,096 outcomes, which have as many words each.
    """
    found: dict[tuple[int, bytes], float] = {}
    output = 0
    for observable in observables:
        for terms in _outputs(observable):
            for word, wires, coefficient in terms:
                row = np.zeros(num_wires, np.uint8)
                row[list(wires)] = [CODE[letter] for letter in word]
                key = output, row.tobytes()
                found[key] = found.get(key, 0.0) + coefficient
            output += 1
    kept = {key: value for key, value in found.items() if value}
    letters = np.frombuffer(b"".join(word for _, word in kept), np.uint8).reshape(-1, num_wires)
    outputs = np.array([number for number, _ in kept], np.int64)
    return Words(letters, np.array(list(kept.values()), float), outputs, output)


_Term = tuple[str, tuple[int, ...], float]


def _outputs(observable: Observable) -> Iterator[Iterator[_Term]]:
    """The words of each output of an observable."""
    match observable:
        case PauliSum(words):
            yield ((word.word, word.wires, float(word.coefficient)) for word in words)
        case Projector(bits, wires):
            yield _projector(bits, wires)
        case Probabilities(wires):
            must = f"have at most {MAX_OUTCOMES} outcomes to be sums of Pauli words"
            count = 2 ** len(wires)
            require(count <= MAX_OUTCOMES, "probabilities", must, count, UnsupportedModelError)
            for bits in product((0, 1), repeat=len(wires)):
                yield _projector(bits, wires)
        case Hermitian(matrix, wires):
            yield _hermitian(np.asarray(matrix, complex), wires)


def _projector(bits: tuple[int, ...], wires: tuple[int, ...]) -> Iterator[_Term]:
    """|b><b| = prod_k (1 + (-1)^b_k Z_k) / 2."""
    for chosen in product((0, 1), repeat=len(wires)):
        sign = (-1.0) ** sum(bit * taken for bit, taken in zip(bits, chosen, strict=True))
        yield "".join("IZ"[taken] for taken in chosen), wires, sign / 2 ** len(wires)


def _hermitian(matrix: ComplexArray, wires: tuple[int, ...]) -> Iterator[_Term]:
    """tr(P O) / 2^k for every word P."""
    for letters in product("IXYZ", repeat=len(wires)):
        pauli = pauli_matrix("".join(letters))
        yield "".join(letters), wires, float(np.einsum("ij,ji->", pauli, matrix).real) / len(matrix)

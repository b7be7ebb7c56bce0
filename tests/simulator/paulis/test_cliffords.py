"""What gates do to Pauli words, against their matrices; observables as sums of words, against theirs."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from qlazy.base.errors import UnsupportedModelError
from qlazy.simulator import (
    Cnot,
    Diagonal,
    Flip,
    Hermitian,
    Operation,
    PauliRotation,
    PauliSum,
    PauliWord,
    Probabilities,
    Projector,
    Swap,
    Unitary,
)
from qlazy.simulator.paulis.cliffords import conjugation, matrix_of
from qlazy.simulator.paulis.steps import steps_of
from qlazy.simulator.paulis.words import LETTERS, MATRICES, pauli_matrix, words_of

HADAMARD = np.array([[1, 1], [1, -1]]) / np.sqrt(2)
CLIFFORDS: list[Operation] = [
    Cnot(0, 1),
    Swap(0, 1),
    Flip(0),
    Diagonal((0,), np.array([1, 1j])),
    Diagonal((0, 1), np.array([1, 1, 1, -1])),
    Unitary((0,), HADAMARD),
    Unitary((1,), MATRICES["Y"], (0,)),
    Unitary((1,), MATRICES["Z"], (0,), (0,)),
    Unitary((0, 1), np.kron(HADAMARD, np.diag([1, -1j]))),
    PauliRotation("XY", (0, 1), np.pi / 2),
    PauliRotation("Z", (1,), np.pi, (0,)),
]
OTHERS: list[Operation] = [
    Diagonal((0,), np.exp([0, 0.25j * np.pi])),
    PauliRotation("X", (0,), 0.3),
    Unitary((1,), HADAMARD, (0,)),
    Unitary((2,), MATRICES["X"], (0, 1)),
]


@pytest.mark.parametrize("operation", CLIFFORDS, ids=str)
def test_words_become_what_conjugation_makes_of_them(operation: Operation) -> None:
    wires, table = conjugation(operation)
    assert table is not None
    unitary, words = matrix_of(operation), ["".join(w) for w in product(LETTERS, repeat=len(wires))]
    for word, image, sign in zip(words, table.images, table.signs, strict=True):
        expected = unitary.conj().T @ pauli_matrix(word) @ unitary
        np.testing.assert_allclose(sign * pauli_matrix(words[image]), expected, atol=1e-12)


@pytest.mark.parametrize("operation", OTHERS, ids=str)
def test_other_gates_have_no_table_and_are_named(operation: Operation) -> None:
    assert conjugation(operation)[1] is None
    with pytest.raises(UnsupportedModelError, match=type(operation).__name__):
        steps_of([operation])


def test_a_controlled_rotation_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="under controls"):
        steps_of([PauliRotation("X", (1,), None, (0,))])


def test_observables_are_the_sums_of_their_words() -> None:
    chance = np.random.default_rng(0)
    matrix = chance.normal(size=(4, 4)) + 1j * chance.normal(size=(4, 4))
    matrix = matrix + matrix.conj().T
    observables = (
        PauliSum((PauliWord(0.5, "ZX", (0, 2)), PauliWord(-2.0, "ZX", (0, 2)), PauliWord(3.0, "", ()))),
        Hermitian(matrix, (2, 0)),
        Projector((1, 0), (0, 1)),
        Probabilities((1, 2)),
    )
    words = words_of(3, observables)
    found = np.zeros((words.num_outputs, 8, 8), complex)
    for letters, coefficient, output in zip(words.letters, words.coefficients, words.outputs, strict=True):
        found[output] += coefficient * pauli_matrix("".join(LETTERS[letter] for letter in letters))
    swapped = matrix.reshape(2, 2, 2, 2).transpose(1, 0, 3, 2)
    on_ends = np.einsum("acbd,xy->axcbyd", swapped, np.eye(2)).reshape(8, 8)
    np.testing.assert_allclose(found[0], -1.5 * pauli_matrix("ZIX") + 3 * np.eye(8), atol=1e-12)
    np.testing.assert_allclose(found[1], on_ends, atol=1e-12)
    np.testing.assert_allclose(found[2], np.diag([0, 0, 0, 0, 1, 1, 0, 0]), atol=1e-12)
    np.testing.assert_allclose(
        found[3:], [np.diag(np.tile(np.repeat(row, 1), 2)) for row in np.eye(4)], atol=1e-12
    )


def test_too_many_outcomes_are_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="4096 outcomes.*8192"):
        words_of(13, (Probabilities(tuple(range(13))),))

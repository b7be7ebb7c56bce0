"""What a fixed gate does to Pauli words: U^dagger P U for every word P on its wires, where that is a word again."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qlazy.simulator.operations import (
    MAX_DENSE_WIRES,
    Channel,
    Cnot,
    ComplexArray,
    Diagonal,
    Flip,
    Operation,
    PauliRotation,
    Swap,
    Unitary,
    controls_of,
)
from qlazy.simulator.paulis.words import MATRICES, pauli_matrix

_CNOT = np.eye(4, dtype=complex)[[0, 1, 3, 2]]
_SWAP = np.eye(4, dtype=complex)[[0, 2, 1, 3]]


class Conjugation(NamedTuple):
    """The word and the sign, +1 or -1, that each word becomes, (4^k,) each; the first wire is the highest digit."""

    images: NDArray[np.int64]
    signs: NDArray[np.int8]


def conjugation(operation: Operation) -> tuple[tuple[int, ...], Conjugation | None]:
    """The wires of a fixed operation and what it does to words on them; None where it is not a Clifford gate."""
    wires = wires_of(operation)
    if len(wires) > MAX_DENSE_WIRES:
        return wires, None
    matrix = matrix_of(operation)
    return wires, _conjugation(matrix.tobytes(), len(wires))


def wires_of(operation: Operation) -> tuple[int, ...]:
    """Controls first."""
    if isinstance(operation, Unitary | PauliRotation):
        return operation.controls + operation.wires
    return operation.wires


def matrix_of(operation: Operation) -> ComplexArray:
    """The matrix of a fixed operation on its wires, controls first."""
    match operation:
        case Cnot():
            return _CNOT
        case Swap():
            return _SWAP
        case Flip():
            return MATRICES["X"]
        case Diagonal(_, phases):
            return np.diag(phases).astype(complex)
        case Unitary():
            return _controlled(np.asarray(operation.matrix, complex), operation)
        case PauliRotation():
            return _controlled(_rotation(operation), operation)
        case Channel():
            raise TypeError("a channel has no matrix")


def _rotation(rotation: PauliRotation) -> ComplexArray:
    assert rotation.angle is not None
    pauli = pauli_matrix(rotation.word)
    return np.cos(rotation.angle / 2) * np.eye(len(pauli)) - 1j * np.sin(rotation.angle / 2) * pauli


def _controlled(matrix: ComplexArray, operation: Unitary | PauliRotation) -> ComplexArray:
    controls = controls_of(operation)
    size, active = len(matrix), int("0" + "".join(str(value) for _, value in controls), 2)
    whole = np.eye(2 ** len(controls) * size, dtype=complex)
    whole[active * size : (active + 1) * size, active * size : (active + 1) * size] = matrix
    return whole


@lru_cache(maxsize=1024)
def _conjugation(matrix: bytes, wires: int) -> Conjugation | None:
    unitary = np.frombuffer(matrix, complex).reshape(2**wires, 2**wires)
    images, signs = np.zeros(4**wires, np.int64), np.zeros(4**wires, np.int8)
    for number in range(4**wires):
        x, z = _bits(number, wires)
        image = _word_of(unitary.conj().T @ _pauli(x, z, wires) @ unitary, wires)
        if image is None:
            return None
        images[number], signs[number] = _number(*image[:2], wires), image[2]
    return Conjugation(images, signs)


def _bits(number: int, wires: int) -> tuple[int, int]:
    """The x and z bits of a word, the first wire highest in each."""
    letters = [number >> 2 * position & 3 for position in reversed(range(wires))]
    x = int("".join(str(letter & 1) for letter in letters), 2)
    return x, int("".join(str(letter >> 1) for letter in letters), 2)


def _number(x: int, z: int, wires: int) -> int:
    return sum(((x >> k & 1) + 2 * (z >> k & 1)) << 2 * k for k in range(wires))


def _pauli(x: int, z: int, wires: int) -> ComplexArray:
    """The Hermitian word: column r holds i^(number of Y) (-1)^(r . z) in row r xor x."""
    columns = np.arange(2**wires)
    matrix = np.zeros((2**wires, 2**wires), complex)
    matrix[columns ^ x, columns] = 1j ** (x & z).bit_count() * (-1.0) ** np.bitwise_count(columns & z)
    return matrix


def _word_of(matrix: ComplexArray, wires: int) -> tuple[int, int, int] | None:
    """x, z and sign of a matrix that is a word; None where it is not."""
    x = int(np.abs(matrix[:, 0]).argmax())
    first = matrix[x, 0]
    z = sum(1 << k for k in range(wires) if (matrix[x ^ 1 << k, 1 << k] / first).real < 0) if first else 0
    sign = 1 if (first / 1j ** (x & z).bit_count()).real > 0 else -1
    return (x, z, sign) if np.allclose(matrix, sign * _pauli(x, z, wires), atol=1e-7) else None

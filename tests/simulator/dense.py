"""An independent oracle: full 2^n matrices, products of them, and derivatives by angle by replacing one factor.

Shares nothing with the simulator but the descriptions of operations and observables. Wire 0 is the most
significant bit.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from qlazy.simulator import (
    Cnot,
    Diagonal,
    Flip,
    Hermitian,
    Observable,
    Operation,
    PauliRotation,
    PauliSum,
    Probabilities,
    Projector,
    Swap,
    Unitary,
)

LETTERS = {
    "I": np.eye(2, dtype=complex),
    "X": np.array([[0, 1], [1, 0]], dtype=complex),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1, -1]).astype(complex),
}


def kron(*factors: np.ndarray) -> np.ndarray:
    return reduce(np.kron, factors, np.eye(1))


def embed(n: int, matrix: np.ndarray, wires: tuple[int, ...]) -> np.ndarray:
    """matrix on ``wires``, identity elsewhere."""
    order = [*wires, *(wire for wire in range(n) if wire not in wires)]
    tensor = np.kron(matrix, np.eye(2 ** (n - len(wires)))).reshape([2] * (2 * n))
    axes = list(np.argsort(order))
    return tensor.transpose(axes + [n + axis for axis in axes]).reshape(2**n, 2**n)


def word_matrix(n: int, word: str, wires: tuple[int, ...]) -> np.ndarray:
    factors = [LETTERS["I"]] * n
    for letter, wire in zip(word, wires, strict=True):
        factors[wire] = LETTERS[letter]
    return kron(*factors)


def active(n: int, operation: Any) -> np.ndarray:
    """The projector on the subspace where every control has its value."""
    controls = getattr(operation, "controls", ())
    values = getattr(operation, "control_values", None) or (1,) * len(controls)
    projector = np.eye(2**n, dtype=complex)
    for wire, value in zip(controls, values, strict=True):
        projector = projector @ embed(n, np.diag([1 - value, value]), (wire,))
    return projector


def matrix(n: int, operation: Operation, angle: float | None = None) -> np.ndarray:
    """The full matrix; ``angle`` is that of a rotation which has none of its own."""
    match operation:
        case Cnot():
            return embed(n, np.eye(4)[[0, 1, 3, 2]], operation.wires)
        case Swap():
            return embed(n, np.eye(4)[[0, 2, 1, 3]], operation.wires)
        case Flip():
            return embed(n, LETTERS["X"], operation.wires)
        case Diagonal():
            return embed(n, np.diag(operation.phases), operation.wires)
        case Unitary():
            free = embed(n, operation.matrix, operation.wires)
        case PauliRotation():
            word = word_matrix(n, operation.word, operation.wires)
            half = (operation.angle if angle is None else angle) / 2
            free = np.cos(half) * np.eye(2**n) - 1j * np.sin(half) * word
    projector = active(n, operation)
    return free @ projector + np.eye(2**n) - projector


def outputs(n: int, observables: tuple[Observable, ...]) -> list[np.ndarray]:
    found: list[np.ndarray] = []
    for observable in observables:
        match observable:
            case PauliSum():
                words = (w.coefficient * word_matrix(n, w.word, w.wires) for w in observable.words)
                found.append(sum(words, np.zeros((2**n, 2**n), dtype=complex)))
            case Hermitian():
                found.append(embed(n, observable.matrix, observable.wires))
            case Projector():
                outcome = int("".join(map(str, observable.bits)), 2)
                found.append(_outcome_projector(n, observable.wires, outcome))
            case Probabilities():
                found += [
                    _outcome_projector(n, observable.wires, j) for j in range(2 ** len(observable.wires))
                ]
    return found


def _outcome_projector(n: int, wires: tuple[int, ...], outcome: int) -> np.ndarray:
    return embed(n, np.diag(np.eye(2 ** len(wires))[outcome]), wires)


def values(n: int, operations: Any, angles: dict[int, float], observables: Any) -> np.ndarray:
    """All outputs for one sample, whose angles are given by the index of the operation."""
    state = np.eye(2**n, dtype=complex)[0]
    for index, operation in enumerate(operations):
        state = matrix(n, operation, angles.get(index)) @ state
    return np.array([np.vdot(state, o @ state).real for o in outputs(n, observables)])


def derivative(n: int, operations: Any, angles: dict[int, float], observables: Any, by: int) -> np.ndarray:
    """The derivative of all outputs by the angle of operation ``by``.

    For a rotation, d exp(-i t P / 2) / dt = exp(-i (t + pi) P / 2) / 2.
    """
    state = np.eye(2**n, dtype=complex)[0]
    tangent = np.zeros_like(state)
    for index, operation in enumerate(operations):
        factor = matrix(n, operation, angles.get(index))
        tangent = factor @ tangent
        if index == by:
            shifted = matrix(n, operation, angles[index] + np.pi)
            tangent = shifted @ active(n, operation) @ state / 2
        state = factor @ state
    return np.array([2 * np.vdot(state, o @ tangent).real for o in outputs(n, observables)])

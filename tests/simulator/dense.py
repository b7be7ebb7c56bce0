"""An independent oracle: full 2^n matrices, products of them, and derivatives by replacing one factor.

Shares nothing with the simulator but the descriptions of operations and observables. Wire 0 is the most
significant bit.
"""

from __future__ import annotations

from dataclasses import dataclass
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


def matrix(n: int, operation: Operation, operand: Any) -> np.ndarray:
    match operation:
        case Cnot():
            return embed(n, np.eye(4)[[0, 1, 3, 2]], operation.wires)
        case Swap():
            return embed(n, np.eye(4)[[0, 2, 1, 3]], operation.wires)
        case Flip():
            return embed(n, LETTERS["X"], operation.wires)
        case Diagonal():
            return embed(n, np.diag(operand), operation.wires)
        case Unitary():
            free = embed(n, operand, operation.wires)
        case PauliRotation():
            word = word_matrix(n, operation.word, operation.wires)
            free = np.cos(operand / 2) * np.eye(2**n) - 1j * np.sin(operand / 2) * word
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


@dataclass(frozen=True)
class Direction:
    """A change of one operand: the change of its full matrix, given that matrix' operand."""

    index: int
    change: Any  # the derivative of the operand itself


def change_matrix(n: int, operation: Operation, operand: Any, change: Any) -> np.ndarray:
    """d matrix(n, operation, operand), where ``change`` is dU, dangle or dphases."""
    match operation:
        case Unitary():
            return embed(n, change, operation.wires) @ active(n, operation)
        case Diagonal():
            return embed(n, np.diag(change), operation.wires)
        case PauliRotation():
            word = word_matrix(n, operation.word, operation.wires)
            free = -0.5 * change * (np.sin(operand / 2) * np.eye(2**n) + 1j * np.cos(operand / 2) * word)
            return free @ active(n, operation)
    raise AssertionError(operation)


def values(n: int, operations: Any, operands: dict[int, Any], observables: Any) -> np.ndarray:
    """All outputs for one sample."""
    state = np.eye(2**n, dtype=complex)[0]
    for index, operation in enumerate(operations):
        state = matrix(n, operation, operands.get(index)) @ state
    return np.array([np.vdot(state, o @ state).real for o in outputs(n, observables)])


def derivative(
    n: int, operations: Any, operands: dict[int, Any], observables: Any, direction: Direction
) -> np.ndarray:
    """The exact derivative of all outputs for one sample: a product with one factor replaced."""
    state = np.eye(2**n, dtype=complex)[0]
    tangent = np.zeros_like(state)
    for index, operation in enumerate(operations):
        factor = matrix(n, operation, operands.get(index))
        tangent = factor @ tangent
        if index == direction.index:
            tangent = change_matrix(n, operation, operands[index], direction.change) @ state
        state = factor @ state
    return np.array([2 * np.vdot(state, o @ tangent).real for o in outputs(n, observables)])

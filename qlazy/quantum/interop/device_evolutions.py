"""Evolutions exp(-i t H) and gates that have only a generator, as rotations that the device runs and differentiates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pennylane as qml
from numpy.typing import NDArray
from pennylane.exceptions import DeviceError
from pennylane.ops import Evolution, Exp
from torch import Tensor

from qlazy.base.torch_private import is_differentiated, is_followed, values_of
from qlazy.quantum.pennylane.rules.lowering import commute, is_hermitian, walsh
from qlazy.simulator.operations import MAX_DENSE_WIRES

NAME = "qlazy.adjoint"


def is_trained(op: Any) -> bool:
    """Whether a number of an operator is differentiated by, or mapped over."""
    return any(map(is_trained_number, op.data))


def is_trained_number(value: Any) -> bool:
    """The same of a number: a tensor under ``torch.no_grad()`` is trained nowhere."""
    if isinstance(value, Tensor):
        return is_followed(value) and is_differentiated(value)
    return bool(qml.math.requires_grad(value))


def as_rotations(op: Any) -> list[Any] | None:
    """The operator as rotations, between fixed matrices where they are needed; None for operators of other kinds.

    Raises DeviceError for an exponential that is no such evolution, or one under too large a sum.
    """
    if isinstance(op, Evolution | Exp):
        return _evolution(op)
    if isinstance(op, qml.ops.Adjoint):
        parts = as_rotations(op.base)
        return None if parts is None else [qml.adjoint(part, lazy=False) for part in reversed(parts)]
    is_small = len(op.wires) <= MAX_DENSE_WIRES
    if len(op.data) == 1 and not op.has_decomposition and op.has_generator and is_small:
        generator = np.asarray(qml.matrix(op.generator(), wire_order=op.wires), dtype=complex)
        return _diagonalized(-generator, op.data[0], op.wires)
    return None


def is_exponential(op: Any) -> bool:
    """Whether an operator is an exponential, with controls or reversed: PennyLane looks at its numbers when asked."""
    while isinstance(op, qml.ops.Adjoint | qml.ops.Controlled):
        op = op.base
    return isinstance(op, Exp)


def _evolution(op: Any) -> list[Any]:
    time, words = _time(op), op.base.pauli_rep
    if words is not None and all(_is_real(c) for c in words.values()) and commute(tuple(words)):
        return [_rotation(word, qml.math.real(c) * time) for word, c in words.items()]
    is_small = op.base.has_matrix and len(op.wires) <= MAX_DENSE_WIRES
    if not is_small or is_trained(op.base):
        raise DeviceError(
            f"{NAME} takes {op.name} of Pauli words that commute, or of constants on at most {MAX_DENSE_WIRES} wires, "
            f"but not {_shown(op)}; use default.qubit"
        )
    matrix = np.asarray(plain_number(qml.matrix(op.base, wire_order=op.wires)), dtype=complex)
    if not is_hermitian(matrix):
        raise DeviceError(
            f"{NAME} takes {op.name} of what is Hermitian, but not {_shown(op)}; use default.qubit"
        )
    return _diagonalized(matrix, time, op.wires)


def _time(op: Any) -> Any:
    """t of exp(-i t H)."""
    if isinstance(op, Evolution):
        return op.data[0]
    if np.any(plain_number(qml.math.real(op.coeff))):
        raise DeviceError(
            f"{NAME} takes exponentials that are unitary, but not {_shown(op)}; use default.qubit"
        )
    return -qml.math.imag(op.coeff)


def _shown(op: Any) -> str:
    return " ".join(str(op).split())


def plain_number(value: Any) -> Any:
    """A number, or an array of them, out of what other libraries follow it by."""
    return values_of(value) if isinstance(value, Tensor) else qml.math.unwrap([value])[0]


def _is_real(coefficient: Any) -> bool:
    return not np.any(np.imag(plain_number(coefficient)))


def _rotation(word: Any, angle: Any) -> Any:
    """exp(-i angle P) for a word P of Pauli letters."""
    if not len(word):
        return qml.GlobalPhase(angle)
    return qml.PauliRot(2 * angle, "".join(word.values()), wires=list(word))


def _diagonalized(matrix: NDArray[np.complex128], time: Any, wires: Any) -> list[Any]:
    """exp(-i time H): in the eigenbasis of H it is a product of rotations about words of Z, and a phase."""
    eigenvalues, vectors = np.linalg.eigh(matrix)
    turns: Sequence[Any] = [
        qml.PauliRot(2 * coefficient * time, word, wires=wires) for word, coefficient in walsh(eigenvalues)
    ]
    return [
        qml.QubitUnitary(vectors.conj().T, wires=wires),
        *turns,
        qml.GlobalPhase(float(eigenvalues.mean()) * time),
        qml.QubitUnitary(vectors, wires=wires),
    ]

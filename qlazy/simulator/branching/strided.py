"""Operations on arrays of amplitudes (..., 2^n, lanes), in place: the last axis holds samples.

Row k has the bit of wire q at 1 << q. Any number of axes in front is carried along, so that one call acts on
all the vectors of a stack, or on all columns of a density matrix.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from qlazy.simulator.compiling.frames import Frame, row_parity
from qlazy.simulator.operations import (
    Channel,
    Cnot,
    Diagonal,
    Flip,
    Operation,
    PauliRotation,
    Swap,
    Unitary,
    controls_of,
)

Amplitudes = NDArray[np.complexfloating[Any, Any]]
Angle = Any  # a float, or one for each lane
Rows = NDArray[np.int64]

_SWAP = np.eye(4, dtype=complex)[[0, 2, 1, 3]]
_X = np.array([[0, 1], [1, 0]], dtype=complex)


@final
class Rotation:
    """exp(-i angle P / 2) on the rows where the controls have their values."""

    def __init__(self, num_wires: int, operation: PauliRotation) -> None:
        pauli = Frame(num_wires).pauli(operation.word, operation.wires)
        self.rows = _where(num_wires, controls_of(operation))
        self.partners = self.rows ^ pauli.flip
        # P takes row k ^ flip to row k with this factor.
        signs = 1 - 2 * row_parity(num_wires, pauli.read)[self.partners]
        self.phases = (pauli.phase * signs)[:, None]
        self.is_diagonal = pauli.flip == 0

    def apply(self, state: Amplitudes, angle: Angle, conjugate: bool = False) -> None:
        """U state, or the complex conjugate of U times state."""
        cos = np.cos(angle / 2)
        turn = -1j * np.sin(angle / 2) * self.phases
        if conjugate:
            turn = turn.conj()
        turn = turn.astype(state.dtype, copy=False)
        if self.is_diagonal:
            state[..., self.rows, :] *= cos + turn
            return
        moved = state[..., self.partners, :]
        moved *= turn
        moved += cos * state[..., self.rows, :]
        state[..., self.rows, :] = moved

    def derivative(self, bra: Amplitudes, ket: Amplitudes) -> NDArray[np.floating[Any]]:
        """Im <bra| P |ket> on the controlled rows, for bras (c, r, 2^n, lanes) and kets (r, 2^n, lanes)."""
        moved = ket[..., self.partners, :] * self.phases.astype(ket.dtype, copy=False)
        return np.einsum("crkl,rkl->cl", bra[..., self.rows, :].conj(), moved).imag


@final
class Fixed:
    """A constant matrix on a few wires, on the rows where the controls have their values."""

    def __init__(
        self, num_wires: int, matrix: Any, wires: tuple[int, ...], controls: tuple[tuple[int, int], ...]
    ) -> None:
        base = _where(num_wires, (*controls, *((wire, 0) for wire in wires)))
        offsets = np.zeros(1, np.int64)
        for wire in wires:  # the first is the most significant bit of the matrix index
            offsets = np.concatenate([[o, o | 1 << wire] for o in offsets])
        self.groups = base[None, :] | offsets[:, None]
        self._matrix = np.asarray(matrix, dtype=complex)

    def apply(self, state: Amplitudes, dagger: bool = False, conjugate: bool = False) -> None:
        matrix = self._transposed if dagger else self._matrix
        matrix = (matrix.conj() if conjugate != dagger else matrix).astype(state.dtype, copy=False)
        gathered = state[..., self.groups, :]
        state[..., self.groups, :] = np.einsum("ij,...jkl->...ikl", matrix, gathered)

    @cached_property
    def _transposed(self) -> NDArray[np.complex128]:
        return self._matrix.T


def compiled(num_wires: int, operation: Operation) -> Rotation | Fixed:
    """An operation ready for arrays; a rotation takes its angle at every call."""
    match operation:
        case PauliRotation():
            return Rotation(num_wires, operation)
        case Cnot(control, target):
            return Fixed(num_wires, _X, (target,), ((control, 1),))
        case Swap(first, second):
            return Fixed(num_wires, _SWAP, (first, second), ())
        case Flip(wire):
            return Fixed(num_wires, _X, (wire,), ())
        case Unitary(wires, matrix):
            return Fixed(num_wires, matrix, wires, controls_of(operation))
        case Diagonal(wires, phases):
            return Fixed(num_wires, np.diag(phases), wires, ())
        case Channel():
            raise TypeError("states take no channels")


def _where(num_wires: int, conditions: tuple[tuple[int, int], ...]) -> Rows:
    """The rows on which each wire has the given bit."""
    rows = np.arange(2**num_wires)
    for wire, bit in conditions:
        rows = rows[(rows >> wire & 1) == bit]
    return rows


def bit_rows(num_wires: int, wire: int, bit: int) -> Rows:
    return _where(num_wires, ((wire, bit),))

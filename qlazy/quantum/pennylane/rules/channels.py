"""Noise channels of PennyLane on one wire as what they make of Pauli letters in the Heisenberg picture."""

from __future__ import annotations

from typing import Any

import numpy as np

from qlazy.simulator.operations import Channel
from qlazy.simulator.paulis.words import LETTERS, MATRICES

ROUNDING = 1e-12


def transfer_of(op: Any, wire: int) -> Channel | None:
    """sum_k K_k^dagger P K_k for X, Y and Z; None where that is more than a multiple of P, and of 1 for Z.

    Depolarising, phase flip and damping, bit flip, Pauli errors, amplitude damping and relaxation are of this kind.
    """
    kraus = [np.asarray(matrix, complex) for matrix in op.kraus_matrices()]
    table = np.zeros((4, 4))
    for row, letter in enumerate(LETTERS):
        image = sum(k.conj().T @ MATRICES[letter] @ k for k in kraus)
        table[row] = [np.trace(image @ MATRICES[other]).real / 2 for other in LETTERS]
    x, z, y = (LETTERS.index(letter) for letter in "XZY")
    found = Channel(wire, float(table[x, x]), float(table[y, y]), float(table[z, z]), float(table[z, 0]))
    expected = np.diag([1.0, *(table[k, k] for k in range(1, 4))])
    expected[z, 0] = found.offset
    return found if np.allclose(table, expected, rtol=0, atol=ROUNDING) else None

"""Product states, which one-wire gates make at the start of a circuit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from qlazy.simulator.operations import Operation, PauliRotation
from qlazy.simulator.paulis.cliffords import matrix_of, wires_of
from qlazy.simulator.paulis.words import LETTERS, MATRICES

Turned = tuple[Operation, NDArray[np.float64] | None]  # an operation, and its angles (m,) where they differ


def product_states(num_wires: int, gates: Sequence[Turned], samples: int) -> NDArray[np.float64]:
    """The expectation (n, 4, m) of each letter on each wire, after one-wire gates on m copies of |0>."""
    states = np.zeros((num_wires, 2, samples), complex)
    states[:, 0] = 1.0
    for operation, angles in gates:
        [wire] = wires_of(operation)
        states[wire] = _applied(operation, angles, states[wire])
    up, down = states[:, 0], states[:, 1]
    cross = up.conj() * down
    letters = {"I": np.ones_like(cross.real), "X": 2 * cross.real, "Y": 2 * cross.imag}
    letters["Z"] = abs(up) ** 2 - abs(down) ** 2
    return np.stack([letters[letter] for letter in LETTERS], axis=1)


def _applied(
    operation: Operation, angles: NDArray[np.float64] | None, state: NDArray[np.complex128]
) -> NDArray[np.complex128]:
    """A gate on one wire of states (2, m)."""
    if angles is None:
        return matrix_of(operation) @ state
    assert isinstance(operation, PauliRotation)
    turned = -1j * np.sin(angles / 2) * (MATRICES[operation.word] @ state)
    return np.asarray(np.cos(angles / 2) * state + turned)

"""Product states, which one-wire gates make at the start of a circuit, by the Bloch vector of each wire.

All is analytic in the angles: complex ones give derivatives along directions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qlazy.simulator.operations import Operation, PauliRotation, Unitary
from qlazy.simulator.paulis.cliffords import matrix_of, wires_of
from qlazy.simulator.paulis.words import CODE, LETTERS, MATRICES

Array = NDArray[Any]
Turned = tuple[Operation, Array | None]  # an operation, and its angles (m,) where it takes any

_PLANES = {"X": "YZ", "Y": "ZX", "Z": "XY"}


def product_states(num_wires: int, gates: Sequence[Turned], samples: int) -> Array:
    """The expectation (n, 4, m) of each letter on each wire, after one-wire gates on m copies of |0>."""
    kinds = [angles.dtype for _, angles in gates if angles is not None]
    states = np.zeros((num_wires, 4, samples), np.result_type(np.float64, *kinds))
    states[:, [CODE["I"], CODE["Z"]]] = 1.0
    for operation, angles in gates:
        [wire] = wires_of(operation)
        _apply(operation, angles, states[wire])
    return states


def state_slopes(gates: Sequence[Turned], position: int, samples: int) -> Array:
    """d/dangle (4, m) of the state that gates make of one wire, by the angles of the rotation at ``position``.

    Half the difference between angles pi/2 more and less, which is exact for a rotation.
    """
    ends = []
    for shift in (math.pi / 2, -math.pi / 2):
        chain = [
            (_on_one_wire(operation), angles if number != position or angles is None else angles + shift)
            for number, (operation, angles) in enumerate(gates)
        ]
        ends.append(product_states(1, chain, samples)[0])
    return np.asarray(ends[0] - ends[1]) / 2


def _on_one_wire(operation: Operation) -> Operation:
    """The same one-wire gate on wire 0."""
    if isinstance(operation, PauliRotation):
        return PauliRotation(operation.word, (0,), operation.angle)
    return Unitary((0,), matrix_of(operation))


def _apply(operation: Operation, angles: Array | None, state: Array) -> None:
    """A gate on the expectations (4, m) of one wire, in place."""
    if angles is None:
        unitary = matrix_of(operation)
        turn = [
            [np.trace(MATRICES[a] @ unitary @ MATRICES[b] @ unitary.conj().T).real / 2 for b in LETTERS]
            for a in LETTERS
        ]
        state[:] = np.array(turn) @ state
        return
    assert isinstance(operation, PauliRotation)
    if operation.word == "I":
        return
    one, other = (CODE[letter] for letter in _PLANES[operation.word])
    cosine, sine = np.cos(angles), np.sin(angles)
    state[one], state[other] = (
        cosine * state[one] - sine * state[other],
        sine * state[one] + cosine * state[other],
    )

"""qlazy's Pauli propagation: coefficients that end under the cutoff are dropped after every gate, as peers do.

``Circuit(..., backend="paulis", cutoff=...)`` keeps more: it drops words only where their derivatives are small too.
"""

from __future__ import annotations

import numpy as np

from qlazy.bench.peers import Compute, Ways
from qlazy.bench.peers.words import Left, native
from qlazy.bench.workloads import Array, PropagationWorkload
from qlazy.simulator import PauliRotation, PauliSum, PauliWord
from qlazy.simulator.paulis.circuit import PauliCircuit
from qlazy.simulator.paulis.propagation import Truncation, propagate, unpack
from qlazy.simulator.paulis.steps import steps_of
from qlazy.simulator.paulis.walks import products_of
from qlazy.simulator.paulis.words import words_of

__all__ = ["native", "ways"]


def ways(workload: PropagationWorkload, dtype: str, threads: int) -> Ways:
    if workload.task == "propagation":
        return {"propagate": lambda: _propagation(workload)}
    return {"PauliCircuit.sweep": lambda: _sweep(workload)}


def _propagation(workload: PropagationWorkload) -> Compute:
    wires, truncation = workload.wires, Truncation(workload.cutoff, with_slopes=False)
    steps = steps_of([PauliRotation(word, at) for word, at in workload.gates])
    start = words_of(wires, (_observable(workload),))
    zero = np.array([1.0, 0.0, 1.0, 0.0])[None, :, None].repeat(wires, 0)

    def compute(params: Array, x: Array) -> Left:
        found = propagate(steps, start.letters, start.coefficients, params, truncation)
        letters, coefficients = unpack(found.words, wires), found.coefficients[found.slots]
        value = float(coefficients @ products_of(letters, found.signs, zero)[:, 0])
        return Left(value, found.dropped, x, lambda: (letters, coefficients * found.signs))

    return compute


def _sweep(workload: PropagationWorkload) -> Compute:
    encoding = [PauliRotation("Y", (wire,), sampled=True, wanted=False) for wire in range(workload.wires)]
    gates = [PauliRotation(word, at) for word, at in workload.gates]
    truncation = Truncation(workload.cutoff, with_slopes=False)
    circuit = PauliCircuit(workload.wires, [*encoding, *gates], [_observable(workload)], truncation)

    def compute(params: Array, x: Array) -> Array:
        values, slopes = circuit.sweep(params, x)
        return np.concatenate([values[:, :, None], slopes.shared], axis=2)

    return compute


def _observable(workload: PropagationWorkload) -> PauliSum:
    return PauliSum(tuple(PauliWord(1.0, "Z", (wire,)) for wire in range(workload.wires)))

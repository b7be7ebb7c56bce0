"""monoprop: one evolution without a graph kept, which its manual calls the cheaper where angles change once.

Its gates are exp(+i theta P), and its cutoff drops a little more or less than one after each merged gate.
"""

from __future__ import annotations

import math

import numpy as np
from monoprop import Circuit, ExpGate, Pauli, PauliOperator, PauliPropagator

from qlazy.bench.peers import Compute, Ways
from qlazy.bench.peers.words import LETTERS, Left, native
from qlazy.bench.workloads import Array, PropagationWorkload

__all__ = ["native", "ways"]


def ways(workload: PropagationWorkload, dtype: str, threads: int) -> Ways:
    return {"PauliPropagator": lambda: _propagation(workload)}


def _propagation(workload: PropagationWorkload) -> Compute:
    wires = workload.wires
    gates = [ExpGate(PauliOperator({Pauli(word, at): 1.0}, num_qubits=wires)) for word, at in workload.gates]
    start = PauliOperator({Pauli("Z", wire): 1.0 for wire in range(wires)}, num_qubits=wires)

    def compute(params: Array, x: Array) -> Left:
        circuit = Circuit(gates=gates, system_size=wires, parameters=(-params / 2).tolist())
        found = PauliPropagator.from_circuit(circuit, start, cutoff=wires, lower_atol=workload.cutoff or None)
        return Left(float(found.expectation_value()), math.nan, x, lambda: _read(found, wires))

    return compute


def _read(found: PauliPropagator, wires: int) -> tuple[Array, Array]:
    terms = {word: c for word, c in found.evolved_operator(atol=0.0).terms.items() if c}
    letters = np.zeros((len(terms), wires), np.uint8)
    for row, word in enumerate(terms):
        letters[row, list(word.qubits)] = [LETTERS.index(letter) for letter in word.string]
    return letters, np.real(np.array(list(terms.values())))

"""pauli-prop, Qiskit's: the circuit as its rotations, the observable through them in the Heisenberg frame.

Its cutoff is another: a branch under it is not added, and what falls under it later stays.
"""

from __future__ import annotations

import pauli_prop
from qiskit import QuantumCircuit
from qiskit.quantum_info import SparsePauliOp

from qlazy.bench.peers import Compute, Ways
from qlazy.bench.peers.words import Left, native
from qlazy.bench.workloads import Array, PropagationWorkload

__all__ = ["native", "ways"]

MOST_WORDS = 10_000_000


def ways(workload: PropagationWorkload, dtype: str, threads: int) -> Ways:
    return {"propagate_through_rotation_gates": lambda: _propagation(workload)}


def _propagation(workload: PropagationWorkload) -> Compute:
    circuit = QuantumCircuit(workload.wires)
    for word, wires in workload.gates:
        getattr(circuit, f"r{word.lower()}")(1.0, *wires)
    rotations = pauli_prop.circuit_to_rotation_gates(circuit)
    terms = [("Z", [wire], 1.0) for wire in range(workload.wires)]
    start = SparsePauliOp.from_sparse_list(terms, workload.wires)

    def compute(params: Array, x: Array) -> Left:
        found, lost = pauli_prop.propagate_through_rotation_gates(
            start, rotations._replace(thetas=params.tolist()), MOST_WORDS, workload.cutoff, frame="h"
        )
        value = found.coeffs.real[~found.paulis.x.any(axis=1)].sum()
        return Left(float(value), float(lost), x, lambda: (_letters(found), found.coeffs.real))

    return compute


def _letters(found: SparsePauliOp) -> Array:
    return found.paulis.x + 2 * found.paulis.z

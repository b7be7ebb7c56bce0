"""PennyLane's default.qubit on JAX, compiled."""

from __future__ import annotations

import jax
import pennylane as qml

from qlazy.bench.peers import Ways
from qlazy.bench.peers.jax_arrays import circuit_ways, native
from qlazy.bench.peers.pennylane_circuit import qnode
from qlazy.bench.workloads import CircuitWorkload

__all__ = ["native", "ways"]


def ways(workload: CircuitWorkload, dtype: str, threads: int) -> Ways:
    device = qml.device("default.qubit", wires=workload.wires)
    node = qnode(workload, device, interface="jax", diff_method="backprop")

    def outputs(params: jax.Array, row: jax.Array) -> jax.Array:
        measured = node(row, params)
        return jax.numpy.stack(measured if isinstance(measured, list | tuple) else [measured])

    return circuit_ways(workload, outputs)

"""TensorCircuit-NG on its JAX backend, compiled."""

from __future__ import annotations

import jax
import tensorcircuit as tc

from qlazy.bench.peers import Ways
from qlazy.bench.peers.jax_arrays import circuit_ways, native
from qlazy.bench.workloads import Angle, CircuitWorkload

__all__ = ["native", "ways"]


def ways(workload: CircuitWorkload, dtype: str, threads: int) -> Ways:
    tc.set_backend("jax")
    tc.set_dtype("complex64" if dtype == "float32" else "complex128")

    def outputs(params: jax.Array, row: jax.Array) -> jax.Array:
        circuit = tc.Circuit(workload.wires)
        for gate in workload.gates:
            if gate.name == "CNOT":
                circuit.cnot(*gate.wires)
            if gate.name == "CZ":
                circuit.cz(*gate.wires)
            for axis, angle in gate.rotations:
                getattr(circuit, axis.lower())(*gate.wires, theta=_value(angle, params, row))
        values = [circuit.expectation_ps(z=[wire]) for wire in workload.measured]
        return jax.numpy.real(jax.numpy.stack(values))

    return circuit_ways(workload, outputs)


def _value(angle: Angle, params: jax.Array, row: jax.Array) -> jax.Array:
    if angle.feature is None:
        return params[angle.shift]
    value = row[angle.feature] if angle.scale is None else params[angle.scale] * row[angle.feature]
    return value if angle.shift is None else value + params[angle.shift]

"""Qulacs: one parametric circuit, its angles set anew for each sample, differentiated by its backprop."""

from __future__ import annotations

import numpy as np
from qulacs import Observable, ParametricQuantumCircuit, QuantumState

from qlazy.bench.angles import Angles
from qlazy.bench.peers import Compute, Ways
from qlazy.bench.workloads import Array, CircuitWorkload


def native(array: Array, dtype: str) -> Array:
    if dtype != "float64":
        raise NotImplementedError("float64 only")
    return array


def ways(workload: CircuitWorkload, dtype: str, threads: int) -> Ways:
    return {"backprop": lambda: _Backprop(workload).compute}


class _Backprop:
    def __init__(self, workload: CircuitWorkload) -> None:
        self.circuit = ParametricQuantumCircuit(workload.wires)
        for gate in workload.gates:
            if gate.name == "CNOT":
                self.circuit.add_CNOT_gate(*gate.wires)
            if gate.name == "CZ":
                self.circuit.add_CZ_gate(*gate.wires)
            for axis, _ in gate.rotations:
                getattr(self.circuit, f"add_parametric_{axis}_gate")(*gate.wires, 0.0)
        self.observables = [_z(wire, workload.wires) for wire in workload.measured]
        self.state = QuantumState(workload.wires)
        self.angles = Angles(workload.angles)
        self.compute: Compute = self.loss_gradient if workload.task == "loss gradient" else self.jacobian

    def jacobian(self, params: Array, x: Array) -> Array:
        # Qulacs rotates by exp(+i angle P / 2).
        gradients = [self._gradients(row) for row in (-self.angles.values(params, x)).tolist()]
        return self.angles.pull(-np.array(gradients), params, x)

    def loss_gradient(self, params: Array, x: Array, targets: Array) -> Array:
        rows = (-self.angles.values(params, x)).tolist()
        pairs = [(self._gradients(row), self._values()) for row in rows]
        gradients, values = (np.array(part) for part in zip(*pairs, strict=True))
        jacobian = self.angles.pull(-gradients, params, x)
        return np.einsum("nc,ncp->p", values - targets, jacobian) / len(x)

    def _gradients(self, row: list[float]) -> list[list[float]]:
        for index, value in enumerate(row):
            self.circuit.set_parameter(index, value)
        return [self.circuit.backprop(observable) for observable in self.observables]

    def _values(self) -> list[float]:
        self.state.set_zero_state()
        self.circuit.update_quantum_state(self.state)
        return [observable.get_expectation_value(self.state) for observable in self.observables]


def _z(wire: int, wires: int) -> Observable:
    observable = Observable(wires)
    observable.add_operator(1.0, f"Z {wire}")
    return observable

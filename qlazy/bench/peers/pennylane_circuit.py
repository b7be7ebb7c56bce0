"""A workload as a PennyLane quantum function, shared by the tools that take one."""

from __future__ import annotations

from typing import Any

import pennylane as qml

from qlazy.bench.workloads import Angle, CircuitWorkload


def qnode(workload: CircuitWorkload, device: Any, **options: Any) -> qml.QNode:
    """The circuit of ``inputs`` (..., d) and ``weights`` (..., p), which returns <Z> of its first wires."""

    def circuit(inputs: Any, weights: Any) -> Any:
        for gate in workload.gates:
            values = [angle_value(angle, weights, inputs) for angle in gate.angles]
            getattr(qml, gate.name)(*values, wires=gate.wires)
        measured = [qml.expval(qml.Z(wire)) for wire in workload.measured]
        return measured[0] if workload.outputs == 1 else measured

    return qml.QNode(circuit, device, **options)


def angle_value(angle: Angle, params: Any, x: Any) -> Any:
    """One angle in the arithmetic of whatever arrays ``params`` (..., p) and ``x`` (..., d) are."""
    if angle.feature is None:
        return params[..., angle.shift]
    value = x[..., angle.feature]
    if angle.scale is not None:
        value = params[..., angle.scale] * value
    return value if angle.shift is None else value + params[..., angle.shift]

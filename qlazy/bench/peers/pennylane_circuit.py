"""A workload as a PennyLane quantum function, shared by the tools that take one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
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


def trained(
    workload: CircuitWorkload, outputs: Callable[[Any, Any], Any], gradient: Callable[[Any, Any, Any], Any]
) -> Callable[[Any, Any, Any], Any]:
    """Gradient descent, one run after another, from outputs (n, c) and gradients (p,) of the square loss.

    That of F_a is the gradient of the plain loss for targets h(w0) + y / a.
    """

    def run(starts: Any, x: Any, targets: Any) -> Any:
        found = []
        for start in starts:
            first = outputs(start, x)
            for alpha in workload.alphas:
                params, aims = start, first + targets / alpha
                for _ in range(workload.steps):
                    params = params - workload.learning_rate * gradient(params, x, aims)
                found.append(np.asarray(params))
        return np.stack(found)

    return run


def angle_value(angle: Angle, params: Any, x: Any) -> Any:
    """One angle in the arithmetic of whatever arrays ``params`` (..., p) and ``x`` (..., d) are."""
    if angle.feature is None:
        return params[..., angle.shift]
    value = x[..., angle.feature]
    if angle.scale is not None:
        value = params[..., angle.scale] * value
    return value if angle.shift is None else value + params[..., angle.shift]

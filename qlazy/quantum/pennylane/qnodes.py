"""A program as a PennyLane QNode: the reference path, on default.qubit with backpropagation through torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import pennylane as qml
import torch
from torch import Tensor

from qlazy.base.errors import UnsupportedModelError, require
from qlazy.quantum.program.program import UNITARY, Gate, PauliSum, PauliTerm, Program, Shape

_OPERATIONS: dict[str, Callable[..., Any]] = {
    "rx": qml.RX,
    "ry": qml.RY,
    "rz": qml.RZ,
    "p": qml.PhaseShift,
    "id": qml.Identity,
    "x": qml.PauliX,
    "y": qml.PauliY,
    "z": qml.PauliZ,
    "h": qml.Hadamard,
    "s": qml.S,
    "t": qml.T,
    "sx": qml.SX,
    "swap": qml.SWAP,
    "sdg": lambda wires: qml.adjoint(qml.S(wires)),
    "tdg": lambda wires: qml.adjoint(qml.T(wires)),
    "sxdg": lambda wires: qml.adjoint(qml.SX(wires)),
}
_PAULIS = {"X": qml.PauliX, "Y": qml.PauliY, "Z": qml.PauliZ}


def to_qnode(program: Program) -> tuple[qml.QNode, dict[str, Shape]]:
    """The program as a QNode and the shapes of its weights, in TorchLayer's convention.

    The QNode takes ``inputs``, one sample of shape (num_features,) with the data inputs concatenated in
    declared order (left out, or empty, where the program has none), and each weight by name; it returns one
    expectation value an output. It runs a sample at a time under torch.func.vmap and jacrev. Global phases
    have no effect on it and are left out.
    """
    device = qml.device("default.qubit", wires=program.num_qubits)
    observables = [_observable(observable) for observable in program.observables]
    gates = [g for g in program.operations if isinstance(g, Gate) and g.wires and g.name != "id"]
    shapes = {name: tuple(shape) for name, shape in program.weights.items()}

    def circuit(inputs: Tensor | None = None, **weights: Tensor) -> list[Any]:
        require(
            program.is_unitary, "program", "be a circuit of gates to run on default.qubit",
            "one that measures on its way, which runs on a CPU only", UnsupportedModelError,
        )  # fmt: skip
        values = _data(program, inputs) | _weights(shapes, weights)
        for gate in gates:
            apply_gate(gate, values)
        return [qml.expval(observable) for observable in observables]

    return qml.QNode(circuit, device, interface="torch", diff_method="backprop"), shapes


def _data(program: Program, inputs: Tensor | None) -> dict[str, Tensor]:
    if not program.data:
        actual = () if inputs is None else tuple(inputs.shape)
        require(
            inputs is None or inputs.shape[-1:] == (0,), "inputs", "be absent or have no features", actual
        )
        return {}
    shape = (program.num_features,)
    given = None if inputs is None else tuple(inputs.shape)
    require(given == shape, "inputs", f"be one sample of shape {shape}", given)
    assert inputs is not None
    counts = [math.prod(shape) for shape in program.data.values()]
    return dict(zip(program.data, torch.split(inputs, counts, dim=-1), strict=True))


def _weights(shapes: dict[str, Shape], weights: dict[str, Tensor]) -> dict[str, Tensor]:
    require(weights.keys() == shapes.keys(), "weights", f"be {sorted(shapes)}", sorted(weights))
    for name, shape in shapes.items():
        require(tuple(weights[name].shape) == shape, name, f"have shape {shape}", tuple(weights[name].shape))
    return {name: weights[name].reshape(-1) for name in shapes}


def apply_gate(gate: Gate, values: dict[str, Tensor]) -> None:
    operation = _operation(gate, values)
    if gate.controls:
        qml.ctrl(operation, gate.controls, control_values=[bool(value) for value in gate.control_values])


def _operation(gate: Gate, values: dict[str, Tensor]) -> Any:
    if gate.name == UNITARY:
        return qml.QubitUnitary(np.array(gate.matrix), wires=gate.wires)
    angles = [angle.evaluate(values) for angle in gate.angles]
    if gate.name == "U":
        return _u(angles, gate.wires)
    return _OPERATIONS[gate.name](*angles, wires=gate.wires)


def _u(angles: list[Any], wires: tuple[int, ...]) -> Any:
    """U with the phase that the language gives it, which counts under a control."""
    theta, phi, lam = angles
    return qml.prod(qml.U3(theta, phi, lam, wires=wires), qml.GlobalPhase(-theta / 2))


def _observable(observable: PauliSum) -> Any:
    terms = [_product(term) for term in observable.terms]
    if len(terms) == 1 and observable.terms[0].coefficient == 1.0:
        return terms[0]
    return qml.Hamiltonian([term.coefficient for term in observable.terms], terms)


def _product(term: PauliTerm) -> Any:
    factors = [_PAULIS[letter](wire) for wire, letter in term.factors]
    return reduce(lambda left, right: left @ right, factors) if factors else qml.Identity(0)

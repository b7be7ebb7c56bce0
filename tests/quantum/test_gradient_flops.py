"""Counted operations of circuits as models: known gates, outputs computed from several, and other backends."""

from __future__ import annotations

import pennylane as qml
import pytest
import torch
from torch import Tensor

import qlazy

WIRES, LAYERS = 3, 2
GATE = 14 + 2 * 14 + 12  # flops of an amplitude: forward, back on ket and bra, three cotangents
FIRST_PASS = 2 * 2 * 14  # of two gates, where the way back ends: nothing asks for the state before them


def gates(inputs: Tensor, weights: Tensor) -> None:
    qml.AngleEmbedding(inputs, wires=range(WIRES))
    for layer in range(LAYERS):
        for wire in range(WIRES - 1):
            qml.CNOT([wire, wire + 1])
        for wire in range(WIRES):
            qml.RX(weights[layer, wire, 0], wire)
            qml.RZ(weights[layer, wire, 1], wire)
            qml.RX(weights[layer, wire, 2], wire)


@qml.qnode(qml.device("default.qubit", wires=WIRES))
def expectations(inputs: Tensor, weights: Tensor) -> object:
    gates(inputs, weights)
    return [qml.expval(qml.Z(wire)) for wire in range(WIRES)]


@qml.qnode(qml.device("default.qubit", wires=WIRES))
def variance(inputs: Tensor, weights: Tensor) -> object:
    gates(inputs, weights)
    return qml.var(qml.Z(0) + 2 * qml.Z(1) + qml.Z(2))


SHAPES = {"weights": (LAYERS, WIRES, 3)}


def counted(circuit: qlazy.Circuit, samples: int = 5) -> int | None:
    return circuit.gradient_flops(circuit.init(0), torch.ones(samples, WIRES, dtype=torch.float64))


EXPECTED = 5 * 2**WIRES * (WIRES * LAYERS * GATE - FIRST_PASS)


def test_known_gates() -> None:
    assert counted(qlazy.Circuit(expectations, SHAPES)) == EXPECTED


def test_outputs_that_are_computed_from_several_take_the_gates_of_each_circuit() -> None:
    assert counted(qlazy.Circuit(variance, SHAPES)) == EXPECTED


@pytest.mark.parametrize("backend", ["torch", "paulis", "lightning", "device"])
def test_other_backends_are_not_counted(backend: str) -> None:
    assert counted(qlazy.Circuit(expectations, SHAPES, backend=backend)) is None  # type: ignore[arg-type]

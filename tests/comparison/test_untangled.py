"""Unentangled twins, held to circuits written without the entangling gates, run row by row by PennyLane."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
import torch

import qlazy
from qlazy.comparison.baselines.trained import used_params
from tests.makers import inputs, rng


def layered(entangled: bool, scale: float = 1.0):
    @qml.qnode(qml.device("default.qubit", wires=3))
    def circuit(inputs, weights, angles):
        for layer in range(2):
            for wire in range(3):
                qml.RX(scale * inputs[wire] + weights[layer, wire, 0], wires=wire)
                qml.Rot(*weights[layer, wire], wires=wire)
            if entangled:
                qml.CNOT((0, 1))
                qml.IsingZZ(angles[layer], wires=(1, 2))
                qml.CRX(inputs[0], wires=(2, 0))
                qml.Toffoli((0, 1, 2))
        return qml.expval(qml.Z(0) @ qml.X(1)), qml.expval(qml.Y(2))

    return qlazy.Circuit(circuit, {"weights": (2, 3, 3), "angles": 2})


def test_the_twin_is_the_circuit_written_without_its_entangling_gates() -> None:
    circuit, plain, x = layered(True), layered(False), inputs(5, 3)
    twin = qlazy.untangled(circuit, x)
    params = circuit.init(rng())
    rows = [plain.qnode(row, params[:18].reshape(2, 3, 3), params[18:]) for row in x]
    expected = torch.tensor(np.array(rows), dtype=torch.float64)
    torch.testing.assert_close(twin(params, x), expected, rtol=0, atol=1e-12)
    assert not torch.allclose(circuit(params, x), expected, atol=1e-3)
    assert twin.num_params == circuit.num_params
    assert used_params(circuit, params, x) == 20
    assert used_params(twin, params, x) == 17  # the two angles between wires, and the last about Z(0)


@qml.qnode(qml.device("default.qubit", wires=3))
def product_circuit(inputs, weights):
    qml.Hadamard(0)
    qml.T(1)
    qml.AngleEmbedding(inputs, wires=range(3), rotation="Y")
    qml.SWAP((0, 1))
    qml.QubitUnitary(np.kron([[0, 1], [1, 0]], [[1, 0], [0, 1j]]), (1, 2))
    for wire in range(3):
        qml.Rot(*weights[wire], wires=wire)
    matrix = np.array([[1, 2, 0, 0], [2, 0, 0, 1j], [0, 0, 1, 0], [0, -1j, 0, 3.0]])
    return (
        qml.probs((0, 2)),
        qml.expval(qml.Projector([1, 0], (1, 0))),
        qml.expval(qml.Hermitian(matrix, (2, 0))),
        qml.expval(0.5 * qml.X(0) @ qml.Y(2) + qml.I(0)),
    )


def test_a_circuit_without_entangling_gates_is_its_own_twin() -> None:
    circuit, x = qlazy.Circuit(product_circuit, {"weights": (3, 3)}), inputs(4, 3)
    params = circuit.init(rng())
    twin = qlazy.untangled(circuit, x)
    torch.testing.assert_close(twin(params, x), circuit(params, x), rtol=0, atol=1e-14)
    torch.testing.assert_close(twin.jacobian(params, x), circuit.jacobian(params, x), rtol=0, atol=1e-14)
    again = qlazy.untangled(twin)
    assert torch.equal(again(params, x), twin(params, x))


def test_a_program_without_gates_on_one_qubit_alone_is_read_as_its_text() -> None:
    text = """OPENQASM 3; include "stdgates.inc";
    input float[64] x; input array[float[64], 3] w;
    qubit[2] q;
    ry(x) q[0]; rx(w[0]) q[1]; {0} rz(w[1]) q[0]; ry(w[2] * x) q[1]; {1}"""
    entangling = "cx q[0], q[1];", "ctrl @ rx(w[0]) q[1], q[0]; cp(x) q[0], q[1];"
    twin = qlazy.untangled(qlazy.from_qasm(_filled(text, *entangling), data=("x",)))
    plain = qlazy.from_qasm(_filled(text, "", ""), data=("x",))
    params, x = plain.init(rng()), inputs(3, 1)
    assert torch.equal(twin(params, x), plain(params, x))


def _filled(text: str, *parts: str) -> str:
    for index, part in enumerate(parts):
        text = text.replace(f"{{{index}}}", part)
    return text


def test_what_cannot_be_cut_is_refused_by_name() -> None:
    @qml.qnode(qml.device("default.qubit", wires=2))
    def amplitudes(inputs, weights):
        qml.AmplitudeEmbedding(inputs, wires=(0, 1), normalize=True)
        qml.RY(weights, wires=0)
        return qml.expval(qml.Z(0))

    @qml.qnode(qml.device("default.qubit", wires=2))
    def fixed(inputs, weights):
        qml.StatePrep(np.array([1, 0, 0, 1]) / 2**0.5, wires=(0, 1))
        qml.RY(inputs[0] + weights, wires=0)
        return qml.expval(qml.Z(0))

    @qml.qnode(qml.device("default.qubit", wires=2))
    def coupled(inputs, weights):
        qml.IsingXX(inputs[0], wires=(0, 1))
        qml.RY(weights, wires=0)
        return qml.expval(qml.Z(0))

    for qnode, width, word in (
        (amplitudes, 4, "AmplitudeEmbedding"),
        (fixed, 1, "StatePrep"),
        (coupled, 1, "data"),
    ):
        with pytest.raises(qlazy.UnsupportedModelError, match=rf"`circuit` must .*{word}"):
            qlazy.untangled(qlazy.Circuit(qnode, {"weights": 1}), inputs(2, width))

    @qml.qnode(qml.device("default.qubit", wires=2))
    def of_matrices(inputs, weights):
        qml.RY(inputs[0, 1] + weights, wires=0)
        return qml.expval(qml.Z(0))

    with pytest.raises(qlazy.UnsupportedModelError, match=r"rows of shape \(2, 2\)"):
        qlazy.untangled(qlazy.Circuit(of_matrices, {"weights": 1}), inputs(2, 2, 2))
    with pytest.raises(qlazy.UnsupportedModelError, match="without shots or noise"):
        qlazy.untangled(qlazy.Circuit(product_circuit, {"weights": (3, 3)}, backend="device"), inputs(2, 3))
    measuring = qlazy.from_qasm(
        """OPENQASM 3; include "stdgates.inc"; input float[64] x; input float[64] w; qubit[2] q; bit c;
        ry(x) q[0]; c = measure q[0]; if (c) { rx(w) q[1]; }""",
        data=("x",),
    )
    with pytest.raises(qlazy.UnsupportedModelError, match="measurements"):
        qlazy.untangled(measuring)
    with pytest.raises(ValueError, match=r"`circuit` must have run once"):
        qlazy.untangled(qlazy.Circuit(product_circuit, {"weights": (3, 3)}))

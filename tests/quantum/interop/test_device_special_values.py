"""Derivatives of the device where gates do nothing or turn by half: PennyLane decomposes some by their numbers."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
import torch
from pennylane.exceptions import DeviceError

from qlazy.quantum.interop.device import AdjointDevice

GATES = {
    "RX": (1, lambda w: qml.RX(w[0], 3)),
    "RY": (1, lambda w: qml.RY(w[0], 3)),
    "RZ": (1, lambda w: qml.RZ(w[0], 3)),
    "Rot": (3, lambda w: qml.Rot(w[0], w[1], w[2], 3)),
    "U2": (2, lambda w: qml.U2(w[0], w[1], 3)),
    "U3": (3, lambda w: qml.U3(w[0], w[1], w[2], 3)),
    "PhaseShift": (1, lambda w: qml.PhaseShift(w[0], 3)),
    "GlobalPhase": (1, lambda w: qml.GlobalPhase(w[0], 3)),
    "IsingXY": (1, lambda w: qml.IsingXY(w[0], [3, 4])),
    "IsingZZ": (1, lambda w: qml.IsingZZ(w[0], [3, 4])),
    "PauliRot": (1, lambda w: qml.PauliRot(w[0], "XY", [3, 4])),
    "MultiRZ": (1, lambda w: qml.MultiRZ(w[0], [3, 4])),
    "adjoint": (1, lambda w: qml.adjoint(qml.RX(w[0], 3))),
    "product": (2, lambda w: qml.prod(qml.RX(w[0], 3), qml.RZ(w[1], 3))),
    "SingleExcitation": (1, lambda w: qml.SingleExcitation(w[0], [3, 4])),
    "CRX": (1, lambda w: qml.CRX(w[0], [3, 4])),
    "ControlledPhaseShift": (1, lambda w: qml.ControlledPhaseShift(w[0], [3, 4])),
}
CONTROLS = {"one": ([0], [1]), "two": ([0, 1], [1, 1]), "three, not all set": ([0, 1, 2], [1, 0, 1])}
VALUES = {"zero": 0.0, "half a turn": np.pi, "a turn": 2 * np.pi, "a quarter": np.pi / 2, "generic": 0.7}


def slopes(device, gate, count, controls, values, at):
    @qml.qnode(device)
    def circuit(w):
        for wire in range(5):
            qml.RY(0.4 + 0.3 * wire, wire)
            qml.RX(0.2 + 0.1 * wire, wire)
        qml.ctrl(gate, controls, control_values=values)(w)
        qml.RX(0.3, 3)
        qml.RY(0.5, 0)
        qml.CNOT([3, 4])
        return qml.expval(qml.Y(3) @ qml.Z(0)), qml.expval(qml.X(4)), qml.expval(qml.Z(0))

    w = torch.full((count,), at, dtype=torch.float64, requires_grad=True)
    return torch.autograd.functional.jacobian(lambda w: torch.stack(circuit(w)), w)


@pytest.mark.parametrize("controls", CONTROLS.values(), ids=list(CONTROLS))
@pytest.mark.parametrize(("count", "gate"), GATES.values(), ids=list(GATES))
def test_controlled_gates(count, gate, controls):
    devices = AdjointDevice(wires=5), qml.device("default.qubit", wires=5)
    for at in VALUES.values():
        found, expected = (slopes(device, gate, count, *controls, at) for device in devices)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


BY_VALUE = {
    "a matrix": lambda w: qml.QubitUnitary(torch.linalg.matrix_exp(1j * w[0] * X), 0),
    "a matrix with a control": lambda w: qml.ControlledQubitUnitary(torch.linalg.matrix_exp(1j * w[0] * X), [1, 0]),
    "all of SU(2)": lambda w: qml.SpecialUnitary(w, 0),
    "all of SU(2) with a control": lambda w: qml.ctrl(qml.SpecialUnitary, 1)(w, 0),
    "amplitudes": lambda w: qml.AmplitudeEmbedding(w, [0, 1], pad_with=0.0, normalize=True),
    "a state": lambda w: qml.StatePrep(w, [0, 1], pad_with=0.0, normalize=True),
    "a prepared state": lambda w: qml.MottonenStatePreparation(torch.stack([w[0].cos(), w[0].sin()]), 0),
}  # fmt: skip
X = torch.tensor([[0, 1], [1, 0]], dtype=torch.complex128)


@pytest.mark.parametrize("gate", BY_VALUE.values(), ids=list(BY_VALUE))
def test_what_is_decomposed_by_value_has_values_and_no_derivatives(gate):
    """Their derivatives would be off or NaN at some values: they are refused at all."""

    def circuit(w):
        gate(w)
        qml.RX(0.3, 0)
        return qml.expval(qml.Z(0))

    node, plain = (
        qml.QNode(circuit, qml.device(name, wires=2)) for name in ("qlazy.adjoint", "default.qubit")
    )
    w = torch.tensor([0.3, 0.7, -0.4], dtype=torch.float64)
    torch.testing.assert_close(node(w), plain(w), rtol=0, atol=1e-10)
    with pytest.raises(DeviceError, match="has no derivative by the numbers of"):
        node(w.requires_grad_())


def expval(x, w):
    qml.AngleEmbedding(x, [0, 1])
    qml.RY(w[0], 0)
    qml.CNOT([0, 1])
    qml.RX(w[1], 1)
    return qml.expval(qml.Z(1))


def test_mixed_derivatives_of_a_batch_in_torch():
    """d/dw of what depends on d/dx, for rows x of a batch: 0 by mistake, were the product no function of w."""
    found = []
    for name in ("qlazy.adjoint", "default.qubit"):
        node = qml.QNode(expval, qml.device(name, wires=2))
        x = torch.linspace(-1, 1, 6, dtype=torch.float64).reshape(3, 2).requires_grad_()
        w = torch.tensor([0.3, 0.8], dtype=torch.float64, requires_grad=True)
        outputs = node(x, w)
        (slope,) = torch.autograd.grad(outputs.sum(), x, create_graph=True)
        losses = slope.square().sum(), outputs.square().sum() + slope.sum()
        found.append([torch.autograd.grad(loss, w, retain_graph=True)[0] for loss in losses])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
        assert float(theirs.abs().max()) > 0.1


def test_mixed_derivatives_of_a_batch_are_refused_in_autograd():
    node = qml.QNode(expval, qml.device("qlazy.adjoint", wires=2))
    x = qml.numpy.linspace(-1, 1, 6, requires_grad=True).reshape(3, 2)
    w = qml.numpy.array([0.3, 0.8], requires_grad=True)

    def penalty(w):
        return qml.numpy.sum(qml.grad(lambda x: qml.numpy.sum(node(x, w)))(x) ** 2)

    with pytest.raises(DeviceError, match="first derivatives alone"):
        qml.grad(penalty)(w)

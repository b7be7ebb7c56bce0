"""The circuits of a Jacobian one by one: what they weigh, what one shot of them varies, and their own shots."""

from __future__ import annotations

import pennylane as qml
import pytest
import torch

from qlazy import Circuit, load_circuit
from qlazy.base.errors import UnsupportedModelError
from qlazy.quantum.backends.shifted import ShiftedCircuits
from tests.makers import inputs, rng
from tests.quantum.backends.test_devices import controlled, measured, with_shots

F64 = torch.float64


def reused(inputs, weights):
    """Weights that share sites, in formulas with the data, under four-term rules and with several outputs."""
    qml.RX(weights[0] * inputs[0] + weights[1], wires=0)
    qml.CRY(weights[1] ** 2, wires=[0, 1])
    qml.RZ(weights[0], wires=1)
    qml.RX(0.4, wires=1)
    return qml.expval(qml.Z(0)), qml.expval(3 * qml.X(0) @ qml.Y(1))


@pytest.mark.parametrize(("function", "size"), [(reused, 2), (measured, 3), (controlled, 2)])
def test_weights_times_outputs_are_the_jacobian(function, size):
    qnode = qml.QNode(function, qml.device("default.qubit", wires=3))
    exact, model = Circuit(qnode, {"weights": size}), Circuit(qnode, {"weights": size}, backend="device")
    params, x = exact.init(rng()), inputs(3, 1)
    circuits = ShiftedCircuits(model, params, x)
    found = circuits.jacobian(circuits.means(None))
    torch.testing.assert_close(found, exact.jacobian(params, x), rtol=0, atol=1e-10)
    assert circuits.weights.shape == (*circuits.shape, size)


def test_each_circuit_has_its_own_shots():
    device = qml.device("default.qubit", wires=2, seed=1)
    model = Circuit(qml.QNode(controlled, device), {"weights": 2}, backend="device").measured(50)
    circuits = ShiftedCircuits(model, torch.tensor([0.4, 0.9], dtype=F64), inputs(2, 1))
    shots = torch.arange(1, 1 + circuits.weights[..., 0].numel()).reshape(circuits.shape)
    with qml.Tracker(device) as tracker:
        circuits.means(shots)
    assert sorted(tracker.history["shots"]) == shots.flatten().tolist()


def test_the_variance_of_a_shot_is_that_of_a_sign():
    qnode = qml.QNode(reused, qml.device("default.qubit", wires=2, seed=3))
    circuits = ShiftedCircuits(
        Circuit(qnode, {"weights": 2}, backend="device").measured(1),
        torch.tensor([0.4, 0.9], dtype=F64),
        inputs(1, 1),
    )
    variances, pilot = circuits.variances(), circuits.pilot(20, batches=800)
    measured_ones = pilot.covariances.diagonal(dim1=2, dim2=3)
    # A variance from 800 batches has a relative error of sqrt(2 / 799) = .05.
    torch.testing.assert_close(measured_ones, variances, rtol=0.2, atol=0.02)
    assert variances[..., 1].max() > 1  # 3 X Y has outcomes +-3
    assert (pilot.means - circuits.means(None)).abs().max() < 5 * 3 / (800 * 20) ** 0.5


def test_gates_under_measurements_are_shifted_exactly_from_shots():
    """By PennyLane's own rule a conditioned gate is a difference with h = 1e-7, whose variance is 1e14 / S."""
    exact = Circuit(qml.QNode(measured, qml.device("default.qubit", wires=3)), {"weights": 3})
    model = Circuit(with_shots(measured, 3, shots=50), {"weights": 3}, backend="device")
    params, x = exact.init(rng()), inputs(1, 1)
    circuits = ShiftedCircuits(model, params, x)
    pilot = circuits.pilot(50, batches=12)
    # Each circuit of its own: its mean is the exact one, and its variance that of a sign.
    error = (circuits.variances() / (12 * 50)).sqrt()
    assert ((pilot.means - circuits.means(None)).abs() <= 4.5 * error + 1e-12).all()
    assert pilot.covariances.diagonal(dim1=2, dim2=3).max() < 2.0
    assert circuits.weights.abs().max() <= 1
    torch.testing.assert_close(
        circuits.jacobian(circuits.means(None)), exact.jacobian(params, x), rtol=0, atol=1e-10
    )


def test_refusals():
    model = load_circuit("single_qubit")
    params, x = model.init(rng()), torch.zeros(1, 0, dtype=F64)
    with pytest.raises(UnsupportedModelError, match="`model` must have backend='device'"):
        ShiftedCircuits(model, params, x)
    circuits = ShiftedCircuits(model.measured(10), params, x)
    with pytest.raises(ValueError, match="`shots` must be at least 1 for every circuit, but is 0"):
        circuits.means(torch.zeros(circuits.shape))
    with pytest.raises(ValueError, match=r"`shots` must have shape \(1, 2\)"):
        circuits.means(torch.ones(3))

    @qml.qnode(qml.device("default.qubit", wires=2))
    def two(inputs, theta):
        qml.RX(theta + inputs[0], wires=0)
        return qml.expval(qml.Z(0) + qml.X(1)), qml.expval(qml.Z(1))

    several = ShiftedCircuits(Circuit(two, {"theta": 1}).measured(9), torch.ones(1, dtype=F64), inputs(1, 1))
    with pytest.raises(UnsupportedModelError, match="Pauli words as outputs.*take a pilot"):
        several.variances()

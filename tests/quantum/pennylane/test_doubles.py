"""Plain numbers that PennyLane makes tensors of keep all their digits: 0.3 and not float32's 0.30000001."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
import torch

from qlazy import Circuit

F64 = torch.float64
make = qml.math


def padded(x, w):
    qml.AmplitudeEmbedding(x, wires=range(2), pad_with=0.3)


def padded_weights(x, w):
    qml.AmplitudeEmbedding(w, wires=range(2), pad_with=0.7)
    qml.RX(x[0], 0)


def array_like(x, w):
    qml.AngleEmbedding(make.array([0.1, 0.7], like=w) * x[:2], wires=range(2))


def converted(x, w):
    qml.AngleEmbedding(make.convert_like([0.1, 0.7], w) * w[:2] + x[:2], wires=range(2))


def stacked(x, w):
    qml.Rot(*make.stack([x[0], 0.1, w[0]]), wires=0)


def prepared(x, w):
    state = make.stack([x[0], x[1], 0.3, 0.7])
    qml.MottonenStatePreparation(state / make.norm(state), wires=range(2))


def list_of_numbers(x, w):
    qml.AngleEmbedding([x[0], 0.3], wires=range(2))


BODIES = [padded, padded_weights, array_like, converted, stacked, prepared, list_of_numbers]
NOT_BY_SHIFTS = {padded, padded_weights, prepared, list_of_numbers}


def circuit_of(body):
    @qml.qnode(qml.device("default.qubit", wires=2))
    def circuit(inputs, w):
        body(inputs, w)
        qml.CNOT([0, 1])
        qml.RX(w[1], 0)
        qml.RY(w[2], 1)
        return qml.expval(qml.Z(0)), qml.expval(qml.X(0) @ qml.Z(1))

    return circuit


@pytest.mark.filterwarnings("ignore::qlazy.SlowBackendWarning")
@pytest.mark.parametrize("backend", ["auto", "torch", "device"])
@pytest.mark.parametrize("body", BODIES)
def test_numbers_are_those_of_plain_calls_to_the_last_digits(body, backend):
    if backend == "device" and body in NOT_BY_SHIFTS:
        pytest.skip("prepares states of data, or asks for their values, which shifts do not take")
    circuit = circuit_of(body)
    model = Circuit(circuit, {"w": (3,)}, backend=backend)
    rng = np.random.default_rng(BODIES.index(body))
    params, x = rng.uniform(0.2, 3, 3), rng.uniform(0.2, 1.5, (3, 3))
    expected = np.array([circuit(inputs=row, w=params) for row in x])
    found = model(torch.tensor(params), torch.tensor(x)).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


def test_a_model_of_float32_stays_in_float32():
    model = Circuit(circuit_of(padded), {"w": (3,)})
    params, x = torch.tensor([0.3, 0.4, 0.5]), torch.tensor([[0.1, 0.2, 0.3]])
    assert model(params, x).dtype == model.jacobian(params, x).dtype == torch.float32


def test_tensors_of_the_users_own_keep_their_dtype():
    """A plain call gives 0.1f times x, and so does the model."""
    circuit = circuit_of(lambda x, w: qml.RX(float(torch.tensor(0.1)) * x[0] + w[0], 0))
    params, x = np.array([0.3, 0.4, 0.5]), np.array([[0.9, 0.2]])
    found = Circuit(circuit, {"w": (3,)})(torch.tensor(params), torch.tensor(x)).numpy()
    np.testing.assert_allclose(found[0], circuit(inputs=x[0], w=params), rtol=0, atol=1e-13)

"""PennyLane's transforms and powers on formulas: the numbers of plain calls, on the fast simulator."""

from __future__ import annotations

from functools import partial

import numpy as np
import pennylane as qml
import pytest
import torch

from qlazy import Circuit

WEIGHTS = np.array([0.7, -1.9, 0.4])
ROWS = np.random.default_rng(5).uniform(-1.5, 1.5, (2, 2))


def hold(circuit):
    def plain(weights):
        found = ([np.ravel(part) for part in circuit(inputs=row, w=weights)] for row in ROWS)
        return np.array([np.concatenate(parts) for parts in found])

    model = Circuit(circuit, {"w": 3})
    params, x = torch.from_numpy(WEIGHTS), torch.from_numpy(ROWS)
    np.testing.assert_allclose(model(params, x).numpy(), plain(WEIGHTS), rtol=0, atol=1e-11)
    slopes = [(plain(WEIGHTS + e) - plain(WEIGHTS - e)) / 2e-5 for e in 1e-5 * np.eye(3)]
    np.testing.assert_allclose(model.jacobian(params, x).numpy(), np.stack(slopes, -1), rtol=1e-7, atol=1e-8)
    assert model.backend == "adjoint", model.backend_reason


TRANSFORMS = {
    "merged": qml.transforms.merge_rotations,
    "cancelled and merged": lambda q: qml.transforms.merge_rotations(qml.transforms.cancel_inverses(q)),
    "compiled": qml.compile,
    "compiled twice": partial(qml.compile, num_passes=2),
}


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("seed", range(4))
def test_rotations_by_formulas_are_merged(name, seed):
    chance = np.random.default_rng(seed)
    places = [(chance.integers(5), chance.integers(2), chance.integers(5)) for _ in range(12)]

    def circuit(inputs, w):
        angles = [*w, *inputs]
        for kind, wire, place in places:
            if kind < 3:
                (qml.RX, qml.RZ, qml.RX)[kind](angles[place], wire)
            elif kind == 3:
                qml.Rot(angles[place], angles[place - 1], 0.3, wire)
            else:
                qml.CNOT([wire, 1 - wire])
        qml.RX(inputs[0], 0)
        qml.RX(w[0], 0)
        return qml.expval(qml.Z(0)), qml.expval(qml.X(1)), qml.probs(wires=[1, 0])

    hold(TRANSFORMS[name](qml.QNode(circuit, qml.device("default.qubit", wires=2))))


@pytest.mark.parametrize("power", [-2, -1, 0, 1, 3])
def test_whole_powers_of_gates_without_a_rule_for_them(power):
    @qml.qnode(qml.device("default.qubit", wires=2))
    def circuit(inputs, w):
        qml.RY(inputs[0], 0)
        qml.pow(qml.Rot(*w, 0), power)
        qml.ctrl(qml.pow(qml.Rot(inputs[1], *w[:2], 1), power), 0)
        qml.pow(qml.U2(w[0], w[1], 1), power)
        return qml.expval(qml.Z(0)), qml.expval(qml.X(1))

    hold(circuit)


@pytest.mark.parametrize("wires", [2, 4, None])
def test_values_of_deferred_measurements_are_read_where_they_are(wires):
    @qml.transforms.defer_measurements
    @qml.qnode(qml.device("default.qubit", wires=wires and wires + 2))
    def circuit(inputs, w):
        qml.RX(inputs[0] + w[0], 0)
        qml.RY(w[1], 1)
        first, second = qml.measure(0, reset=True), qml.measure(1)
        qml.cond(first, qml.RY)(w[2], 1)
        qml.RX(inputs[1], 0)
        values = qml.expval(first), qml.var(first + 2 * second), qml.probs(op=[second, first])
        return *values, qml.expval(qml.Z(0)), qml.expval(qml.Z(1))

    hold(circuit)

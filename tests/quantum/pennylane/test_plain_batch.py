"""Plain runs of several points at once give what default.qubit gives for each."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest

from qlazy.quantum.pennylane import plain, plain_batch
from qlazy.quantum.pennylane.plain import PlainQNode, Point
from qlazy.quantum.pennylane.plain_batch import BROADCAST, CONSTANT, NotTogetherError, results_of

OTHERS = {
    "QubitUnitary": lambda a, w: qml.QubitUnitary(qml.Rot.compute_matrix(*a), w[0]),
    "adjoint": lambda a, w: qml.adjoint(qml.RX(a[0], w[0])),
    "controlled": lambda a, w: qml.ctrl(qml.RY(a[0], w[0]), w[1], control_values=[0]),
    "power": lambda a, w: qml.pow(qml.RX(a[0], w[0]), 0.3),
    "product": lambda a, w: qml.RX(a[0], w[0]) @ qml.RY(a[1], w[1]),
    "DoubleExcitation": lambda a, w: qml.DoubleExcitation(a[0], w[:4]),
    "PauliRot": lambda a, w: qml.PauliRot(a[0], "XYZ", w[:3]),
    "diagonal": lambda a, w: qml.DiagonalQubitUnitary(np.exp(1j * a[:2]), w[0]),
    "single precision": lambda a, w: qml.RX(np.float32(a[0]), w[0]),
    "layers": lambda a, w: qml.StronglyEntanglingLayers(np.outer(a, a).reshape(1, 3, 3), w[:3]),
    "embedding": lambda a, w: qml.AngleEmbedding(a, w[:3], rotation="Y"),
    "QFT": lambda a, w: qml.QFT(w[:3]),
    "Identity": lambda a, w: qml.Identity(w[0]),
    "CNOT": lambda a, w: qml.CNOT([w[2], w[0]]),
}
WIRES = {"reversed": [3, 2, 1, 0], "labels": ["b", 0, "a", 7]}


def gate(kind, angles, wires):
    return kind(*angles[: kind.num_params], wires=wires[: kind.num_wires])


def tape_of(make, angles, wires, measurements):
    start = [qml.RY(0.3 + k, wire) for k, wire in enumerate(wires)]
    start += [qml.CNOT([wires[0], wires[2]]), qml.Rot(0.5, 0.8, -0.4, wires[0])]
    return qml.tape.QuantumScript(
        [*start, make(angles, wires), qml.CNOT([wires[1], wires[0]])], measurements(wires)
    )


def expected(tapes, device):
    results = qml.execute(tapes, device, diff_method=None, interface=None)
    return [
        np.stack(column)
        for column in zip(*(r if isinstance(r, tuple) else (r,) for r in results), strict=True)
    ]


def both(w):
    return [
        qml.expval(qml.Z(w[0])),
        qml.expval(0.5 * qml.X(w[0]) @ qml.Y(w[2]) - 0.25 * qml.Y(w[1])),
        qml.probs(wires=w[1:3]),
    ]


GATES = {
    kind.__name__: (lambda a, w, kind=kind: gate(kind, a, w))
    for kind in sorted(BROADCAST | CONSTANT, key=str)
}


@pytest.mark.parametrize("wires", WIRES.values(), ids=list(WIRES))
@pytest.mark.parametrize("name", [*GATES, *OTHERS])
def test_gates(name, wires):
    angles = np.random.default_rng(3).uniform(-3, 3, (3, 3))
    tapes = [tape_of((GATES | OTHERS)[name], row, wires, both) for row in angles]
    device = qml.device("default.qubit", wires=wires)
    try:
        found = results_of(tapes, device)
    except NotTogetherError:
        assert name in ("single precision", "product")  # which are left to the device
        return
    for one, other in zip(found, expected(tapes, device), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


MEASURED = {
    "words": lambda w: [
        qml.expval(qml.X(w[0]) @ qml.Y(w[1]) @ qml.Z(w[3])),
        qml.expval(qml.Y(w[1]) @ qml.Y(w[2])),
    ],
    "a sum": lambda w: [
        qml.expval(qml.Hamiltonian([0.3, -2.0, 4.0], [qml.Y(w[0]), qml.Z(w[1]), qml.I(w[0])]))
    ],
    "a matrix": lambda w: [qml.expval(qml.Hermitian(np.array([[1, 1j], [-1j, 2.0]]), w[1]))],
    "a projector": lambda w: [qml.expval(qml.Projector([1, 0], w[:2]))],
    "all probabilities": lambda w: [qml.probs()],
    "a variance": lambda w: [qml.var(qml.Z(w[0]) @ qml.X(w[1]))],
    "purity": lambda w: [qml.purity(w[:2]), qml.vn_entropy(w[:1])],
    "a wire not used": lambda w: [qml.expval(qml.Z("unused" if isinstance(w[0], str) else 9))],
}


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("wires", WIRES.values(), ids=list(WIRES))
@pytest.mark.parametrize("name", MEASURED)
def test_measurements(name, wires, fixed):
    angles = np.random.default_rng(4).uniform(-3, 3, (3, 3))
    tapes = [tape_of(OTHERS["layers"], row, wires, MEASURED[name]) for row in angles]
    device = qml.device("default.qubit", wires=[*wires, "unused", 9] if fixed else None)
    for one, other in zip(results_of(tapes, device), expected(tapes, device), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


def test_observables_with_numbers_of_their_own():
    tapes = [
        tape_of(OTHERS["layers"], np.ones(3), [0, 1, 2, 3], lambda w, c=c: [qml.expval(c * qml.Z(0))])
        for c in (1.0, 2.0)
    ]
    device = qml.device("default.qubit", wires=4)
    np.testing.assert_allclose(results_of(tapes, device), expected(tapes, device), rtol=0, atol=1e-12)


OTHER_CIRCUITS = {
    "another gate": lambda k: [qml.RX(0.3, 0) if k else qml.RY(0.3, 0)],
    "another wire": lambda k: [qml.RX(0.3, k)],
    "one gate more": lambda k: [qml.RX(0.3, 0)] * (k + 1),
    "a state": lambda k: [qml.StatePrep(np.array([0, 1.0]), 0)],
    "many wires": lambda k: [qml.MultiControlledX(list(range(6)))],
}


@pytest.mark.parametrize("name", OTHER_CIRCUITS)
def test_other_circuits_are_run_by_the_device(name):
    tapes = [qml.tape.QuantumScript(OTHER_CIRCUITS[name](k), [qml.expval(qml.Z(0))]) for k in (0, 1)]
    with pytest.raises(NotTogetherError):
        results_of(tapes, qml.device("default.qubit", wires=6))
    qnode = qml.QNode(lambda inputs: None, qml.device("default.qubit", wires=6))
    found = PlainQNode(qnode, qnode.device).quick_outputs(tapes)
    np.testing.assert_allclose(np.ravel(found), np.ravel(expected(tapes, qnode.device)), rtol=0, atol=1e-12)


def test_an_error_on_the_short_way_is_the_device_s_own(monkeypatch):
    monkeypatch.setattr(plain, "results_of", lambda tapes, device: 1 / 0)
    qnode = qml.QNode(circuit, qml.device("default.qubit", wires=1))
    reference = PlainQNode(qnode, qnode.device)
    found = reference.quick_outputs(
        [reference.quick_tape(Point({"w": np.array(0.4)}, "inputs", np.array([0.3])))]
    )
    np.testing.assert_allclose(found, [[np.cos(0.7)]], rtol=0, atol=1e-12)


def circuit(inputs, w):
    qml.RX(inputs[0] + w, 0)
    return qml.expval(qml.Z(0))


def test_points_are_run_together(monkeypatch):
    monkeypatch.setattr(PlainQNode, "run", None)
    assert plain_batch.KNOWN > BROADCAST
    qnode = qml.transforms.split_to_single_terms(qml.QNode(sums, qml.device("default.qubit", wires=2)))
    reference = PlainQNode(qnode, qnode.device)
    points = [Point({"w": np.array(w)}, "inputs", np.array([0.3])) for w in (0.4, 1.1)]
    found = reference.quick_outputs([reference.quick_tape(point) for point in points])
    np.testing.assert_allclose(found, np.cos([[0.7], [1.4]]) + 2 * np.cos(0.3), rtol=0, atol=1e-12)


def sums(inputs, w):
    qml.RX(inputs[0] + w, 0)
    qml.RY(inputs[0], 1)
    return qml.expval(qml.Z(0) + 2 * qml.Z(1))

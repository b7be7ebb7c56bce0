"""lightning.qubit and PennyLane devices held to the other backends, to closed forms of noise and to statistics."""

from __future__ import annotations

import itertools

import numpy as np
import pennylane as qml
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qlazy import Circuit, load_circuit
from qlazy.base.errors import UnsupportedModelError
from qlazy.quantum.corpus import load_program, names
from tests.makers import inputs, reuploading, rng
from tests.quantum.backends.test_agreement import OBSERVABLES, gates, qnode_of

F64 = torch.float64
OTHERS = ("torch", "lightning", "device")
UNITARY = [name for name in names() if load_program(name).is_unitary]
SMALL = {"n": 3}


def assert_agree(found: Circuit, expected: Circuit, params, x):
    def close(a, b):
        assert a.dtype == F64
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10)

    outputs = expected(params, x)
    close(found(params, x), outputs)
    close(found.jacobian(params, x), expected.jacobian(params, x))
    cotangent = inputs(*outputs.shape, seed=9)
    close(found.vjp(params, x, cotangent), expected.vjp(params, x, cotangent))


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize("name", UNITARY)
def test_families_of_the_corpus_run_alike_on_all_backends(name, backend):
    sizes = SMALL if "n" in load_program(name).sizes else {}
    expected, found = (
        load_circuit(name, backend="adjoint", **sizes),
        load_circuit(name, backend=backend, **sizes),
    )
    assert_agree(found, expected, expected.init(rng()), inputs(2, expected.program.num_features))
    assert found.backend == backend
    assert found.backend_reason == ""
    assert f"backend={backend}" in repr(found)


@settings(max_examples=12)
@given(st.lists(gates(), max_size=5), st.sampled_from(OBSERVABLES), st.sampled_from(OTHERS[1:]))
def test_random_circuits_run_alike(sequence, observables, backend):
    # The adjoint simulator is held to default.qubit, on the same circuits, in test_backends.
    qnode = qnode_of(sequence, observables)
    expected, found = (Circuit(qnode, {"weights": 5}, backend=b) for b in ("adjoint", backend))
    assert_agree(found, expected, 3 * inputs(5, seed=len(sequence)), 2 * inputs(2, 2))


@pytest.mark.parametrize("backend", OTHERS[1:])
def test_gradients_with_respect_to_inputs(backend):
    expected, found = (
        Circuit(reuploading, {"encoding": (2, 3), "weights": (2, 3, 3)}, backend=b)
        for b in ("adjoint", backend)
    )
    params, x = expected.init(rng()), inputs(2, 3).requires_grad_()
    by_input = [torch.autograd.grad(m(params, x).square().sum(), x)[0] for m in (found, expected)]
    torch.testing.assert_close(*by_input, rtol=0, atol=1e-10)


def hermitian(inputs, theta):
    qml.RX(theta * inputs[0], wires="a")
    qml.PauliRot(theta, "YIX", wires=["b", "c", "a"])
    qml.DiagonalQubitUnitary(np.exp(1j * np.arange(4)), wires=["a", "b"])
    qml.RY(theta, wires="b")
    return qml.expval(qml.Hermitian(np.array([[0.3, 0.1j], [-0.1j, 1.7]]), wires="b"))


@pytest.mark.parametrize("backend", OTHERS[1:])
@pytest.mark.parametrize("wires", [["c", "a", "b"], None])
def test_double_precision_named_wires_and_words(backend, wires):
    # Through a QNode lightning.qubit hands a single Hermitian to torch as float32, and its adjoint method, without
    # preprocessing, is wrong on PauliRot and DiagonalQubitUnitary.
    qnode = qml.QNode(hermitian, qml.device("lightning.qubit", wires=wires))
    if wires is None and backend == "lightning":
        qnode = qml.QNode(hermitian, qml.device("default.qubit"))
    expected, found = (Circuit(qnode, {"theta": 1}, backend=b) for b in ("adjoint", backend))
    assert_agree(found, expected, torch.tensor([0.7], dtype=F64), inputs(3, 1))


@pytest.mark.parametrize("backend", OTHERS[1:])
def test_single_precision_is_rounded_last(backend):
    model = Circuit(qml.QNode(hermitian, qml.device("default.qubit")), {"theta": 1}, backend=backend)
    params, x = torch.tensor([0.7]), inputs(3, 1).float()
    jacobian = model.jacobian(params, x)
    assert jacobian.dtype == torch.float32
    exact = model.jacobian(params.double(), x.double())
    torch.testing.assert_close(jacobian.double(), exact, rtol=1e-6, atol=1e-6)


NOISE = {
    # What a channel makes of <Z> (Nielsen and Chuang, chapter 8): the factor of cos(theta x), and the offset.
    "depolarizing": (lambda: qml.DepolarizingChannel(0.15, wires=0), 1 - 4 * 0.15 / 3, 0.0),
    "amplitude damping": (lambda: qml.AmplitudeDamping(0.3, wires=0), 0.7, 0.3),
    "bit flip": (lambda: qml.BitFlip(torch.tensor(0.1, dtype=F64), wires=0), 0.8, 0.0),
    "phase damping": (lambda: qml.PhaseDamping(0.4, wires=0), 1.0, 0.0),
}


@pytest.mark.parametrize("name", NOISE)
def test_noise_on_default_mixed_has_its_closed_form(name):
    channel, factor, offset = NOISE[name]

    @qml.qnode(qml.device("default.mixed", wires=1))
    def noisy(inputs, theta):
        qml.RX(theta * inputs[0], wires=0)
        channel()
        return qml.expval(qml.Z(0))

    model = Circuit(noisy, {"theta": 1}, backend="device")
    params, x = torch.tensor([0.8], dtype=F64), inputs(3, 1)
    angle = params * x
    torch.testing.assert_close(model(params, x), factor * torch.cos(angle) + offset, rtol=0, atol=1e-12)
    expected = (-factor * x * torch.sin(angle)).unsqueeze(1)
    torch.testing.assert_close(model.jacobian(params, x), expected, rtol=0, atol=1e-12)


def test_a_noise_model_added_to_a_qnode_is_run():
    noise = qml.NoiseModel({qml.noise.op_eq(qml.RX): qml.noise.partial_wires(qml.DepolarizingChannel, 0.15)})
    qnode = qml.add_noise(qml.QNode(rx, qml.device("default.mixed", wires=1)), noise)
    outputs = Circuit(qnode, {"theta": 1}, backend="device")(torch.zeros(1, dtype=F64), inputs(1, 1))
    torch.testing.assert_close(outputs, torch.full_like(outputs, 0.8), rtol=0, atol=1e-12)


def rx(inputs, theta):
    qml.RX(theta * inputs[0], wires=0)
    return qml.expval(qml.Z(0))


def nested(value, weights):
    qml.cond(value, qml.RX)(weights[1], wires=0)
    qml.Hadamard(wires=2)


def measured(inputs, weights):
    qml.RX(weights[0] * inputs[0], wires=0)
    qml.RY(weights[1], wires=1)
    first = qml.measure(0)
    qml.cond(first, qml.RY)(weights[2], wires=1)
    second = qml.measure(1, reset=True)
    qml.cond(second & first, qml.IsingXY)(weights[1], wires=[1, 2])
    qml.cond(~second, lambda: nested(first, weights))()
    qml.CRX(weights[0], wires=[2, 1])
    return qml.expval(qml.Z(1)), qml.expval(qml.X(2))


def test_gates_conditioned_on_measurements_are_shifted_exactly():
    qnode = qml.QNode(measured, qml.device("default.qubit", wires=3))
    exact, found = Circuit(qnode, {"weights": 3}), Circuit(qnode, {"weights": 3}, backend="device")
    params, x = exact.init(rng()), inputs(2, 1)
    assert_agree(found, exact, params, x)
    assert exact.backend == "branches"


SHOTS = 100


def with_shots(function, wires, shots=SHOTS, seed=3):
    return qml.set_shots(qml.QNode(function, qml.device("default.qubit", wires=wires, seed=seed)), shots)


def controlled(inputs, weights):
    qml.RY(weights[0] * inputs[0], wires=0)
    qml.CRX(weights[1], wires=[0, 1])
    qml.IsingXX(weights[0], wires=[0, 1])
    return qml.expval(qml.Z(0)), qml.expval(qml.Y(1))


@pytest.mark.parametrize(
    ("function", "wires", "size", "copies"), [(controlled, 2, 2, 64), (measured, 3, 3, 12)]
)
def test_outputs_and_jacobian_from_shots_are_unbiased(function, wires, size, copies):
    # Rows that are equal are still measured one by one, so that one call gives independent estimates.
    exact = Circuit(qml.QNode(function, qml.device("default.qubit", wires=wires)), {"weights": size})
    shots = Circuit(with_shots(function, wires), {"weights": size}, backend="device")
    params, x = exact.init(rng()), inputs(1, 1).expand(copies, 1)
    for estimate, truth in (
        (shots(params, x), exact(params, x[:1])),
        (shots.jacobian(params, x), exact.jacobian(params, x[:1])),
    ):
        error = estimate.std(0) / copies**0.5
        assert estimate.std(0).max() > 0.01
        # A site adds at most the variance of two means of signs, or four in the rule of a controlled rotation; the
        # finite difference of PennyLane on conditioned gates would have 1e6.
        assert estimate.std(0).max() < 1.0
        assert ((estimate.mean(0) - truth[0]).abs() <= 4 * error + 1e-12).all()


def test_the_seed_of_the_device_repeats_a_run():
    params, x = torch.tensor([0.4, 0.9], dtype=F64), inputs(3, 1)
    first, second, other = (
        Circuit(with_shots(controlled, 2, seed=seed), {"weights": 2}, backend="device").jacobian(params, x)
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_circuits_are_run_together_and_no_more_than_the_rules_need():
    device = qml.device("default.qubit", wires=2)
    model = Circuit(qml.QNode(controlled, device), {"weights": 2}, backend="device")
    params, x = torch.tensor([0.4, 0.9], dtype=F64), inputs(5, 1)
    model.jacobian(params, x)  # held to the QNode first
    with qml.Tracker(device) as tracker:
        model.jacobian(params, x)
    assert tracker.totals["batches"] == 1
    assert tracker.totals["simulations"] == 5 * (1 + 2 + 4 + 2)  # RY, CRX, IsingXX


counter = itertools.count()

REFUSED = {
    "VarianceMP": lambda x, w: (qml.RX(w * x[0], wires=0), qml.var(qml.Z(0))),
    "postselection": lambda x, w: (
        qml.RX(w * x[0], wires=0),
        qml.measure(0, postselect=1),
        qml.expval(qml.Z(0)),
    ),
    "differentiates a channel": lambda x, w: (
        qml.RX(w, wires=0),
        qml.DepolarizingChannel(w * x[0], wires=0),
        qml.expval(qml.Z(0)),
    ),
    "torch operation round": lambda x, w: (
        qml.RX(torch.round(w) + x[0], wires=0),
        qml.expval(qml.Z(0)),
    ),
    "branches made of weights": lambda x, w: (
        (qml.RX if w > 0 else qml.RY)(w * x[0], wires=0),
        qml.expval(qml.Z(0)),
    ),
    "queue the same at every call": lambda x, w: (
        qml.RX(w * x[0], wires=0),
        qml.RY(float(next(counter)), wires=0),
        qml.expval(qml.Z(0)),
    ),
    "not on the device": lambda x, w: (qml.RX(w * x[0], wires="b"), qml.expval(qml.Z(0))),
    "depends on weights or data": lambda x, w: (qml.RX(w * x[0], wires=0), qml.expval(w * qml.Z(0))),
    "condition within a condition": lambda x, w: (
        qml.RX(w * x[0], wires=0),
        qml.cond(qml.measure(0), qml.cond(qml.measure(1), qml.RX))(w, wires=0),
        qml.expval(qml.Z(0)),
    ),
    "is raising KeyError": lambda x, w: {}[0],
    r"must depend on `inputs`": lambda x, w: (qml.RX(w, wires=0), qml.expval(qml.Z(0))),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_parameter_shifts_do_not_take(reason):
    def circuit(inputs, w):
        return REFUSED[reason](inputs, w)[-1]

    model = Circuit(qml.QNode(circuit, qml.device("default.mixed", wires=2)), {"w": 1}, backend="device")
    with pytest.raises(UnsupportedModelError, match=reason):
        model(torch.ones(1), torch.ones(1, 1))


def many_probabilities(inputs, w):
    qml.RX(w * inputs[0], wires=0)
    return qml.probs(wires=range(9))


@pytest.mark.parametrize(
    ("function", "reason"), [(measured, "it measures on its way"), (many_probabilities, "9 wires")]
)
def test_what_lightning_does_not_take(function, reason):
    name = "weights" if function is measured else "w"
    model = Circuit(
        qml.QNode(function, qml.device("default.qubit", wires=9)), {name: (3,) if name != "w" else 1},
        backend="lightning",
    )  # fmt: skip
    with pytest.raises(UnsupportedModelError, match=f"lightning.qubit, but is not: .*{reason}"):
        model(torch.ones(model.num_params), torch.ones(1, 1))


@pytest.mark.parametrize("backend", ["auto", "adjoint", "lightning", "torch"])
@pytest.mark.parametrize(
    "qnode", [with_shots(rx, 1), qml.QNode(rx, qml.device("default.mixed", wires=1))], ids=["shots", "mixed"]
)
def test_shots_and_noise_want_the_device_by_name(qnode, backend):
    with pytest.raises(UnsupportedModelError, match="or be given backend='device'"):
        Circuit(qnode, {"theta": 1}, backend=backend)


def test_several_numbers_of_shots_are_refused():
    with pytest.raises(UnsupportedModelError, match="one number of shots"):
        Circuit(with_shots(rx, 1, shots=(10, 20)), {"theta": 1}, backend="device")


@pytest.mark.parametrize("backend", OTHERS)
def test_integer_inputs_are_the_same_numbers(backend):
    model = Circuit(qml.QNode(rx, qml.device("default.qubit", wires=1)), {"theta": 1}, backend=backend)
    theta, x = torch.ones(1, dtype=F64), torch.tensor([[1], [3]])
    torch.testing.assert_close(model(theta, x), model(theta, x.double()), rtol=0, atol=0)
    torch.testing.assert_close(model.jacobian(theta, x), model.jacobian(theta, x.double()), rtol=0, atol=0)

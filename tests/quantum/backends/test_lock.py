"""Every backend is held to the QNode called row by row in NumPy: right numbers or a refusal, never others."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pennylane as qml
import pytest
import torch
from pennylane.ops.mid_measure import MidMeasure

from qlazy import Circuit
from qlazy.base.errors import UnsupportedModelError
from qlazy.quantum.backends.agreement import lock, reference
from qlazy.quantum.backends.backend import TorchBackend
from qlazy.quantum.pennylane import device_tracing, plain_batch, tapes, tracing
from qlazy.quantum.pennylane.symbolic import tensor

pytestmark = pytest.mark.filterwarnings("ignore::qlazy.base.errors.SlowBackendWarning")

F64 = torch.float64
WEIGHTS = np.array([0.3, 0.7])
ROW = np.array([0.4, 0.9])
EXACT = ("auto", "adjoint", "torch", "lightning", "device")


def qnode_of(function, wires=2):
    return qml.QNode(function, qml.device("default.qubit", wires=wires))


def plain(qnode, weights=WEIGHTS, row=ROW, method=None):
    """Outputs (c,) of the QNode itself, in NumPy."""
    found = qnode.update(interface=None, diff_method=None, mcm_method=method)(inputs=row, weights=weights)
    return (
        np.concatenate([np.ravel(part) for part in found])
        if isinstance(found, tuple | list)
        else np.ravel(found)
    )


def differences(qnode, step=1e-5):
    return np.stack(
        [(plain(qnode, WEIGHTS + e) - plain(qnode, WEIGHTS - e)) / (2 * step) for e in step * np.eye(2)], 1
    )


def called(qnode, backend="auto"):
    model = Circuit(qnode, {"weights": 2}, backend=backend)
    params, x = torch.tensor(WEIGHTS, dtype=F64), torch.tensor(ROW, dtype=F64)[None]
    return model, model(params, x)[0].numpy(), model.jacobian(params, x)[0].numpy()


def check(qnode, backend="auto"):
    model, outputs, jacobian = called(qnode, backend)
    expected = plain(qnode)
    size = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(outputs / size, expected / size, rtol=0, atol=1e-11)
    np.testing.assert_allclose(jacobian / size, differences(qnode) / size, rtol=0, atol=1e-8)
    return model


def refusal_of(qnode, backend):
    """The words of a refusal, or none where the numbers are right."""
    try:
        check(qnode, backend)
    except UnsupportedModelError as refusal:
        return str(refusal)
    return ""


# -- points, scales and tolerances ---------------------------------------------------------------------------------

ANGLES = {
    "sqrt of a weight": lambda i, w: i[0] * torch.sqrt(w[0]),
    "log of an input": lambda i, w: w[0] * torch.log(i[1]),
    "arcsin of an input": lambda i, w: w[0] * torch.asin(i[1]),
    "arccos of two inputs": lambda i, w: w[0] + torch.acos(i[0] * i[1]),
    "one over an input": lambda i, w: w[0] / i[0],
    "sqrt of a difference of inputs": lambda i, w: w[0] * torch.sqrt(i[1] - i[0]),
}


@pytest.mark.parametrize("name", ANGLES)
def test_a_formula_with_a_domain_is_held_to_the_qnode_where_it_is_finite(name):
    def circuit(inputs, weights):
        qml.RX(ANGLES[name](inputs, weights), 0)
        qml.RX(weights[1], 0)
        return qml.expval(qml.Z(0))

    model, outputs, _ = called(qnode_of(circuit))
    assert (model.backend, model.backend_reason) == ("adjoint", "")
    angle = float(ANGLES[name](torch.tensor(ROW), torch.tensor(WEIGHTS)))
    np.testing.assert_allclose(outputs, math.cos(angle + WEIGHTS[1]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-9, 1e-4, 1e4, 1e8, 1e12])
def test_coefficients_of_any_size(scale):
    def circuit(inputs, weights):
        qml.RY(inputs[0], 0)
        qml.RX(weights[0], 0)
        qml.CNOT([0, 1])
        qml.RY(weights[1] * inputs[1], 1)
        return qml.expval(scale * qml.Z(1) + scale * qml.X(0) @ qml.Y(1)), qml.expval(qml.Z(0))

    assert check(qnode_of(circuit)).backend == "adjoint"


# -- PennyLane's torch interface is no reference -----------------------------------------------------------------------

LOST = {
    "product with a list of wires": lambda w: qml.CNOT([0, 1]) @ qml.RX(w[0], 0),
    "product of three": lambda w: qml.CNOT([0, 1]) @ qml.RX(w[0], 0) @ qml.RY(w[1], 1),
    "SelectPauliRot about X": lambda w: qml.SelectPauliRot(w, [0], 1, rot_axis="X"),
    "SelectPauliRot about Y": lambda w: qml.SelectPauliRot(w, [0], 1, rot_axis="Y"),
    "BlockEncode": lambda w: qml.BlockEncode(0.3 * w[0], wires=[0]),
}


@pytest.mark.parametrize("backend", ["auto", "torch", "device"])
@pytest.mark.parametrize("name", LOST)
def test_what_torch_loses_is_right_or_refused(name, backend):
    def circuit(inputs, weights):
        qml.RY(inputs[0], 0)
        qml.RX(inputs[1] + weights[1], 1)
        LOST[name](weights)
        return qml.expval(qml.Z(0)), qml.expval(qml.Z(1))

    assert refusal_of(qnode_of(circuit), backend)[:13] in ("", "`qnode` must ")


# -- values measured on the way ----------------------------------------------------------------------------------------

MEASURED = {
    "probs of a value": lambda a, b: qml.probs(op=a),
    "probs of two values": lambda a, b: qml.probs(op=[b, a]),
    "expval of a value": lambda a, b: (qml.expval(a), qml.expval(qml.Z(1))),
    "a sum of values": lambda a, b: qml.expval(2 * a - 3 * b + 1),
    "a product of values": lambda a, b: (qml.expval(a * b), qml.probs(wires=[1]), qml.probs(op=a)),
    "a comparison": lambda a, b: (qml.expval(a == b), qml.expval(qml.X(0)), qml.expval(b)),
}


def measuring(name, reset=False):
    def circuit(inputs, weights):
        qml.RY(inputs[0] + weights[0], 0)
        first = qml.measure(0, reset=reset)
        qml.cond(first, qml.RX)(weights[1], 1)
        qml.RY(inputs[1], 1)
        second = qml.measure(1)
        qml.RX(weights[0], 0)
        return MEASURED[name](first, second)

    return qml.QNode(circuit, qml.device("default.qubit"))


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("backend", ["auto", "branches", "device"])
@pytest.mark.parametrize("name", MEASURED)
def test_outputs_of_measured_values(name, backend, reset):
    assert check(measuring(name, reset), backend).backend == ("branches" if backend == "auto" else backend)


@pytest.mark.parametrize("backend", ["adjoint", "torch", "lightning"])
@pytest.mark.parametrize("name", MEASURED)
def test_measured_values_are_refused_where_they_cannot_be_read(name, backend):
    with pytest.raises(UnsupportedModelError, match="measures on its way"):
        called(measuring(name), backend)


# -- what transforms make of results -------------------------------------------------------------------------------


@qml.transform
def doubled(tape):
    return (tape,), lambda results: 2 * results[0]


@qml.transform
def squared(tape):
    return (tape,), lambda results: results[0] ** 2


@qml.transform
def shifted(tape):
    return (tape,), lambda results: 1 - 0.5 * results[0]


@qml.transform
def twice(tape):
    return (tape, tape), lambda results: results[0] + results[1]


TRANSFORMS = {
    "doubled": doubled,
    "shifted": shifted,
    "squared": squared,
    "twice": twice,
    "single terms": qml.transforms.split_to_single_terms,
    "non commuting": qml.transforms.split_non_commuting,
}


@pytest.mark.parametrize("backend", EXACT)
@pytest.mark.parametrize("wires", [2, 13])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_keep_what_they_make_of_results(name, wires, backend):
    def circuit(inputs, weights):
        for wire in range(wires):
            qml.RY(inputs[0] + weights[0], wire)
        qml.CNOT([0, 1])
        qml.RX(weights[1] * inputs[1], 1)
        return qml.expval(qml.Z(0) @ qml.Z(1) + 0.5 * qml.Z(1) - 0.25 * qml.Z(0))

    refusal = refusal_of(TRANSFORMS[name](qnode_of(circuit, wires)), backend)
    assert not refusal or ("its transforms" in refusal and backend not in ("auto", "torch"))


# -- the order of probs() ------------------------------------------------------------------------------------------

ORDERS = {
    "falling": [3, 2, 1, 0],
    "mixed": [1, 3, 0, 2],
    "not from 0": [7, 5, 6],
    "letters": ["c", "a", "b"],
    "mixed labels": [1, "a", 0],
    "a gap": [2, 0],
}


@pytest.mark.parametrize("backend", EXACT)
@pytest.mark.parametrize("name", ORDERS)
def test_probs_of_a_device_without_wires(name, backend):
    labels = ORDERS[name]

    def circuit(inputs, weights):
        for k, wire in enumerate(labels):
            qml.RY((k + 1) * weights[k % 2] + inputs[k % 2], wire)
        qml.IsingXX(weights[0], labels[1::-1])
        return qml.probs()

    check(qml.QNode(circuit, qml.device("default.qubit")), backend)


@pytest.mark.parametrize("backend", ["auto", "device"])
def test_probs_of_thirteen_wires_first_used_from_the_last(backend):
    def circuit(inputs, weights):
        for k, wire in enumerate(reversed(range(13))):
            qml.RY((k + 1) / 5 * weights[0] + inputs[0] + weights[1], wire)
        return qml.probs()

    _, outputs, _ = called(qnode := qml.QNode(circuit, qml.device("default.qubit")), backend)
    np.testing.assert_allclose(outputs, plain(qnode), rtol=0, atol=1e-14)


# -- stopped gradients ---------------------------------------------------------------------------------------------


def under_no_grad(t):
    with torch.no_grad():
        return 2 * t


STOPPED = {
    "detach": lambda t: t.detach(),
    "data": lambda t: t.data,
    "no_grad": under_no_grad,
    "detach of a sine": lambda t: torch.sin(t).detach(),
    "sine of detached": lambda t: torch.sin(t.detach()),
    "clone and detach": lambda t: t.clone().detach(),
}
MIXED = {
    "half stopped": lambda t: t.detach() * t,
    "a sum": lambda t: t + torch.cos(t.detach()),
    "under no_grad and not": lambda t: under_no_grad(t) * t,
}


def stopping(stop):
    def circuit(inputs, weights):
        qml.RX(inputs[0], 0)
        qml.RX(stop(weights[0]), 0)
        qml.RY(weights[1] * inputs[1], 0)
        return qml.expval(qml.Z(0))

    return qnode_of(circuit, 1)


@pytest.mark.parametrize("backend", EXACT)
@pytest.mark.parametrize("name", [*STOPPED, *MIXED])
def test_stopped_gradients_are_those_of_torch_on_every_backend(name, backend):
    """The oracle is torch's own backward pass through one plain call, on one wire without templates."""
    qnode = stopping((STOPPED | MIXED)[name])
    weights = torch.tensor(WEIGHTS, dtype=F64, requires_grad=True)
    expected = qnode.update(interface="torch")(inputs=torch.tensor(ROW), weights=weights)
    (gradient,) = torch.autograd.grad(expected, weights)
    model, outputs, jacobian = called(qnode, backend)
    np.testing.assert_allclose(outputs, expected.detach(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(jacobian[0], gradient, rtol=0, atol=1e-12)
    direction = torch.tensor([0.8, -0.3], dtype=F64)
    forward = model.jvp(torch.tensor(WEIGHTS), torch.tensor(ROW)[None], direction)
    np.testing.assert_allclose(forward[0, 0], gradient @ direction, rtol=0, atol=1e-12)
    assert (gradient[0] == 0) == (name in STOPPED)


OUTSIDE = {
    "float": float,
    "item": lambda t: t.item(),
    "math": lambda t: math.sin(t),
    "tolist": lambda t: t.tolist(),
}
IN_NUMPY = {"numpy": lambda t: np.sin(t), "array": lambda t: np.asarray(t) * 2}


@pytest.mark.parametrize("backend", EXACT)
@pytest.mark.parametrize("name", OUTSIDE)
def test_weights_that_leave_torch_are_refused(name, backend):
    with pytest.raises(UnsupportedModelError, match="`qnode` must"):
        called(stopping(OUTSIDE[name]), backend)


@pytest.mark.parametrize("backend", EXACT)
@pytest.mark.parametrize("name", IN_NUMPY)
def test_numpy_on_weights_is_run_but_under_torch(name, backend):
    if backend == "torch":
        with pytest.raises(UnsupportedModelError, match="`qnode` must"):
            called(stopping(IN_NUMPY[name]), backend)
    else:
        check(stopping(IN_NUMPY[name]), backend)


# -- the lock seen to fail -----------------------------------------------------------------------------------------


def test_read_as_the_final_distribution_it_refuses(monkeypatch):
    def final(measurement, copies):
        return (tapes.Probabilities(tuple(range(len(measurement.wires)))),)

    monkeypatch.setattr(tracing, "of_values", final)
    with pytest.raises(UnsupportedModelError, match="row by row in NumPy gives"):
        called(measuring("probs of a value", reset=True))


@pytest.mark.parametrize("backend", ["adjoint", "lightning", "device"])
def test_without_what_transforms_make_of_results_it_refuses(monkeypatch, backend):
    monkeypatch.setattr(tapes, "_affine", lambda tape, combine: None)

    def circuit(inputs, weights):
        qml.RX(inputs[0] * weights[0] + weights[1], 0)
        return qml.expval(qml.Z(0))

    with pytest.raises(UnsupportedModelError, match="row by row in NumPy gives"):
        called(doubled(qnode_of(circuit)), backend)


@pytest.mark.parametrize("backend", ["adjoint", "lightning", "device"])
def test_in_the_order_of_first_use_it_refuses(monkeypatch, backend):
    for module in (tracing, device_tracing):
        monkeypatch.setattr(module, "wire_order", lambda qnode, tape: tuple(tape.wires))

    def circuit(inputs, weights):
        qml.RY(weights[0] + inputs[0], 1)
        qml.RX(weights[1], 0)
        return qml.probs()

    with pytest.raises(UnsupportedModelError, match="row by row in NumPy gives"):
        called(qml.QNode(circuit, qml.device("default.qubit")), backend)


@pytest.mark.parametrize("backend", ["adjoint", "lightning", "device"])
@pytest.mark.parametrize("name", STOPPED)
def test_with_gradients_not_stopped_it_refuses(monkeypatch, name, backend):
    monkeypatch.setattr(tensor, "stops_gradient", lambda func: False)  # the reference has it by its own name
    with pytest.raises(UnsupportedModelError, match="derivative along a random direction"):
        called(stopping(STOPPED[name]), backend)


@pytest.mark.parametrize("backend", EXACT)
@pytest.mark.parametrize("constants", [1, 20])
def test_a_lost_derivative_is_seen_beside_outputs_that_never_change(monkeypatch, constants, backend):
    def circuit(inputs, weights):
        qml.RY(inputs[0] * weights[0], 0)
        qml.RX(weights[1], 0)
        return [qml.expval(qml.Z(0)), *(qml.expval(qml.X(2)) for _ in range(constants))]

    monkeypatch.setattr(lock, "_slope", lambda backend, around, weights: 0.0)
    lost = (lambda *_: None) if backend == "torch" else (lambda *_: np.zeros((1 + constants, 2)))
    monkeypatch.setattr(lock, "_jacobian", lost)
    with pytest.raises(UnsupportedModelError, match="along a random direction is 0, where"):
        called(qnode_of(circuit, wires=3), backend)


def test_auto_goes_on_to_the_next_backend(monkeypatch):
    for module in (tracing, device_tracing):
        monkeypatch.setattr(module, "wire_order", lambda qnode, tape: tuple(tape.wires))

    def circuit(inputs, weights):
        qml.RY(weights[0] + inputs[0], 1)
        qml.RX(weights[1], 0)
        return qml.probs()

    model = check(qml.QNode(circuit, qml.device("default.qubit")))
    assert model.backend == "torch"
    assert "row by row in NumPy gives" in model.backend_reason


# -- where it cannot be made ---------------------------------------------------------------------------------------


def simple(inputs, weights):
    qml.RX(inputs[0] * weights[0] + weights[1], 0)
    return qml.expval(qml.Z(0))


def test_a_circuit_that_is_too_large_says_that_it_is_not_checked(monkeypatch):
    monkeypatch.setattr(reference, "WORK", 1.0)
    model, _, _ = called(qnode_of(simple))
    assert model.backend_reason == "not checked against the QNode, too large on 1 wires"


def test_a_random_device_says_that_it_is_not_checked():
    model, _, _ = called(qml.set_shots(qnode_of(simple), 10), "device")
    assert "shots are random" in model.backend_reason


def test_nowhere_finite_says_that_it_is_not_checked():
    def circuit(inputs, weights):
        qml.RX(torch.log(-torch.exp(weights[0])) * inputs[0] * weights[1], 0)
        return qml.expval(qml.Z(0))

    model = Circuit(qnode_of(circuit), {"weights": 2})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model(torch.tensor(WEIGHTS), torch.tensor(ROW)[None])
    assert "not finite at any point tried" in model.backend_reason


def test_the_reference_runs_on_the_device_itself():
    def noisy(inputs, weights):
        qml.RX(inputs[0] * weights[0] + weights[1], 0)
        qml.DepolarizingChannel(0.1, 0)
        return qml.expval(qml.Z(0))

    qnode = qml.QNode(noisy, qml.device("default.mixed", wires=1))
    assert check(qnode, "device").backend_reason == ""


def test_a_device_in_single_precision_is_held_to_its_digits():
    device = qml.device("lightning.qubit", wires=1, c_dtype=np.complex64)
    model, outputs, jacobian = called(qml.QNode(simple, device), "device")
    assert model.backend_reason == ""
    np.testing.assert_allclose(outputs, plain(qnode_of(simple)), atol=1e-5)
    np.testing.assert_allclose(jacobian, differences(qnode_of(simple)), atol=1e-5)


# -- words ---------------------------------------------------------------------------------------------------------


def wrong_shape(inputs, weights):
    qml.StronglyEntanglingLayers(weights, wires=range(2))
    qml.RX(inputs[0], 0)
    return qml.expval(qml.Z(0))


MISTAKES = {
    "weights of shape": (wrong_shape, "must run for `inputs` of shape"),
    "too few features": (
        lambda inputs, weights: (qml.RX(weights[0] * inputs[5], 0), qml.expval(qml.Z(0)))[1],
        "run for `inputs` of shape",
    ),
    "a batch in mind": (
        lambda inputs, weights: (qml.RX(weights[0] * inputs[:, 0], 0), qml.expval(qml.Z(0)))[1],
        r"inputs\[\.\.\., 0\] works for both",
    ),
    "a missing wire": (lambda inputs, weights: (qml.RX(weights[0] * inputs[0], 5), qml.expval(qml.Z(0)))[1], "wires"),
    "no return": (lambda inputs, weights: qml.RX(weights[0] * inputs[0], 0) and None, "returning nothing measured"),
    "sample": (lambda inputs, weights: (qml.RX(weights[0] * inputs[0], 0), qml.sample())[1], "SampleMP"),
    "counts": (lambda inputs, weights: (qml.RX(weights[0] * inputs[0], 0), qml.counts())[1], "CountsMP"),
    "shadows": (
        lambda inputs, weights: (qml.RX(weights[0] * inputs[0], 0), qml.classical_shadow(wires=[0]))[1],
        "ClassicalShadowMP",
    ),
    "density matrix": (
        lambda inputs, weights: (qml.RX(weights[0] * inputs[0], 0), qml.density_matrix([0]))[1],
        "DensityMatrixMP",
    ),
    "a channel": (
        lambda inputs, weights: (
            qml.RX(weights[0] * inputs[0], 0), qml.BitFlip(0.1, 0), qml.expval(qml.Z(0)),
        )[2],
        "default.mixed with backend='device'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_named_before_any_warning(name):
    function, words = MISTAKES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UnsupportedModelError, match=words):
            called(qnode_of(function))


def test_measured_once_as_the_reference_takes_it():
    """The tape that is run has the measurement that its values name."""
    tape = reference.PlainQNode(measuring("probs of a value"), qml.device("default.qubit")).tape(
        reference.Point({"weights": WEIGHTS}, "inputs", ROW)
    )
    (first, second) = [op for op in tape.operations if isinstance(op, MidMeasure)]
    assert tape.measurements[0].mv.measurements[0].meas_uid == first.meas_uid != second.meas_uid


# -- what is held when ---------------------------------------------------------------------------------------------


def in_order(inputs, weights):
    qml.RY(inputs[0], 0)
    qml.RX(weights[0] * inputs[1], 0)
    qml.CNOT([0, 1])
    qml.RY(weights[1], 1)
    return qml.expval(qml.Z(1))


def off_by(factor):
    """What a backend of another gate gives, as the torch interface does for some."""

    def measure(self, params, row):
        weights = self.weights(params)["weights"]
        return (torch.cos(row[0]) * torch.cos(weights[0] * row[1]) * torch.cos(factor * weights[1])).reshape(
            1
        )

    return measure


@pytest.mark.parametrize(
    "x", [ROW, np.zeros(2), np.array([0.4, math.pi / 2])], ids=["generic", "zero", "half a turn"]
)
def test_the_first_outputs_of_torch_are_held_to_the_qnode(monkeypatch, x):
    monkeypatch.setattr(TorchBackend, "measure", off_by(1.001))
    model = Circuit(qnode_of(in_order), {"weights": 2}, backend="torch")
    for _ in range(2):
        with pytest.raises(UnsupportedModelError, match="row by row in NumPy gives"):
            model(torch.tensor(WEIGHTS), torch.tensor(x)[None])


def test_errors_of_torch_are_refused_in_words(monkeypatch):
    monkeypatch.setattr(TorchBackend, "measure", lambda self, params, row: {}["no such gate"])
    model = Circuit(qnode_of(in_order), {"weights": 2}, backend="torch")
    with pytest.raises(UnsupportedModelError, match="raises KeyError: 'no such gate'"):
        model(torch.tensor(WEIGHTS), torch.tensor(ROW)[None])


def with_dual_numbers(model, params, x):
    with torch.autograd.forward_ad.dual_level():
        return model(torch.autograd.forward_ad.make_dual(params, torch.ones_like(params)), x)


FIRST_DERIVATIVES = {
    "jacobian": lambda m, w, x: m.jacobian(w, x),
    "jvp": lambda m, w, x: m.jvp(w, x, torch.ones_like(w)),
    "vjp": lambda m, w, x: m.vjp(w, x, torch.ones(1, 1, dtype=F64)),
    "gram": lambda m, w, x: m.gram(w, x),
    "backward": lambda m, w, x: m(w.requires_grad_(), x),
    "by inputs": lambda m, w, x: m(w, x.requires_grad_()),
    "grad": lambda m, w, x: torch.func.grad(lambda v: m(v, x).sum())(w),
    "dual numbers": lambda m, w, x: with_dual_numbers(m, w, x),
}


@pytest.mark.parametrize("backend", ["torch", "device"])
@pytest.mark.parametrize("name", FIRST_DERIVATIVES)
def test_derivatives_are_held_before_the_first_of_them(monkeypatch, name, backend):
    model = Circuit(qnode_of(in_order), {"weights": 2}, backend=backend)
    params, x = torch.tensor(WEIGHTS), torch.tensor(ROW)[None]
    model(params, x)
    monkeypatch.setattr(lock, "_jacobian", lambda backend, around: None)
    monkeypatch.setattr(lock, "_slope", lambda backend, around, weights: 0.123)
    for _ in range(2):
        with pytest.raises(UnsupportedModelError, match="derivative along a random direction is 0.123"):
            FIRST_DERIVATIVES[name](model, params, x)


@pytest.mark.parametrize("backend", EXACT)
def test_numbers_that_agree_the_short_way_are_not_run_again(monkeypatch, backend):
    monkeypatch.setattr(reference.PlainQNode, "run", None)
    model, outputs, _ = called(qnode_of(in_order), backend)
    expected = math.cos(ROW[0]) * math.cos(WEIGHTS[0] * ROW[1]) * math.cos(WEIGHTS[1])
    np.testing.assert_allclose(outputs, [expected], rtol=0, atol=1e-12)
    assert not model.backend_reason


@pytest.mark.parametrize("backend", EXACT)
def test_where_the_short_way_is_wrong_the_qnode_has_the_last_word(monkeypatch, backend):
    monkeypatch.setattr(plain_batch, "_expectation", lambda words, states: np.full(len(states), 0.3))
    model = check(qnode_of(in_order), backend)
    assert not model.backend_reason

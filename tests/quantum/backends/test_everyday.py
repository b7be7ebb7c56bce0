"""QNodes as people write them run on the simulators: values and Jacobians are those of the plain QNode in NumPy."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pennylane as qml
import pytest
import torch
from torch.nn import functional as F

import qlazy
from qlazy.quantum.pennylane.plain import PlainQNode, Point
from tests.makers import inputs as tensors

DEVICE = qml.device("default.qubit", wires=3)
STEP = 1e-5
ROWS = np.array([[0.4, -1.3, 2.2, 0.7], [-0.9, 0.35, 1.1, -2.1]])
BITS = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
UNIT = ROWS / np.linalg.norm(ROWS, axis=1, keepdims=True)

Body = Callable[[Any, Any], Any]


def mix(w: Any) -> None:
    qml.CNOT([0, 1])
    qml.RY(w[0], 0)
    qml.RX(w[1], 1)
    qml.CNOT([1, 2])
    qml.RY(w[2], 2)
    qml.CNOT([2, 0])
    qml.RX(w[3], 0)


def turned_by(angle: Body) -> Body:
    """<Z> after rotations, the first by ``angle`` of inputs and weights."""

    def body(i: Any, w: Any) -> Any:
        qml.Hadamard(1)
        qml.RY(i[0], 0)
        qml.RX(angle(i, w), 1)
        mix(w)
        return qml.expval(qml.Z(0))

    return body


def after(prepare: Callable[[Any, Any], Any], out: Callable[[], Any] = lambda: qml.expval(qml.Z(0))) -> Body:
    def body(i: Any, w: Any) -> Any:
        prepare(i, w)
        mix(w)
        return out()

    return body


def measuring(out: Body) -> Body:
    """Outputs of inputs and weights after an encoding and trained rotations."""

    def body(i: Any, w: Any) -> Any:
        qml.RY(i[0], 0)
        qml.RX(i[1], 1)
        mix(w)
        return out(i, w)

    return body


A = torch.linspace(-1, 1, 16, dtype=torch.float64).reshape(4, 4)

FORMULAS: dict[str, Body] = {
    "tanh": lambda i, w: torch.tanh(w[0] * i[0]),
    "sigmoid": lambda i, w: torch.sigmoid(w[0]) * i[0],
    "softmax": lambda i, w: torch.softmax(w, 0)[1] * i[0] + F.softmax(i * w, dim=-1)[2],
    "abs": lambda i, w: torch.abs(w[0] - 2) * abs(i[0]),
    "relu": lambda i, w: F.relu(w[0] * i[0]) + torch.relu(w[1] * i[1]),
    "gelu, silu, elu": lambda i, w: F.gelu(w[0] * i[0]) + F.silu(w[1] * i[1]) + F.elu(-w[2]),
    "clamp": lambda i, w: torch.clamp(w[0] * i[0], -0.5, 0.5) + w[1].clamp(min=0.3) * i[1],
    "where": lambda i, w: torch.where(i[0] > 0, w[0], 2 * w[1]),
    "atan2": lambda i, w: torch.atan2(w[0] * i[0], w[1] + i[1]),
    "einsum": lambda i, w: torch.einsum("i,ij,j->", i, A, w),
    "norm": lambda i, w: torch.linalg.norm(w * i) + i.norm() * w[0],
    "normalise": lambda i, w: F.normalize(w, dim=0)[0] * F.normalize(i, dim=0)[1] * 3,
    "remainder": lambda i, w: (w[0] * 5) % 1.7 + (i[0] * w[1]) % 2.0,
    "max": lambda i, w: w.max() * i.min() + torch.maximum(w[0], i[0]),
    "prod": lambda i, w: torch.prod(w) * torch.prod(i),
    "cumsum": lambda i, w: torch.cumsum(w * i, 0)[2] * w.cumsum(0)[1],
    "log1p": lambda i, w: torch.log1p(w[0] ** 2) * torch.log1p(abs(i[0])),
    "linear": lambda i, w: F.linear(i, w.reshape(2, 2) @ A[:2], w[:2]).tanh().sum(),
    "a net": lambda i, w: torch.tanh(A @ torch.tanh(A * w @ i)).sum(),
    "layer norm": lambda i, w: F.layer_norm(i * w, (4,))[1] * w[0],
    "complex phase": lambda i, w: torch.angle(torch.exp(1j * w[0]) * (i[0] + 1j)),
    "written into": lambda i, w: [c := w * i, c.__setitem__(0, c[1] * w[2])][0][0],
}  # fmt: skip


def unitary(w: Any) -> Any:
    phase, turn = torch.exp(1j * w[0]), torch.stack([torch.cos(w[1]), torch.sin(w[1])]) + 0j
    return torch.stack([turn[0] * phase, -turn[1], turn[1], turn[0] / phase]).reshape(2, 2)


H = qml.dot([0.4, 0.9, -0.3], [qml.X(0), qml.Z(0) @ qml.Y(1), qml.Z(2)])
GATES: dict[str, Body] = {
    "evolve a word": after(lambda i, w: (qml.RY(i[0], 0), qml.evolve(qml.Z(0) @ qml.X(1), w[0] * i[1]))),
    "evolve a sum": after(lambda i, w: (qml.RY(i[0], 0), qml.evolve(H, w[0]))),
    "exp": after(lambda i, w: (qml.RY(i[0], 0), qml.exp(qml.X(0) @ qml.Y(1), -0.5j * w[0]))),
    "TrotterProduct": after(lambda i, w: (qml.RY(i[0], 0), qml.TrotterProduct(H, w[0], n=2, order=1))),
    "TrotterProduct, order 2": after(
        lambda i, w: (qml.RY(w[0], 0), qml.TrotterProduct(H, i[0], n=1, order=2))
    ),
    "PCPhase": after(lambda i, w: (qml.RY(i[0], 0), qml.Hadamard(1), qml.PCPhase(w[0], 3, [0, 1]))),
    "QubitUnitary": after(lambda i, w: (qml.RY(i[0], 0), qml.QubitUnitary(unitary(w), 0))),
    "QubitUnitary of both": after(
        lambda i, w: (qml.RY(i[0], 0), qml.QubitUnitary(torch.linalg.matrix_exp(1j * _herm(i, w)), 1))
    ),
}  # fmt: skip


def _herm(i: Any, w: Any) -> Any:
    off = torch.complex(w[0] * i[0], w[1])
    return torch.stack([w[2] + 0j, off, off.conj(), i[1] + 0j]).reshape(2, 2)


STATES: dict[str, tuple[Body, Any]] = {
    "AmplitudeEmbedding": (after(lambda i, w: qml.AmplitudeEmbedding(i, [0, 1])), UNIT),
    "AmplitudeEmbedding, normalised": (
        after(lambda i, w: qml.AmplitudeEmbedding(i, [2, 0], normalize=True)),
        ROWS,
    ),
    "AmplitudeEmbedding, padded": (
        after(lambda i, w: qml.AmplitudeEmbedding(i[:3], [0, 1], pad_with=0.3)),
        ROWS,
    ),
    "AmplitudeEmbedding, padded with 0": (
        after(lambda i, w: qml.AmplitudeEmbedding(i, range(3), pad_with=0.0, normalize=True)),
        ROWS * [1, 0, 0, 1],
    ),
    "AmplitudeEmbedding, complex": (
        after(lambda i, w: qml.AmplitudeEmbedding(i[:2] + 1j * i[2:], 0, normalize=True)),
        ROWS,
    ),
    "AmplitudeEmbedding of a map": (
        after(lambda i, w: qml.AmplitudeEmbedding(torch.tanh(i * w), [0, 1], normalize=True)),
        ROWS,
    ),
    "AmplitudeEmbedding beside angles": (
        after(lambda i, w: (qml.AmplitudeEmbedding(i[:2], 1, normalize=True), qml.RY(i[2], 2))),
        ROWS,
    ),
    "StatePrep": (after(lambda i, w: qml.StatePrep(i, [0, 1], normalize=True)), ROWS),
    "MottonenStatePreparation": (
        after(lambda i, w: qml.MottonenStatePreparation(i / torch.linalg.norm(i), [1, 2])),
        ROWS,
    ),
    "BasisEmbedding": (after(lambda i, w: qml.BasisEmbedding(i, [0, 2])), BITS),
    "BasisState": (after(lambda i, w: (qml.Hadamard(1), qml.BasisState(i, [0, 1]))), BITS),
}  # fmt: skip


M = np.array([[1.0, 0.5 - 0.2j], [0.5 + 0.2j, -0.3]])
OUTPUTS: dict[str, Body] = {
    "var": measuring(lambda i, w: qml.var(qml.Z(0))),
    "var of a sum": measuring(lambda i, w: qml.var(0.5 * qml.Z(0) @ qml.X(1) + qml.X(0) - 1.5 * qml.Y(2))),
    "var of a matrix": measuring(lambda i, w: (qml.var(qml.Hermitian(M, 1)), qml.expval(qml.Z(1)))),
    "var of a projector": measuring(lambda i, w: qml.var(qml.Projector([1, 0], [0, 1]))),
    "probs of an observable": measuring(lambda i, w: qml.probs(op=qml.X(0))),
    "probs of a product": measuring(lambda i, w: qml.probs(op=qml.Y(2) @ qml.X(0))),
    "probs beside others": measuring(
        lambda i, w: (qml.probs(op=qml.X(1)), qml.probs(wires=[2, 0]), qml.var(qml.Y(0)))
    ),
    "purity": measuring(lambda i, w: qml.purity([1])),
    "purity of two": measuring(lambda i, w: (qml.purity([2, 0]), qml.purity([0, 1, 2]))),
    "vn_entropy": measuring(lambda i, w: qml.vn_entropy([0])),
    "vn_entropy in bits": measuring(lambda i, w: qml.vn_entropy([1, 2], log_base=2)),
    "mutual_info": measuring(lambda i, w: qml.mutual_info([0], [2])),
    "trained coefficient": measuring(lambda i, w: qml.expval(w[0] * qml.Z(0))),
    "coefficients of data": measuring(
        lambda i, w: qml.expval(qml.Hamiltonian(i[:3], [qml.Z(0), qml.X(1), qml.Z(0) @ qml.Y(2)]))
    ),
    "coefficients of both": measuring(
        lambda i, w: (qml.expval(torch.tanh(w[1] * i[0]) * qml.Z(0) + w[0] * qml.X(1)), qml.expval(qml.Z(2)))
    ),
    "softmax of coefficients": measuring(
        lambda i, w: qml.expval(qml.dot(torch.softmax(w, 0), [qml.Z(0), qml.Z(1), qml.Z(2), qml.X(0)]))
    ),
    "trained matrix": measuring(lambda i, w: qml.expval(qml.Hermitian(_herm(i, w), 0))),
    "coefficients in a list": measuring(
        lambda i, w: qml.expval(qml.Hamiltonian([w[0], w[1] * i[0], 0.5], [qml.Z(0), qml.X(1), qml.Z(2)]))
    ),
    "combination of a list": measuring(
        lambda i, w: qml.expval(qml.ops.LinearCombination([i[0], w[3]], [qml.Z(0) @ qml.Y(1), qml.Z(2)]))
    ),
    "list to be summed": measuring(lambda i, w: qml.expval(qml.dot([w[0], i[1]], [qml.Z(0), qml.X(2)]))),
}  # fmt: skip


@qml.transform
def halved_and_shifted(tape: Any) -> Any:
    shifted = tape.copy(operations=[*tape.operations, qml.RX(0.3, 0)])
    return (tape, shifted), lambda results: results[0] / 2 - results[1] + 0.1


def _sum(i: Any, w: Any) -> Any:
    return qml.expval(0.5 * qml.Z(0) + qml.X(0) @ qml.Z(1))


TRANSFORMS: dict[str, tuple[Any, Body]] = {
    "split_non_commuting": (qml.transforms.split_non_commuting, measuring(_sum)),
    "split_to_single_terms": (qml.transforms.split_to_single_terms, measuring(_sum)),
    "two tapes": (halved_and_shifted, measuring(_sum)),
    "two tapes of a variance": (halved_and_shifted, measuring(lambda i, w: qml.var(qml.Z(0)))),
    "zero-noise extrapolation": (
        functools.partial(
            qml.noise.mitigate_with_zne,
            scale_factors=[1, 3],
            folding=qml.noise.fold_global,
            extrapolate=qml.noise.poly_extrapolate,
            extrapolate_kwargs={"order": 1},
        ),
        measuring(lambda i, w: qml.expval(qml.Z(0))),
    ),
}  # fmt: skip


def held(body: Body, rows: Any = ROWS, backend: str = "adjoint", transform: Any = None) -> None:
    """The backend chosen, with values and Jacobian as the plain QNode and its differences in NumPy."""
    rows = np.asarray(rows)

    def circuit(inputs, weights):
        return body(inputs, weights)

    qnode = qml.QNode(circuit, DEVICE)
    qnode = qnode if transform is None else transform(qnode)
    model = qlazy.Circuit(qnode, {"weights": 4})
    params, x = np.random.default_rng(3).uniform(0.3, 2.8, 4), torch.from_numpy(rows)
    found, jacobian = (f(torch.from_numpy(params), x) for f in (model, model.jacobian))
    assert (model.backend, model.backend_reason) == (backend, "")
    plain = PlainQNode(qnode, DEVICE)

    def outputs(p):
        return np.stack([plain.outputs(Point({"weights": p}, "inputs", row)) for row in rows])

    columns = [(outputs(params + STEP * e) - outputs(params - STEP * e)) / (2 * STEP) for e in np.eye(4)]
    np.testing.assert_allclose(found, outputs(params), rtol=0, atol=1e-10)
    np.testing.assert_allclose(jacobian, np.stack(columns, -1), rtol=0, atol=1e-8)
    lanes = torch.from_numpy(params) + torch.tensor([[0.0], [0.1]], dtype=torch.float64)
    mapped = torch.func.vmap(lambda p: model(p, x))(lanes)
    torch.testing.assert_close(mapped, torch.stack([model(p, x) for p in lanes]), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", FORMULAS)
def test_formulas_of_angles(name: str) -> None:
    held(turned_by(FORMULAS[name]))


@pytest.mark.parametrize("name", GATES)
def test_gates(name: str) -> None:
    held(GATES[name])


@pytest.mark.parametrize("name", STATES)
def test_states_of_data(name: str) -> None:
    held(*STATES[name])


@pytest.mark.parametrize("name", OUTPUTS)
def test_outputs(name: str) -> None:
    held(OUTPUTS[name])


@pytest.mark.parametrize("name", ["var", "purity", "trained coefficient", "coefficients in a list"])
def test_scales_and_seeds_train_side_by_side_as_one_by_one(name: str) -> None:
    body = OUTPUTS[name]
    model = qlazy.Circuit(qml.QNode(lambda inputs, weights: body(inputs, weights), DEVICE), {"weights": 4})
    x = np.random.default_rng(1).uniform(-1, 1, (8, 4))
    data = qlazy.from_arrays(x, np.sign(x[:, 0]), train=5)
    both = qlazy.compare({"m": model}, data, alphas=(1, 10), seeds=2, steps=3, progress=False)
    for run in both.runs:
        alone = qlazy.compare(
            {"m": model}, data, alphas=(run.alpha,), seeds=(run.seed,), steps=3, progress=False
        ).runs[0]  # fmt: skip
        np.testing.assert_allclose(run.trace.params, alone.trace.params, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_into_several_circuits(name: str) -> None:
    transform, body = TRANSFORMS[name]
    held(body, transform=transform)


def test_a_variance_behind_a_measurement():
    def body(i, w):
        qml.RY(i[0] + w[0], 0)
        m = qml.measure(0)
        qml.cond(m, qml.RX)(w[1] * i[1], 1)
        return qml.var(qml.Z(1)), qml.expval(m)

    held(body, backend="branches")


@pytest.mark.parametrize(
    ("prepare", "good", "bad", "match"),
    [
        (lambda i: qml.BasisEmbedding(i, [0, 1]), [1.0, 0.0], [0.5, 1.0], "consist of 0 and 1"),
        (lambda i: qml.AmplitudeEmbedding(i, 0), [0.6, 0.8], [0.6, 0.9], "amplitudes of norm 1"),
    ],
)
def test_rows_that_are_no_states_are_refused_later_too(prepare, good, bad, match):
    @qml.qnode(DEVICE)
    def circuit(inputs, weights):
        prepare(inputs)
        qml.RX(weights[0], 0)
        return qml.expval(qml.Z(0))

    model, params = qlazy.Circuit(circuit, {"weights": (1,)}), tensors(1)
    model(params, torch.tensor([good], dtype=torch.float64))
    assert model.backend == "adjoint"
    with pytest.raises(ValueError, match=match):
        model(params, torch.tensor([good, bad], dtype=torch.float64))


def test_derivatives_by_the_data_of_a_state():
    @qml.qnode(DEVICE)
    def circuit(inputs, weights):
        qml.AmplitudeEmbedding(inputs, [0, 1], normalize=True)
        mix(weights)
        return qml.expval(qml.Z(0))

    model, params, x = qlazy.Circuit(circuit, {"weights": 4}), tensors(4), torch.from_numpy(ROWS)
    found = torch.autograd.functional.jacobian(lambda rows: model(params, rows).sum(), x)
    for place in np.ndindex(*ROWS.shape):
        step = torch.zeros_like(x)
        step[place] = STEP
        expected = (model(params, x + step).sum() - model(params, x - step).sum()) / (2 * STEP)
        torch.testing.assert_close(found[place], expected, rtol=0, atol=1e-8)


def test_a_matrix_of_weights_has_derivatives_where_euler_angles_have_none():
    """U = exp(-i w X / 2) at w = 0, and its second derivative."""

    @qml.qnode(DEVICE)
    def circuit(inputs, weights):
        qml.RX(inputs[0], 0)
        c, s = torch.cos(weights[0] / 2), torch.sin(weights[0] / 2)
        qml.QubitUnitary(torch.stack([c + 0j, -1j * s, -1j * s, c + 0j]).reshape(2, 2), 0)
        return qml.expval(qml.Z(0))

    model, x = qlazy.Circuit(circuit, {"weights": (1,)}), torch.tensor([[0.7]], dtype=torch.float64)
    params = torch.zeros(1, dtype=torch.float64)
    torch.testing.assert_close(model.jacobian(params, x)[0, 0], -torch.sin(x[0]))
    torch.testing.assert_close(torch.func.hessian(lambda w: model(w, x)[0, 0])(params)[0], -torch.cos(x[0]))


def test_amplitudes_before_a_measurement():
    def body(i, w):
        qml.AmplitudeEmbedding(i, [0, 1], normalize=True)
        m = qml.measure(0)
        qml.cond(m, qml.RX)(w[0], 1)
        return qml.expval(qml.Z(1))

    held(body, ROWS, "branches")


@pytest.mark.parametrize("name", ["softmax", "a net", "where"])
def test_second_derivatives(name: str) -> None:
    body = turned_by(FORMULAS[name])

    @qml.qnode(DEVICE)
    def circuit(inputs, weights):
        return body(inputs, weights)

    model, x, params = qlazy.Circuit(circuit, {"weights": 4}), torch.from_numpy(ROWS), tensors(4)
    direction = tensors(4, seed=3)
    ahead, behind = (model.jacobian(params + s * direction, x).sum((0, 1)) for s in (STEP, -STEP))
    found = model.hvp(params, x, torch.ones(len(x), 1, dtype=torch.float64), direction)
    torch.testing.assert_close(found, (ahead - behind) / (2 * STEP), rtol=0, atol=1e-7)


def test_outputs_that_are_no_expectation_values_are_refused_by_words_alone():
    @qml.qnode(DEVICE)
    def circuit(inputs, weights):
        qml.RX(inputs[0] * weights, 0)
        return qml.var(qml.Z(0))

    model = qlazy.Circuit(circuit, {"weights": 1}, backend="paulis")
    with pytest.raises(qlazy.UnsupportedModelError, match="computed from several expectation values"):
        model(tensors(1), tensors(2, 1))

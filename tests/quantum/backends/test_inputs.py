"""What a circuit is called with: shapes and dtypes of inputs, parameters under transforms, copies of circuits."""

from __future__ import annotations

import math

import cloudpickle
import numpy as np
import pennylane as qml
import pytest
import torch

from qlazy import Circuit, SlowBackendWarning, UnsupportedModelError

F64 = torch.float64
BACKENDS = ("auto", "torch", "lightning", "device")
W = torch.tensor([0.3, 0.7], dtype=F64)


def circuit(body, **options):
    return Circuit(qml.QNode(body, qml.device("default.qubit", wires=2)), {"weights": 2}, **options)


def constant_angles(inputs, weights):
    qml.RX(0.3, 0)
    qml.RY(inputs[0] + weights[0], 0)
    qml.CNOT([0, 1])
    qml.PauliRot(-1.1, "XY", [0, 1])
    qml.RX(weights[1], 1)
    qml.RZ(0.2, 1)
    return qml.expval(qml.X(1))


def scalar(inputs, weights):
    qml.RY(inputs * weights[0], 0)
    qml.RX(weights[1], 0)
    return qml.expval(qml.Z(0))


@pytest.mark.parametrize("body", [constant_angles, scalar])
def test_parameters_under_vmap(body):
    """Constant rotations are no angles: many parameter vectors are one sweep, as many single ones."""
    model = circuit(body)
    many, x = torch.rand(3, 2, dtype=F64), torch.rand(4, *(1,) * (body is constant_angles), dtype=F64)
    found = torch.func.vmap(lambda w: model(w, x))(many)
    torch.testing.assert_close(found, torch.stack([model(w, x) for w in many]), rtol=0, atol=1e-13)
    gradient = torch.func.grad(lambda w: model(w, x).square().sum())
    torch.testing.assert_close(
        torch.func.vmap(gradient)(many), torch.stack([gradient(w) for w in many]), rtol=0, atol=1e-13
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_rows_that_are_numbers(backend):
    """x (n,) for a QNode of a scalar: <Z> = cos(w1) cos(x w0)."""
    x = torch.tensor([0.4, -1.3, 2.0], dtype=F64)
    model = circuit(scalar, backend=backend)
    expected = (W[1].cos() * (x * W[0]).cos()).unsqueeze(1)
    torch.testing.assert_close(model(W, x), expected, rtol=0, atol=1e-12)
    slope = torch.stack([-W[1].cos() * x * (x * W[0]).sin(), -W[1].sin() * (x * W[0]).cos()], -1)
    torch.testing.assert_close(model.jacobian(W, x), slope.unsqueeze(1), rtol=0, atol=1e-9)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float8_e5m2, torch.complex64, torch.int64]
)
def test_parameters_of_other_dtypes_are_refused(backend, dtype):
    model = circuit(scalar, backend=backend)
    with pytest.raises(ValueError, match="`params` must be (float64 or float32|real floating point)"):
        model(W.to(dtype), torch.ones(2).to(dtype))


@pytest.mark.parametrize("backend", BACKENDS)
def test_complex_inputs_are_refused(backend):
    with pytest.raises(ValueError, match="`x` must be real"):
        circuit(scalar, backend=backend)(W, torch.ones(2, dtype=torch.complex128))


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.int8, torch.uint8, torch.bool])
def test_whole_numbers_run_where_numbers_do(dtype):
    """In the precision of the parameters, on the same backend: bit for bit as the same numbers in float64."""
    model, x = circuit(constant_angles), torch.tensor([[0], [1]]).to(dtype)
    assert torch.equal(model(W, x), model(W, x.double()))
    assert torch.equal(model.jacobian(W, x), model.jacobian(W, x.double()))
    large = torch.tensor([[2**24 + 1]])
    expected = model.qnode(inputs=np.array([2.0**24 + 1]), weights=W.numpy())
    torch.testing.assert_close(model(W, large).item(), float(expected), rtol=0, atol=1e-8)
    assert model.backend == "adjoint"


WHOLE = (
    torch.bool,
    torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.uint16, torch.uint32, torch.uint64,
)  # fmt: skip
FORMULAS = {
    "negated": lambda i, w: -i[0] * w[0],
    "times": lambda i, w: 200 * i[0],
    "difference": lambda i, w: (i[0] - i[1]) * w[0],
    "power": lambda i, w: i[1] ** 9 / 7,
    "share": lambda i, w: i[1] / 3 + w[0],
    "sum": lambda i, w: i.sum() * w[0],
    "if": lambda i, w: w[0] if i[0] else 0.4,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("backend", ["auto", "torch", "lightning"])
def test_whole_numbers_never_wrap_round(backend, formula):
    """In no dtype, where the QNode takes numbers: each row is what the QNode gives for it in float64."""

    def body(inputs, weights):
        qml.RY(FORMULAS[formula](inputs, weights), 0)
        qml.RX(weights[1] + inputs[1], 0)
        return qml.expval(qml.Z(0))

    if (formula, backend) == ("if", "lightning"):
        return
    model = circuit(body, backend=backend)
    for dtype in WHOLE:
        x = torch.tensor([[1, 0], [0, 1], [1, 1], [3, 2], [0, 100]][: 3 if dtype == torch.bool else 5]).to(
            dtype
        )
        expected = np.array([model.qnode(inputs=row.astype(float), weights=W.numpy()) for row in x.numpy()])
        np.testing.assert_allclose(model(W, x)[:, 0].numpy(), expected, rtol=0, atol=1e-9)
        torch.testing.assert_close(model.jacobian(W, x), model.jacobian(W, x.double()), rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("formula", [
    lambda i, w: w[i[0]], lambda i, w: w[0] * (i[0] & 1), lambda i, w: w[0] * (i[0] << 7), lambda i, w: w[0] * ~i[0],
])  # fmt: skip
def test_rows_of_indices_stay_whole(formula):
    """Where the QNode takes no other numbers, in int64, which none of them leaves."""
    model = circuit(lambda inputs, weights: (qml.RX(formula(inputs, weights), 0), qml.expval(qml.Y(0)))[-1])
    for dtype in WHOLE[1:]:
        x = torch.tensor([[1], [0], [1]]).to(dtype)
        expected = np.array(
            [model.qnode(inputs=row, weights=W.numpy()) for row in x.numpy().astype(np.int64)]
        )
        np.testing.assert_allclose(model(W, x)[:, 0].numpy(), expected, rtol=0, atol=1e-7)


def test_a_circuit_travels_before_and_after_its_first_call():
    model, x = circuit(constant_angles), torch.rand(3, 1, dtype=F64)
    before = cloudpickle.loads(cloudpickle.dumps(model))
    expected = model(W, x)
    after = cloudpickle.loads(cloudpickle.dumps(model))
    assert torch.equal(before(W, x), expected)
    assert torch.equal(after(W, x), expected)


def test_rows_one_by_one_say_so_once():
    model = circuit(
        lambda inputs, weights: (qml.RY(float(inputs[0]), 0), qml.RX(weights[0], 0), qml.expval(qml.Z(0)))[-1]
    )
    x = torch.rand(2, 1, dtype=F64)
    with pytest.warns(SlowBackendWarning) as seen:
        model(W, x)
    assert sum("row by row" in str(warning.message) for warning in seen) == 1
    assert "vmap cannot run it" in model.backend_reason
    assert model.backend == "torch"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "function", [lambda v: math.sin(v), lambda v: v.item(), lambda v: v.numpy()], ids=("sin", "item", "numpy")
)
def test_numbers_taken_from_weights_have_no_derivative_and_are_refused(function):
    def body(inputs, weights):
        qml.RY(inputs[0], 0)
        qml.RX(function(weights[0]), 0)
        qml.RX(weights[1], 0)
        return qml.expval(qml.Z(0))

    model = circuit(body)
    x = torch.rand(2, 1, dtype=F64)
    with pytest.raises((UnsupportedModelError, RuntimeError)):
        model.jacobian(W, x)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "change",
    [
        lambda i, w: qml.X(0) if i[0] > 2 else None,
        lambda i, w: [qml.X(0) for _ in range(int(abs(i[0])))],
        lambda i, w: qml.RX(w[1], 0) if i[0] < -1 else None,
        lambda i, w: qml.BasisEmbedding(i.to(torch.int64) if isinstance(i, torch.Tensor) else i, [0]),
        lambda i, w: qml.RX(torch.floor(torch.as_tensor(i[0] / 2)), 0),
    ],
)
def test_dependence_on_inputs_is_seen_beyond_the_first_rows(change):
    """Rows between 0.1 and 0.9 leave these circuits as they are: they are not refused for that."""

    def body(inputs, weights):
        change(inputs, weights)
        qml.RY(weights[0], 0)
        return qml.expval(qml.Z(0))

    model, x = circuit(body, backend="torch"), torch.tensor([[0], [3]])
    if "Basis" in str(change.__code__.co_names):
        x = torch.tensor([[0], [1]])
    assert model(W, x).shape == (2, 1)

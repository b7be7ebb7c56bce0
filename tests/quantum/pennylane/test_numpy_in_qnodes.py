"""A QNode may compute its angles in NumPy, plain or PennyLane's: the oracle is its own call, row by row, on arrays."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
import torch
from pennylane import numpy as pnp

from qlazy import Circuit
from qlazy.base.errors import SlowBackendWarning, UnsupportedModelError
from qlazy.quantum.backends.agreement import reference

MATRIX = np.array([[0.3, -0.8], [0.5, 0.2]])
ROWS = np.random.default_rng(3).uniform(-1.5, 1.5, (3, 2))
WEIGHTS = np.array([0.7, 1.9])


def turning(angles):
    """A QNode on two wires that turns by the numbers which ``angles(x, w)`` gives."""

    @qml.qnode(qml.device("default.qubit", wires=2))
    def circuit(inputs, w):
        for place, angle in enumerate(angles(inputs, w)):
            (qml.RX if place % 2 else qml.RY)(angle, place % 2)
            qml.CNOT([0, 1])
        return qml.expval(qml.Z(1)), qml.expval(qml.X(0))

    return circuit


def hold(angles):
    """Outputs and slopes are those of plain calls; and it is the fast simulator that gives them."""
    circuit = turning(angles)

    def plain(weights):
        return np.array([[float(part) for part in circuit(inputs=row.copy(), w=weights)] for row in ROWS])

    model = Circuit(circuit, {"w": 2})
    params, x = torch.from_numpy(WEIGHTS), torch.from_numpy(ROWS)
    np.testing.assert_allclose(model(params, x).numpy(), plain(WEIGHTS), rtol=0, atol=1e-11)
    slopes = [(plain(WEIGHTS + e) - plain(WEIGHTS - e)) / 2e-5 for e in 1e-5 * np.eye(2)]
    np.testing.assert_allclose(model.jacobian(params, x).numpy(), np.stack(slopes, -1), rtol=1e-7, atol=1e-8)
    assert model.backend == "adjoint", model.backend_reason


def written(x, w):
    found = np.array(x * w)
    found += 0.5
    found[1] *= w[0]
    return found


EXPRESSIONS = {
    "sin": lambda x, w: np.sin(x * w),
    "dot": lambda x, w: (np.dot(x, w), np.inner(x, w), np.vdot(x, w)),
    "array on the left": lambda x, w: MATRIX[0] * w + MATRIX[1] - x,
    "array on the right": lambda x, w: (w / MATRIX[0] - MATRIX[1]) ** 2 * x,
    "matrices": lambda x, w: np.tanh(MATRIX @ x + w) @ MATRIX,
    "an array made": lambda x, w: MATRIX @ np.array([x[0] * w[0], w[1]]),
    "a matrix made": lambda x, w: np.array([[x[0], w[0]], [w[1], x[1]]]) @ MATRIX[0],
    "concatenated": lambda x, w: np.concatenate([x, w]),
    "stacked": lambda x, w: np.vstack([x, w]).ravel()[np.array([0, 2, 3])],
    "outer": lambda x, w: np.outer(x, w).ravel(),
    "einsum": lambda x, w: np.einsum("i,ij,j->i", x, MATRIX, w),
    "sums": lambda x, w: (np.sum(x * w), np.mean(x) * w[0], np.prod(w), np.sum(x[:, None] * w, axis=0)[1]),
    "statistics": lambda x, w: (np.std(x) * w[0], np.var(x * w), np.max(x) * w[1], np.min(w * x)),
    "normalised": lambda x, w: x / np.linalg.norm(x) * w,
    "softmax": lambda x, w: np.exp(x) / np.sum(np.exp(x)) * w,
    "where": lambda x, w: np.where(x > 0, x, w) * w,
    "clip": lambda x, w: np.clip(x * w, -0.5, 0.5) + w,
    "sorted": lambda x, w: (*np.sort(x) * w, w[np.argmax(x)]),
    "turned round": lambda x, w: x[::-1] * w[::-1],
    "cumulative": lambda x, w: np.cumsum(x * w) + np.diff(np.append(x, w))[1:],
    "complex": lambda x, w: (
        np.real(np.exp(1j * x[0])) * w[0],
        np.imag(1j * x[1] * w[1]),
        np.angle(np.exp(0.3j * w[1])),
    ),
    "degrees": lambda x, w: (np.radians(50 * x[0]) * w[0], np.deg2rad(20 * w[1])),
    "dtypes": lambda x, w: np.array([0.1, 0.2], np.float32) * x.astype(float) * np.arange(1, 3) * w,
    "size": lambda x, w: x.copy() * w / x.size / np.ndim(w),
    "like": lambda x, w: np.zeros_like(x) + np.ones_like(w) * w * x,
    "written": written,
    "power": lambda x, w: np.power(np.abs(x) + 1, w[0]) * w,
    "two arguments": lambda x, w: (np.arctan2(x[0], w[0]), np.hypot(x[1], w[1]), np.mod(x[0] + w[0], 2.0)),
    "PennyLane's": lambda x, w: pnp.sin(pnp.dot(MATRIX, x)) * w + pnp.pi / 4,
    "PennyLane's arrays": lambda x, w: pnp.array([x[0] * w[0], w[1]]) * pnp.array([0.3, 0.4]),
    "PennyLane's constants": lambda x, w: pnp.tensor([0.2, 0.3], requires_grad=False) * w * x,
    "PennyLane's concatenated": lambda x, w: pnp.concatenate([x, w]),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_angles_of_numpy_are_those_of_a_plain_call(name):
    if name == "sorted" and torch.__version__ < "2.9":
        pytest.skip(
            "torch 2.8 maps over no place that is a tensor: such a QNode runs on default.qubit, which is said"
        )
    hold(EXPRESSIONS[name])


UNARY = (np.sin, np.cos, np.tanh, np.exp, np.arctan, np.square, np.negative, np.abs, pnp.sin, pnp.tanh)
BINARY = (np.add, np.subtract, np.multiply, lambda a, b: a * b, lambda a, b: MATRIX @ a - b)
MOVES = (lambda a: a[::-1], lambda a: np.roll(a, 1), lambda a: np.array(list(a)), lambda a: a - np.sum(a))


def random_expression(seed):
    """A function of x and w, composed of ten operations drawn from those above."""
    chance = np.random.default_rng(seed)
    steps = [(chance.integers(3), chance.integers(100), *chance.integers(8, size=2)) for _ in range(10)]

    def angles(x, w):
        pool = [x, w, MATRIX[0], x * w]
        for kind, which, first, second in steps:
            one, two = pool[-1 - first % len(pool)], pool[-1 - second % len(pool)]
            if kind == 0:
                pool.append(UNARY[which % len(UNARY)](np.tanh(one)))
            elif kind == 1:
                pool.append(BINARY[which % len(BINARY)](one, two))
            else:
                pool.append(MOVES[which % len(MOVES)](one))
        return (*pool[-1], *pool[-2], *x * w)

    return angles


@pytest.mark.parametrize("seed", range(12))
def test_so_are_those_of_expressions_drawn_at_random(seed):
    hold(random_expression(seed))


def test_an_array_of_objects_is_an_observable_s_coefficients_too():
    @qml.qnode(qml.device("default.qubit", wires=1))
    def circuit(inputs, w):
        qml.RY(np.sin(inputs[0]), 0)
        return qml.expval(qml.dot(np.array([w[0] * inputs[0], w[1]]), [qml.Z(0), qml.X(0)]))

    model = Circuit(circuit, {"w": 2})
    params, x = torch.from_numpy(WEIGHTS), torch.from_numpy(ROWS)
    expected = [[float(circuit(inputs=row, w=WEIGHTS))] for row in ROWS]
    np.testing.assert_allclose(model(params, x).numpy(), expected, rtol=0, atol=1e-11)


def test_what_numpy_does_by_values_is_no_formula():
    circuit = turning(lambda x, w: w if np.any(x > 5) else x * w)
    model = Circuit(circuit, {"w": 2})
    with pytest.warns(SlowBackendWarning), pytest.raises(UnsupportedModelError, match="`qnode` must"):
        model.jacobian(torch.from_numpy(WEIGHTS), torch.from_numpy(ROWS))


def test_an_array_s_method_is_not_taken_for_a_tensor_s_of_that_name_where_nothing_is_checked(monkeypatch):
    """``std`` means another thing in torch; a function that wants arrays is compared at the point of the trace."""
    circuit = turning(lambda x, w: (x.astype(float) * w).std() * w)
    monkeypatch.setattr(reference, "WORK", 0.0)
    with pytest.warns(SlowBackendWarning), pytest.raises(UnsupportedModelError, match="astype"):
        Circuit(circuit, {"w": 2})(torch.from_numpy(WEIGHTS), torch.from_numpy(ROWS))

"""Measurements that keep one outcome: what default.qubit gives for the runs that are kept, and its derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pennylane as qml
import pytest
import torch

from qlazy import Circuit, UnsupportedModelError, tangent_kernel
from qlazy.base.errors import NotFiniteError

F64 = torch.float64
X = torch.tensor([[0.7, -0.4], [1.3, 0.2]], dtype=F64)
W = torch.tensor([0.3, 0.9, 1.4, -0.6], dtype=F64)


def drawn(seed: int) -> Callable[..., Any]:
    """A circuit of gates, measurements with and without a selection, resets and conditions, all by chance."""

    def body(inputs: Any, weights: Any) -> Any:
        chance, bits = np.random.default_rng(seed), []
        for wire in range(3):
            qml.RX(inputs[wire % 2] + weights[wire], wire)
            qml.RY(0.4 + 0.3 * wire, wire)
        for place in range(10):
            wire, other = chance.permutation(3)[:2].tolist()
            match chance.integers(6):
                case 0:
                    qml.RX(inputs[place % 2] + weights[place % 4], wire)
                case 1:
                    qml.CRY(weights[place % 4], [wire, other])
                case 2:
                    qml.CNOT([wire, other])
                case 3:
                    bits.append(qml.measure(wire, postselect=place % 2, reset=bool(chance.integers(2))))
                    qml.RY(0.9, wire)
                case 4:
                    bits.append(qml.measure(wire, reset=bool(chance.integers(2))))
                    qml.RY(0.7, wire)
                case _ if bits:
                    qml.cond(bits[int(chance.integers(len(bits)))], qml.RY)(weights[place % 4], wire)
        bits.append(qml.measure(1, postselect=1))
        qml.RX(weights[0] + inputs[0], 1)
        found = [qml.expval(qml.Z(0) @ qml.X(1)), qml.probs(wires=[0, 2]), qml.var(qml.Z(2) + 0.5 * qml.Y(1))]
        if chance.integers(2):
            return [*found, qml.expval(bits[0])]
        return [*found, qml.purity([0])]

    return body


def plain(qnode: qml.QNode, weights: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
    """A call of the QNode, which defers its measurements."""
    results = qnode(inputs=row, weights=weights)
    return torch.cat([torch.as_tensor(one).real.double().reshape(-1) for one in results])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(14))
def test_values_and_derivatives_are_those_of_plain_calls(seed: int) -> None:
    qnode = qml.QNode(drawn(seed), qml.device("default.qubit"))
    expected = torch.stack([plain(qnode, W, row) for row in X])
    slopes = torch.stack(
        [torch.autograd.functional.jacobian(lambda w, row=row: plain(qnode, w, row), W) for row in X]
    )
    model = Circuit(qnode, {"weights": 4})
    torch.testing.assert_close(model(W, X), expected, rtol=0, atol=1e-10)
    assert model.backend == "branches"
    assert not model.backend_reason
    torch.testing.assert_close(model.jacobian(W, X), slopes, rtol=0, atol=1e-9)
    along, cotangent = W.flip(0), torch.ones_like(expected)
    torch.testing.assert_close(model.jvp(W, X, along), slopes @ along, rtol=0, atol=1e-9)
    torch.testing.assert_close(model.vjp(W, X, cotangent), slopes.sum((0, 1)), rtol=0, atol=1e-9)


def test_a_kernel_of_kept_runs_in_closed_form() -> None:
    """cos(t) |00> + sin(t) |11> with q0 turned by b and found in 1: q1 has tan(t) / tan(b)-fold amplitudes."""

    @qml.qnode(qml.device("default.qubit"))
    def circuit(inputs: Any, weights: Any) -> Any:
        qml.RY(2 * weights[0] * inputs[0], 0)
        qml.CNOT([0, 1])
        qml.RY(2 * weights[1], 0)
        qml.measure(0, postselect=1)
        return qml.expval(qml.Z(1))

    model, params = Circuit(circuit, {"weights": 2}), torch.tensor([0.6, 0.8], dtype=F64)
    x = torch.tensor([[0.5], [1.2]], dtype=F64)

    def value(w: torch.Tensor) -> torch.Tensor:
        zero, one = ((w[0] * x).cos() * w[1].sin()).square(), ((w[0] * x).sin() * w[1].cos()).square()
        return (zero - one) / (zero + one)

    jacobian = torch.func.jacrev(value)(params).flatten(0, 1)
    torch.testing.assert_close(model(params, x), value(params), rtol=0, atol=1e-12)
    kernel = tangent_kernel(model, params, x).to_dense()
    torch.testing.assert_close(kernel, jacobian @ jacobian.T, rtol=0, atol=1e-10)


@pytest.mark.filterwarnings("ignore")
def test_what_never_happens_has_no_numbers() -> None:
    @qml.qnode(qml.device("default.qubit"))
    def circuit(inputs: Any, weights: Any) -> Any:
        qml.RX(inputs[0] + weights[0], 0)
        qml.measure(1, postselect=1)
        return qml.expval(qml.Z(0))

    with pytest.raises(NotFiniteError, match="must be finite"):
        tangent_kernel(Circuit(circuit, {"weights": 4}), W, X).to_dense()


def test_what_tree_traversal_gives_otherwise_is_refused() -> None:
    """PennyLane's tree traversal does not weigh branches by what they lose to a later selection; deferring does."""

    def body(inputs: Any, weights: Any) -> Any:
        qml.RX(inputs[0] + weights[0], 0)
        qml.RY(weights[1], 1)
        result = qml.measure(0)
        qml.cond(result, qml.RY)(weights[2], 1)
        qml.measure(1, postselect=1)
        return [qml.expval(qml.Z(0))]

    deferring = qml.QNode(body, qml.device("default.qubit"))
    model = Circuit(deferring, {"weights": 4})
    torch.testing.assert_close(model(W, X[:1])[0], plain(deferring, W, X[0]), rtol=0, atol=1e-12)
    other = qml.QNode(body, qml.device("default.qubit"), mcm_method="tree-traversal")
    if not torch.allclose(plain(other, W, X[0]), model(W, X[:1])[0], rtol=0, atol=1e-9):
        with pytest.raises(UnsupportedModelError, match="where the QNode called row by row in NumPy gives"):
            Circuit(other, {"weights": 4})(W, X[:1])

"""QNodes with mid-circuit measurements: the branch simulator against default.qubit by tree traversal."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qlazy import Circuit
from qlazy.base.errors import UnsupportedModelError
from tests.makers import branching

WEIGHTS = torch.tensor([0.4, -1.1, 0.8, 2.3], dtype=torch.float64)
ROW = torch.tensor([0.6], dtype=torch.float64)


def device():
    return qml.device("default.qubit", wires=3)


def by_traversal(qnode, weights=WEIGHTS):
    tree = qnode.update(mcm_method="tree-traversal", diff_method=None, interface="numpy")
    return np.hstack([np.ravel(part) for part in tree(ROW.numpy(), weights.numpy())])


def check(qnode):
    circuit = Circuit(qnode, {"w": 4})
    found = circuit(WEIGHTS, ROW[None])[0]
    assert circuit.backend == "branches"
    np.testing.assert_allclose(found.numpy(), by_traversal(qnode), rtol=0, atol=1e-12)
    step, columns = 1e-5, []
    for shift in step * torch.eye(4, dtype=torch.float64):
        columns.append(
            (by_traversal(qnode, WEIGHTS + shift) - by_traversal(qnode, WEIGHTS - shift)) / (2 * step)
        )
    np.testing.assert_allclose(
        circuit.jacobian(WEIGHTS, ROW[None])[0], np.array(columns).T, rtol=0, atol=1e-9
    )


def test_nested_conditions():
    """Under deferred measurement PennyLane can be wrong here; tree traversal is right."""

    def circuit(inputs, w):
        qml.RX(w[0], 0)
        qml.RY(w[1] * inputs[0], 1)
        first, second = qml.measure(0), qml.measure(1)

        def inner():
            qml.RX(w[2], 2)
            qml.cond(second, lambda: qml.RY(w[3], 2), lambda: qml.RZ(w[0], 2))()
            qml.Hadamard(2)

        qml.cond(first, inner, lambda: qml.CNOT([1, 2]))()
        return qml.expval(qml.Z(2)), qml.expval(qml.X(2) @ qml.Z(1))

    check(qml.QNode(circuit, device()))


@settings(max_examples=15)
@given(st.lists(st.integers(0, 7), min_size=1, max_size=7), st.integers(0, 5))
def test_random_qnodes(kinds, seed):
    def circuit(inputs, w):
        qml.RX(w[0], 0)
        qml.RY(w[1] * inputs[0], 1)
        qml.IsingXY(w[2], [1, 2])
        bits = [qml.measure(seed % 3)]
        for place, kind in enumerate(kinds):
            wire, angle = (place + seed) % 3, w[place % 4]
            match kind:
                case 0:
                    bits.append(qml.measure(wire, reset=place % 2 == 0))
                case 1:
                    qml.cond(bits[-1], qml.RX, qml.RY)(angle, wire)
                case 2:
                    qml.cond(bits[0] & ~bits[-1], qml.PauliRot)(angle, "XYZ", wires=range(3))
                case 3:
                    qml.cond(bits[0] + 2 * bits[-1] >= 2, qml.CRX)(angle, [wire, (wire + 1) % 3])
                case 4:
                    qml.Rot(angle, inputs[0], 0.2, wire)
                case 5:
                    qml.cond(bits[-1] == 0, qml.QubitUnitary)(np.array([[0, 1j], [1, 0]]), wire)
                case 6:
                    qml.ctrl(qml.PhaseShift(angle, wire), (wire + 1) % 3)
                case 7:
                    qml.MultiRZ(angle, wires=[0, 1, 2])
        return qml.expval(qml.Z(0)), qml.expval(qml.Y(1) @ qml.X(2)), qml.probs(wires=[2, 0])

    check(qml.QNode(circuit, device()))


def test_what_is_refused():
    with pytest.raises(UnsupportedModelError, match="be 'branches' for a circuit that measures"):
        Circuit(branching, {"weights": 4}, backend="torch")(WEIGHTS, torch.zeros(1, 2, dtype=torch.float64))


def test_variances_of_measured_values():
    """Of bits that are 1 with chances p and q, independently: v has variance sum P v^2 - (sum P v)^2."""

    def circuit(inputs, w):
        qml.RX(w[0] + inputs[0], 0)
        qml.RY(w[1], 1)
        a, b = qml.measure(0), qml.measure(1)
        qml.cond(a, qml.X)(2)
        return (
            qml.var(a), qml.var(a * b), qml.var(a + 2 * b), qml.var(a - b + 1e6), qml.expval(a), qml.var(qml.Z(2)),
            qml.purity([2]), qml.vn_entropy([2]),
        )  # fmt: skip

    model = Circuit(qml.QNode(circuit, qml.device("default.qubit")), {"w": 2})
    params, x = (
        torch.tensor([0.4, 1.1], dtype=torch.float64),
        torch.tensor([[0.3], [1.9]], dtype=torch.float64),
    )

    def expected(w):
        p = torch.sin((w[0] + x[:, 0]) / 2) ** 2
        q = torch.sin(w[1] / 2) ** 2
        a, b = p * (1 - p), q * (1 - q)
        return torch.stack(
            [
                a, p * q * (1 - p * q), a + 4 * b, a + b, p, 4 * a, p**2 + (1 - p) ** 2,
                -p * p.log() - (1 - p) * (1 - p).log(),
            ],
            dim=1,
        )  # fmt: skip

    torch.testing.assert_close(model(params, x), expected(params), rtol=0, atol=1e-9)
    assert model.backend == "branches"
    jacobian = torch.autograd.functional.jacobian(expected, params)
    torch.testing.assert_close(model.jacobian(params, x), jacobian, rtol=0, atol=1e-9)


BENT = {
    "abs": (abs, torch.abs),
    "a threshold": (lambda r: r if r > -0.2 else 2 * r, lambda r: torch.where(r > -0.2, r, 2 * r)),
    "a rectifier": (lambda r: qml.math.where(r > 0.05, r, 0 * r), lambda r: torch.where(r > 0.05, r, 0 * r)),
    "a bound that sums may pass": (lambda r: qml.math.clip(r, -1.5, 1.5), lambda r: r.clip(-1.5, 1.5)),
}


@pytest.mark.parametrize("name", BENT)
@pytest.mark.filterwarnings("ignore::qlazy.SlowBackendWarning")
def test_transforms_that_are_linear_somewhere_only_are_seen(name):
    """f(3 cos(w + x)) for f of results, where the first call and the points that are checked may lie on one side."""
    of_results, of_tensors = BENT[name]

    @qml.transform
    def bent(tape):
        return [tape], lambda results: of_results(results[0])

    def circuit(inputs, w):
        qml.RX(0.05 * w[0] + 0.05 * inputs[0], 0)
        return qml.expval(3 * qml.Z(0))

    model = Circuit(bent(qml.QNode(circuit, qml.device("default.qubit", wires=1))), {"w": (1,)})
    x = torch.tensor([[0.3]], dtype=torch.float64)
    for w in (0.5, 45.0, 60.0):
        params = torch.tensor([w], dtype=torch.float64, requires_grad=True)
        expected = of_tensors(3 * torch.cos(0.05 * params + 0.05 * x[0]))
        torch.testing.assert_close(model(params, x)[0], expected, rtol=0, atol=1e-9)
        (slope,) = torch.autograd.grad(expected, params)
        torch.testing.assert_close(model.jacobian(params.detach(), x)[0, 0], slope, rtol=0, atol=1e-9)

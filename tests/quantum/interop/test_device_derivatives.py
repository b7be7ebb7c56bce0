"""Second derivatives through the device: those of default.qubit, by torch and autograd; third are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pennylane as qml
import pytest
import torch
from pennylane import numpy as pnp
from pennylane.exceptions import DeviceError

W, P = 3, 4
DEVICES = "qlazy.adjoint", "default.qubit"
ONE = (qml.RX, qml.RY, qml.RZ, qml.PhaseShift)
TWO = (qml.IsingXY, qml.CRX, qml.IsingZZ, qml.ControlledPhaseShift)
MEASURED: dict[str, Callable[[Any], Any]] = {
    "an expectation value": lambda w: qml.expval(qml.Z(0) @ qml.X(1)),
    "several kinds": lambda w: (qml.expval(qml.X(1)), qml.probs(wires=[0, 2]), qml.var(qml.Y(0))),
    "a variance": lambda w: qml.var(qml.Z(0) + qml.X(2)),
    "probabilities": lambda w: qml.probs(),
    "constants of torch": lambda w: qml.expval(
        qml.Hamiltonian(
            torch.tensor([0.5, -1.0]) if isinstance(w, torch.Tensor) else [0.5, -1.0], [qml.Z(0), qml.Y(2)]
        )
    ),
}


HAVE_HESSIANS_IN_AUTOGRAD = pytest.mark.skipif(
    np.lib.NumpyVersion(np.__version__) < "2.1.0", reason="default.qubit fails on them under NumPy 2.0"
)


def drawn(rng: np.random.Generator) -> Callable[[Any, Any], None]:
    """Eight gates on three wires; angles are w_i (1 + 0.3 w_j) + x, so that they have second derivatives too."""
    gates = []
    for _ in range(8):
        gate = (*ONE, *TWO)[rng.integers(8)]
        wires = [int(wire) for wire in rng.permutation(W)[: 1 if gate in ONE else 2]]
        gates.append((gate, wires, int(rng.integers(P))))

    def body(w: Any, x: Any) -> None:
        for wire in range(W):
            qml.Hadamard(wire)
            qml.RY(w[wire], wire)
        for gate, wires, i in gates:
            gate(w[i] * (1 + 0.3 * w[(i + 1) % P]) + x, wires=wires)
            qml.CNOT(wires=[wires[0], (wires[0] + 1) % W])

    return body


def functions(seed: int, measured: str, x: Any = 0.3) -> list[Callable[[Any], Any]]:
    """One number of all outputs, which is no linear one, on qlazy's device and on default.qubit."""
    body = drawn(np.random.default_rng(seed))

    def circuit(w: Any) -> Any:
        body(w, x)
        return MEASURED[measured](w)

    def function(node: Any) -> Callable[[Any], Any]:
        def total(w: Any) -> Any:
            found = node(w)
            parts = found if isinstance(found, tuple | list) else (found,)
            numbers = qml.math.hstack([qml.math.reshape(part, (-1,)) for part in parts])
            return qml.math.sum(numbers**2 + 0.1 * numbers)

        return total

    return [function(qml.QNode(circuit, qml.device(name, wires=W))) for name in DEVICES]


@pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")  # of default.qubit under torch
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("measured", MEASURED)
def test_hessians_by_torch(measured: str, seed: int) -> None:
    ours, theirs = functions(seed, measured)
    w = torch.tensor(np.random.default_rng(seed).normal(size=P))
    mine, other = (torch.autograd.functional.hessian(f, w) for f in (ours, theirs))
    torch.testing.assert_close(mine, other, rtol=0, atol=1e-10)
    assert float(other.abs().max()) > 1e-3


@HAVE_HESSIANS_IN_AUTOGRAD
@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")  # of default.qubit under autograd
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("measured", MEASURED)
def test_hessians_by_autograd(measured: str, seed: int) -> None:
    ours, theirs = functions(seed, measured)
    w = pnp.array(np.random.default_rng(seed).normal(size=P), requires_grad=True)
    mine, other = (qml.jacobian(qml.grad(f))(w) for f in (ours, theirs))
    assert type(mine) is np.ndarray
    np.testing.assert_allclose(mine, other, rtol=0, atol=1e-10)


def of_a_batch(name: str, x: Any) -> Callable[[Any, Any], Any]:
    """A number of all outputs for angles x of data, (B,) or one of them."""

    def circuit(x: Any, w: Any) -> Any:
        qml.RX(x, 0)
        qml.RY(w[0] * w[1], 0)
        qml.IsingZZ(w[2], wires=[0, 1])
        qml.RX(w[1], 1)
        qml.CNOT([0, 1])
        return qml.expval(qml.Z(1)), qml.expval(qml.X(0) @ qml.X(1))

    node = qml.QNode(circuit, qml.device(name, wires=2))
    return lambda w, x=x: qml.math.sum(qml.math.stack(node(x, w)) ** 2)


BATCH, WEIGHTS = np.linspace(-1, 1, 5), np.array([0.4, 0.2, 1.1])


@HAVE_HESSIANS_IN_AUTOGRAD
def test_of_a_batch() -> None:
    ours, theirs = (of_a_batch(name, pnp.array(BATCH, requires_grad=False)) for name in DEVICES)
    w = pnp.array(WEIGHTS, requires_grad=True)
    mine, other = (qml.jacobian(qml.grad(f, argnums=0), argnums=0)(w) for f in (ours, theirs))
    np.testing.assert_allclose(mine, other, rtol=0, atol=1e-10)
    by_torch = torch.autograd.functional.hessian(
        of_a_batch(DEVICES[0], torch.tensor(BATCH)), torch.tensor(WEIGHTS)
    )
    np.testing.assert_allclose(by_torch.numpy(), other, rtol=0, atol=1e-10)
    assert np.abs(other).max() > 1e-3


def test_of_some_of_the_weights() -> None:
    fixed, w = torch.tensor([0.4], dtype=torch.float64), torch.tensor([0.2, 1.1], dtype=torch.float64)
    found = []
    for name in DEVICES:
        function = of_a_batch(name, torch.tensor(0.7, dtype=torch.float64))
        found.append(torch.autograd.functional.hessian(lambda v, f=function: f(torch.cat([fixed, v])), w))
    torch.testing.assert_close(*found, rtol=0, atol=1e-10)


def test_of_a_trained_batch_by_autograd_they_are_refused() -> None:
    trained = of_a_batch(DEVICES[0], None)
    x = pnp.array(BATCH, requires_grad=True)
    by_x = qml.jacobian(qml.grad(lambda x: trained(WEIGHTS, x)))
    with pytest.raises(DeviceError, match="rows one at a time"):
        by_x(x)


def test_a_penalty_on_the_gradient_trains() -> None:
    """|grad f|^2 has the gradient 2 H grad f, with f = cos(w) on one wire: -2 sin(w) cos(w) = -sin(2 w), negated."""
    node = qml.QNode(lambda w: (qml.RX(w, 0), qml.expval(qml.Z(0)))[1], qml.device("qlazy.adjoint", wires=1))
    w = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(node(w), w, create_graph=True)
    slope.square().backward()
    assert w.grad is not None
    torch.testing.assert_close(w.grad, torch.sin(2 * w.detach()), rtol=0, atol=1e-12)


@pytest.mark.parametrize("measured", ["an expectation value", "several kinds"])
def test_third_derivatives_are_refused(measured: str) -> None:
    ours, _ = functions(1, measured)
    w = torch.tensor([0.3, -0.2, 0.9, 0.5], dtype=torch.float64, requires_grad=True)
    found = ours(w)
    for _ in range(2):
        found = torch.autograd.grad(found, w, create_graph=True)[0].sum()
    with pytest.raises(RuntimeError, match="default.qubit in place of qlazy.adjoint"):
        torch.autograd.grad(found, w)
    by_autograd = qml.jacobian(qml.jacobian(qml.grad(ours)))
    with pytest.raises(DeviceError, match="first and second derivatives"):
        by_autograd(pnp.array(w.detach().numpy(), requires_grad=True))

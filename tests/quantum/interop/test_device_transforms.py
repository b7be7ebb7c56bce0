"""Transforms of ``torch.func`` through QNodes on the device, as on default.qubit; copies and threads of a device."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pennylane as qml
import pytest
import torch
from pennylane.exceptions import DeviceError, QuantumFunctionError
from torch.autograd import forward_ad
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

from qlazy.quantum.interop.device import AdjointDevice


def circuit(x: Any, w: Any) -> Any:
    qml.AngleEmbedding(x, range(3))
    qml.StronglyEntanglingLayers(w, range(3))
    qml.CRX(w[0, 0, 0], [0, 1])
    qml.exp(qml.X(0) @ qml.Z(2), 0.5j * w[1, 0, 0])
    qml.evolve(qml.dot([0.5, 0.7], [qml.Z(1), qml.X(1)]), w[1, 1, 2])
    qml.QubitUnitary(torch.tensor([[0.6, 0.8], [0.8, -0.6]], dtype=torch.complex128), 2)
    return [qml.expval(qml.Z(0)), qml.expval(qml.X(1) @ qml.Z(2)), qml.var(qml.Y(0))]


def outputs(device: Any, function: Callable[..., Any] = circuit) -> Callable[..., torch.Tensor]:
    node = qml.QNode(function, device)

    def stacked(*arguments: torch.Tensor) -> torch.Tensor:
        found = node(*arguments)
        return torch.stack(list(found)) if isinstance(found, list | tuple) else found

    return stacked


def loss(f: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    return lambda x, w: f(x, w).square().sum()


def forward(f: Callable[..., torch.Tensor]) -> torch.Tensor:
    with forward_ad.dual_level():
        return forward_ad.unpack_dual(f(X[0], forward_ad.make_dual(WEIGHTS, WEIGHTS))).tangent


DRAWN = torch.Generator().manual_seed(0)
X = torch.randn(4, 3, dtype=torch.float64, generator=DRAWN)
WEIGHTS = torch.randn(2, 3, 3, dtype=torch.float64, generator=DRAWN)
MANY = torch.stack([WEIGHTS, WEIGHTS + 0.1])
TRANSFORMS: dict[str, Callable[[Callable[..., torch.Tensor]], Any]] = {
    "grad": lambda f: grad(loss(f), 1)(X[0], WEIGHTS),
    "jacrev": lambda f: jacrev(f, 1)(X[0], WEIGHTS),
    "jacfwd": lambda f: jacfwd(f, 1)(X[0], WEIGHTS),
    "jvp": lambda f: jvp(lambda w: f(X[0], w), (WEIGHTS,), (WEIGHTS,)),
    "vjp": lambda f: vjp(lambda w: f(X[0], w), WEIGHTS)[1](torch.ones(3, dtype=torch.float64)),
    "hessian": lambda f: hessian(loss(f), 1)(X[0], WEIGHTS),
    "forward mode": forward,
    "vmap over inputs": lambda f: vmap(f, (0, None))(X, WEIGHTS),
    "vmap over weights": lambda f: vmap(f, (None, 0))(X[0], MANY),
    "vmap of grad": lambda f: vmap(grad(loss(f), 1), (0, None))(X, WEIGHTS),
    "vmap of vmap of grad": lambda f: vmap(vmap(grad(loss(f), 1), (0, None)), (None, 0))(X, MANY),
    "vmap of a batch": lambda f: vmap(lambda w: f(X, w))(MANY),
    "hessian of a batch": lambda f: hessian(lambda w: f(X, w).square().sum())(WEIGHTS),
    "jacrev by a batch": lambda f: jacrev(lambda x: f(x, WEIGHTS))(X),
    "without gradients": lambda f: torch.no_grad()(f)(X, WEIGHTS.clone().requires_grad_()),
    "inference": lambda f: torch.inference_mode()(f)(X, WEIGHTS),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_give_what_they_give_on_default_qubit(name: str) -> None:
    ours, theirs = (
        TRANSFORMS[name](outputs(qml.device(kind, wires=3))) for kind in ("qlazy.adjoint", "default.qubit")
    )
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9)


def turned(t: torch.Tensor) -> Any:
    rows = [torch.stack([t.cos(), -t.sin()]), torch.stack([t.sin(), t.cos()])]
    qml.QubitUnitary(torch.stack(rows), 0)
    return qml.expval(qml.Z(0))


def weighed(t: torch.Tensor) -> Any:
    qml.RX(t, 0)
    return qml.expval(qml.sum(qml.s_prod(t, qml.Z(0)), qml.X(0)))


@pytest.mark.parametrize("transform", [grad, lambda f: lambda t: vmap(f)(t.expand(2))], ids=["grad", "vmap"])
@pytest.mark.parametrize("function", [turned, weighed])
def test_what_is_not_followed_is_refused_in_our_words(function: Any, transform: Any) -> None:
    f = outputs(AdjointDevice(wires=1), function)
    with pytest.raises(DeviceError, match="qlazy.adjoint has no derivative by .*use .*default.qubit"):
        transform(f)(torch.tensor(0.3, dtype=torch.float64))


def test_third_derivatives_and_old_batches_are_refused_in_our_words() -> None:
    f = outputs(AdjointDevice(wires=3))
    t = torch.tensor(0.3, dtype=torch.float64)
    with pytest.raises(RuntimeError, match="third derivatives .* default.qubit in place of qlazy.adjoint"):
        grad(grad(grad(lambda t: f(X[0], WEIGHTS * t)[0])))(t)
    with pytest.raises(RuntimeError, match="vectorize=True .* torch.func.jacrev"):
        torch.autograd.functional.jacobian(lambda w: f(X[0], w), WEIGHTS, vectorize=True)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda d: pickle.loads(pickle.dumps(d))])
def test_a_copy_of_a_device_runs_as_the_device_does(copied: Callable[[Any], Any]) -> None:
    device = AdjointDevice(wires=3)
    expected = outputs(device)(X, WEIGHTS)
    torch.testing.assert_close(outputs(copied(device))(X, WEIGHTS), expected, rtol=0, atol=0)


@pytest.mark.parametrize("method", ["backprop", "adjoint"])
@pytest.mark.parametrize("interface", ["torch", "autograd"])
def test_methods_of_other_devices_are_refused_by_name(interface: str, method: str) -> None:
    with pytest.raises(QuantumFunctionError, match=f"does not support {method}"):
        qml.QNode(layers, AdjointDevice(wires=3), interface=interface, diff_method=method)


def layers(x: Any, w: Any) -> Any:
    """Without arithmetic of operators, during which PennyLane leaves the queue of all threads."""
    qml.AngleEmbedding(x, range(3))
    qml.StronglyEntanglingLayers(w, range(3))
    return [qml.expval(qml.Z(0)), qml.var(qml.Y(0))]


def test_threads_share_a_device() -> None:
    f = loss(outputs(AdjointDevice(wires=3), layers))
    points = [WEIGHTS + 0.1 * k for k in range(6)]
    expected = [grad(f, 1)(X[0], w) for w in points]
    with ThreadPoolExecutor(6) as pool:
        for _ in range(3):
            found = list(pool.map(lambda w: grad(f, 1)(X[0], w), points))
            for ours, alone in zip(found, expected, strict=True):
                torch.testing.assert_close(ours, alone, rtol=0, atol=0)

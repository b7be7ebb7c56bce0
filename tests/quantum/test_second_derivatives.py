"""Second derivatives of circuits, in every way torch asks for them, against default.qubit under torch.func."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import pennylane as qml
import pytest
import torch
from torch import Tensor

import qlazy.quantum.backends.autograd
import qlazy.quantum.backends.lowered
from qlazy import Circuit, Scaled, from_qasm
from qlazy.quantum.amplitudes import Amplitudes
from qlazy.simulator import RotationCircuit
from tests import makers
from tests.makers import Case, case, inputs

DEVICE = qml.device("default.qubit", wires=3)
CZ_LIKE = torch.diag(torch.exp(1j * torch.tensor([0.0, 0.3, -1.1, 2.0], dtype=torch.float64))).numpy()


@qml.qnode(DEVICE)
def everything(inputs, weights):  # type: ignore[no-untyped-def]
    """Shared, re-uploaded and curved angles; rotations with controls, of several qubits; fixed gates in between."""
    for wire in range(3):
        qml.RY(inputs[wire] * weights[wire] + weights[3], wires=wire)
    qml.CRX(weights[0] * weights[1], wires=[0, 1])
    qml.QubitUnitary(CZ_LIKE, wires=[1, 2])
    qml.IsingYY(torch.sin(weights[2]) * inputs[0], wires=[0, 2])
    qml.CRot(weights[3], weights[4], weights[1], wires=[2, 0])
    qml.ctrl(qml.PauliRot(weights[4], "XY", wires=[0, 1]), control=2, control_values=0)
    qml.PhaseShift(weights[2], wires=1)
    qml.Hadamard(0)
    return (
        qml.expval(qml.X(0) @ qml.Y(1)),
        qml.expval(qml.Hermitian(CZ_LIKE.real, wires=[0, 2])),
        qml.probs(2),
    )


def mixed_circuit() -> Case:
    return case(Circuit(everything, {"weights": 5}), 3)


MAKERS = (mixed_circuit, makers.qnode_circuit, makers.probability_circuit)


@cache
def reference(maker: Callable[[], Case]) -> tuple[Circuit, Tensor, Tensor, Tensor]:
    """The circuit on the adjoint simulator, parameters, inputs, and the Hessian (n, c, p, p) of default.qubit."""
    circuit, params, x = maker()
    plain = Circuit(circuit.qnode, circuit.weight_shapes, backend="torch")
    return circuit, params, x, torch.func.hessian(lambda w: plain(w, x))(params)


def close(found: Tensor, exact: Tensor, tolerance: float = 1e-9) -> None:
    torch.testing.assert_close(found, exact, rtol=0, atol=tolerance * max(1.0, float(exact.abs().max())))


HESSIANS: dict[str, Callable[[Circuit, Tensor, Tensor], Tensor]] = {
    "forward over reverse": lambda m, w, x: torch.func.hessian(lambda w: m(w, x))(w),
    "reverse over reverse": lambda m, w, x: torch.func.jacrev(torch.func.jacrev(lambda w: m(w, x)))(w),
    "reverse over forward": lambda m, w, x: torch.func.jacrev(torch.func.jacfwd(lambda w: m(w, x)))(w),
    "forward over forward": lambda m, w, x: torch.func.jacfwd(torch.func.jacfwd(lambda w: m(w, x)))(w),
    "forward over the Jacobian": lambda m, w, x: torch.func.jacfwd(lambda w: m.jacobian(w, x))(w),
    "reverse over the Jacobian": lambda m, w, x: torch.func.jacrev(lambda w: m.jacobian(w, x))(w),
}


@pytest.mark.parametrize("way", HESSIANS)
@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_hessians_are_those_of_default_qubit(maker: Callable[[], Case], way: str) -> None:
    circuit, params, x, exact = reference(maker)
    assert circuit(params, x).shape == exact.shape[:2]
    assert circuit.backend == "adjoint"
    close(HESSIANS[way](circuit, params, x), exact)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_first_derivatives_of_one_output_after_another(maker: Callable[[], Case], dtype: torch.dtype) -> None:
    """From the second on out of a Jacobian that is kept; of all outputs together before, between and after."""
    circuit, params, x, _ = reference(maker)
    jacobian = Circuit(circuit.qnode, circuit.weight_shapes, backend="torch").jacobian(params, x)
    leaf = params.detach().to(dtype).requires_grad_()
    outputs = circuit(leaf, x.to(dtype))
    generator = torch.Generator().manual_seed(0)
    for k in (slice(None), 0, slice(None), -1, 0, slice(None), -1):
        weights = torch.zeros(outputs.shape, dtype=torch.float64)
        weights[:, k] = torch.randn(weights[:, k].shape, generator=generator, dtype=torch.float64)
        (found,) = torch.autograd.grad((weights.to(dtype) * outputs).sum(), leaf, retain_graph=True)
        assert found.dtype == dtype
        exact = torch.einsum("nc,ncp->p", weights, jacobian)
        close(found.double(), exact, 1e-9 if dtype == torch.float64 else 1e-5)


@pytest.mark.parametrize(("entries", "sweeps"), [(2**23, 1), (10, 0)])
def test_a_large_jacobian_is_not_kept(entries: int, sweeps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    circuit, params, x, _ = reference(mixed_circuit)
    jacobian, calls = circuit.jacobian(params, x), []
    plain = RotationCircuit.sweep
    monkeypatch.setattr(RotationCircuit, "sweep", lambda *given: calls.append(0) or plain(*given))
    monkeypatch.setattr(qlazy.quantum.backends.autograd, "MOST_ENTRIES", entries)
    leaf = params.clone().requires_grad_()
    outputs = circuit(leaf, x)
    for k in (0, 1, 0):
        (found,) = torch.autograd.grad(outputs[:, k].sum(), leaf, retain_graph=True)
        close(found, jacobian[:, k].sum(0))
    assert len(calls) == sweeps


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_double_backward(maker: Callable[[], Case]) -> None:
    """Of all outputs, of one (another path), and of the Jacobian, by plain autograd."""
    circuit, params, x, exact = reference(maker)
    direction, leaf = inputs(len(params), seed=3), params.clone().requires_grad_()
    for weights in (
        inputs(*exact.shape[:2]),
        torch.eye(exact.shape[1], dtype=x.dtype)[:1].expand(len(x), -1),
    ):
        (gradient,) = torch.autograd.grad((circuit(leaf, x) * weights).sum(), leaf, create_graph=True)
        (product,) = torch.autograd.grad(gradient @ direction, leaf)
        close(product, torch.einsum("nc,ncpq,q->p", weights, exact, direction))
    weights = inputs(*exact.shape[:3], seed=4)
    (found,) = torch.autograd.grad((circuit.jacobian(leaf, x) * weights).sum(), leaf)
    close(found, torch.einsum("ncp,ncpq->q", weights, exact))


def test_double_backward_of_a_single_output_and_its_loss() -> None:
    """A sweep that keeps its derivatives for backward(); a loss adds J J^T to the weighted Hessians."""
    text = """OPENQASM 3.0; include "stdgates.inc"; input array[float, 2] w; input float x; qubit[2] q;
        rx(w[0] * x) q[0]; cx q[0], q[1]; ry(w[1] * w[0]) q[1]; crz(w[1]) q[1], q[0];"""
    one, plain = (from_qasm(text, observables=("X q[0]",), data=("x",), backend=b) for b in ("auto", "torch"))
    params, x = inputs(2), inputs(4, 1)

    def losses(circuit: Circuit) -> Callable[[Tensor], Tensor]:
        return lambda w: (circuit(w, x) - 0.3).square().mean()

    found = torch.autograd.functional.hessian(losses(one), params)
    close(found, torch.func.hessian(losses(plain))(params))


def test_derivatives_by_inputs_of_derivatives_by_weights() -> None:
    circuit, params, x, _ = reference(mixed_circuit)
    plain = Circuit(circuit.qnode, circuit.weight_shapes, backend="torch")
    for outer in (torch.func.jacfwd, torch.func.jacrev):
        close(outer(lambda x: circuit.jacobian(params, x))(x), outer(lambda x: plain.jacobian(params, x))(x))
    close(
        torch.func.hessian(lambda x: circuit(params, x))(x), torch.func.hessian(lambda x: plain(params, x))(x)
    )
    row = x[:1].clone().requires_grad_()
    found, exact = (
        torch.autograd.grad(model.jacobian(params, row).square().sum(), row)[0] for model in (circuit, plain)
    )
    close(found, exact)


def test_maps_between_forward_modes() -> None:
    """A map over parameters or directions, with forward mode around it and within."""
    circuit, params, x, exact = reference(mixed_circuit)
    direction, many = inputs(len(params), seed=3), torch.stack([params, params + 0.4])
    alike = torch.ones_like(many)

    def along(w: Tensor) -> Tensor:
        return torch.func.jvp(lambda w: circuit(w, x), (w,), (direction,))[1]

    def gradient(w: Tensor) -> Tensor:
        return torch.func.grad(lambda w: circuit(w, x).sum())(w)

    hessians = torch.stack([exact, torch.func.hessian(lambda w: circuit(w, x))(many[1])])
    moved = torch.func.jvp(torch.func.vmap(along), (many,), (alike,))[1]
    close(moved, torch.einsum("bncpq,p->bnc", hessians, direction))
    moved = torch.func.jvp(torch.func.vmap(gradient), (many,), (alike,))[1]
    close(moved, hessians.sum((1, 2, 4)))
    directions = torch.eye(len(params), dtype=params.dtype)

    def products(w: Tensor) -> Tensor:
        return torch.func.vmap(lambda v: torch.func.jvp(lambda w: circuit(w, x), (w,), (v,))[1])(directions)

    moved = torch.func.vmap(lambda v: torch.func.jvp(products, (params,), (v,))[1])(directions)
    close(moved.permute(2, 3, 0, 1), exact)


THIRD: dict[str, Callable[[Circuit, Tensor, Tensor], object]] = {
    "forward": lambda m, w, x: torch.func.jacfwd(torch.func.hessian(lambda w: m(w, x)))(w),
    "reverse": lambda m, w, x: torch.func.grad(lambda w: torch.func.hessian(lambda w: m(w, x))(w).sum())(w),
    "forward three times": lambda m, w, x: torch.func.jacfwd(
        torch.func.jacfwd(torch.func.jacfwd(lambda w: m(w, x)))
    )(w),
    "mapped": lambda m, w, x: torch.func.jvp(
        torch.func.vmap(torch.func.hessian(lambda w: m(w, x))), (w.expand(2, -1),), (w.expand(2, -1),)
    ),
}


@pytest.mark.parametrize("way", THIRD)
def test_third_derivatives_are_refused_rather_than_lost(way: str) -> None:
    circuit, params, x, _ = reference(makers.qnode_circuit)
    with pytest.raises(RuntimeError, match="third derivatives of a circuit need backend='torch'"):
        THIRD[way](circuit, params, x)


def test_float32_keeps_its_precision() -> None:
    circuit, params, x, exact = reference(mixed_circuit)
    found = torch.func.hessian(lambda w: circuit(w, x.float()))(params.float())
    assert found.dtype == torch.float32
    close(found.double(), exact, 1e-5)


def test_a_hybrid_of_nets_and_a_circuit() -> None:
    model, params, x = makers.hybrid_net()
    found = torch.func.hessian(lambda w: Scaled(model, 2.0)(w, x))(params)
    step = 1e-5
    for number in range(0, len(params), 4):
        moved = torch.zeros_like(params)
        moved[number] = step
        difference = (model.jacobian(params + moved, x) - model.jacobian(params - moved, x)) / step
        close(found[..., number], difference, 1e-8)


def test_rotations_that_a_loop_repeats() -> None:
    """f = cos(k w), of a rotation that is applied k times under one number: shifts of w itself would be wrong."""
    text = """OPENQASM 3.0; include "stdgates.inc"; input float w; qubit[2] q; bit c;
        c = measure q[1]; for int i in [0:2] { rx(w) q[0]; }"""
    circuit = from_qasm(text, observables=("Z q[0]",))
    params, x = torch.tensor([0.7], dtype=torch.float64), torch.zeros(2, 0, dtype=torch.float64)
    found = torch.func.hessian(lambda w: circuit(w, x))(params)
    assert circuit.backend in ("branches", "adjoint")
    close(found.flatten(), torch.full((2,), -9 * math.cos(2.1), dtype=torch.float64))


def test_amplitudes_have_second_derivatives() -> None:
    """Re <0|exp(-i w X / 2)|0> = cos(w / 2)."""
    program = from_qasm('OPENQASM 3.0; include "stdgates.inc"; input float w; qubit q; rx(w) q;').program
    assert program is not None
    angles = torch.tensor([[0.4], [1.9]], dtype=torch.float64)
    found = torch.func.vmap(torch.func.hessian(lambda w: Amplitudes(program)(w[None])[0, 0]))(angles)
    close(found.flatten(), -(angles / 2).cos().flatten() / 4)


@pytest.mark.parametrize("size", [1000, 10_000])
def test_a_hessian_may_go_in_parts(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of directions, or of samples."""
    circuit, params, x, exact = reference(mixed_circuit)
    weights = inputs(*exact.shape[:2])
    monkeypatch.setattr(qlazy.quantum.backends.lowered, "LANE_BYTES", size)
    close(circuit.hessian(params, x), exact)
    close(circuit.hessian(params, x, weights), torch.einsum("nc,ncpq->pq", weights, exact))


@pytest.mark.parametrize("angles_worth", [0, 10**6])
@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_hessians_along_parameters_are_those_by_angles(
    maker: Callable[[], Case], angles_worth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    circuit, params, x, exact = reference(maker)
    weights = inputs(*exact.shape[:2])
    monkeypatch.setattr(qlazy.quantum.backends.lowered, "ANGLES_WORTH", angles_worth)
    close(circuit.hessian(params, x), exact)
    close(circuit.hessian(params, x, weights), torch.einsum("nc,ncpq->pq", weights, exact))
    assert circuit.hessian(params, x[:0]).shape == (0, *exact.shape[1:])
    assert not circuit.hessian(params, x[:0], weights[:0]).any()

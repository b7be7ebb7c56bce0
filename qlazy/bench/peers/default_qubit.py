"""PennyLane's default.qubit on torch, by vmap a sample at a time, and by parameter broadcasting."""

from __future__ import annotations

from functools import partial

import pennylane as qml
import torch
from torch import Tensor

from qlazy.bench.peers import Compute, Ways
from qlazy.bench.peers.pennylane_circuit import qnode, trained
from qlazy.bench.peers.torch_arrays import loss_gradient, native
from qlazy.bench.workloads import CircuitWorkload

__all__ = ["native", "ways"]


def ways(workload: CircuitWorkload, dtype: str, threads: int) -> Ways:
    if workload.task == "loss gradient":
        return {
            "broadcast": lambda: loss_gradient(partial(broadcast, _node(workload))),
            "vmap": lambda: loss_gradient(partial(_mapped, _node(workload))),
        }
    if workload.task == "training":
        return {"broadcast": lambda: _trained(workload)}
    if workload.is_second:
        return _second_ways(workload)
    return {
        "vmap(grad)" if workload.outputs == 1 else "vmap(jacrev)": lambda: _vmap_jacobian(workload),
        "broadcast": lambda: partial(broadcast_jacobian, _node(workload)),
    }


def _trained(workload: CircuitWorkload) -> Compute:
    outputs = partial(broadcast, _node(workload))
    return trained(workload, outputs, loss_gradient(outputs))


def _second_ways(workload: CircuitWorkload) -> Ways:
    def total(weights: Tensor, x: Tensor) -> Tensor:
        return _mapped(node, weights, x).sum()

    def product(weights: Tensor, x: Tensor, direction: Tensor) -> Tensor:
        return torch.func.jvp(lambda w: torch.func.grad(total)(w, x), (weights,), (direction,))[1]

    def doubled(weights: Tensor, x: Tensor, direction: Tensor) -> Tensor:
        leaf = weights.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(broadcast(node, leaf, x).sum(), leaf, create_graph=True)
        return torch.autograd.grad(gradient @ direction, leaf)[0]

    node = _node(workload)
    if workload.task == "hessian product":
        return {"jvp(grad)": lambda: product, "double backward": lambda: doubled}
    return {
        "hessian": lambda: torch.func.hessian(total),
        "jacfwd(grad)": lambda: torch.func.jacfwd(torch.func.grad(total)),
    }


def _node(workload: CircuitWorkload) -> qml.QNode:
    device = qml.device("default.qubit", wires=workload.wires)
    return qnode(workload, device, interface="torch", diff_method="backprop")


def _vmap_jacobian(workload: CircuitWorkload) -> Compute:
    node = _node(workload)

    def single(weights: Tensor, row: Tensor) -> Tensor:
        return _stacked(node(row, weights))

    if workload.outputs > 1:
        return torch.func.vmap(torch.func.jacrev(single), (None, 0))
    gradients = torch.func.vmap(torch.func.grad(lambda w, row: single(w, row)[0]), (None, 0))
    return lambda params, x: gradients(params, x).unsqueeze(1)


def broadcast_jacobian(node: qml.QNode, params: Tensor, x: Tensor) -> Tensor:
    """The Jacobian (n, c, p) of a QNode that takes a batch of inputs and of weights."""
    # A copy of the parameters for each sample: derivatives of a sum over samples are then those of each.
    weights = params.expand(len(x), -1).detach().requires_grad_()
    totals = broadcast(node, weights, x).sum(0)
    gradients = [torch.autograd.grad(total, weights, retain_graph=True)[0] for total in totals]
    return torch.stack(gradients, dim=1)


def broadcast(node: qml.QNode, weights: Tensor, x: Tensor) -> Tensor:
    """Outputs (n, c) of a QNode that takes a batch of inputs."""
    return _stacked(node(x, weights))


def _mapped(node: qml.QNode, weights: Tensor, x: Tensor) -> Tensor:
    return torch.func.vmap(lambda row: _stacked(node(row, weights)))(x)


def _stacked(measured: Tensor | list[Tensor]) -> Tensor:
    return torch.stack(measured if isinstance(measured, list | tuple) else [measured], dim=-1)

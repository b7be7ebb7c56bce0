"""torch.func: per-sample Jacobians by vmap(jacrev), contracted a parameter tensor at a time."""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor

from qlazy.bench.peers import Compute, Ways
from qlazy.bench.peers.torch_arrays import module, native
from qlazy.bench.workloads import NetWorkload

__all__ = ["native", "ways"]


def ways(workload: NetWorkload, dtype: str, threads: int) -> Ways:
    return {"Jacobian contraction": lambda: _contraction(workload, dtype)}


def _contraction(workload: NetWorkload, dtype: str) -> Compute:
    net = module(workload, dtype)
    names = [name for name, _ in net.named_parameters()]

    def single(state: dict[str, Tensor], row: Tensor) -> Tensor:
        return torch.func.functional_call(net, state, (row.unsqueeze(0),)).squeeze(0)

    jacobians = torch.func.vmap(torch.func.jacrev(single), (None, 0))

    def kernel(params: Tensor, x: Tensor) -> Tensor:
        with torch.no_grad():
            found = jacobians(dict(zip(names, workload.split(params), strict=True)), x).values()
            return reduce(torch.add, (_contract(jacobian.flatten(2)) for jacobian in found))

    return kernel


def _contract(jacobian: Tensor) -> Tensor:
    return torch.einsum("iaf,jbf->iajb", jacobian, jacobian)

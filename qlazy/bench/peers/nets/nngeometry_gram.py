"""nngeometry: the dense Gram matrix from its torch hooks, all inputs in one batch."""

from __future__ import annotations

import torch
from nngeometry import GramMatrix
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from qlazy.bench.peers import Compute, Ways
from qlazy.bench.peers.torch_arrays import module, native
from qlazy.bench.workloads import NetWorkload

__all__ = ["native", "ways"]


def ways(workload: NetWorkload, dtype: str, threads: int) -> Ways:
    return {"GramMatrix": lambda: _gram(workload, dtype)}


def _gram(workload: NetWorkload, dtype: str) -> Compute:
    net = module(workload, dtype)

    def kernel(params: Tensor, x: Tensor) -> Tensor:
        torch.nn.utils.vector_to_parameters(params, net.parameters())
        loader = DataLoader(TensorDataset(x), batch_size=len(x))
        return GramMatrix(net, loader).to_torch().permute(1, 0, 3, 2)

    return kernel

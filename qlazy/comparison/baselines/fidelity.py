"""The fidelity kernel of a circuit: how much the states of two inputs overlap, at the weights a seed starts from."""

from __future__ import annotations

import torch
from torch import Tensor

from qlazy.comparison.baselines.learners import KernelRidge, KernelSupport, Learner, samples
from qlazy.data.datasets import Dataset
from qlazy.quantum.circuit import Circuit
from qlazy.quantum.torch_engine.states import batched_states


def fidelities(circuit: Circuit, params: Tensor, x: Tensor, samples: int) -> Tensor:
    """|<psi(x_i)|psi(x_j)>|^2 (n, m) of inputs x (n, ...) with the first m = ``samples`` of them, at weights (p,).

    Weights that act after all data cancel: it is then the kernel of the encoding alone, the same at any weights. Where
    data are uploaded again it is that of the circuit at these weights. Havlicek and others 2019 (arXiv 1804.11326).
    """
    states = batched_states(circuit, params, x)
    return (states.conj() @ states[:samples].T).abs().square()


def fidelity_learner(circuit: Circuit, data: Dataset, seed: int) -> Learner:
    """Support vectors with the fidelity kernel for classes, kernel ridge regression for real targets."""
    params = circuit.init(torch.Generator().manual_seed(seed)).to(data.y_train)
    kernel = fidelities(circuit, params, samples(data), len(data.x_train))
    return KernelSupport(kernel, data) if data.classes else KernelRidge(kernel, data)

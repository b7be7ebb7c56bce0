"""How samples are seen by a selector: fixed features, before anything is learnt on top of them."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from qlazy.base.errors import require
from qlazy.kernels.operator import tangent_kernel
from qlazy.tasks.subset.selector import Task


class Features(abc.ABC):
    """A map from the samples of a task to vectors (n, d), labels left out."""

    @abc.abstractmethod
    def of(self, task: Task) -> Tensor:
        """Features (n, d) in the dtype of the targets."""


@final
@dataclass(frozen=True)
class DataFeatures(Features):
    """The inputs themselves, flattened, each coordinate brought to mean 0 and standard deviation 1."""

    def of(self, task: Task) -> Tensor:
        return standardized(task.x.reshape(len(task.x), -1).to(task.y))


@final
@dataclass(frozen=True)
class KernelComponents(Features):
    """Rows of the Jacobian at initialisation, seen through the leading directions of the tangent kernel.

    With k(x, x') the trace of K over the outputs, centred, and its eigenpairs (mu, v), the features are
    v_1, ..., v_d sqrt(n): kernel principal components, each to standard deviation 1. With ``components``
    beyond the rank there are as many as the rank.
    """

    components: int = 16

    def __post_init__(self) -> None:
        require(self.components >= 1, "components", "be positive", self.components)

    def of(self, task: Task) -> Tensor:
        kernel = tangent_kernel(task.model, task.params, task.x).gram().diagonal(dim1=1, dim2=3).sum(-1)
        centered = kernel - kernel.mean(0, keepdim=True) - kernel.mean(1, keepdim=True) + kernel.mean()
        values, vectors = torch.linalg.eigh((centered + centered.T) / 2)
        cutoff = len(kernel) * torch.finfo(kernel.dtype).eps * values[-1].clamp_min(0)
        rank = int((values > cutoff).sum())
        require(rank, "model", "tell the inputs apart by its tangent kernel", "a kernel that is constant")
        return vectors.flip(1)[:, : min(rank, self.components)] * len(kernel) ** 0.5


def standardized(features: Tensor) -> Tensor:
    """Columns to mean 0 and standard deviation 1; a constant one to 0."""
    centered = features - features.mean(0)
    deviation = centered.square().mean(0).sqrt()
    return centered / torch.where(deviation > 0, deviation, torch.ones_like(deviation))

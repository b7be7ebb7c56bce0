"""Layers whose outputs are pooled: all output cotangents of a feature share one pattern over positions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from qlazy.models.layerwise.factors import Factor, Outer

_SLACK = 64  # in units of eps: a cotangent that is a product of two factors, rounded


@final
class Separable(Factor):
    """Gradients J_ia = w_ia B_i, row by row of the weight: one gradient a sample, scaled for each output.

    That is so where each feature is averaged or summed over positions before anything else mixes it: from
    cotangents G_iato = w_iao d_ito, with B_i the outer product of inputs and d. The kernel

        K_ia,jb = sum_o w_iao w_jbo (B_io . B_jo)

    takes c^2 fewer multiply-adds in its largest product. ``scales`` is (n, c, out), ``gradients`` (out, n, q).
    """

    def __init__(self, scales: Tensor, gradients: Tensor) -> None:
        self.scales = scales
        self.gradients = gradients

    @property
    def nbytes(self) -> int:
        return (self.scales.numel() + self.gradients.numel()) * self.scales.element_size()

    @property
    def positions(self) -> int:
        return math.isqrt(len(self.gradients)) + 1

    def samples(self, rows: slice) -> Separable:
        return Separable(self.scales[rows], self.gradients[:, rows])

    @classmethod
    def join(cls, parts: Sequence[Separable]) -> Separable:
        if len(parts) == 1:
            return parts[0]
        return cls(torch.cat([p.scales for p in parts]), torch.cat([p.gradients for p in parts], 1))

    def add_kernel(self, other: Separable, kernel: Tensor) -> None:
        products = (self.gradients @ other.gradients.transpose(1, 2)).unsqueeze(3)  # (out, n, m, 1)
        outputs, out = self.scales.shape[1:]
        right = other.scales.permute(2, 0, 1).contiguous()
        for i, scales in enumerate(self.scales):
            kernel[i * outputs : (i + 1) * outputs].addmm_(scales, (products[:, i] * right).view(out, -1))


def separated(outer: Outer) -> Separable | None:
    """The same gradients as a Separable, or None where the cotangents are no such products."""
    cotangents = outer.cotangents.transpose(0, 1)  # (c, n, t, out)
    energies = torch.linalg.vector_norm(cotangents, dim=2)
    largest, output = energies.max(0, keepdim=True)
    pattern = cotangents.gather(0, output.unsqueeze(2).expand(1, *cotangents.shape[1:]))[0]
    pattern = pattern / largest[0].where(largest[0] > 0, 1).unsqueeze(1)
    tolerance = _SLACK * torch.finfo(pattern.dtype).eps * largest[0]
    scales = []
    for g in cotangents:
        scales.append((g * pattern).sum(1))
        residual = torch.linalg.vector_norm(g - scales[-1].unsqueeze(1) * pattern, dim=1)
        if not (residual <= tolerance).all():
            return None
    gradients = outer.inputs.outer(pattern.unsqueeze(1))[:, 0].unflatten(1, (pattern.shape[2], -1))
    if outer.bias:
        gradients = torch.cat([gradients, pattern.sum(1).unsqueeze(2)], 2)
    return Separable(torch.stack(scales, 1), gradients.transpose(0, 1).contiguous())

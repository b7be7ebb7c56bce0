"""Kernel regression with the tangent kernel as it stands after some training: the after-kernel.

Where the kernel K_t of step t predicts test samples that the initial kernel K_0 does not, features were learnt by then:
labels enter K_t by training alone. Fort et al. 2020 (arXiv 2010.15110).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from qlazy.base.errors import require, require_shape
from qlazy.data.datasets import Dataset
from qlazy.kernels.operator import tangent_kernel
from qlazy.kernels.prediction import kernel_regression, leave_one_out_ridge
from qlazy.kernels.spectrum import centered_alignment
from qlazy.models.model import Model


class AfterKernel(NamedTuple):
    """What the kernel at one point predicts on test samples, (m, c), the ridge it took, and the kernel, (n c, n c)."""

    outputs: Tensor
    ridge: float
    kernel: Tensor


def after_kernel(
    model: Model, params: Tensor, data: Dataset, offsets: tuple[Tensor, Tensor] | None = None
) -> AfterKernel:
    """Kernel regression of the training targets with the tangent kernel of ``model`` at ``params`` (p,).

    ``offsets``, of shapes (n, c) and (m, c), are added to what the kernel predicts on training and test samples: the
    outputs a h(w0) at the start, so that at the start this is where the linearised model ends. None: 0. The ridge is
    the one that leaving out one training sample chooses. Outputs are the offsets alone where the kernel is zero.
    """
    on_train, on_test = offsets or (torch.zeros_like(data.y_train), torch.zeros_like(data.y_test))
    require_shape("offsets[0]", on_train, tuple(data.y_train.shape))
    require_shape("offsets[1]", on_test, tuple(data.y_test.shape))
    kernel = tangent_kernel(model, params, data.x_train, allow_zero=True).to_dense()
    if not kernel.any():
        return AfterKernel(on_test, 0.0, kernel)
    cross = tangent_kernel(model, params, data.x_test, data.x_train, allow_zero=True).to_dense()
    ridge = leave_one_out_ridge(kernel, data.y_train - on_train)
    outputs = kernel_regression(
        kernel, cross, data.y_train, ridge=ridge, offset_train=on_train, offset_test=on_test
    )
    return AfterKernel(outputs, ridge, kernel)


def collapse(kernel: Tensor, outputs: Tensor) -> float:
    """How near a kernel (n c, n c) has come to knowing nothing but the function f (n, c) that was learnt, from 0 to 1.

    The centred alignment of sum_k K_(ik, jk), (n, n), with f f^T: 1 where its features are the learnt outputs alone,
    the least that can carry them. Neither labels nor the initial kernel enter, nor do the size of kernel and outputs.
    NaN where outputs or kernel are the same for every sample.

    It is made after the measure of richness of Nam et al. 2024 (arXiv 2410.04264), which rests on the low-rank bias of
    rich training, not on performance, and has neural collapse, of a net's last features, as a special case. A circuit
    has no such layer: the tangent kernel stands here, and figures are not those of the paper. It parts from the kernel
    change: a kernel that turns to what was not learnt changes and does not collapse; one that knew little else from the
    start need not change.
    """
    samples, columns = outputs.shape
    require_shape("kernel", kernel, (outputs.numel(), outputs.numel()))
    require(samples > 1, "outputs", "be of two samples or more", tuple(outputs.shape))
    within = kernel.reshape(samples, columns, samples, columns).diagonal(dim1=1, dim2=3).sum(-1)
    try:
        return float(centered_alignment(within, outputs @ outputs.T))
    except ValueError:  # zero once centred
        return float("nan")

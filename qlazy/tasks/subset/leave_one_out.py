"""What the tangent kernel, told the labels of all the other samples, says of each one; and whom it doubts."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from qlazy.data.labels import are_labels, label_codes
from qlazy.kernels.operator import DENSE_ROWS, tangent_kernel
from qlazy.kernels.spectrum import check_kernel
from qlazy.tasks.subset.labels import margins
from qlazy.tasks.subset.selector import Task

RIDGES = tuple(10.0 ** (k / 2) for k in range(-8, 3))
"""Ridges that are tried, in units of the mean of k(x_i, x_i)."""

ROWS = 1024
"""Of more samples than that, each is judged by a random part of the others: a kernel costs the cube of its size."""


class LeaveOneOut(NamedTuple):
    """Outputs (n, c) at every sample of a fit to all the others, and the ridge of the least squared error."""

    outputs: Tensor
    ridge: float


def leave_one_out(kernel: Tensor, targets: Tensor) -> LeaveOneOut:
    """Kernel ridge regression with each sample left out in turn, the targets' mean (of all) as its offset.

    With H = K (K + ridge I)^-1 the output at i without i is ((H y)_i - H_ii y_i) / (1 - H_ii): kernel (n, n),
    targets (n, c). The ridge is that of ``RIDGES`` with the least sum of squares (Allen 1974's PRESS).
    """
    check_kernel("kernel", kernel)
    mean = targets.mean(0)
    values, vectors = torch.linalg.eigh(kernel)
    values, y = values.clamp_min(0), targets - mean
    rotated = vectors.T @ y
    fits = []
    for factor in RIDGES:
        ridge = factor * float(kernel.diagonal().mean())
        shares = values / (values + ridge)
        own = (vectors.square() @ shares)[:, None]
        outputs = (vectors @ (shares[:, None] * rotated) - own * y) / (1 - own)
        fits.append((float((outputs - y).square().sum()), LeaveOneOut(outputs + mean, ridge)))
    return min(fits, key=lambda fit: fit[0])[1]


def outputs_left_out(task: Task, index: Tensor | None = None) -> Tensor:
    """Leave-one-out outputs (n, classes) from one-hot labels and the kernel at initialisation, traced over outputs.

    Of the samples ``index``, or all. Validation samples that are class labels are fitted along, up to ``ROWS``.
    """
    x, codes = task.x, label_codes(task.y)
    if index is not None:
        x, codes = x[index], codes[index]
    n = len(x)
    if task.validation is not None and are_labels(task.validation[1]):
        x = torch.cat([x, task.validation[0][:ROWS]])
        codes = torch.cat([codes, label_codes(task.validation[1][:ROWS])])
    kernel = tangent_kernel(task.model, task.params, x).gram().diagonal(dim1=1, dim2=3).sum(-1)
    return leave_one_out(kernel, codes).outputs[:n]


def label_margins(task: Task, generator: torch.Generator) -> Tensor:
    """How far the tangent kernel at initialisation, told all other labels, speaks for each label (n,), or against.

    The outputs f_ij of :func:`outputs_left_out` are compared with what they are where the label is j: with t_j the
    mean of f_ij over the samples labelled j and s_ij = f_ij - t_j, the margin of label y is

        max(s_iy, 0) - max_{j != y} s_ij

    so that a label is doubted where another class is more like that class than its own mean member is, and more so
    than the label given. The thresholds, which follow the noise there is, are those of confident learning (Northcutt,
    Jiang, Chuang, J. Artif. Intell. Res. 70, 2021, arXiv 1911.00068). A kernel that knows nothing of the classes
    doubts every other label. Of more than ``ROWS`` samples (fewer for many outputs) random parts judge themselves.
    """
    rows = max(2, min(ROWS, DENSE_ROWS // task.y.shape[1]))
    n = len(task.x)
    if n <= rows:
        outputs = outputs_left_out(task)
    else:
        order = torch.randperm(n, generator=generator).to(task.x.device)
        parts = order.tensor_split(math.ceil(n / rows))
        outputs = torch.cat([outputs_left_out(task, part) for part in parts])[order.argsort()]
    codes = label_codes(task.y)
    members = codes.sum(0)
    thresholds = torch.where(members > 0, (codes * outputs).sum(0) / members.clamp_min(1), 1.0)
    excess = outputs - thresholds
    own = (excess * codes).sum(1)
    return own.clamp_min(0) - own + margins(excess, codes)

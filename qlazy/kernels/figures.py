"""Figures of tangent kernels: spectra, and the matrices themselves with their samples ordered by class."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from torch import Tensor

from qlazy.base.errors import require, require_tensor
from qlazy.data.labels import classes
from qlazy.drawing.style import GUIDE, INK, grid, log_axis, style
from qlazy.kernels.spectrum import eigenvalues, label_energies, participation_ratio, rank_cutoff

Floats = NDArray[np.floating[Any]]

_DIVERGING = "RdBu_r"


def kernel_figure(kernel: Floats, labels: Floats) -> Figure:
    """One kernel (n c, n c) and its labels (n, c): spectrum, label energy, and the matrix by class."""
    figure, panels = grid(1, 3, width=2.9)
    spectrum, energy, image = panels[0]
    matrix = torch.from_numpy(kernel)
    draw_spectrum(spectrum, kernel, color=INK, marker=".")
    log_axis(spectrum, "y", nonzero_eigenvalues(kernel))
    rank = float(participation_ratio(matrix))
    spectrum.axvline(rank, color=GUIDE, linestyle=":", linewidth=1, label=f"participation ratio {rank:.1f}")
    spectrum.legend(loc="upper right")
    spectrum.set(xlabel="index", ylabel="eigenvalue of K")
    # Beyond the rank eigenvectors are any basis of what the kernel cannot learn.
    energies = label_energies(matrix, torch.from_numpy(labels)).numpy()[: len(nonzero_eigenvalues(kernel))]
    energy.plot(np.arange(1, len(energies) + 1), energies, color=INK)
    energy.set(xlabel="top k eigenvectors", ylabel="share of label energy", ylim=(0, 1.03), xscale="log")
    drawn = draw_kernel(image, kernel, labels, np.abs(over_outputs(kernel, labels)).max())
    sample_labels([image], labels)
    figure.colorbar(drawn, ax=image, shrink=0.85, label=kernel_label(labels))
    return figure


def draw_kernel(axes: Axes, kernel: Floats, labels: Floats, largest: float) -> AxesImage:
    order = _by_class(labels)
    matrix = over_outputs(kernel, labels)[np.ix_(order, order)]
    limit = largest or 1.0
    image = axes.imshow(matrix, cmap=_DIVERGING, vmin=-limit, vmax=limit, interpolation="nearest")
    for edge in _class_edges(labels):
        axes.axhline(edge - 0.5, color=INK, linewidth=0.6)
        axes.axvline(edge - 0.5, color=INK, linewidth=0.6)
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[:].set_visible(True)
    return image


def sample_labels(row: Iterable[Axes], labels: Floats) -> None:
    what = "target" if classes(labels) is None else "class"
    for axes in row:
        axes.set_xlabel(f"samples, ordered by {what}", fontsize=7)


def kernel_label(labels: Floats) -> str:
    return r"$K(x, x')$" if labels.shape[1] == 1 else r"$\sum_c K_{cc}(x, x')$"


def over_outputs(kernel: Floats, labels: Floats) -> Floats:
    """The trace over outputs of a kernel (n c, n c): what two samples share, (n, n)."""
    samples, outputs = labels.shape
    return np.einsum("iaja->ij", kernel.reshape(samples, outputs, samples, outputs))


def _by_class(labels: Floats) -> NDArray[np.int64]:
    found = classes(labels)
    return np.argsort(labels[:, 0] if found is None else found, kind="stable")


def _class_edges(labels: Floats) -> NDArray[np.int64]:
    found = classes(labels)
    return np.zeros(0, np.int64) if found is None else np.flatnonzero(np.diff(np.sort(found))) + 1


def draw_spectrum(axes: Axes, kernel: Floats, **look: Any) -> None:
    values = nonzero_eigenvalues(kernel)
    axes.plot(np.arange(1, len(values) + 1), values, **look)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))


def nonzero_eigenvalues(kernel: Floats) -> Floats:
    """The eigenvalues that stand above rounding, in descending order."""
    values = eigenvalues(torch.from_numpy(kernel))
    return values[values > rank_cutoff(values)].numpy()


def spread_out(alphas: tuple[float, ...]) -> list[float]:
    return sorted({alphas[0], alphas[len(alphas) // 2], alphas[-1]})


def shades_of(count: int) -> NDArray[np.float64]:
    return np.linspace(1.0, 0.35, count)


def plot_kernel(kernel: Tensor | NDArray[Any], labels: Tensor | NDArray[Any]) -> Figure:
    """A dense kernel (n c, n c) with labels (n, c): its spectrum, its label energy, and itself by class.

    Raises ValueError for a kernel that is zero, not square or does not fit the labels.
    """
    matrix, targets = _array("kernel", kernel), _array("labels", labels)
    require(targets.ndim == 2, "labels", "have shape (n, c)", targets.shape)
    with style():
        return kernel_figure(matrix, targets.astype(matrix.dtype))


def _array(argument: str, values: Tensor | NDArray[Any]) -> NDArray[Any]:
    must = "be a torch tensor or a NumPy array of real numbers"
    if not isinstance(values, Tensor):
        is_real = isinstance(values, np.ndarray) and values.dtype.kind in "biuf"
        require(is_real, argument, must, f"a {type(values).__name__}", TypeError)
        return values
    require_tensor(argument, values)
    require(not values.is_complex() and values.dtype != torch.bfloat16, argument, must, values.dtype)
    return values.detach().cpu().resolve_neg().numpy()

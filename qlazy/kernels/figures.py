"""Figures of tangent kernels: spectra, and the matrices themselves with their samples ordered by class."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
from qlazy.base.tables import drawable
from qlazy.data.labels import classes
from qlazy.drawing.legends import clear_legend
from qlazy.drawing.style import GUIDE, INK, Place, Style, grid, log_axis
from qlazy.drawing.style import style as settings_of
from qlazy.kernels.spectrum import eigenvalues, label_energies, participation_ratio, rank_cutoff

Floats = NDArray[np.floating[Any]]

OUTLIERS = 0.005
"""The share of entries of a kernel that have the darkest colour."""
CAPTION = (
    "The tangent kernel: its spectrum, the labels' energy in its leading eigenvectors up to its rank, and itself by "
    f"class; the largest {100 * OUTLIERS:g} % of entries share a colour"
)

_DIVERGING = "RdBu_r"
_FEW = 4  # classes whose names find room on a line


def kernel_figure(kernel: Floats, labels: Floats, names: Sequence[str] = ()) -> Figure:
    """One kernel (n c, n c) and its labels (n, c): spectrum, label energy, and the matrix by class."""
    figure, panels = grid(1, 3, width=2.9, caption=CAPTION)
    spectrum, energy, image = panels[0]
    matrix = torch.from_numpy(kernel)
    draw_spectrum(spectrum, kernel, color=INK, marker=".")
    log_axis(spectrum, "y", nonzero_eigenvalues(kernel))
    rank = float(participation_ratio(matrix))
    spectrum.axvline(rank, color=GUIDE, linestyle=":", linewidth=1, label=f"participation ratio {rank:.1f}")
    spectrum.set(xlabel="index", ylabel="eigenvalue of K")
    index_axis(spectrum, len(nonzero_eigenvalues(kernel)), rank)
    clear_legend(spectrum)
    # Beyond the rank eigenvectors are any basis of what the kernel cannot learn.
    energies = label_energies(matrix, torch.from_numpy(labels)).numpy()[: len(nonzero_eigenvalues(kernel))]
    energy.plot(np.arange(1, len(energies) + 1), energies, color=INK)
    log_axis(energy, "x", np.arange(1.0, len(energies) + 1))
    energy.set(xlabel="top k eigenvectors, up to the rank", ylabel="share of label energy", ylim=(0, 1.03))
    drawn = draw_kernel(image, kernel, labels, color_limit([over_outputs(kernel, labels)]))
    sample_labels([image], labels, names)
    class_names(image, labels, names)
    figure.colorbar(drawn, ax=image, shrink=0.85, extend="both", label=kernel_label(labels))
    return figure


def color_limit(matrices: Iterable[Floats]) -> float:
    """The size that takes the darkest colour: a few outliers would leave all other entries white."""
    found = np.concatenate([np.abs(matrix).ravel() for matrix in matrices])
    return float(np.quantile(found, 1 - OUTLIERS) or found.max())


def class_names(axes: Axes, labels: Floats, names: Sequence[str]) -> None:
    """The names of classes beside their rows; nothing where targets are no classes or have no names."""
    found = classes(labels)
    if found is None or not names:
        return
    middles = {index: np.flatnonzero(np.sort(found) == index).mean() for index in np.unique(found)}
    axes.set_yticks(list(middles.values()), [drawable(names[index]) for index in middles])
    axes.tick_params(axis="y", length=0)


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


def sample_labels(row: Iterable[Axes], labels: Floats, names: Sequence[str] = ()) -> None:
    """Under each image what its samples are ordered by, and the names of few classes."""
    by_class = classes(labels) is not None
    what = f"class: {', '.join(map(drawable, names))}" if by_class and 0 < len(names) <= _FEW else "class"
    for axes in row:
        axes.set_xlabel(f"samples by {what}" if by_class else "samples by target")


def kernel_label(labels: Floats) -> str:
    # A prime in mathtext is set from a font whose character is 0: an SVG that keeps text would read K(x, x0).
    return "K(x, x\u2032)" if labels.shape[1] == 1 else "K(x, x\u2032), summed over outputs"


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


def index_axis(axes: Axes, count: int, *shown: float) -> None:
    """Indices from 1 on, as far as there are any, and whatever else is shown beside them."""
    last = max(count, *shown, 2)
    axes.set_xlim(1 - 0.05 * last, last + 0.05 * last)


def nonzero_eigenvalues(kernel: Floats) -> Floats:
    """The eigenvalues that stand above rounding, in descending order."""
    values = eigenvalues(torch.from_numpy(kernel))
    return values[values > rank_cutoff(values)].numpy()


def spread_out(alphas: tuple[float, ...]) -> list[float]:
    return sorted({alphas[0], alphas[len(alphas) // 2], alphas[-1]})


def shades_of(count: int) -> NDArray[np.float64]:
    return np.linspace(1.0, 0.35, count)


def plot_kernel(
    kernel: Tensor | NDArray[Any],
    labels: Tensor | NDArray[Any],
    classes: Sequence[str] = (),
    ax: Place | None = None,
    style: Style | None = None,
) -> Figure:
    """A dense kernel (n c, n c) with labels (n, c): its spectrum, its label energy, and itself by class.

    ``classes`` are their names, in the order of :class:`qlazy.Dataset`; ``ax`` is a figure or subfigure to draw on, and
    ``style`` what ``matplotlib.style.use`` takes. Raises ValueError for a kernel that is zero, not square or does not
    fit the labels, and for names that do not fit them.
    """
    matrix, targets = _array("kernel", kernel), _array("labels", labels)
    require(targets.ndim == 2, "labels", "have shape (n, c)", targets.shape)
    names = _names(classes, targets)
    with settings_of(style, ax):
        return kernel_figure(matrix, targets.astype(matrix.dtype), names)


def _names(given: Sequence[str], labels: NDArray[Any]) -> tuple[str, ...]:
    count = max(2, labels.shape[1])
    must = f"be none or the names of {count} classes"
    listed = isinstance(given, Sequence) and not isinstance(given, str)
    require(listed and all(isinstance(one, str) for one in given), "classes", must, repr(given), TypeError)
    require(len(given) in (0, count), "classes", must, len(given))
    return tuple(given)


def _array(argument: str, values: Tensor | NDArray[Any]) -> NDArray[Any]:
    must = "be a torch tensor or a NumPy array of real numbers"
    if not isinstance(values, Tensor):
        is_real = isinstance(values, np.ndarray) and values.dtype.kind in "biuf"
        require(is_real, argument, must, f"a {type(values).__name__}", TypeError)
        return values
    require_tensor(argument, values)
    require(not values.is_complex() and values.dtype != torch.bfloat16, argument, must, values.dtype)
    return values.detach().cpu().resolve_neg().numpy()

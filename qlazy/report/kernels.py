"""Figures of tangent kernels: spectra, and the matrices themselves with their samples ordered by class."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from qlazy.comparison import Comparison
from qlazy.report.series import classes
from qlazy.report.style import COLUMN, GUIDE, INK, grid, legend_below, log_axis, looks, note
from qlazy.run import Run
from qlazy.spectrum import effective_rank, eigenvalues, label_energies, rank_cutoff

Floats = NDArray[np.floating[Any]]

_DIVERGING = "RdBu_r"


def kernel_figure(kernel: Floats, labels: Floats) -> Figure:
    """One kernel (n c, n c) and its labels (n, c): spectrum, label energy, and the matrix by class."""
    figure, panels = grid(1, 3, width=2.9)
    spectrum, energy, image = panels[0]
    matrix = torch.from_numpy(kernel)
    _draw_spectrum(spectrum, kernel, color=INK, marker=".")
    log_axis(spectrum, "y", _nonzero_eigenvalues(kernel))
    rank = float(effective_rank(matrix))
    spectrum.axvline(rank, color=GUIDE, linestyle=":", linewidth=1, label=f"effective rank {rank:.1f}")
    spectrum.legend(loc="upper right")
    spectrum.set(xlabel="index", ylabel="eigenvalue of K")
    energies = label_energies(matrix, torch.from_numpy(labels)).numpy()
    energy.plot(np.arange(1, len(energies) + 1), energies, color=INK)
    energy.set(xlabel="top k eigenvectors", ylabel="share of label energy", ylim=(0, 1.03), xscale="log")
    drawn = _draw_kernel(image, kernel, labels, np.abs(_over_outputs(kernel, labels)).max())
    _sample_labels([image], labels)
    figure.colorbar(drawn, ax=image, shrink=0.85, label=_kernel_label(labels))
    return figure


def spectra_figure(comparison: Comparison) -> Figure:
    """Eigenvalues of each model's kernel before training, and after it at three scales or fewer."""
    models = comparison.models
    columns = min(len(models), 4)
    rows = -(-len(models) // columns)
    figure, panels = grid(rows, columns, height=2.7, width=2.6 if columns > 1 else COLUMN)
    look, chosen = looks(models), _spread_out(comparison.alphas)
    shades = dict(zip(chosen, _shades(len(chosen)), strict=True))
    for axes, model in zip(panels.flat, models, strict=False):
        axes.set_title(model, color=look[model].colour)
        runs = [run for alpha in chosen for run in _first(comparison, model, alpha)]
        if not runs:
            note(axes, "every run diverged")
            continue
        _draw_spectrum(axes, runs[0].kernel_initial, color=INK, linestyle="--", linewidth=1.1, zorder=3)
        for run in runs:
            _draw_spectrum(axes, run.kernel_final, color=look[model].colour, alpha=shades[run.alpha])
        spectra = [k for run in runs for k in (run.kernel_initial, run.kernel_final)]
        log_axis(axes, "y", np.concatenate([_nonzero_eigenvalues(kernel) for kernel in spectra]))
        axes.set_xlabel("index")
    for axes in panels[:, 0]:
        axes.set_ylabel("eigenvalue of K")
    for axes in panels.flat[len(models) :]:
        axes.remove()
    handles = [Line2D([], [], color=INK, linestyle="--", label="before training")]
    handles += [
        Line2D([], [], color=INK, alpha=shades[alpha], label=f"after, a = {alpha:g}") for alpha in chosen
    ]
    legend_below(figure, handles)
    return figure


def images_figure(comparison: Comparison) -> Figure:
    """Each model's kernel by class: before training, and after it at the smallest and largest scale."""
    models, ends = comparison.models, sorted({comparison.alphas[0], comparison.alphas[-1]})
    figure, panels = grid(len(models), 1 + len(ends), height=1.9, width=1.9)
    for row, model in zip(panels, models, strict=True):
        runs = [next(iter(_first(comparison, model, alpha)), None) for alpha in ends]
        _draw_row(figure, row, runs)
        if model == models[-1]:
            _sample_labels(row, comparison.runs[0].train_targets)
        row[0].set_ylabel(model, color=looks(models)[model].colour)
    for axes, title in zip(panels[0], ["before training", *(f"after, a = {a:g}" for a in ends)], strict=True):
        axes.set_title(title)
    return figure


def _draw_row(figure: Figure, row: NDArray[Any], runs: list[Run | None]) -> None:
    known = next((run for run in runs if run is not None), None)
    if known is None:
        return
    labels = known.train_targets
    kernels = [known.kernel_initial, *(None if run is None else run.kernel_final for run in runs)]
    largest = max(np.abs(_over_outputs(kernel, labels)).max() for kernel in kernels if kernel is not None)
    for axes, kernel in zip(row, kernels, strict=True):
        if kernel is None:
            axes.set_axis_off()
        else:
            image = _draw_kernel(axes, kernel, labels, largest)
    figure.colorbar(image, ax=list(row), shrink=0.85, aspect=14, pad=0.02, label=_kernel_label(labels))


def _draw_kernel(axes: Axes, kernel: Floats, labels: Floats, largest: float) -> AxesImage:
    order = _by_class(labels)
    matrix = _over_outputs(kernel, labels)[np.ix_(order, order)]
    limit = largest or 1.0
    image = axes.imshow(matrix, cmap=_DIVERGING, vmin=-limit, vmax=limit, interpolation="nearest")
    for edge in _class_edges(labels):
        axes.axhline(edge - 0.5, color=INK, linewidth=0.6)
        axes.axvline(edge - 0.5, color=INK, linewidth=0.6)
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[:].set_visible(True)
    return image


def _sample_labels(row: Iterable[Axes], labels: Floats) -> None:
    what = "target" if classes(labels) is None else "class"
    for axes in row:
        axes.set_xlabel(f"samples, ordered by {what}", fontsize=7)


def _kernel_label(labels: Floats) -> str:
    return r"$K(x, x')$" if labels.shape[1] == 1 else r"$\sum_c K_{cc}(x, x')$"


def _over_outputs(kernel: Floats, labels: Floats) -> Floats:
    """The trace over outputs of a kernel (n c, n c): what two samples share, (n, n)."""
    samples, outputs = labels.shape
    return np.einsum("iaja->ij", kernel.reshape(samples, outputs, samples, outputs))


def _by_class(labels: Floats) -> NDArray[np.int64]:
    found = classes(labels)
    return np.argsort(labels[:, 0] if found is None else found, kind="stable")


def _class_edges(labels: Floats) -> NDArray[np.int64]:
    found = classes(labels)
    return np.zeros(0, np.int64) if found is None else np.flatnonzero(np.diff(np.sort(found))) + 1


def _draw_spectrum(axes: Axes, kernel: Floats, **look: Any) -> None:
    values = _nonzero_eigenvalues(kernel)
    axes.plot(np.arange(1, len(values) + 1), values, **look)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))


def _nonzero_eigenvalues(kernel: Floats) -> Floats:
    """The eigenvalues that stand above rounding, in descending order."""
    values = eigenvalues(torch.from_numpy(kernel))
    return values[values > rank_cutoff(values)].numpy()


def _spread_out(alphas: tuple[float, ...]) -> list[float]:
    return sorted({alphas[0], alphas[len(alphas) // 2], alphas[-1]})


def _shades(count: int) -> NDArray[np.float64]:
    return np.linspace(1.0, 0.35, count)


def _first(comparison: Comparison, model: str, alpha: float) -> list[Run]:
    """The run of the first seed that did not diverge, if there is one."""
    return [run for run in comparison.select(model, alpha) if not run.diverged][:1]

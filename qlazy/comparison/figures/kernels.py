"""Kernels of a comparison before and after training: spectra, and the matrices by class."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from qlazy.comparison.run import Run
from qlazy.comparison.runs import Runs
from qlazy.drawing.legends import legend_below
from qlazy.drawing.style import COLUMN, INK, grid, log_axis, looks, note
from qlazy.kernels.figures import (
    OUTLIERS,
    class_names,
    color_limit,
    draw_kernel,
    draw_spectrum,
    index_axis,
    kernel_label,
    nonzero_eigenvalues,
    over_outputs,
    sample_labels,
    shades_of,
    spread_out,
)

_SPECTRA = "Eigenvalues of the tangent kernels before training and after it, for the first seed"
_KERNELS = (
    "Tangent kernels, samples in the order of their classes; "
    f"the largest {100 * OUTLIERS:g} % of entries of a model share a colour"
)


def spectra_figure(comparison: Runs) -> Figure:
    """Eigenvalues of each model's kernel before training, and after it at three scales or fewer."""
    models = comparison.models
    columns = min(len(models), 4)
    rows = -(-len(models) // columns)
    width = 2.6 if columns > 1 else COLUMN
    figure, panels = grid(rows, columns, height=2.7, width=width, caption=_SPECTRA)
    look, chosen = looks(models), spread_out(comparison.alphas)
    shades = dict(zip(chosen, shades_of(len(chosen)), strict=True))
    for axes, model in zip(panels.flat, models, strict=False):
        axes.set_title(model, color=look[model].color)
        runs = [run for alpha in chosen for run in _first(comparison, model, alpha)]
        if not runs:
            note(axes, "every run diverged")
            continue
        draw_spectrum(axes, runs[0].kernel_initial, color=INK, linestyle="--", linewidth=1.1, zorder=3)
        for run in runs:
            draw_spectrum(axes, run.kernel_final, color=look[model].color, alpha=shades[run.alpha])
        spectra = [k for run in runs for k in (run.kernel_initial, run.kernel_final)]
        found = [nonzero_eigenvalues(kernel) for kernel in spectra]
        log_axis(axes, "y", np.concatenate(found))
        index_axis(axes, max(map(len, found)))
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


def images_figure(comparison: Runs) -> Figure:
    """Each model's kernel by class: before training, and after it at the smallest and largest scale."""
    models, ends = comparison.models, sorted({comparison.alphas[0], comparison.alphas[-1]})
    names = tuple(comparison.settings.get("classes", ()))
    figure, panels = grid(len(models), 1 + len(ends), height=1.9, width=1.9, caption=_KERNELS)
    for row, model in zip(panels, models, strict=True):
        runs = [next(iter(_first(comparison, model, alpha)), None) for alpha in ends]
        _draw_row(figure, row, runs)
        if model == models[-1]:
            sample_labels(row, comparison.runs[0].train_targets)
        class_names(row[0], comparison.runs[0].train_targets, names)
        row[0].set_ylabel(model, color=looks(models)[model].color)
    for axes, title in zip(panels[0], ["before training", *(f"after, a = {a:g}" for a in ends)], strict=True):
        axes.set_title(title)
    return figure


def _draw_row(figure: Figure, row: NDArray[Any], runs: list[Run | None]) -> None:
    known = next((run for run in runs if run is not None), None)
    if known is None:
        return
    labels = known.train_targets
    kernels = [known.kernel_initial, *(None if run is None else run.kernel_final for run in runs)]
    largest = color_limit(over_outputs(kernel, labels) for kernel in kernels if kernel is not None)
    for axes, kernel in zip(row, kernels, strict=True):
        if kernel is None:
            axes.set_axis_off()
        else:
            image = draw_kernel(axes, kernel, labels, largest)
    figure.colorbar(
        image, ax=list(row), shrink=0.85, aspect=14, pad=0.02, extend="both", label=kernel_label(labels)
    )


def _first(comparison: Runs, model: str, alpha: float) -> list[Run]:
    """The run of the first seed that did not diverge, if there is one."""
    return [run for run in comparison.select(model, alpha) if not run.diverged][:1]

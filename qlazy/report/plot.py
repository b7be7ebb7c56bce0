"""The figures of qlazy's results: one run, one kernel, or a whole comparison.

Colours tell models apart and stay the same over all figures of a comparison. Every figure can be had as a
matplotlib ``Figure`` to be changed and saved by hand.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from qlazy.comparison import Comparison
from qlazy.errors import require
from qlazy.report.bounds import bounds_figure
from qlazy.report.kernels import images_figure, kernel_figure, spectra_figure
from qlazy.report.scales import accuracy_figure, drift_figure, gap_figure
from qlazy.report.style import save, style
from qlazy.report.training import losses_figure, trace_figure
from qlazy.trace import Trace

FIGURES: Mapping[str, Callable[[Comparison], Figure | None]] = {
    "drift": drift_figure,
    "gap": gap_figure,
    "bounds": bounds_figure,
    "losses": losses_figure,
    "spectra": spectra_figure,
    "kernels": images_figure,
    "accuracy": accuracy_figure,
}
"""The figures of a comparison by file name; one that does not apply to a comparison is None."""


def plot_trace(trace: Trace) -> Figure:
    """Losses and parameter drift along one training run. Raises ValueError for an empty trace."""
    require(len(trace.steps), "trace", "hold at least one recorded step", "empty")
    with style():
        return trace_figure(trace)


def plot_comparison(comparison: Comparison, folder: str | os.PathLike[str]) -> list[Path]:
    """Draw every figure of a comparison into a folder, as PNG and SVG; returns the paths."""
    return save_figures(comparison_figures(comparison), folder)


def comparison_figures(comparison: Comparison) -> dict[str, Figure]:
    """Every figure that applies to a comparison, by name. Raises ValueError for one without runs."""
    require(len(comparison.runs), "comparison", "hold at least one run", "empty")
    with style():
        figures = {name: draw(comparison) for name, draw in FIGURES.items()}
    return {name: figure for name, figure in figures.items() if figure is not None}


def plot_kernel(kernel: Tensor | NDArray[Any], labels: Tensor | NDArray[Any]) -> Figure:
    """A dense kernel (n c, n c) with labels (n, c): its spectrum, its label energy, and itself by class.

    Raises ValueError for a kernel that is zero, not square or does not fit the labels.
    """
    matrix, targets = _array(kernel), _array(labels)
    require(targets.ndim == 2, "labels", "have shape (n, c)", targets.shape)
    with style():
        return kernel_figure(matrix, targets.astype(matrix.dtype))


def save_figure(figure: Figure, folder: str | os.PathLike[str], name: str) -> list[Path]:
    """Write a figure of these into a folder as ``name``.png and ``name``.svg; returns the paths."""
    return save(figure, Path(folder), name)


def save_figures(figures: Mapping[str, Figure], folder: str | os.PathLike[str]) -> list[Path]:
    """Write figures by name into a folder, each as PNG and SVG; returns the paths."""
    return [path for name, figure in figures.items() for path in save(figure, Path(folder), name)]


def _array(values: Tensor | NDArray[Any]) -> NDArray[Any]:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)

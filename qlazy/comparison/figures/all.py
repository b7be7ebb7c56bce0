"""The figures of qlazy's results: one run, one kernel, or a whole comparison.

Colours tell models apart and stay the same over all figures of a comparison. Every figure can be had as a
matplotlib ``Figure`` to be changed and saved by hand.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from matplotlib.figure import Figure

from qlazy.base.errors import require
from qlazy.comparison.figures.bounds import bounds_figure
from qlazy.comparison.figures.kernels import images_figure, spectra_figure
from qlazy.comparison.figures.losses import losses_figure
from qlazy.comparison.figures.scales import accuracy_figure, drift_figure, gap_figure
from qlazy.comparison.metrics import AXES
from qlazy.comparison.runs import Runs
from qlazy.drawing.style import save_figures, style

FIGURES: Mapping[str, Callable[[Runs], Figure | None]] = {
    "bounds": bounds_figure,
    "losses": losses_figure,
    "spectra": spectra_figure,
    "kernels": images_figure,
}
"""The figures of a comparison by file name; one that does not apply to a comparison is None."""

OVER_SCALES: Mapping[str, Callable[[Runs, str], Figure | None]] = {
    "drift": drift_figure,
    "gap": gap_figure,
    "accuracy": accuracy_figure,
}
"""Those over scales, which can be drawn against a or against kappa."""


ORDER = ("drift", "gap", "bounds", "losses", "spectra", "kernels", "accuracy")


def plot_comparison(comparison: Runs, folder: str | os.PathLike[str], against: str = "alpha") -> list[Path]:
    """Draw every figure of a comparison into a folder, as PNG and SVG; returns the paths."""
    return save_figures(comparison_figures(comparison, against), folder)


def comparison_figures(comparison: Runs, against: str = "alpha") -> dict[str, Figure]:
    """Every figure that applies to a comparison, by name. Raises ValueError for one without runs.

    ``against`` is one of ``AXES``; also for kappa of runs that have none.
    """
    require(against in AXES, "against", f"be one of {', '.join(AXES)}", against)
    require(len(comparison.runs), "comparison", "hold at least one run", "empty")
    with style():
        over_scales = {name: draw(comparison, against) for name, draw in OVER_SCALES.items()}
        drawn = {**over_scales, **{name: draw(comparison) for name, draw in FIGURES.items()}}
        figures = {name: drawn[name] for name in ORDER}
    learnt = {f"features of {one.model}".replace(" ", "_"): one.plot() for one in comparison.features}
    return {**{name: figure for name, figure in figures.items() if figure is not None}, **learnt}

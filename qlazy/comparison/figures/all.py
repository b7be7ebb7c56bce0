"""The figures of qlazy's results: one run, one kernel, or a whole comparison.

Colours tell models apart and stay the same over all figures of a comparison. Every figure can be had as a
matplotlib ``Figure`` to be changed and saved by hand.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from qlazy.base.errors import require
from qlazy.base.keys import readable
from qlazy.base.tables import drawable
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
    comparison = _drawable(comparison)
    with style():
        over_scales = {name: draw(comparison, against) for name, draw in OVER_SCALES.items()}
        drawn = {**over_scales, **{name: draw(comparison) for name, draw in FIGURES.items()}}
        figures = {name: drawn[name] for name in ORDER}
    found = {name: figure for name, figure in figures.items() if figure is not None}
    for index, one in enumerate(comparison.features):
        name = f"features_of_{readable(one.model)}"
        found[name if name not in found else f"{name}-{index}"] = one.plot()
    return found


def _drawable(comparison: Runs) -> Runs:
    """The comparison with names that matplotlib shows as they are; itself where it has no others."""
    if all(drawable(name) == name for name in _names(comparison)):
        return comparison
    renamed: dict[str, Any] = {
        "runs": tuple(replace(run, model=drawable(run.model)) for run in comparison.runs),
        "baselines": tuple(replace(one, name=drawable(one.name)) for one in comparison.baselines),
        "features": tuple(replace(one, model=drawable(one.model)) for one in comparison.features),
    }
    return replace(comparison, **renamed)


def _names(comparison: Runs) -> Iterator[str]:
    yield from comparison.models
    yield from (one.name for one in comparison.baselines)

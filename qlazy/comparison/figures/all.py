"""The figures of qlazy's results: one run, one kernel, or a whole comparison.

Colours tell models apart and stay the same over all figures of a comparison. Every figure can be had as a
matplotlib ``Figure`` to be changed and saved by hand.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from qlazy.base.errors import refuse, require, require_choice
from qlazy.base.keys import readable
from qlazy.base.tables import drawable
from qlazy.comparison.figures.bounds import bounds_figure
from qlazy.comparison.figures.kernels import images_figure, spectra_figure
from qlazy.comparison.figures.losses import losses_figure
from qlazy.comparison.figures.scales import accuracy_figure, drift_figure, gap_figure, metric_figure
from qlazy.comparison.metrics import AXES, THEORY
from qlazy.comparison.runs import Runs
from qlazy.drawing.files import formats_of, save_figures
from qlazy.drawing.style import Place, Style, drawn_in
from qlazy.drawing.style import style as settings_of

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


def plot_comparison(
    comparison: Runs,
    folder: str | os.PathLike[str],
    against: str = "alpha",
    formats: Sequence[str] | None = None,
    style: Style | None = None,
) -> list[Path]:
    """Draw every figure of a comparison into a folder, as PNG and SVG unless told; returns the paths."""
    kinds = formats_of(formats)
    return save_figures(comparison_figures(comparison, against, style), folder, kinds)


def comparison_figure(
    comparison: Runs,
    name: str,
    ax: Place | None = None,
    against: str = "alpha",
    style: Style | None = None,
) -> Figure:
    """One figure by its name, or one metric of ``THEORY``, on a place of choice.

    Raises ValueError for a name of neither, and for a figure that does not apply to the comparison.
    """
    _require_runs(comparison, against)
    named = {**OVER_SCALES, "test accuracy": accuracy_figure}
    named |= {metric: _of_metric(metric) for metric in THEORY}
    known = (*dict.fromkeys((*ORDER, *named)),)
    require_choice("name", name, known)
    comparison = _drawable(comparison)
    with settings_of(style, ax):
        drawn = named[name](comparison, against) if name in named else FIGURES[name](comparison)
    if drawn is None:
        refuse("name", "be of a figure that applies to the comparison", repr(name))
    return drawn


def _of_metric(metric: str) -> Callable[[Runs, str], Figure | None]:
    return lambda comparison, against: metric_figure(comparison, metric, against)


def _require_runs(comparison: Runs, against: str) -> None:
    require_choice("against", against, AXES)
    require(len(comparison.runs), "comparison", "hold at least one run", "empty")


def comparison_figures(
    comparison: Runs, against: str = "alpha", style: Style | None = None
) -> dict[str, Figure]:
    """Every figure that applies to a comparison, by name. Raises ValueError for one without runs.

    ``against`` is one of ``AXES``; also for kappa of runs that have none.
    """
    _require_runs(comparison, against)
    with drawn_in(style):
        return _figures(_drawable(comparison), against)


def _figures(comparison: Runs, against: str) -> dict[str, Figure]:
    with settings_of():
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

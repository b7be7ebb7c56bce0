"""The bounds of the theory over measured drift and gap, and by how much they are loose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from qlazy.comparison.figures.series import above_zero, series
from qlazy.comparison.guarantees import DRIFT, GAP, Summary
from qlazy.comparison.metrics import METRICS
from qlazy.comparison.runs import Runs
from qlazy.drawing.legends import clear_legend, legend_below
from qlazy.drawing.style import COLUMN, INK, Look, axes_asked_for, grid, log_axis, looks

_LINES: dict[str, Any] = {"COB 2.2": "--", "COB 2.2 for steps": "--", "COB 2.3": ":", "COB 2.4": "-."}
_TITLES = {
    DRIFT: r"parameter drift  $\sup_t\,\|w_a - w_0\|$",
    GAP: r"output gap  $\sup_t\,\|a h - a\bar h\|\,/\,\|a h_0 - y\|$",
}


_CAPTION = "Upper bounds of Chizat, Oyallon, Bach 2019 (COB), above what was measured, and how many times that they are"


def bounds_figure(comparison: Runs) -> Figure | None:
    """Measured drift and gap with every upper bound that applies above them; None where none does."""
    found = comparison.bounds()
    quantities = [quantity for quantity in (DRIFT, GAP) if any(one.quantity == quantity for one in found)]
    if not quantities:
        return None
    figure, panels = grid(1, len(quantities), height=3.6, width=1.25 * COLUMN, caption=_CAPTION)
    for axes, quantity in zip(panels[0], quantities, strict=True):
        _panel(axes, comparison, quantity, [one for one in found if one.quantity == quantity])
    look = looks(comparison.models)
    handles = [
        Line2D([], [], color=look[model].color, marker=look[model].marker, label=f"{model}, measured")
        for model in comparison.models
    ]
    theorems = dict.fromkeys(one.theorem for one in found)
    handles += [
        Line2D([], [], color=INK, linestyle=_LINES[theorem], label=f"upper bound, {theorem}")
        for theorem in theorems
    ]
    legend_below(figure, handles)
    return figure


def _panel(axes: Axes, comparison: Runs, quantity: str, found: Sequence[Summary]) -> None:
    look = looks(comparison.models)
    drawn, handles = [], []
    for model in comparison.models:
        points = series(comparison, model, METRICS[quantity])
        axes.plot(points.alphas, above_zero(points.mean), look[model].marker + "-", color=look[model].color)
        drawn.append(points.mean)
    for model, theorem in dict.fromkeys((one.model, one.theorem) for one in found):
        bounds = [one for one in found if (one.model, one.theorem) == (model, theorem)]
        handles.append(_bound(axes, bounds, look[model]))
        drawn.append(np.array([one.bound for one in bounds]))
    log_axis(axes, "y", np.concatenate(drawn))
    log_axis(axes, "x", np.array(comparison.alphas))
    axes.set_xlabel("output scale a")
    axes.set_ylabel(_TITLES[quantity])
    if axes_asked_for() is None:  # where there is one legend alone, that of the whole figure
        clear_legend(axes, handles, "upper bound, times the measured")


def _bound(axes: Axes, bounds: Sequence[Summary], look: Look) -> Line2D:
    """One bound as a line, and its entry in the legend: which, and how loose."""
    theorem = bounds[0].theorem
    axes.plot(
        [one.alpha for one in bounds], [one.bound for one in bounds],
        color=look.color, linestyle=_LINES[theorem], linewidth=1.2, marker="_",
    )  # fmt: skip
    least, greatest = min(one.least for one in bounds), max(one.greatest for one in bounds)
    label = f"{theorem}: {least:.3g} to {greatest:.3g}"
    return Line2D([], [], color=look.color, linestyle=_LINES[theorem], label=label)

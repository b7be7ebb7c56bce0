"""The figure of a scaling: a panel for each size that grows, points for each task, the fits dashed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from qlazy.bench.scaling.curve import Curve
from qlazy.drawing.legends import clear_legend
from qlazy.drawing.style import grid, log_axis, looks, style

CAPTION = (
    "Seconds of the processor a call against each size, the others fixed; dashed the lines fitted to them"
)


def scaling_figure(curves: Sequence[Curve], caption: str) -> Figure:
    """Seconds of the processor a call against each size; qubits on a linear axis, where 2^n is a straight line."""
    panels: dict[str, list[Curve]] = {}
    for curve in curves:
        panels.setdefault(curve.varied, []).append(curve)
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    with style():
        figure, axes = grid(rows, columns, caption=CAPTION)
        for place, shown in zip(axes.flat, panels.values(), strict=False):
            _panel(place, shown)
        for place in axes.flat[len(panels) :]:
            place.set_visible(False)
        figure.suptitle(f"seconds a call, median; {caption}")
    return figure


def _panel(axes: Axes, curves: Sequence[Curve]) -> None:
    look = looks(curve.task for curve in curves)
    for curve in curves:
        color, marker = look[curve.task]
        sizes = [point.size for point in curve.points]
        axes.plot(sizes, [point.cost for point in curve.points], marker, color=color)
        ends = [curve.fitted[0].size, curve.fitted[-1].size]
        line = [curve.fit.cost(curve.logarithm(size)) for size in ends]
        axes.plot(ends, line, "--", color=color, label=_law(curve))
    varied = curves[0].varied
    log_axis(axes, "y", np.array([point.cost for curve in curves for point in curve.points]))
    if varied == "qubits":
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    else:
        log_axis(axes, "x", np.array([point.size for curve in curves for point in curve.points], float))
    axes.set_xlabel("qubits n (the exponent is that of 2ⁿ)" if varied == "qubits" else varied)
    axes.set_title(curves[0].stay)
    clear_legend(axes)


def _law(curve: Curve) -> str:
    return f"{curve.task}: exponent {curve.fit.exponent:z.2f} ± {curve.fit.reach:.2f}"

"""The figure of a scaling: a panel for each size that grows, a line of points for each task, the fits dashed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from qlazy.bench.scaling.result import Curve
from qlazy.drawing.style import grid, log_axis, looks, style


def scaling_figure(curves: Sequence[Curve], caption: str) -> Figure:
    """Seconds of the processor a call against each size; qubits on a linear axis, on which 2^n is a straight line."""
    panels: dict[str, list[Curve]] = {}
    for curve in curves:
        panels.setdefault(curve.varied, []).append(curve)
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    with style():
        figure, axes = grid(rows, columns)
        for place, shown in zip(axes.flat, panels.values(), strict=False):
            _panel(place, shown)
        for place in axes.flat[len(panels) :]:
            place.set_visible(False)
        figure.suptitle(f"seconds of the processor a call, median; fits dashed; {caption}", fontsize=9)
    return figure


def _panel(axes: Axes, curves: Sequence[Curve]) -> None:
    look = looks(curve.task for curve in curves)
    for curve in curves:
        color, marker = look[curve.task]
        sizes = [point.size for point in curve.points]
        costs = [point.cost for point in curve.points]
        axes.plot(sizes, costs, marker, color=color)
        ends = [curve.fitted[0].size, curve.fitted[-1].size]
        line = [curve.fit.cost(curve.logarithm(size)) for size in ends]
        axes.plot(ends, line, "--", color=color, label=_law(curve))
    log_axis(axes, "y", np.array([point.cost for curve in curves for point in curve.points]))
    if curves[0].varied == "qubits":
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    else:
        log_axis(axes, "x", np.array([point.size for curve in curves for point in curve.points], float))
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * (high / low) ** 0.25)  # room for the legend
    axes.legend(loc="upper left")
    axes.set_xlabel(
        "qubits n (the exponent is that of 2ⁿ)" if curves[0].varied == "qubits" else curves[0].varied
    )
    axes.set_title(f"against {curves[0].varied}\n{curves[0].stay}")


def _law(curve: Curve) -> str:
    return f"{curve.task}: exponent {curve.fit.exponent:z.2f} ± {curve.fit.reach:.2f}"

"""The figures of the study ``tensor``: errors against m, the m that is needed, and the redraw."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter
from numpy.typing import NDArray

from qlazy.drawing.legends import clear_legend, legend_below
from qlazy.drawing.style import GUIDE, grid, log_axis, looks, size_axis, style

Arrays = Mapping[str, NDArray[Any]]

_WAYS = ("lazy", "modified", "plain", "power iteration", "tensorly symmetric", "tensorly parafac")
_LOOKS = looks(_WAYS)
_TICKS = np.array([1, 2, 5, 10, 20, 50, 100])
_FLOOR = 1e-4  # exact solutions are drawn here


_ERRORS = "Error against the number of components: medians over seeds, bands from the lowest to the highest"
_NEEDED = "Components that are needed, against what the lazy solution needs in theory and against the rank"
_REDRAW = "Share of runs that succeed against the number of components, by how often components are redrawn"


def tensor_figures(arrays: Arrays, curve: tuple[int, int, int]) -> dict[str, Figure]:
    """Every figure by name, from the arrays of the study's result; ``curve`` is (d, l, r) of the first."""
    with style():
        return {"errors": _errors(arrays, curve), "needed": _needed(arrays), "redraw": _redraw(arrays)}


def _errors(arrays: Arrays, curve: tuple[int, int, int]) -> Figure:
    figure, (panels,) = grid(1, 2, width=3.9, height=3.1, caption=_ERRORS)
    ways = {way: arrays.get(f"curve_{way.replace(' ', '_')}") for way in _WAYS}
    _curves(panels[0], arrays["curve_m"], ways)
    _isotropic(panels[0], *curve[:2])
    panels[0].set_title("d = {}, l = {}, r = {}: vectors".format(*curve))
    circuits = {"lazy": arrays["circuit_lazy"], "modified": arrays["circuit_modified"]}
    _curves(panels[1], arrays["circuit_m"], circuits)
    _isotropic(panels[1], 8, 4)
    panels[1].set_title("d = 8, l = 4, r = 2: states of 3 qubits")
    legend_below(figure, panels[0].get_legend_handles_labels()[0])
    return figure


def _curves(axes: Axes, m: NDArray[Any], ways: Mapping[str, NDArray[Any] | None]) -> None:
    """Medians over the seeds, with a band from the lowest to the highest."""
    for way, errors in ways.items():
        if errors is None:
            continue
        shown = np.maximum(errors, _FLOOR)
        look = _LOOKS[way]
        some = ~np.isnan(errors).all(1)
        middle = np.median(shown[some], axis=1)
        axes.plot(m[some], middle, look.marker, linestyle="-", color=look.color, label=way)
        axes.fill_between(m[some], shown[some].min(1), shown[some].max(1), color=look.color, alpha=0.15, lw=0)
    axes.axhline(0.01, color=GUIDE, linestyle=":", linewidth=1)
    size_axis(axes, "x", m)
    log_axis(axes, "y", np.array([_FLOOR, 1.0]))
    axes.set(xlabel="components m", ylabel="relative error (from 1e-4 on)")


def _isotropic(axes: Axes, dimension: int, order: int) -> None:
    """sqrt(1 - m d / dim Sym): what a random subspace of as many dimensions leaves of a target."""
    whole = math.comb(dimension + order - 1, order)
    m = np.linspace(1, whole / dimension, 400)
    left = np.sqrt(np.maximum(1 - m * dimension / whole, _FLOOR**2))
    axes.plot(m, left, color=GUIDE, linestyle="--", linewidth=1, label="random subspace")


def _needed(arrays: Arrays) -> Figure:
    figure, (panels,) = grid(1, 2, width=3.6, height=2.9, caption=_NEEDED)
    _, order, bound, lazy, modified = arrays["needed"].T
    for l, marker in ((3, "o"), (4, "s")):  # noqa: E741 - the order
        one = order == l
        panels[0].plot(bound[one], lazy[one], marker, color=_LOOKS["lazy"].color, label=f"lazy, l = {l}")
        panels[0].plot(
            bound[one], modified[one], marker, color=_LOOKS["modified"].color, label=f"modified, l = {l}"
        )
    ends = np.array([bound.min(), bound.max()])
    panels[0].plot(ends, ends, color=GUIDE, linestyle=":", linewidth=1, label="m = C(d+l-1, l)/d")
    log_axis(panels[0], "x", bound)
    log_axis(panels[0], "y", np.concatenate([lazy, modified[np.isfinite(modified)]]))
    _whole(panels[0], _TICKS)
    panels[0].yaxis.set_major_locator(FixedLocator(_TICKS.tolist()))
    panels[0].yaxis.set_minor_locator(NullLocator())
    panels[0].yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    panels[0].set(xlabel="C(d+l-1, l)/d", ylabel="needed m", title="r = 2")
    ranks = arrays["ranks"]
    panels[1].plot(ranks, arrays["needed_by_rank"], "o-", color=_LOOKS["modified"].color, label="modified")
    panels[1].axhline(float(arrays["needed_lazily"]), color=_LOOKS["lazy"].color, label="lazy")
    panels[1].plot(ranks, ranks, color=GUIDE, linestyle=":", linewidth=1, label="m = r")
    panels[1].set(xlabel="rank r", ylabel="needed m", title="d = 10, l = 3")
    panels[1].xaxis.set_major_locator(FixedLocator(ranks.tolist()))
    for axes in panels:
        clear_legend(axes)
    return figure


def _redraw(arrays: Arrays) -> Figure:
    """Rows are ways to descend, marks numbers of components: many ways share the values 0 and 1."""
    ways = [
        name.removeprefix("redraw_") for name in arrays if name.startswith("redraw_") and name != "redraw_m"
    ]
    figure, ((axes,),) = grid(1, 1, width=4.2, height=0.9 + 0.24 * len(ways), caption=_REDRAW)
    rows = np.arange(len(ways))
    counts = [f"m = {m}" for m in arrays["redraw_m"]]
    shifts = np.linspace(-0.15, 0.15, len(counts))
    for index, ((label, look), shift) in enumerate(zip(looks(counts).items(), shifts, strict=True)):
        shares = [arrays[f"redraw_{way}"][index] for way in ways]
        axes.plot(shares, rows + shift, look.marker, linestyle="", color=look.color, label=label)
    axes.set_yticks(rows, ways)
    axes.set(xlabel="share of runs with error < .05", xlim=(-0.03, 1.03), ylim=(len(ways) - 0.5, -0.5))
    legend_below(figure, axes.get_legend_handles_labels()[0])
    return figure


def _whole(axes: Axes, m: NDArray[Any]) -> None:
    axes.xaxis.set_major_locator(FixedLocator(m.tolist()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))

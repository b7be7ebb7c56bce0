"""Legends where they cover nothing: in a corner that is free, above or below the data, or under the panels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import StepPatch
from matplotlib.transforms import ScaledTranslation
from numpy.typing import NDArray

from qlazy.drawing.style import axes_asked_for

Points = NDArray[np.float64]
Corner = Literal["upper right", "lower left", "upper left", "lower right"]

_CORNERS: tuple[Corner, ...] = ("upper right", "lower left", "upper left", "lower right")
_BESIDE = (0.66, 0.45, 0.22, 0.42)
"""Inches of a panel's place that are taken by labels at the left, labels below, a title, a legend of the figure."""
_SPARE = 1.3
"""By so much a panel may be lower than it is thought to be, as others of the user's beside it have legends too."""


class _Place(NamedTuple):
    """A corner, and by what factor the axis must grow for a legend there to cover nothing."""

    growth: float
    corner: Corner


def clear_legend(axes: Axes, handles: Sequence[Any] | None = None, title: str | None = None) -> None:
    """A legend within the frame that covers nothing drawn so far; the axis grows where no corner is free.

    Above the frame where lines from edge to edge leave no room within. To be called when limits and scales are set.
    """
    found = axes.get_legend_handles_labels()[0] if handles is None else list(handles)
    if not found:
        return
    legend = axes.legend(handles=found, title=title, loc="upper right")
    size, (seen, fixed) = _size(axes, legend), _drawn(axes)
    places = [_place(seen, fixed, corner, size) for corner in _CORNERS]
    if axes.get_yscale() != "log" and axes.get_ylim()[0] >= 0:  # no negative numbers for counts and shares
        places = [place for place in places if place.growth == 1 or place.corner.startswith("upper")]
    best = min(places, key=lambda place: place.growth)
    if math.isinf(best.growth):
        axes.legend(
            handles=found, title=title, loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2
        )
        return
    if best.growth > 1:
        _grow(axes, best)
    legend.set_loc(best.corner)


def _size(axes: Axes, legend: Legend) -> Points:
    """Width and height of a legend in shares of the frame, whose size is known once the figure is laid out.

    On axes of the user's that nothing will lay out, the frame is what it is.
    """
    figure, (rows, columns) = cast(Figure, axes.figure), _geometry(axes)
    if axes is axes_asked_for() and figure.get_layout_engine() is None:
        pad = legend.borderaxespad * legend.prop.get_size_in_points() * figure.dpi / 72
        whole = np.asarray(legend.get_window_extent().size) + pad
        return np.minimum(whole / np.asarray(axes.get_window_extent().size), 0.95)
    left, below, above, under = _BESIDE
    title = above if axes.get_title() else 0.0
    width, height = np.asarray(figure.bbox.size) / figure.dpi / (columns, rows)
    frame = np.array([width - left, height - below - title - under / rows])
    return np.minimum(np.asarray(legend.get_window_extent().size) / figure.dpi / np.maximum(frame, 0.5), 0.95)


def _geometry(axes: Axes) -> tuple[int, int]:
    """How many rows and columns of panels the figure has."""
    place = axes.get_subplotspec()
    return (1, 1) if place is None else place.get_gridspec().get_geometry()


def _place(seen: Points, fixed: Points, corner: Corner, size: Points) -> _Place:
    """What stands in the columns under or above the legend must end where it begins.

    What is ``fixed`` to the frame stays where it is, however far the axis goes.
    """
    margin = 0.03
    width, height = size + margin
    low = np.array([1 - width if corner.endswith("right") else 0, 1 - height if corner[0] == "u" else 0])
    if ((fixed >= low) & (fixed <= low + np.array([width, height]))).all(1).any():
        return _Place(math.inf, corner)
    x, y = seen.T
    beside = x >= 1 - width if corner.endswith("right") else x <= width
    inside = y[beside & (x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)]
    reach = inside if corner.startswith("upper") else 1 - inside
    return _Place(max(1.0, float(reach.max(initial=0.0)) / max(1 - height, 0.2)), corner)


def _drawn(axes: Axes) -> tuple[Points, Points]:
    """Points of what is drawn (n, 2), in shares of the frame, lines as chains of points; and of uprights (m, 2)."""
    axes.autoscale_view()
    within = axes.transAxes.inverted()
    upright = [
        line for line in axes.lines if not line.get_transform().contains_branch_seperately(axes.transData)[1]
    ]
    return tuple(  # type: ignore[return-value]
        np.concatenate(
            [np.zeros((0, 2)), *(_dense(np.asarray(within.transform(p))) for p in curves if len(p))]
        )
        for curves in (_curves(axes, upright), map(_pixels, upright))
    )


def _pixels(line: Line2D) -> Points:
    points = np.column_stack([np.asarray(values, dtype=float) for values in line.get_data()])
    return np.asarray(line.get_transform().transform(points))


def _curves(axes: Axes, but: Sequence[Line2D]) -> Iterator[Points]:
    """Lines, points, bands, error bars and steps, in pixels."""
    for line in axes.lines:
        if line not in but:
            pixels = _pixels(line)
            yield from pixels[:, None] if line.get_linestyle() == "None" else (pixels,)
    for collection in axes.collections:
        for path in collection.get_paths():
            yield np.asarray(collection.get_transform().transform(np.asarray(path.vertices, dtype=float)))
    for patch in axes.patches:
        if isinstance(patch, StepPatch):
            yield np.asarray(patch.get_transform().transform(patch.get_path().vertices))
    for text in axes.texts:
        yield np.asarray(text.get_window_extent().corners())


def _dense(points: Points) -> Points:
    points = points[np.isfinite(points).all(1)]
    if len(points) < 2:
        return points
    shares = np.linspace(0, 1, 20)[:, None, None]
    return (points[:-1] * (1 - shares) + points[1:] * shares).reshape(-1, 2)


def _grow(axes: Axes, place: _Place) -> None:
    """Let the axis go on beyond the data, upwards or downwards."""
    is_log = axes.get_yscale() == "log"
    low, high = np.log(axes.get_ylim()) if is_log else axes.get_ylim()
    spare = (place.growth - 1) * (high - low)
    ends = (low, high + spare) if place.corner.startswith("upper") else (low - spare, high)
    axes.set_ylim(*(np.exp(ends) if is_log else ends))


def legend_below(figure: Figure, handles: list[Any], *, columns: int | None = None) -> None:
    """One legend under all panels, in as many columns as there is room for.

    On axes of the user's it stands in a corner that is free, or under the axes, where the figure has a layout that
    makes room for it; where there is none the axis grows.
    """
    axes = axes_asked_for()
    if axes is None:
        longest = max(len(str(handle.get_label())) for handle in handles)
        fitting = max(1, int(figure.bbox.width / figure.dpi * 15 / (longest + 6)))
        figure.legend(
            handles=handles, loc="outside lower center", ncols=min(columns or len(handles), fitting)
        )
    elif figure.get_layout_engine() is None:
        clear_legend(axes, handles)
    else:
        _legend_beside(axes, handles)


def _legend_beside(axes: Axes, handles: Sequence[Any]) -> None:
    """In a corner that stays free if the layout leaves less room than now, or under what stands at the x axis."""
    figure, across = cast(Figure, axes.figure), _geometry(axes)[1]
    legend = axes.legend(handles=list(handles), loc="upper right")
    size, drawn = _size(axes, legend) * (1, _SPARE), _drawn(axes)
    best = min((_place(*drawn, corner, size) for corner in _CORNERS), key=lambda place: place.growth)
    if best.growth == 1:
        legend.set_loc(best.corner)
        return
    labels = axes.xaxis.get_tightbbox()
    depth = 0.0 if labels is None else (axes.get_window_extent().y0 - labels.y0) / figure.dpi
    under = axes.transAxes + ScaledTranslation(0, -depth, figure.dpi_scale_trans)
    for columns in range(len(handles), 0, -1):
        legend = axes.legend(
            handles=list(handles), loc="upper center", bbox_to_anchor=(0.5, 0.0), bbox_transform=under, ncols=columns,
            borderaxespad=0.2, columnspacing=1.0,
        )  # fmt: skip
        if legend.get_window_extent().width <= figure.bbox.width / across:
            return

"""The maps of the atlas: models by data sets, coloured by how far the kernel moves and by what training buys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm, Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from qlazy.drawing.style import grid, style

Arrays = Mapping[str, NDArray[Any]]
MAPS = {
    "less kernel": "trained less its own kernel, points",
    "less twin": "trained less its unentangled twin, points",
    "less classical": "trained less the best classical, points",
}


_LAZINESS = "How far kernel and outputs leave the start and the linearised model at a = 1, in per cent"
_GAINS = "What training buys, in points of test accuracy; bold where the 95 % interval leaves out 0"


def atlas_figures(arrays: Arrays) -> dict[str, Figure]:
    """Every figure by name, from the arrays of the study's result."""
    with style():
        return {"laziness": _laziness(arrays), "gains": _gains(arrays)}


def _sets(arrays: Arrays) -> list[str]:
    return [key.removesuffix(": model") for key in arrays if key.endswith(": model")]


def _column(arrays: Arrays, name: str) -> NDArray[Any]:
    """(models, sets, ...) of one column."""
    return np.stack([arrays[f"{data}: {name}"] for data in _sets(arrays)], 1)


def _laziness(arrays: Arrays) -> Figure:
    changes = 100 * _column(arrays, "kernel change")[..., 0]
    gaps = 100 * _column(arrays, "output gap")[..., 0]
    height = 1.2 + 0.27 * len(changes)
    figure, (panels,) = grid(1, 2, width=4.2, height=height, share_y=True, caption=_LAZINESS)
    titles = ("kernel change at a = 1, %", "output gap at a = 1, %")
    for axes, values, title in zip(panels, (changes, gaps), titles, strict=True):
        positive = values[np.isfinite(values) & (values > 0)]
        norm = LogNorm(min(10.0, positive.min()), max(1000.0, positive.max()))
        image = _draw(axes, arrays, values, norm, "viridis", "{:.0f}")
        figure.colorbar(image, ax=axes, label=title, shrink=0.8)
    return figure


def _gains(arrays: Arrays) -> Figure:
    intervals = {name: 100 * _column(arrays, name) for name in MAPS}
    largest = max(5.0, max(float(np.nanmax(abs(found[..., 0]))) for found in intervals.values()))
    rows = len(next(iter(intervals.values())))
    height = 1.2 + 0.27 * rows
    figure, (panels,) = grid(1, len(MAPS), width=3.85, height=height, share_y=True, caption=_GAINS)
    for axes, (name, title) in zip(panels, MAPS.items(), strict=True):
        means, low, high = np.moveaxis(intervals[name], -1, 0)
        image = _draw(
            axes, arrays, means, TwoSlopeNorm(0, -largest, largest), "RdBu", "{:+.0f}", (low > 0) | (high < 0)
        )
        axes.set_title(title)
    figure.colorbar(image, ax=panels, label="points", shrink=0.8)
    return figure


def _draw(
    axes: Any,
    arrays: Arrays,
    values: NDArray[Any],
    norm: Normalize,
    colors: str,
    shown: str,
    bold: Any = None,
) -> Any:
    """A map with its numbers written in."""
    sets = _sets(arrays)
    image = axes.imshow(values, norm=norm, cmap=colors, aspect="auto")
    axes.grid(visible=False)
    axes.set_xticks(range(len(sets)), [name.replace("_", " ") for name in sets], rotation=40, ha="right")
    axes.set_yticks(range(len(values)), [str(name).replace("_", " ") for name in arrays[f"{sets[0]}: model"]])
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            dark = sum(image.cmap(norm(value))[:3]) < 1.5
            weight = "bold" if bold is not None and bold[row, column] else "normal"
            text = shown.format(value)
            axes.text(
                column, row, text, ha="center", va="center", weight=weight,
                color="white" if dark else "black",
            )  # fmt: skip
    return image

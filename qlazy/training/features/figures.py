"""The figure of what was learnt: after-kernels, error barriers and collapse against the step."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from qlazy.drawing.legends import clear_legend
from qlazy.drawing.style import GUIDE, INK, Place, Style, grid, note, style
from qlazy.training.figures import step_axis

Floats = NDArray[Any]


def features_figure(
    steps: Floats,
    after: Floats,
    trained: Floats,
    barriers: Floats,
    collapsed: Floats,
    measure: str,
    model: str,
    ax: Place | None = None,
    asked: Style | None = None,
) -> Figure:
    """Three panels: scores of K_t (k, s) with those of the trained model (s,), barriers (k, s), collapse (k, s)."""
    caption = f"What {model} learnt along training: its kernels, the barrier between children, the collapse"
    with style(asked, ax):
        figure, (axes,) = grid(1, 3, caption=caption)
        _seeds(axes[0], steps, after)
        axes[0].axhline(trained.mean(), color=GUIDE, linestyle="--", linewidth=1.1, label="the trained model")
        axes[0].set(ylabel=measure, title=r"kernel regression with $K_t$")
        _seeds(axes[1], steps, barriers)
        axes[1].set(ylabel="error above the line between", title="barrier between two children")
        _seeds(axes[2], steps, collapsed)
        axes[2].set(ylabel=r"alignment of $K_t$ with $f f^T$", title="collapse onto what was learnt")
        for one in axes:
            step_axis(one, int(steps[-1]))
            one.set_xlabel("step t")
        clear_legend(axes[0])
    return figure


def _seeds(axes: Axes, steps: Floats, values: Floats) -> None:
    """Every seed thin, their mean thick."""
    known = values[:, np.isfinite(values).all(0)]
    if not known.size:
        note(axes, "no figure")
        return
    axes.plot(steps, known, color=INK, linewidth=0.6, alpha=0.35)
    axes.plot(steps, known.mean(1), "o-", color=INK, label="mean over seeds")

"""Figures along training: one run, and the runs of a comparison beside their linearised paths."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import NDArray

from qlazy.drawing.legends import clear_legend
from qlazy.drawing.style import INK, Place, Style, grid, log_axis, style

Floats = NDArray[Any]

COLUMNS = 4


def history_figure(
    steps: Floats,
    train_loss: Floats,
    test_loss: Floats | None,
    drift: Floats,
    loss: str,
    alpha: float,
    ax: Place | None = None,
    asked: Style | None = None,
) -> Figure:
    """The losses of one run and the drift of its parameters, at the recorded steps, all (t,)."""
    with style(asked, ax):
        figure, ((losses, drifts),) = grid(
            1, 2, caption="The losses of a run and the drift of its parameters"
        )
        losses.plot(steps, positive(train_loss), color=INK, label="train")
        values = [train_loss]
        if test_loss is not None:
            losses.plot(steps, positive(test_loss), color="#D55E00", linestyle="--", label="test")
            values.append(test_loss)
        log_axis(losses, "y", np.concatenate(values))
        losses.set_ylabel(f"loss  {loss}".rstrip())
        drifts.plot(steps, drift, color=INK)
        drifts.set_ylim(bottom=0)
        drifts.set_ylabel(r"parameter drift  $\|w - w_0\|$")
        for axes in (losses, drifts):
            step_axis(axes, int(steps[-1]))
            axes.set_xlabel("step")
        if test_loss is not None:
            clear_legend(losses)
        figure.suptitle(f"a = {alpha:g}")
    return figure


def step_axis(axes: Axes, last: int) -> None:
    """Steps 0, 1, 10, 100, ...: logarithmic, as they are recorded, with a place for the start."""
    axes.set_xscale("symlog", linthresh=1, linscale=0.4)
    axes.set_xlim(-0.15, max(last, 1) * 1.15)
    decades = [10.0**k for k in range(int(np.log10(max(last, 1))) + 1)]
    axes.xaxis.set_major_locator(FixedLocator([0, *decades]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")


def positive(values: np.ndarray) -> np.ndarray:
    return np.where(values > 0, values, np.nan)

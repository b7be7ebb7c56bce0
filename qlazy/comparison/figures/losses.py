"""Training loss step by step, trained and linearised, a panel for each scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from qlazy.comparison.figures.series import law_loss, linear_loss
from qlazy.comparison.run import Run
from qlazy.comparison.runs import Runs
from qlazy.drawing.legends import legend_below
from qlazy.drawing.style import COLUMN, INK, grid, log_axis, looks
from qlazy.training.figures import COLUMNS, positive, step_axis
from qlazy.training.losses import SquaredError

_FORMULAS = {SquaredError.convention: r"$\sum\,\|f - y\|^2 / 2n$"}


_CAPTION = "Training loss step by step, a line each seed: trained solid, linearised dashed, by the variance law dotted"
_DASHED: Any = (0, (3, 2))


def losses_figure(comparison: Runs) -> Figure:
    """Training loss step by step, a panel for each scale; the linearised model's dashed, the variance law's dotted."""
    alphas = comparison.alphas
    columns = min(COLUMNS, len(alphas))
    rows = -(-len(alphas) // columns)
    figure, panels = grid(rows, columns, height=2.1, width=COLUMN if columns == 1 else 2.1, caption=_CAPTION)
    look = looks(comparison.models)
    last = max(int(run.trace.steps[-1]) for run in comparison.runs)
    everything = np.concatenate([_ends(run) for run in comparison.runs])
    for axes, alpha in zip(panels.flat, alphas, strict=False):
        for model in comparison.models:
            _draw(axes, comparison.select(model, alpha), look[model].color)
        log_axis(axes, "y", everything)
        step_axis(axes, last)
        axes.set_title(f"a = {alpha:g}", pad=3)
    loss = comparison.runs[0].trace.loss
    _label_outer(panels, len(alphas), f"training loss\n{_FORMULAS.get(loss, loss)}")
    handles = [Line2D([], [], color=look[model].color, label=model) for model in comparison.models]
    handles.append(Line2D([], [], color=INK, label="trained"))
    handles.append(Line2D([], [], color=INK, linestyle=_DASHED, label="linearised"))
    if any(run.law_train_outputs is not None for run in comparison.runs):
        handles.append(Line2D([], [], color=INK, linestyle=":", label="variance law"))
    if any(run.diverged for run in comparison.runs):
        handles.append(Line2D([], [], color=INK, marker="x", linestyle="", label="diverged"))
    legend_below(figure, handles)
    return figure


def _draw(axes: Axes, runs: Sequence[Run], color: str) -> None:
    """Every seed a thin line; the linearised path of each dashed above it."""
    for run in runs:
        steps, loss = run.trace.steps, run.trace.train_loss
        axes.plot(steps, positive(loss), color=color, linewidth=1.2, alpha=0.75)
        linear = linear_loss(run)
        if linear is not None:
            axes.plot(steps, positive(linear), color=color, linestyle=_DASHED, linewidth=0.9)
        law = law_loss(run)
        if law is not None:
            axes.plot(steps, positive(law), color=color, linestyle=":", linewidth=1.1)
        if run.diverged:
            axes.plot(steps[-1], 0.95, "x", color=color, transform=axes.get_xaxis_transform())


def _ends(run: Run) -> np.ndarray:
    # A diverged run reaches any height: it may leave the frame, so that the others can be read.
    linear = linear_loss(run)
    own = run.trace.train_loss[:1] if run.diverged else run.trace.train_loss
    return own if linear is None else np.concatenate([own, linear])


def _label_outer(panels: np.ndarray, used: int, loss: str) -> None:
    """Labels at the left and under the lowest panel of each column; panels beyond ``used`` go."""
    columns = panels.shape[1]
    for index, axes in enumerate(panels.flat[:used]):
        lowest = index + columns >= used
        axes.tick_params(axis="x", labelbottom=lowest)
        axes.tick_params(axis="y", which="both", labelleft=index % columns == 0)
        axes.set_xlabel("step" if lowest else "")
        axes.set_ylabel(loss if index % columns == 0 else "")
    for axes in panels.flat[used:]:
        axes.remove()

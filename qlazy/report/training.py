"""Figures along training: one run, and the runs of a comparison beside their linearised paths."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from qlazy.comparison import Comparison
from qlazy.report.series import law_loss, linear_loss
from qlazy.report.style import COLUMN, INK, grid, legend_below, log_axis, looks
from qlazy.run import Run
from qlazy.trace import Trace

_COLUMNS = 4


def trace_figure(trace: Trace) -> Figure:
    """The losses of one run and the drift of its parameters, step by step."""
    figure, panels = grid(1, 2)
    losses, drift = panels[0]
    losses.plot(trace.steps, _positive(trace.train_loss), color=INK, label="train")
    values = [trace.train_loss]
    if trace.test_loss is not None:
        losses.plot(trace.steps, _positive(trace.test_loss), color="#D55E00", linestyle="--", label="test")
        values.append(trace.test_loss)
        losses.legend()
    log_axis(losses, "y", np.concatenate(values))
    losses.set_ylabel(f"loss  {trace.loss}".rstrip())
    drift.plot(trace.steps, trace.drift, color=INK)
    drift.set_ylim(bottom=0)
    drift.set_ylabel(r"parameter drift  $\|w - w_0\|$")
    for axes in (losses, drift):
        _step_axis(axes, int(trace.steps[-1]) if len(trace.steps) else 0)
        axes.set_xlabel("step")
    figure.suptitle(f"a = {trace.alpha:g}", fontsize=9)
    return figure


def losses_figure(comparison: Comparison) -> Figure:
    """Training loss step by step, a panel for each scale; the linearised model's dashed, the variance law's dotted."""
    alphas = comparison.alphas
    columns = min(_COLUMNS, len(alphas))
    rows = -(-len(alphas) // columns)
    figure, panels = grid(rows, columns, height=2.1, width=COLUMN if columns == 1 else 2.1)
    look = looks(comparison.models)
    last = max(int(run.trace.steps[-1]) for run in comparison.runs)
    everything = np.concatenate([_ends(run) for run in comparison.runs])
    for axes, alpha in zip(panels.flat, alphas, strict=False):
        for model in comparison.models:
            _draw(axes, comparison.select(model, alpha), look[model].colour)
        log_axis(axes, "y", everything)
        _step_axis(axes, last)
        axes.set_title(f"a = {alpha:g}", pad=3)
    _label_outer(panels, len(alphas), f"training loss\n{comparison.runs[0].trace.loss}")
    handles = [Line2D([], [], color=look[model].colour, label=model) for model in comparison.models]
    handles.append(Line2D([], [], color=INK, linestyle="--", label="linearised"))
    if any(run.law_train_outputs is not None for run in comparison.runs):
        handles.append(Line2D([], [], color=INK, linestyle=":", label="variance law"))
    if any(run.diverged for run in comparison.runs):
        handles.append(Line2D([], [], color=INK, marker="x", linestyle="", label="diverged"))
    legend_below(figure, handles)
    return figure


def _draw(axes: Axes, runs: Sequence[Run], colour: str) -> None:
    """Every seed a thin line; the linearised path of each dashed above it."""
    for run in runs:
        steps, loss = run.trace.steps, run.trace.train_loss
        axes.plot(steps, _positive(loss), color=colour, linewidth=1.2, alpha=0.75)
        linear = linear_loss(run)
        if linear is not None:
            axes.plot(steps, _positive(linear), color=colour, linestyle=(0, (3, 2)), linewidth=0.9)
        law = law_loss(run)
        if law is not None:
            axes.plot(steps, _positive(law), color=colour, linestyle=":", linewidth=1.1)
        if run.diverged:
            axes.plot(steps[-1], 0.95, "x", color=colour, transform=axes.get_xaxis_transform())


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
        axes.set_ylabel(loss if index % columns == 0 else "", fontsize=7.5)
    for axes in panels.flat[used:]:
        axes.remove()


def _step_axis(axes: Axes, last: int) -> None:
    """Steps 0, 1, 10, 100, ...: logarithmic, as they are recorded, with a place for the start."""
    axes.set_xscale("symlog", linthresh=1, linscale=0.4)
    axes.set_xlim(-0.15, max(last, 1) * 1.15)
    decades = [10.0**k for k in range(int(np.log10(max(last, 1))) + 1)]
    axes.xaxis.set_major_locator(FixedLocator([0, *decades]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _positive(values: np.ndarray) -> np.ndarray:
    return np.where(values > 0, values, np.nan)

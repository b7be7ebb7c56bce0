"""Figures against the output scale a: drifts, gaps and accuracy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from qlazy.comparison.baselines import Baseline
from qlazy.comparison.figures.series import Series, above_zero, diverged, places, series
from qlazy.comparison.metrics import LAWS, METRICS, THEORY
from qlazy.comparison.run import Run
from qlazy.comparison.runs import Runs
from qlazy.data.labels import classes
from qlazy.drawing.legends import clear_legend, legend_below
from qlazy.drawing.style import COLUMN, GUIDE, INK, Look, axes_asked_for, grid, log_axis, looks
from qlazy.training.drift import Slope

_FEW = 4  # models whose slopes find room in the corner of a panel
_LABELS = {
    "parameter drift": r"parameter drift  $\sup_t\,\|w_a - w_0\|$",
    "parameter gap": r"parameter gap  $\sup_t\,\|w_a - \bar w_a\|$",
    "kernel change": r"kernel change  $\|K_T - K_0\|_F\,/\,\|K_0\|_F$",
    "output gap": r"output gap  $\sup_t\,\|a h - a\bar h\|\,/\,\|a h_0 - y\|$",
}


_POINTS = "points are geometric means over seeds, bands their range, dashed lines the fits"
_DRIFT = (
    "Parameter drift and change of the whole kernel against the output scale; lazy: slope -1. "
    f"{_POINTS.capitalize()}"
)
_GAP = f"Distance from the linearised model trained on its own, in parameters and in outputs; {_POINTS}"
_ACCURACY = (
    "Test accuracy, trained and linearised, against the output scale: means over seeds, bands their range"
)


def drift_figure(comparison: Runs, against: str = "alpha") -> Figure:
    """Parameter drift and kernel change against a, as two panels: neither implies the other."""
    return _slopes_figure(comparison, ("parameter drift", "kernel change"), against, _DRIFT)


def gap_figure(comparison: Runs, against: str = "alpha") -> Figure:
    """Distance from the linearised model trained on its own, in parameters and in outputs, against a."""
    return _slopes_figure(comparison, ("parameter gap", "output gap"), against, _GAP)


def metric_figure(comparison: Runs, metric: str, against: str = "alpha") -> Figure:
    """One metric of ``THEORY`` against a: a panel of the figures above."""
    return _slopes_figure(
        comparison, (metric,), against, f"{metric.capitalize()} against the output scale; {_POINTS}"
    )


def accuracy_figure(comparison: Runs, against: str = "alpha") -> Figure | None:
    """Test accuracy of the trained and the linearised models against a; None for regression."""
    labels = classes(comparison.runs[0].test_targets)
    if labels is None:
        return None
    look = looks(comparison.models)
    figure, panels = grid(1, 1, height=3.0, width=1.3 * COLUMN, caption=_ACCURACY)
    axes = panels[0, 0]
    metrics: Mapping[str, Callable[[Run], float]] = {
        "-": lambda run: run.test_accuracy,
        "--": lambda run: run.linear_test_accuracy,
    }
    for model in comparison.models:
        for line, metric in metrics.items():
            _draw(
                axes, series(comparison, model, metric, geometric=False, against=against), look[model], line
            )
    beside = [_baseline(axes, baseline, index) for index, baseline in enumerate(comparison.baselines)]
    chance = np.bincount(labels).max() / len(labels)
    axes.axhline(chance, color=GUIDE, linewidth=1, linestyle=":")
    _scale_axis(axes, comparison, against)
    low = min(axes.get_ylim()[0], chance - 0.03)
    axes.set_ylim(max(-0.02, low), 1.02)
    axes.set_ylabel("test accuracy")
    styles = [
        Line2D([], [], color=INK, label="trained"),
        Line2D([], [], color=INK, linestyle="--", label="linearised"),
        Line2D([], [], color=GUIDE, linestyle=":", linewidth=1, label="always the larger class"),
    ]
    legend_below(figure, [*_model_handles(comparison), *styles, *beside], columns=3)
    return figure


def _baseline(axes: Axes, baseline: Baseline, index: int) -> Line2D:
    """A net of infinite width has one accuracy at every scale."""
    line = (0, (6, 2, *(1, 2) * (index + 1)))
    axes.axhline(baseline.test_accuracy, color=INK, linewidth=1, linestyle=line)
    return Line2D([], [], color=INK, linewidth=1, linestyle=line, label=baseline.name)


def _slopes_figure(comparison: Runs, metrics: tuple[str, ...], against: str, caption: str) -> Figure:
    slopes = comparison.slopes()
    crowd = max(0, len(comparison.models) - _FEW)  # many models need room for their legends
    height, width = 3.1 + 0.15 * crowd, COLUMN + (1.3 if crowd else 0)
    figure, panels = grid(1, len(metrics), height=height, width=width, caption=caption)
    for axes, metric in zip(panels[0], metrics, strict=True):
        _slopes_panel(axes, comparison, metric, slopes, against)
    handles = _model_handles(comparison)
    if axes_asked_for() is not None and slopes:  # where one legend holds all
        handles.append(_theory_handle(metrics[0]))
    if "output gap" in metrics and any(run.law_train_outputs is not None for run in comparison.runs):
        handles.append(
            Line2D(
                [],
                [],
                color=INK,
                marker="o",
                markerfacecolor="white",
                linestyle=":",
                label="against the variance law",
            )
        )
    if any(run.diverged for run in comparison.runs):
        handles.append(Line2D([], [], color=INK, marker="x", linestyle="", label="a run diverged"))
    legend_below(figure, handles)
    return figure


def _slopes_panel(
    axes: Axes, comparison: Runs, metric: str, slopes: Mapping[tuple[str, str], Slope], against: str
) -> None:
    look = looks(comparison.models)
    drawn: list[np.ndarray] = []
    for model in comparison.models:
        points = series(comparison, model, METRICS[metric], against=against)
        _draw(axes, points, look[model], "-", log=True)
        drawn += [points.low, points.high]
        if metric == "output gap":
            law = series(comparison, model, LAWS["variance-law gap"], against=against)
            if np.isfinite(law.mean).any():
                _draw(axes, law, look[model], ":", log=True)
                drawn.append(law.mean)
    log_axis(axes, "y", np.concatenate(drawn))
    _scale_axis(axes, comparison, against)
    for model in comparison.models:
        for alpha in diverged(comparison, model):
            (x,) = places(comparison, model, [alpha], against)
            axes.plot(x, 0.02, "x", color=look[model].color, transform=axes.get_xaxis_transform())
    fitted = [
        (model, look[model], slopes[model, metric])
        for model in comparison.models
        if (model, metric) in slopes
    ]
    if fitted:
        _draw_fits(axes, comparison, metric, fitted, against)
    axes.set_ylabel(_LABELS[metric])


def _draw_fits(
    axes: Axes, comparison: Runs, metric: str, fitted: list[tuple[str, Look, Slope]], against: str
) -> None:
    """Fitted lines with their slopes in the legend, and the theory's slope just above the highest of them.

    Axes of the user's have one legend, that of the models, and slopes stand in the table alone.
    """
    tail = [alpha for alpha in comparison.alphas if alpha >= 10]
    least = tail[0] if len(tail) >= 3 else comparison.alphas[0]
    ends = np.array([least, comparison.alphas[-1]])
    where = {model: places(comparison, model, ends.tolist(), against) for model, _, _ in fitted}
    handles = []
    for model, look, slope in fitted:
        line = np.exp(slope.intercept) * ends**slope.slope
        axes.plot(where[model], line, color=look.color, linestyle="--", linewidth=1)
        label = f"{slope.slope:+.2f} [{slope.low:+.2f}, {slope.high:+.2f}]".replace("-", "\N{MINUS SIGN}")
        handles.append(Line2D([], [], color=look.color, marker=look.marker, linestyle="--", label=label))
    middle = np.exp(np.log(ends).mean())
    highest = max(np.exp(slope.intercept) * middle**slope.slope for _, _, slope in fitted)
    guide = 2 * highest * (ends / middle) ** THEORY[metric]
    between = np.exp(np.mean([np.log(x) for x in where.values()], axis=0))
    axes.plot(between, guide, color=GUIDE, linestyle=":", linewidth=1.2, scalex=False, scaley=False)
    if axes_asked_for() is not None:
        return
    handles.append(_theory_handle(metric))
    title = "fitted slope [95 %]" if against == "alpha" else "fitted slope against a [95 %]"
    if len(fitted) <= _FEW:
        clear_legend(axes, handles, title)
    else:
        axes.legend(handles=handles, title=title, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _theory_handle(metric: str) -> Line2D:
    label = f"{THEORY[metric]:+.0f} in theory".replace("-", "\N{MINUS SIGN}")
    return Line2D([], [], color=GUIDE, linestyle=":", label=label)


def _draw(axes: Axes, points: Series, look: Look, line: str, *, log: bool = False) -> None:
    mean, low, high = (above_zero(v) if log else v for v in (points.mean, points.low, points.high))
    dashed = line != "-"
    axes.plot(
        points.x, mean, color=look.color, marker=look.marker, linestyle=line,
        markerfacecolor="white" if dashed else look.color, linewidth=1.1 if dashed or log else 1.4,
    )  # fmt: skip
    if not dashed:
        axes.fill_between(points.x, low, high, color=look.color, alpha=0.15, linewidth=0)


def _scale_axis(axes: Axes, comparison: Runs, against: str) -> None:
    found = [places(comparison, model, comparison.alphas, against) for model in comparison.models]
    log_axis(axes, "x", np.concatenate(found))
    axes.set_xlabel("output scale a" if against == "alpha" else r"$\kappa$, from below")


def _model_handles(comparison: Runs) -> list[Any]:
    look = looks(comparison.models)
    return [
        Line2D([], [], color=look[model].color, marker=look[model].marker, label=model)
        for model in comparison.models
    ]

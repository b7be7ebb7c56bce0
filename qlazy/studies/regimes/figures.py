"""The figures of the study ``regimes``: risk against neurons, parameters and samples, and the regimes of circuits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from qlazy.drawing.legends import legend_below
from qlazy.drawing.style import GUIDE, INK, grid, log_axis, looks, style

Arrays = Mapping[str, NDArray[Any]]

_LOOKS = looks(("rf", "nt", "nn"))
_NAMES = {"rf": "RF", "nt": "NT", "nn": "NN"}
_TASKS = {"qf": "quadratic function", "mg": "mixture of Gaussians"}
_SMALL = {"qf": "qf, B diagonal", "turned": "qf, B turned", "mg": "mg, D diagonal"}
_FAMILIES: dict[str, Any] = {"circuit": "-", "tanh_net": "--", "quadratic_net": ":"}


_FLOOR = 1e-4
"""Where risks are drawn that are zero to rounding."""


_NEURONS = (
    "Risk of random features (RF), the linearised (NT) and the trained model (NN) against neurons: lines are theory, "
    "points measured"
)
_PARAMETERS = "The same risks against the number of trained parameters"
_SAMPLES = "Risk after n samples: geometric means over seeds, bands their range"
_CIRCUITS = (
    "Risk of circuits and nets against the number of trained parameters: means and standard errors over seeds"
)


def regimes_figures(arrays: Arrays) -> dict[str, Figure]:
    """Every figure by name, from the arrays of the study's result."""
    draw = {"neurons": _neurons, "parameters": _parameters, "samples": _samples, "circuits": _circuits}
    with style():
        return {name: figure(arrays) for name, figure in draw.items()}


def _neurons(arrays: Arrays) -> Figure:
    """R / R0 against rho: rows are tasks, columns the covariance of the weights."""
    figure, panels = grid(2, 2, caption=_NEURONS)
    titles = {"isotropic": r"$\Gamma = I\,/\,d$", "aligned": r"$\Gamma = B\,/\,\mathrm{tr}\,B$"}
    for row, (task, name) in zip(panels, _TASKS.items(), strict=True):
        for axes, (gamma, title) in zip(row, titles.items(), strict=True):
            for regime in ("rf", "nt"):
                key = f"{task}_{regime}_{gamma}"
                axes.plot(arrays["line_ratios"], arrays[f"line_{key}"], color=_LOOKS[regime].color)
                _points(axes, arrays["ratios"], arrays[key], regime)
            axes.plot(arrays["line_ratios"], arrays[f"line_{task}_nn"], color=_LOOKS["nn"].color)
            _points(axes, arrays["train_ratios"], arrays[f"{task}_trained"], "nn")
            _bayes(axes, task, arrays)
            axes.set(title=f"{name}, {title}", xlabel=r"$\rho = N/d$", ylabel=r"$R\,/\,R_0$", ylim=(0, 1.03))
    legend_below(figure, [*_regime_handles(), Line2D([], [], color=INK, linestyle=":", label="Bayes risk")])
    return figure


def _parameters(arrays: Arrays) -> Figure:
    """The same curves against the number of trained parameters."""
    figure, (panels,) = grid(1, 2, caption=_PARAMETERS)
    d = float(np.median(arrays["line_units"][1:] / arrays["line_ratios"][1:]))
    for axes, (task, name) in zip(panels, _TASKS.items(), strict=True):
        for regime in _NAMES:
            line = f"line_{task}_nn" if regime == "nn" else f"line_{task}_{regime}_isotropic"
            inside = arrays["line_ratios"] > 0
            counts = _counts(regime, arrays["line_units"], d)[inside]
            axes.plot(counts, arrays[line][inside], color=_LOOKS[regime].color)
            if regime != "nn":
                points = arrays[f"{task}_{regime}_isotropic"]
                _points(axes, _counts(regime, arrays["units"], d), points, regime)
            elif np.allclose(arrays["train_units"] / arrays["train_ratios"], d, rtol=0.01):
                _points(axes, _counts("nn", arrays["train_units"], d), arrays[f"{task}_trained"], "nn")
        _bayes(axes, task, arrays)
        log_axis(axes, "x", np.append(_counts("nn", arrays["units"], d).astype(float) * 2, 10.0))
        axes.set(title=name, xlabel="trained parameters", ylabel=r"$R\,/\,R_0$", ylim=(0, 1.03))
    legend_below(figure, _regime_handles())
    return figure


def _samples(arrays: Arrays) -> Figure:
    """The exact risk after n samples, geometric mean and range; the population's optimum; a line at n = p."""
    figure, (panels,) = grid(1, 2, height=3.0, caption=_SAMPLES)
    counts = arrays["sample_counts"].astype(float)
    for axes, (task, name) in zip(panels, _TASKS.items(), strict=True):
        for regime, label in _NAMES.items():
            look, risks = _LOOKS[regime], np.clip(arrays[f"few_{task}_{regime}"], 1e-6, None)
            mean = np.exp(np.log(risks).mean(1))
            axes.fill_between(counts, risks.min(1), risks.max(1), color=look.color, alpha=0.15, linewidth=0)
            axes.plot(counts, mean, look.marker, linestyle="-", color=look.color, label=label)
            limit = float(arrays[f"few_{task}_{regime}_limit"].mean())
            if limit > 1e-6:
                axes.axhline(limit, color=look.color, linestyle=":", linewidth=1)
            axes.axvline(
                float(arrays[f"few_{task}_{regime}_parameters"]), color=look.color, alpha=0.35, linewidth=1
            )
        log_axis(axes, "x", counts)
        every = np.concatenate([arrays[f"few_{task}_{regime}"].ravel() for regime in _NAMES])
        log_axis(axes, "y", np.clip(every, 1e-3, 1e3))
        axes.set(title=name, xlabel="samples n", ylabel=r"$R\,/\,R_0$")
    handles = [
        *panels[0].get_legend_handles_labels()[0],
        Line2D([], [], color=GUIDE, linestyle=":", label="population optimum"),
        Line2D([], [], color=GUIDE, alpha=0.5, label="n = parameters"),
    ]
    legend_below(figure, handles)
    return figure


def _circuits(arrays: Arrays) -> Figure:
    """Columns are tasks: colours tell regimes apart, line styles families; means and standard errors over seeds."""
    figure, (panels,) = grid(1, 3, height=3.2, caption=_CIRCUITS)
    for axes, (task, title) in zip(panels, _SMALL.items(), strict=True):
        shown = [_curve(axes, arrays, task, family, regime) for family in _FAMILIES for regime in _NAMES]
        if task == "mg":
            level, name = float(arrays["circuits_mg_bayes"]), "Bayes"
        else:
            level, name = _FLOOR, "exact"
            log_axis(axes, "y", np.concatenate(shown))
        axes.axhline(level, color=GUIDE, linewidth=1, linestyle=":")
        axes.annotate(name, (1.01, level), xycoords=("axes fraction", "data"), va="center", color=GUIDE)
        axes.set(title=title, xlabel="trained parameters", ylabel=r"$R\,/\,R_0$")
    lines = [Line2D([], [], color=INK, linestyle=_FAMILIES[f], label=f.replace("_", " ")) for f in _FAMILIES]
    legend_below(figure, [*_regime_handles(), *lines])
    return figure


def _curve(axes: Axes, arrays: Arrays, task: str, family: str, regime: str) -> NDArray[Any]:
    """One family in one regime; returns the means."""
    values, look = arrays[f"circuits_{task}_{family}_{regime}"], _LOOKS[regime]
    mean = np.clip(values.mean(1), _FLOOR, None)
    error = np.minimum(values.std(1, ddof=1) / np.sqrt(values.shape[1]), 0.9 * mean)
    first = family == "circuit"
    axes.errorbar(
        arrays[f"circuits_count_{family}_{regime}"], mean, error, fmt=look.marker, linestyle=_FAMILIES[family],
        color=look.color, capsize=2, alpha=1.0 if first else 0.55,
        markerfacecolor=look.color if first else "white",
    )  # fmt: skip
    return mean


def _points(axes: Axes, x: NDArray[Any], values: NDArray[Any], regime: str) -> None:
    """Means over seeds with their standard errors, where there is more than one."""
    seeds = values.shape[1]
    error = values.std(1, ddof=1) / np.sqrt(seeds) if seeds > 1 else None
    axes.errorbar(x, values.mean(1), error, fmt=_LOOKS[regime].marker, color=_LOOKS[regime].color, capsize=2)


def _bayes(axes: Axes, task: str, arrays: Arrays) -> None:
    if task == "mg":
        axes.axhline(float(arrays["mg_bayes"]), color=INK, linestyle=":", linewidth=1)


def _counts(regime: str, units: NDArray[Any], dimension: float) -> NDArray[Any]:
    """Trained parameters of N units."""
    per = {"rf": 1.0, "nt": dimension, "nn": dimension + 1}[regime]
    return units * per + 1


def _regime_handles() -> list[Line2D]:
    return [
        Line2D([], [], color=look.color, marker=look.marker, label=_NAMES[name])
        for name, look in _LOOKS.items()
    ]

"""The figures of the study ``large_circuits``: mean kernels against size, training and truncation at 127 qubits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from qlazy.drawing.legends import clear_legend
from qlazy.drawing.style import GUIDE, grid, log_axis, looks, style

Arrays = Mapping[str, NDArray[Any]]

_METRICS = {
    "parameter_drift": ("parameter drift", -1),
    "kernel_change": ("relative kernel change", -1),
    "parameter_gap": ("parameter gap", -2),
    "output_gap": ("output gap", -1),
}


_SIZE = "The mean tangent kernel at random angles against the number of qubits; bars are two standard errors"
_TRAINING = (
    "A circuit of 127 qubits against the output scale, a line each seed; dotted: the slopes of the theory"
)
_TRUNCATION = "What a cutoff leaves out of an output and of a derivative: the error, its bound, and estimates"


def large_circuits_figures(arrays: Arrays) -> dict[str, Figure]:
    """Every figure by name, from the arrays of the study's result."""
    with style():
        return {"size": _size(arrays), "training": _training(arrays), "truncation": _truncation(arrays)}


def _size(arrays: Arrays) -> Figure:
    figure, ((axes,),) = grid(1, 1, width=5.0, height=3.4, caption=_SIZE)
    labels, qubits = [str(label) for label in arrays["labels"]], arrays["qubits"]
    every = []
    for (label, look), means in zip(looks(labels).items(), arrays["means"], strict=True):
        seen = (means[:, 0] > 0) & (means[:, 1] < means[:, 0])
        axes.errorbar(
            qubits[seen], means[seen, 0], 2 * means[seen, 1], fmt=look.marker, linestyle="-", color=look.color,
            label=label, markersize=4, linewidth=1, capsize=2,
        )  # fmt: skip
        every.append(means[seen, 0])
    log_axis(axes, "x", qubits)
    log_axis(axes, "y", np.concatenate(every))
    axes.set(xlabel="qubits n", ylabel="mean of K(x, x) at random angles")
    clear_legend(axes)
    return figure


def _training(arrays: Arrays) -> Figure:
    figure, (panels,) = grid(1, 4, width=2.6, caption=_TRAINING)
    alphas = arrays["alphas"]
    [look] = looks(("heavy hex",)).values()
    for axes, (metric, (name, slope)) in zip(panels, _METRICS.items(), strict=True):
        values = arrays[metric]
        for seed in values.T:
            axes.plot(alphas, seed, look.marker, linestyle="-", color=look.color, linewidth=1, alpha=0.7)
        guide = np.exp(np.log(values[0]).mean()) * (alphas / alphas[0]) ** slope
        axes.plot(alphas, guide, color=GUIDE, linestyle=":", linewidth=1, label=f"slope {slope}")
        log_axis(axes, "x", alphas)
        log_axis(axes, "y", values.ravel())
        axes.set(xlabel="scale a", ylabel=name)
        clear_legend(axes)
    return figure


def _truncation(arrays: Arrays) -> Figure:
    figure, (panels,) = grid(1, 2, caption=_TRUNCATION)
    cutoffs, (off, bound, spread, slope_off, slope_bound, change, _) = (
        arrays["cutoffs"],
        arrays["truncated"].T,
    )
    drawn = (
        (panels[0], {"error": off, "bound": bound, "r.m.s. over product states": spread}, "an output"),
        (panels[1], {"error": slope_off, "bound": slope_bound, "kernel, relative": change}, "a derivative"),
    )
    for axes, curves, what in drawn:
        for (name, look), values in zip(looks(curves).items(), curves.values(), strict=True):
            seen = values > 0
            axes.plot(cutoffs[seen], values[seen], look.marker, linestyle="-", color=look.color, label=name)
        log_axis(axes, "x", cutoffs)
        log_axis(axes, "y", np.concatenate([values[values > 0] for values in curves.values()]))
        axes.set(xlabel="cutoff", ylabel=f"error of {what}")
        clear_legend(axes)
    return figure

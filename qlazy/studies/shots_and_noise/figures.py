"""The figures of the study ``shots_and_noise``: kernels from shots by circuit, and laziness under noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from qlazy.drawing.legends import legend_below
from qlazy.drawing.style import GUIDE, INK, grid, log_axis, looks, style

Arrays = Mapping[str, NDArray[Any]]

_CHANNELS = {"depolarizing": "depolarising", "amplitude_damping": "amplitude damping"}
_LOOKS = looks(_CHANNELS)
_METRICS = ("parameter drift", "kernel change", "output gap")


_SHOTS = "Kernels from shots, circuit by circuit: deviations, coverage of the error bars, bias, gain of sharing out"
_NOISE = "The trace of the tangent kernel and its cosine with the exact one against the strength of noise"
_LAZINESS = (
    "Drift, kernel change and distance from the linearised model under noise, darker where it is stronger"
)


def shots_and_noise_figures(arrays: Arrays) -> dict[str, Figure]:
    """Every figure by name, from the arrays of the study's result."""
    with style():
        return {"shots": _shots(arrays), "noise": _noise(arrays), "laziness": _laziness(arrays)}


def _shots(arrays: Arrays) -> Figure:
    figure, ((deviation, coverage, bias, gain),) = grid(1, 4, width=2.5, height=2.5, caption=_SHOTS)
    number = np.arange(1, 1 + len(arrays["shots_score"]))
    deviation.axhspan(-3, 3, color=GUIDE, alpha=0.15, lw=0)
    deviation.plot(number, arrays["shots_score"], "o", color=INK)
    largest = max(3.3, 1.1 * np.abs(arrays["shots_score"]).max())
    deviation.set(
        xlabel="circuit", ylabel="deviation / std. error", title="unbiased trace", ylim=(-largest, largest)
    )
    coverage.axhspan(0.90, 0.99, color=GUIDE, alpha=0.15, lw=0)
    coverage.plot(number, arrays["shots_covered"], "o", color=INK)
    low = min(0.85, arrays["shots_covered"].min() - 0.02)
    coverage.set(xlabel="circuit", ylabel="share of entries", title="within 95 % bars", ylim=(low, 1.005))
    predicted = arrays["shots_predicted"]
    bias.errorbar(
        predicted, arrays["shots_bias"], 2 * arrays["shots_bias_error"], fmt="o", color=INK, elinewidth=0.8
    )
    _diagonal(bias, predicted)
    bias.set(xlabel="predicted", ylabel="measured, 2 std. errors", title="bias of the naive trace")
    gain.plot(arrays["gain_foretold"], arrays["gain_measured"], "o", color=INK)
    _diagonal(gain, arrays["gain_foretold"])
    gain.set(xlabel="foretold", ylabel="measured", title="gain of sharing shots out")
    for axes in (deviation, coverage):
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    return figure


def _diagonal(axes: Axes, values: NDArray[Any]) -> None:
    ends = np.array([values.min(), values.max()])
    axes.plot(ends, ends, color=GUIDE, linestyle=":", linewidth=1)


def _noise(arrays: Arrays) -> Figure:
    figure, ((trace, cosine),) = grid(1, 2, height=2.6, caption=_NOISE)
    strengths = np.concatenate([[0.0], arrays["strengths"]])
    for channel, name in _CHANNELS.items():
        look = _LOOKS[channel]
        for axes, key in ((trace, "trace"), (cosine, "cosine")):
            values = np.concatenate([[1.0], arrays[f"{key}_{channel}"]])
            axes.plot(strengths, values, look.marker, linestyle="-", color=look.color, label=name)
    trace.set(xlabel="strength of each channel", ylabel="tr K / tr K(exact)", ylim=(-0.03, 1.03))
    cosine.set(xlabel="strength of each channel", ylabel="cosine of K with K(exact)")
    legend_below(figure, trace.get_legend_handles_labels()[0])
    return figure


def _laziness(arrays: Arrays) -> Figure:
    figure, (panels,) = grid(1, 3, width=2.7, height=2.6, caption=_LAZINESS)
    alphas, strengths = arrays["alphas"], arrays["strengths"]
    shades = np.linspace(0.4, 1.0, len(strengths))
    for index, (axes, name) in enumerate(zip(panels, _METRICS, strict=True)):
        shown = [arrays["lazy_exact"][:, index]]
        axes.plot(alphas, shown[0], "--", color=INK, label="no noise", zorder=3)
        for channel, title in _CHANNELS.items():
            look = _LOOKS[channel]
            for strength, shade, lazy in zip(strengths, shades, arrays[f"lazy_{channel}"], strict=True):
                shown.append(lazy[:, index])
                label = f"{title} {strength:g}"
                axes.plot(
                    alphas,
                    lazy[:, index],
                    look.marker,
                    linestyle="-",
                    color=look.color,
                    alpha=shade,
                    label=label,
                )
        log_axis(axes, "x", alphas)
        log_axis(axes, "y", np.concatenate(shown))
        axes.set(xlabel="output scale a", title=name)
    legend_below(figure, panels[0].get_legend_handles_labels()[0], columns=5)
    return figure

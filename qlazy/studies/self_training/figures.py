"""The figures of the study ``self_training``: gains seed by seed, and against warm-up and scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import NDArray

from qlazy.drawing.legends import legend_below
from qlazy.drawing.style import GUIDE, grid, looks, style

Arrays = Mapping[str, NDArray[Any]]
ByValue = Mapping[float, NDArray[Any]]

_LEARNERS = ("supervised", "hard labels", "hard, in rounds", "stopped", "DRIFT")
_TASKS = ("net", "net, DRIFT's settings", "net, linearised", "circuit", "circuit, linearised")
_LOOKS = looks(_LEARNERS)


_GAINS = "What unlabelled data bring over labels alone: each seed a stroke, means with two standard errors"
_SETTINGS = (
    "The same gains against the steps of warm-up and against the output scale, with bands of a standard error"
)


def self_training_figures(
    arrays: Arrays, warmups: Sequence[int], scales: Sequence[float]
) -> dict[str, Figure]:
    """Every figure by name, from accuracies in percent (learners, seeds) of each task."""
    by_scale = {a: arrays[f"net, a = {a:g}"] for a in scales}
    by_warmup = {float(w): arrays[f"net, warm-up {w}"] for w in warmups}
    with style():
        return {
            "gains": _gains(arrays),
            "settings": _settings(by_warmup, by_scale),
        }


def _gains(arrays: Arrays) -> Figure:
    """Points over supervised: each seed a stroke, the mean a marker with two standard errors."""
    figure, (panels,) = grid(1, len(_TASKS), width=1.9, height=2.4, caption=_GAINS)
    for axes, task in zip(panels, _TASKS, strict=True):
        gains = arrays[task][1:] - arrays[task][:1]
        for place, (learner, values) in enumerate(zip(_LEARNERS[1:], gains, strict=True)):
            look = _LOOKS[learner]
            axes.plot(
                np.full(len(values), place),
                values,
                "_",
                color=look.color,
                alpha=min(0.35, 10 / len(values)),
                markersize=9,
            )
            _mean(axes, place, values, learner)
        axes.axhline(0, color=GUIDE, linestyle=":", linewidth=1)
        axes.set(title=f"{task}\n({gains.shape[1]} seeds)", xlim=(-0.6, len(gains) - 0.4))
        axes.xaxis.set_major_locator(NullLocator())
    panels[0].set_ylabel("points over supervised")
    legend_below(figure, panels[0].get_legend_handles_labels()[0])
    return figure


def _settings(by_warmup: ByValue, by_scale: ByValue) -> Figure:
    """Points over supervised against warm-up and against the scale, with bands of a standard error."""
    figure, (panels,) = grid(1, 2, width=3.0, height=2.6, caption=_SETTINGS)
    for axes, runs, label in ((panels[0], by_warmup, "steps of warm-up"), (panels[1], by_scale, "scale a")):
        at = np.array(list(runs))
        places = np.arange(len(at))
        for row, learner in enumerate(_LEARNERS[1:], 1):
            values = np.array([accuracies[row] - accuracies[0] for accuracies in runs.values()])
            look = _LOOKS[learner]
            axes.plot(places, values.mean(1), look.marker, linestyle="-", color=look.color, label=learner)
            error = values.std(1, ddof=1) / np.sqrt(values.shape[1])
            axes.fill_between(places, values.mean(1) - error, values.mean(1) + error, color=look.color, alpha=0.15,
                              lw=0)  # fmt: skip
        axes.axhline(0, color=GUIDE, linestyle=":", linewidth=1)
        axes.xaxis.set_major_locator(FixedLocator(places.tolist()))
        axes.set_xticklabels([f"{value:g}" for value in at])
        axes.set(xlabel=label)
    panels[0].set_ylabel("points over supervised")
    panels[1].set_title("a (h - h(w0)); inf: linearised")
    legend_below(figure, panels[0].get_legend_handles_labels()[0])
    return figure


def _mean(axes: Axes, place: int, values: NDArray[Any], learner: str) -> None:
    error = values.std(ddof=1) / np.sqrt(len(values))
    look = _LOOKS[learner]
    axes.errorbar(
        place, values.mean(), 2 * error, fmt=look.marker, color=look.color, capsize=2.5, label=learner
    )

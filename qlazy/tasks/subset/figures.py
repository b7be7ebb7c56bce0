"""Figures of a selection of training samples, and of the study that compares the rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from qlazy.drawing.legends import clear_legend, legend_below
from qlazy.drawing.style import GUIDE, INK, Place, Style, grid, looks, style

Arrays = Mapping[str, NDArray[Any]]
_LOOKS = looks(("all", "chosen", "doubted"))


def subset_figure(
    arrays: Arrays, selector: str, ax: Place | None = None, asked: Style | None = None
) -> Figure:
    """Every sample's score against its margin, and accuracy or validation loss epoch by epoch.

    ``arrays`` are those of a :class:`qlazy.subset.Subset`, by name.
    """
    indices, scores, accuracy = (arrays[name] for name in ("indices", "scores", "test_accuracy"))
    caption = "The score of every sample against the margin of its label, and the history of the run"
    with style(asked, ax):
        figure, ((samples, history),) = grid(1, 2, caption=caption)
        _draw_samples(samples, indices, scores, arrays["margins"])
        measured = not np.isnan(accuracy).any()
        values = accuracy if measured else arrays["validation_loss"]
        history.plot(np.arange(len(accuracy)), values, color=INK, marker="o")
        history.set(xlabel="epoch", ylabel="test accuracy" if measured else "validation loss")
        figure.suptitle(f"{len(indices)} of {len(scores)}, {selector.split('(')[0]}")
    return figure


def _draw_samples(axes: Any, indices: NDArray[Any], scores: NDArray[Any], margins: NDArray[Any]) -> None:
    chosen = np.isin(np.arange(len(scores)), indices)
    for name, mask in (("all", ~chosen), ("chosen", chosen)):
        look = _LOOKS[name]
        label = "chosen" if name == "chosen" else "left out"
        axes.plot(scores[mask], margins[mask], look.marker, color=look.color, alpha=0.6,
                  linestyle="", markersize=3, label=label)  # fmt: skip
    axes.axhline(0, color=GUIDE, linestyle=":", linewidth=1)
    axes.set(xlabel="score", ylabel="margin of the label given")
    clear_legend(axes)


_RULES = "Test accuracy of every rule, trained in the loop and anew on the samples chosen: means, a stroke each seed"


def subset_figures(arrays: Arrays, rules: tuple[str, ...], tasks: tuple[str, ...]) -> dict[str, Figure]:
    """Test accuracy of every rule, seed by seed: trained in the loop, and anew on the samples chosen."""
    with style():
        height = 0.27 * len(rules) + 0.9
        figure, (panels,) = grid(1, len(tasks), height=height, width=4.2, caption=_RULES)
        for axes, task in zip(panels, tasks, strict=True):
            _draw_rules(axes, arrays, rules, task)
            axes.set(title=task, xlabel="test accuracy, %")
        for axes in panels[1:]:
            axes.tick_params(axis="y", labelleft=False)
        legend_below(figure, panels[0].get_legend_handles_labels()[0])
    return {"accuracy": figure}


def _draw_rules(axes: Any, arrays: Arrays, rules: tuple[str, ...], task: str) -> None:
    places = np.arange(len(rules))[::-1]
    for (kind, label), look, shift in zip(
        (("loop", "in the loop"), ("anew", "anew on the chosen")),
        _LOOKS.values(),
        (0.14, -0.14),
        strict=False,
    ):
        accuracy = 100 * arrays[f"{kind}_{task}"]  # (rules, seeds)
        known = ~np.isnan(accuracy).any(1)
        for place, values in zip(places[known] + shift, accuracy[known], strict=True):
            axes.plot(values, np.full(len(values), place), "|", color=look.color, alpha=0.5, markersize=5)
        axes.plot(accuracy[known].mean(1), places[known] + shift, look.marker, color=look.color, markersize=5,
                  linestyle="", label=label)  # fmt: skip
    axes.set_yticks(places, rules)
    axes.set_ylim(-0.6, len(rules) - 0.4)

"""The figures of the study ``control_flow``: the two losses, and the lazy regime with and without control."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from qlazy.drawing.legends import clear_legend, legend_below
from qlazy.drawing.style import GUIDE, grid, log_axis, looks, style

Arrays = Mapping[str, NDArray[Any]]

_LOOKS = looks(("p1", "p2", "p2 parity"))
_METRICS = {
    "parameter_drift": "parameter drift",
    "kernel_change": "relative kernel change",
    "output_gap": "output gap",
}
_RUNS = (
    ("p1", "last", "P1, target s(z4)"),
    ("p2", "last", "P2, target s(z4)"),
    ("p2", "parity", "P2, s(z1 xor z4)"),
)


_LOSSES = (
    "Losses of the programs P1 and P2 epoch by epoch, a line each start; dotted: 0.5, the least that P1 reaches, "
    "and 0.016, the loss that P2 is said to reach"
)
_SCALES = (
    "Drift, kernel change and distance from the linearised model against the scale, without and with control"
)


def control_flow_figures(arrays: Arrays) -> dict[str, Figure]:
    """Every figure by name, from the arrays of the study's result."""
    with style():
        return {"losses": _losses(arrays), "scales": _scales(arrays)}


def _losses(arrays: Arrays) -> Figure:
    figure, ((axes,),) = grid(1, 1, width=4.5, height=3.0, caption=_LOSSES)
    for name in ("p1", "p2"):
        losses = arrays[f"loss_{name}"]
        for seed, loss in enumerate(losses):
            label = name.upper() if seed == 0 else None
            axes.plot(loss, color=_LOOKS[name].color, linewidth=1, alpha=0.8, label=label)
    axes.axhline(0.5, color=GUIDE, linestyle=":", linewidth=1)
    axes.axhline(0.016, color=GUIDE, linestyle=":", linewidth=1)
    log_axis(axes, "y", np.concatenate([arrays["loss_p1"].ravel(), arrays["loss_p2"].ravel()]))
    axes.set(xlabel="epoch", ylabel="loss, summed over the four inputs")
    clear_legend(axes)
    return figure


def _scales(arrays: Arrays) -> Figure:
    figure, (panels,) = grid(1, 3, caption=_SCALES)
    alphas = arrays["alphas"]
    for axes, (metric, name) in zip(panels, _METRICS.items(), strict=True):
        for look, (program, task, label) in zip(_LOOKS.values(), _RUNS, strict=True):
            values = arrays[f"{metric}_{program}_{task}"]
            axes.plot(alphas, values.mean(1), look.marker, linestyle="-", color=look.color, label=label)
        every = np.concatenate([arrays[f"{metric}_{program}_{task}"].mean(1) for program, task, _ in _RUNS])
        guide = np.exp(np.log(every).mean()) * np.exp(np.log(alphas).mean()) / alphas
        axes.plot(alphas, guide, color=GUIDE, linestyle=":", linewidth=1, label="1 / a")
        log_axis(axes, "x", alphas)
        log_axis(axes, "y", every)
        axes.set(xlabel="scale a", ylabel=name)
    legend_below(figure, panels[0].get_legend_handles_labels()[0])
    return figure

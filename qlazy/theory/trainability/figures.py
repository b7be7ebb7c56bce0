"""The figure of a circuit's trainability."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from qlazy.drawing.legends import clear_legend
from qlazy.drawing.style import GUIDE, INK, Place, Style, grid, log_axis, looks, note, style

if TYPE_CHECKING:
    from qlazy.theory.trainability.expressibility import Expressibility
    from qlazy.theory.trainability.fisher import FisherSpectrum
    from qlazy.theory.trainability.gradients import GradientVariance
    from qlazy.theory.trainability.scaling import Scaling


_CAPTION = "Gradients and kernels over random angles, Fisher spectrum, fidelities beside random states"


def trainability_figure(
    gradients: GradientVariance,
    scalings: Mapping[str, Scaling],
    fisher: FisherSpectrum | None,
    expressibility: Expressibility | None,
    ax: Place | None = None,
    asked: Style | None = None,
) -> Figure:
    """Figures over n, or variances by parameter at one size; the Fisher spectrum; fidelities beside Haar's."""
    with style(asked, ax):
        caption = _CAPTION + ("" if scalings else _not_drawn(gradients))
        figure, [[first, second, third]] = grid(1, 3, caption=caption)
        if scalings:
            _draw_sizes(first, scalings)
        else:
            _draw_parameters(first, gradients)
        _draw_spectrum(second, fisher)
        _draw_fidelities(third, expressibility)
    return figure


def _not_drawn(gradients: GradientVariance) -> str:
    """Which parameters a logarithmic axis leaves out, as it has no zero."""
    idle = np.flatnonzero(~(gradients.variances.sum(0).numpy() > 0)).tolist()
    if not idle:
        return ""
    shown = f"{', '.join(map(str, idle[:12]))}{', ...' * (len(idle) > 12)}"
    return f"; not drawn: variance 0: parameter{'s' * (len(idle) > 1)} {shown}"


def _draw_sizes(axes: Axes, scalings: Mapping[str, Scaling]) -> None:
    shown = np.concatenate([scaling.values for scaling in scalings.values()])
    for (name, scaling), look in zip(scalings.items(), looks(scalings).values(), strict=True):
        values, errors = np.array(scaling.values), 2 * np.array(scaling.errors)
        kept = values > 0
        low = np.minimum(errors, 0.9 * values)[kept]  # a logarithmic axis has no zero
        axes.errorbar(
            np.array(scaling.sizes)[kept], values[kept], (low, errors[kept]), label=name, color=look.color,
            marker=look.marker, capsize=2,
        )  # fmt: skip
    log_axis(axes, "y", shown)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="qubits n", ylabel="over random angles")
    clear_legend(axes)


def _draw_parameters(axes: Axes, gradients: GradientVariance) -> None:
    values = gradients.variances.sum(0).numpy()
    errors = 2 * gradients.errors.square().sum(0).sqrt().numpy()
    kept = values > 0
    low = np.minimum(errors, 0.9 * values)[kept]
    axes.errorbar(np.arange(len(values))[kept], values[kept], (low, errors[kept]), color=INK, fmt=".")
    log_axis(axes, "y", values)
    axes.set(xlabel="parameter", ylabel="variance of the derivative")


def _draw_spectrum(axes: Axes, fisher: FisherSpectrum | None) -> None:
    axes.set(xlabel="index", ylabel="eigenvalue of Fisher information")
    if fisher is None:
        note(axes, "not measured")
        return
    kept = [values[:rank] for values, rank in zip(fisher.eigenvalues.numpy(), fisher.ranks, strict=True)]
    for values in kept:
        axes.plot(np.arange(1, len(values) + 1), values, color=GUIDE, linewidth=0.8)
    log_axis(axes, "y", np.concatenate(kept))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.axvline(fisher.rank, color=INK, linestyle=":", linewidth=1, label=f"rank {fisher.rank}")
    clear_legend(axes)


def _draw_fidelities(axes: Axes, found: Expressibility | None) -> None:
    axes.set(xlabel="fidelity of two random states", ylabel="share of pairs")
    if found is None:
        note(axes, "not measured")
        return
    edges = np.linspace(0, 1, len(found.counts) + 1)
    axes.stairs(found.counts / found.pairs, edges, color=INK, label="circuit")
    axes.stairs(found.haar, edges, color=GUIDE, linestyle=":", label="Haar")
    log_axis(axes, "y", np.concatenate([found.counts / found.pairs, [0.1 / found.pairs]]))
    clear_legend(axes)

"""The figures of the study ``wide_circuits``: depth, target, width, and the three laws of a circuit's structure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from qlazy.drawing.legends import clear_legend
from qlazy.drawing.style import GUIDE, INK, grid, log_axis, looks, size_axis, style

Arrays = Mapping[str, NDArray[Any]]

_BLUE, _RED, _GREEN = looks(("first", "second", "third")).values()


_DEPTH = "Against the number of layers: parameters drift less, the kernel does not freeze, the variance law predicts it"
_DYNAMICS = "Where kernel and error end for each target, and how the error falls for labels at the edge"
_WIDTH = "Change in training against the number of qubits, for outputs with light cones and two scalings of their sum"
_STRUCTURE = "Rank of the kernel, frequencies of the outputs, and how they become Gaussian with width"


def wide_circuits_figures(arrays: Arrays) -> dict[str, Figure]:
    """Every figure by name, from the arrays of the study's result."""
    draw = {"depth": _depth, "dynamics": _dynamics, "width": _width, "structure": _structure}
    with style():
        return {name: figure(arrays) for name, figure in draw.items()}


def _depth(arrays: Arrays) -> Figure:
    figure, ((left, middle, right),) = grid(1, 3, caption=_DEPTH)
    layers = arrays["layers"]
    _points(left, layers, arrays["drift"], _BLUE, "measured")
    _law(left, layers, arrays["frozen_drift"].mean(1), r"$1\,/\,\sqrt{K_0}$")
    log_axis(left, "y", np.concatenate([arrays["drift"].ravel(), arrays["frozen_drift"].ravel()]))
    _name(left, "parameter drift falls with depth", r"$\|\theta_T - \theta_0\|\,/\,|e_0|$")
    _points(middle, layers, arrays["kernel_change"], _RED, "measured")
    _law(middle, layers, arrays["predicted_change"].mean(1), "variance law")
    middle.set_ylim(0, 1.3 * max(arrays["kernel_change"].max(), arrays["predicted_change"].max()))
    _name(middle, "the kernel does not freeze", r"$|K_T - K_0|\,/\,K_0$")
    _points(right, layers, arrays["frozen_error"], _GREEN, "frozen kernel")
    _points(right, layers, arrays["law_error"], _BLUE, "variance law")
    log_axis(right, "y", np.concatenate([arrays["frozen_error"].ravel(), arrays["law_error"].ravel()]))
    _name(right, "who predicts training?", r"largest error in $f(t)$")
    for axes in (left, middle, right):
        size_axis(axes, "x", layers)
        axes.set_xlabel("layers L")
        clear_legend(axes)
    return figure


def _dynamics(arrays: Arrays) -> Figure:
    figure, ((left, middle, right),) = grid(1, 3, caption=_DYNAMICS)
    targets, f0 = arrays["targets"], float(arrays["start_output"])
    fine = np.linspace(-1.6, 1.6, 401)
    for axes in (left, middle):
        axes.axvspan(-1, 1, color="#f1f4f8", zorder=0)
        axes.set_xlabel("target y")
        axes.set_xlim(-1.6, 1.6)
    _law(left, fine, np.clip(1 - fine**2, 0, None) / (1 - f0**2), r"$(1 - y^2)_+\,/\,(1 - f_0^2)$")
    left.plot(targets, arrays["settled_kernels"], _BLUE.marker, color=_BLUE.color, label="measured")
    left.set_ylim(-0.05, 1.45)
    left.text(0, 0.06, "frozen kernel", ha="center", color=GUIDE)
    for side in (-1.3, 1.3):
        left.text(side, 0.12, "frozen\nerror", ha="center", color=GUIDE)
    _name(left, "where the kernel ends", r"$K_T\,/\,K_0$")
    _law(middle, fine, np.clip(fine, -1, 1) - fine, "nearest point of the spectrum")
    middle.plot(targets, arrays["settled_errors"], _RED.marker, color=_RED.color, label="measured")
    _name(middle, "where the error ends", r"$f_T - y$")
    middle.set_ylim(-0.7, 1.0)
    for axes in (left, middle):
        clear_legend(axes)
    for look, name, label in ((_BLUE, "plain", "Pauli word"), (_GREEN, "rescaled", "rescaled by 1.5")):
        time, error = arrays[f"edge_time_{name}"], arrays[f"edge_error_{name}"]
        right.plot(time[1:], error[1:], look.marker, linestyle="-", color=look.color, label=label)
    late = arrays["edge_time_plain"][1:]
    _law(right, late, (1 - f0**2) / (2 * late), r"$1\,/\,(2 K_0 t)$")
    log_axis(right, "x", late)
    log_axis(
        right,
        "y",
        np.clip(np.concatenate([arrays["edge_error_plain"], arrays["edge_error_rescaled"]]), 1e-6, None),
    )
    right.set_xlabel(r"$K_0 t$")
    _name(right, "labels at the edge of the spectrum", r"$|f(t) - 1|$")
    clear_legend(right)
    return figure


def _width(arrays: Arrays) -> Figure:
    figure, ((left, right),) = grid(1, 2, caption=_WIDTH)
    qubits = arrays["qubits"]
    panels = (("wide_largest", _BLUE, r"$\max|\Delta\theta|$"), ("wide_change", _RED, r"$\|\Delta K\|\,/\,\|K\|$"),
              ("wide_gap", _GREEN, "output gap"))  # fmt: skip
    for name, look, label in panels:
        _points(left, qubits, arrays[name], look, label)
    for name, power in (("wide_largest", -0.5), ("wide_change", -1.0)):
        start = arrays[name].mean(1)[0]
        left.plot(qubits, start * (qubits / qubits[0]) ** power, ":", color=GUIDE, zorder=1)
    log_axis(left, "y", np.concatenate([arrays[name].ravel() for name, _, _ in panels]))
    _name(left, "light cones: the kernel freezes with width", "after training")
    _points(right, qubits, arrays["wide_change"], _RED, r"$f = m^{-1/2}\sum_k Z_k$")
    _points(right, qubits, arrays["control_change"], _BLUE, r"$f = m^{-1}\sum_k Z_k$")
    log_axis(right, "y", np.concatenate([arrays["wide_change"].ravel(), arrays["control_change"].ravel()]))
    _name(right, "it is the scaling that does it", r"$\|\Delta K\|\,/\,\|K\|$")
    for axes in (left, right):
        size_axis(axes, "x", qubits)
        axes.set_xlabel("qubits m")
        clear_legend(axes)
    return figure


def _structure(arrays: Arrays) -> Figure:
    figure, ((left, middle, right),) = grid(1, 3, caption=_STRUCTURE)
    layers, limit = arrays["rank_layers"], float(arrays["rank_limit"])
    _law(left, layers, np.minimum(layers, limit), r"$\min(L,\ N^2/2)$")
    left.plot(layers, arrays["ranks"], _BLUE.marker, color=_BLUE.color, label="measured")
    left.set_xlabel("layers L")
    clear_legend(left)
    _name(left, "rank of the kernel, 2 qubits", "rank")
    amplitudes = np.clip(arrays["fourier"][:12], 1e-18, None)
    middle.bar(np.arange(len(amplitudes)), amplitudes, color=_BLUE.color, width=0.6, bottom=0)
    middle.set_yscale("log")
    middle.set_ylim(1e-18, 2)
    middle.set_xlabel("frequency of x")
    _name(middle, "three encodings, three frequencies", "amplitude")
    qubits = arrays["gaussian_qubits"]
    right.errorbar(
        qubits, arrays["kurtosis"], arrays["kurtosis_error"], fmt=_RED.marker, color=_RED.color, capsize=2
    )
    right.axhline(0, color=GUIDE, linestyle=":")
    size_axis(right, "x", qubits)
    right.set_xlabel("qubits m")
    _name(right, "outputs become Gaussian", "excess kurtosis")
    return figure


def _points(axes: Axes, x: NDArray[Any], table: NDArray[Any], look: Any, label: str) -> None:
    """The mean over seeds, and every seed."""
    axes.plot(x, table.mean(1), look.marker, linestyle="-", color=look.color, label=label)
    axes.plot(x, table, look.marker, color=look.color, alpha=0.25, markersize=2.5, linestyle="", zorder=1)


def _law(axes: Axes, x: NDArray[Any], y: NDArray[Any], label: str) -> None:
    axes.plot(x, y, "--", color=INK, linewidth=1, label=label)


def _name(axes: Axes, title: str, label: str) -> None:
    axes.set_title(title)
    axes.set_ylabel(label)

"""The figures of the study ``lazy``: neurons in the plane, students of a teacher, convolutional nets, circuits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from qlazy.drawing.legends import clear_legend
from qlazy.drawing.style import GUIDE, INK, Look, grid, log_axis, looks, style

Arrays = Mapping[str, NDArray[Any]]

_BLUE, _RED, _GREEN = looks(("first", "second", "third")).values()
_PLANE = ("tau = 0.1: the neurons move", "tau = 2: lazy")


_NEURONS = (
    "Paths of the neurons of a two-layer net in training: they move at a small scale and stay at a large one"
)
_STUDENTS = (
    "Students of a teacher: test loss against scale and width, means over seeds with their standard errors"
)
_IMAGES = "A convolutional net on images: accuracy, gates and weights against the output scale"
_CIRCUITS = (
    "Re-uploading circuits against the output scale: test loss, outputs and kernel, accuracy on digits"
)


def lazy_figures(arrays: Arrays) -> dict[str, Figure]:
    """Every figure by name, from the arrays of the study's result."""
    draw = {"neurons": _neurons, "students": _students, "images": _images, "circuits": _circuits}
    with style():
        return {name: figure(arrays) for name, figure in draw.items()}


def _neurons(arrays: Arrays) -> Figure:
    """Figure 1a, b: paths of |b_j| v_j, coloured by the sign of b_j, and the teacher's neurons as dotted rays.

    Radii are drawn as their square root, so that short ones can be seen.
    """
    figure, (panels,) = grid(1, 2, height=3.2, caption=_NEURONS)
    paths = arrays["plane_paths"]
    neurons = paths.shape[2] // 3
    for axes, title, path in zip(panels, _PLANE, np.moveaxis(paths, 1, 0), strict=True):
        points = path[:, : 2 * neurons].reshape(len(path), neurons, 2)
        outer = path[:, 2 * neurons :]
        drawn = _rooted(np.abs(outer)[:, :, None] * points)
        for j in range(neurons):
            look = _BLUE if outer[-1, j] > 0 else _RED
            axes.plot(*drawn[:, j].T, color=look.color, linewidth=1)
            axes.plot(*drawn[0, j], ".", color=GUIDE, markersize=3)
            axes.plot(*drawn[-1, j], look.marker, color=look.color, markersize=3.5)
        reach = 1.1 * np.abs(drawn).max()
        for unit, sign in zip(arrays["plane_teacher"], arrays["plane_signs"], strict=True):
            color = (_BLUE if sign > 0 else _RED).color
            axes.plot(*(2 * reach * np.stack([0 * unit, unit])).T, ":", color=color, linewidth=1)
        axes.set(title=title, xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    panels[0].set_ylabel(r"$|b_j|\,v_j$, radius as its square root")
    return figure


def _rooted(points: NDArray[Any]) -> NDArray[Any]:
    radius = np.linalg.norm(points, axis=-1, keepdims=True)
    return points / np.sqrt(np.where(radius > 0, radius, 1))


def _students(arrays: Arrays) -> Figure:
    """Figures 1c, 2a and 2b, and what the first is explained by."""
    figure, ((loss, stable), (width, population)) = grid(2, 2, caption=_STUDENTS)
    taus = arrays["taus"]
    _spread(loss, taus, arrays["final"], _BLUE, "at the end")
    _spread(loss, taus, arrays["best"], _GREEN, "the best on the way")
    log_axis(loss, "y", np.concatenate([arrays["final"].ravel(), arrays["best"].ravel()]))
    loss.set(title="1c: the lazy plateau", ylabel="test loss")
    _spread(stable, taus, arrays["signs"], _RED, "sign stability")
    _spread(stable, taus, arrays["drift"], _BLUE, r"$\|w - w_0\|\,/\,\|w_0\|$")
    log_axis(stable, "y", np.concatenate([arrays["drift"].ravel(), arrays["signs"].ravel()]))
    stable.set(title="gates and weights stay", ylabel="share, relative drift")
    widths = arrays["widths"]
    _spread(width, widths, arrays["lazy_width"], _RED, r"$1/\sqrt{m}$")
    _spread(width, widths, arrays["mean_field"], _BLUE, r"$1/m$")
    log_axis(width, "y", np.concatenate([arrays["lazy_width"].ravel(), arrays["mean_field"].ravel()]))
    width.set(title="2a: two ways to widen", ylabel="test loss, labels times 100")
    _population(population, arrays)
    for axes, x, name in ((loss, taus, "tau"), (stable, taus, "tau"), (width, widths, "neurons m")):
        log_axis(axes, "x", x)
        axes.set_xlabel(f"scale of initialisation {name}" if name == "tau" else name)
        clear_legend(axes)
    return figure


def _population(axes: Axes, arrays: Arrays) -> None:
    taus, losses = arrays["population_taus"], arrays["population"]
    _spread(axes, taus, losses, _BLUE, "SGD on fresh samples")
    log_axis(axes, "y", losses)
    log_axis(axes, "x", taus)
    falling = arrays["still_falling"]
    edges = np.sqrt(taus[1:] * taus[:-1])
    left, right = np.append(axes.get_xlim()[0], edges), np.append(edges, axes.get_xlim()[1])
    for k in np.flatnonzero(falling):
        label = "still falling" if k == np.flatnonzero(falling)[0] else None
        axes.axvspan(
            left[k], right[k], facecolor="#fafafa", edgecolor="#d0d0d0", hatch="///", linewidth=0, label=label
        )
    axes.set(title="2b: the population loss", xlabel="scale of initialisation tau", ylabel="population loss")
    clear_legend(axes)


def _images(arrays: Arrays) -> Figure:
    figure, ((left, right),) = grid(1, 2, caption=_IMAGES)
    alphas, (fit, test, stable, drift) = arrays["net_alphas"], arrays["net_measured"]
    _spread(left, alphas, fit, _GREEN, "training")
    _spread(left, alphas, test, _BLUE, "test")
    for values, look, label in zip(arrays["net_linear"], (_GREEN, _BLUE), ("linearised", None), strict=True):
        _level(left, values, look, label)
    left.set(title="accuracy falls with a, to that of the linearised model", ylabel="accuracy")
    _spread(right, alphas, 1 - stable, _RED, "gates that changed")
    _spread(right, alphas, drift, _BLUE, r"$\|w - w_0\|\,/\,\|w_0\|$")
    log_axis(right, "y", np.concatenate([(1 - stable).ravel(), drift.ravel()]))
    right.set(title="gates and weights stay", ylabel="share, relative drift")
    _finish_scales((left, right), alphas)
    return figure


def _circuits(arrays: Arrays) -> Figure:
    figure, ((left, middle, right),) = grid(1, 3, caption=_CIRCUITS)
    alphas, (loss, linear, gap, change) = arrays["circuit_alphas"], arrays["circuit_measured"]
    _spread(left, alphas, loss, _BLUE, "trained")
    _level(left, linear[-1], _BLUE, "linearised")
    left.set(title="a circuit learns a circuit", ylabel="test loss / that of zero outputs")
    left.set_ylim(bottom=0)
    _spread(middle, alphas, gap, _RED, "test output gap")
    _spread(middle, alphas, change, _BLUE, "kernel change along $r_0$")
    guide = gap.mean(1)[-1] * alphas[-1] / alphas
    middle.plot(alphas, guide, ":", color=GUIDE, label="1 / a")
    log_axis(middle, "y", np.concatenate([gap.ravel(), change.ravel(), guide]))
    middle.set(title="outputs and kernel stay", ylabel="relative change")
    digit_alphas, (fit, test, tangent) = arrays["digits_alphas"], arrays["digits_measured"]
    _spread(right, digit_alphas, fit, _GREEN, "training")
    _spread(right, digit_alphas, test, _BLUE, "test")
    _level(right, tangent[-1], _BLUE, "linearised, test")
    right.set(title="the circuit on digits 3 and 8", ylabel="accuracy")
    _finish_scales((left, middle), alphas)
    _finish_scales((right,), digit_alphas)
    return figure


def _spread(axes: Axes, x: NDArray[Any], table: NDArray[Any], look: Look, label: str) -> None:
    """The mean over seeds with its standard error, and every seed."""
    error = table.std(1, ddof=1) / np.sqrt(table.shape[1]) if table.shape[1] > 1 else None
    axes.errorbar(
        x, table.mean(1), error, fmt=look.marker, linestyle="-", color=look.color, capsize=2, label=label
    )
    axes.plot(x, table, look.marker, color=look.color, alpha=0.25, markersize=2.5, linestyle="", zorder=1)


def _level(axes: Axes, samples: NDArray[Any], look: Look, label: str | None) -> None:
    """What does not depend on the scale, as a line, with the standard error as a band."""
    mean, error = samples.mean(), samples.std(ddof=1) / np.sqrt(len(samples))
    axes.axhline(mean, linestyle="--", color=INK if label else look.color, linewidth=1, label=label)
    axes.axhspan(mean - error, mean + error, color=look.color, alpha=0.12, linewidth=0)


def _finish_scales(panels: tuple[Axes, ...], alphas: NDArray[Any]) -> None:
    for axes in panels:
        log_axis(axes, "x", alphas)
        axes.set_xlabel("scale a")
        clear_legend(axes)

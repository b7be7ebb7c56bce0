"""Figures 1 and 2 of Chizat, Oyallon, Bach (2019, arXiv 1812.07956): two-layer ReLU students of a three-neuron teacher.

Conventions of the authors' code: loss 1/2 mean square, inputs on the unit sphere, step min(10, 0.1 / tau^2) (in the
plane min(0.1, 0.1 / tau^2): 10 is not stable there), m neurons in all of which half are the other half with negated
outputs. The reference figures are those of one trial each; the
trial of figure 1c has a null loss of 1.21e-2, which only teachers of three equal signs have (others: 5.9e-3), so that
the mean over trials lies below it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qlazy.base.tables import Table
from qlazy.studies.experiments import Outcome
from qlazy.studies.lazy.two_layer import (
    Paths,
    TeacherNet,
    descend_on_fresh,
    descend_together,
    draw_params,
    draw_symmetrized,
    student,
)
from qlazy.studies.result import Finding, log10_ratios, mean_and_error
from qlazy.training.drift import activation_stability, relative_drift
from qlazy.training.loop import Record

REFERENCE = {
    0.01: (5.2e-5, 5.2e-5, 0.584, 3.51),
    0.0316: (2.6e-4, 2.6e-4, 0.744, 1.23),
    0.1: (1.69e-3, 1.44e-3, 0.919, 0.372),
    0.316: (3.17e-3, 2.03e-3, 0.979, 0.088),
    1.0: (3.53e-3, 2.05e-3, 0.997, 0.011),
    10.0: (3.58e-3, 2.05e-3, 1.000, 1e-4),
}
"""Figure 1c, one trial: final test loss, best test loss, sign stability and ||dw|| / ||w0|| by tau."""
WIDTH_REFERENCE = {6: (0.007, 0.025), 12: (0.026, 0.131), 32: (5.53, 0.94), 128: (5.52, 0.79)}
"""Figure 2a, one trial: test loss with the scales 1/sqrt(m) and 1/m by m."""
PAPER_SIZE = (100, 1000, 50, 10_000)
"""Inputs, training points, neurons and steps of figure 1c, at which its table holds."""

PLANE_POINTS, PLANE_NEURONS, PLANE_TAUS = 15, 16, (0.1, 2.0)
MOVES, NEAR = 20, 1.5
"""By what factor neurons drift farther at the smaller tau, at least; how far losses may be from the table's."""
WIDTH_RATE = 0.5
"""Times 1/m: half of a rate that was stable on the seed it was tried on; ten times as much was not."""
SLOW = 0.1
"""A population loss that still fell by this share over the last third of the steps is drawn hatched."""


def neurons_in_the_plane(steps: int, seeds: int) -> Outcome:
    """Figure 1a, b: the paths |b_j| v_j of 16 neurons in two dimensions, drawn for the first seed."""
    taus, drifts = torch.tensor(PLANE_TAUS, dtype=torch.float64), np.zeros((len(PLANE_TAUS), seeds))
    rates, record = 0.1 / taus.clamp(min=1).square(), Record(count=80)
    arrays: dict[str, Any] = {}
    for seed in range(seeds):
        generator = _generator(seed)
        teacher = TeacherNet.draw(2, generator)
        data = teacher.task(PLANE_POINTS, 200, generator)
        params = _students(2, PLANE_NEURONS, PLANE_TAUS, generator)
        paths = descend_together(params, data, rates, steps, record=record, dtype=torch.float64)
        drifts[:, seed] = [relative_drift(w, w0) for w, w0 in zip(paths.params[-1], params, strict=True)]
        if seed == 0:
            arrays = {
                "plane_paths": paths.params.numpy(),
                "plane_teacher": teacher.directions.numpy(),
                "plane_signs": teacher.signs.numpy(),
            }
    ratio, name = log10_ratios(drifts[0], drifts[1]), "log10 of relative drift, tau 0.1 / tau 2"
    findings = [
        Finding.mean("Fig 1a, b", name, math.log10(MOVES), ratio, relation=">="),
        Finding.reported("Fig 1a, b", "relative drift, tau 0.1", drifts[0]),
        Finding.reported("Fig 1a, b", "relative drift, tau 2", drifts[1]),
    ]
    return Outcome(findings, arrays, [])


def initial_scale(
    inputs: int, train_size: int, neurons: int, taus: Sequence[float], seeds: int, steps: int, plateau: float
) -> Outcome:
    """Figure 1c: test loss, sign stability and drift against tau; the lazy plateau ``plateau`` times the rich loss."""
    size = (inputs, train_size, neurons, steps)
    measured = np.stack([_one_trial(*size, taus, seed) for seed in range(seeds)], axis=2)  # (4, taus, seeds)
    final, best, signs, drift = measured
    low, large = _rich_and_lazy(taus)
    ratio, name = log10_ratios(final[large], final[low]), f"log10 of plateau / test loss at tau {taus[low]:g}"
    paper = math.log10(REFERENCE[10.0][0] / REFERENCE[0.01][0])
    rises = [
        Finding.mean("Fig 1c", f"rise of sign stability, tau {tau:g} to {next_:g}", 0.0, rise, relation=">=")
        for tau, next_, rise in zip(taus, taus[1:], np.diff(signs, axis=0), strict=False)
    ]
    findings = [
        Finding.mean("Fig 1c", name, math.log10(plateau), ratio, relation=">=", effect=paper),
        Finding.mean(
            "Fig 1c", f"sign stability, tau {taus[large]:g}", 0.999, signs[large], relation=">=", effect=1.0
        ),
        *rises,
    ]
    if size == PAPER_SIZE:
        findings += [_beside_table(tau, final[i]) for i, tau in enumerate(taus) if tau >= 0.1]
    arrays = {"taus": np.array(taus), "final": final, "best": best, "signs": signs, "drift": drift}
    return Outcome(findings, arrays, [_scale_table(taus, measured)])


def width(
    inputs: int, train_size: int, widths: Sequence[int], seeds: int, steps: int, claimed: tuple[int, float]
) -> Outcome:
    """Figure 2a: scales 1/sqrt(m) and 1/m, labels x 100, not symmetrised; ``claimed``: a width, and the ratio there."""
    losses = np.zeros((2, len(widths), seeds))
    for seed in range(seeds):
        generator = _generator(seed)
        data = TeacherNet.draw(inputs, generator, 100.0).task(train_size, 1000, generator)
        for i, m in enumerate(widths):
            params = draw_params(inputs, m, 1.0, generator).expand(2, -1)
            alphas, rates = torch.tensor([m**-0.5, 1 / m]), torch.full((2,), WIDTH_RATE / m)
            losses[:, i, seed] = descend_together(params, data, rates, steps, alphas=alphas).test_loss[-1]
    at, bar = claimed
    i = list(widths).index(at)
    quantity, ratio = (
        f"log10 of test loss, 1/sqrt(m) / 1/m at m = {at}",
        log10_ratios(losses[0, i], losses[1, i]),
    )
    lazy, mean_field = WIDTH_REFERENCE.get(at, (math.nan, math.nan))
    paper = math.log10(lazy / mean_field)
    findings = [Finding.mean("Fig 2a", quantity, math.log10(bar), ratio, relation=">=", effect=paper)]
    arrays = {"widths": np.array(widths), "lazy_width": losses[0], "mean_field": losses[1]}
    return Outcome(findings, arrays, [_width_table(widths, losses)])


def population(
    inputs: int, neurons: int, taus: Sequence[float], seeds: int, steps: int, batch: int, plateau: float
) -> Outcome:
    """Figure 2b: the same students on fresh samples at every step, so that nothing is left but the population loss.

    The plateau stands beside the scale that figure 1c compares it with, not beside the one that came out least.
    """
    losses, falls = np.zeros((2, len(taus), seeds))
    for seed in range(seeds):
        generator = _generator(seed)
        teacher = TeacherNet.draw(inputs, generator)
        params = _students(inputs, neurons, taus, generator)
        record = Record(at=tuple(steps * k // 15 for k in range(16)))
        paths = descend_on_fresh(
            params, teacher, _rates(taus), steps, batch=batch, test=4000, generator=generator, record=record
        )
        losses[:, seed] = paths.test_loss[-1]
        falls[:, seed] = 1 - paths.test_loss[-1] / paths.test_loss[-6]
    low, large = _rich_and_lazy(taus)
    ratio, name = (
        log10_ratios(losses[large], losses[low]),
        f"log10 of population loss, plateau / tau {taus[low]:g}",
    )
    findings = [
        Finding.mean("Fig 2b", name, math.log10(plateau), ratio, relation=">="),
        Finding.reported("Fig 2b", f"share still lost in the last third, tau {max(taus):g}", falls[-1]),
        Finding.reported("Fig 2b", f"share still lost in the last third, tau {min(taus):g}", falls[0]),
    ]
    arrays = {"population_taus": np.array(taus), "population": losses, "still_falling": falls.mean(1) > SLOW}
    return Outcome(findings, arrays, [])


def _one_trial(
    inputs: int, train_size: int, neurons: int, steps: int, taus: Sequence[float], seed: int
) -> NDArray[Any]:
    """Final and best test loss, sign stability and relative drift, (4, taus)."""
    generator = _generator(seed)
    data = TeacherNet.draw(inputs, generator).task(train_size, 1000, generator)
    params = _students(inputs, neurons, taus, generator)
    record = Record(at=tuple(range(0, steps + 1, max(1, steps // 100))))
    paths: Paths = descend_together(params, data, _rates(taus), steps, record=record)
    net = student(inputs, neurons)
    signs = [
        activation_stability(net, w, w0, data.x_test) for w, w0 in zip(paths.params[-1], params, strict=True)
    ]
    drift = [relative_drift(w, w0) for w, w0 in zip(paths.params[-1], params, strict=True)]
    return np.stack([paths.test_loss[-1], paths.test_loss.min(0), np.array(signs), np.array(drift)])


def _students(inputs: int, neurons: int, taus: Sequence[float], generator: torch.Generator) -> Tensor:
    """The same symmetrised draw at every tau, (taus, p)."""
    return torch.tensor(taus, dtype=torch.float64)[:, None] * draw_symmetrized(
        inputs, neurons, 1.0, generator
    )


def _rates(taus: Sequence[float]) -> Tensor:
    return (0.1 / torch.tensor(taus, dtype=torch.float64).square()).clamp(max=10.0)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _rich_and_lazy(taus: Sequence[float]) -> tuple[int, int]:
    """Where tau is nearest to .01, and where it is largest."""
    low, large = (int(np.abs(np.log(np.array(taus) / tau)).argmin()) for tau in (0.01, max(taus)))
    return low, large


def _beside_table(tau: float, losses: NDArray[Any]) -> Finding:
    ratio, name = log10_ratios(losses, np.full(losses.shape, REFERENCE[tau][0])), f"tau {tau:g}"
    return Finding.mean("Fig 1c", f"log10 of test loss / the table's, {name}", 0.0, ratio, math.log10(NEAR))


def _scale_table(taus: Sequence[float], measured: NDArray[Any]) -> Table:
    names = ("final test", "best test", "sign stability", "||dw||/||w0||")
    head = ("tau", *(cell for name in names for cell in (name, "reference")))
    rows = [
        (
            f"{tau:.4g}",
            *(
                cell
                for k, values in enumerate(measured[:, i])
                for cell in (_spread(values), f"{REFERENCE[tau][k]:.3g}" if tau in REFERENCE else "-")
            ),
        )
        for i, tau in enumerate(taus)
    ]
    title = f"Figure 1c: mean and standard error of {measured.shape[2]} trials; reference: one, at the paper's size"
    return Table(title, head, tuple(rows))


def _width_table(widths: Sequence[int], losses: NDArray[Any]) -> Table:
    nothing = ("-", "-")
    rows = []
    for i, m in enumerate(widths):
        lazy, mean_field = (f"{value:g}" for value in WIDTH_REFERENCE[m]) if m in WIDTH_REFERENCE else nothing
        rows.append((f"{m}", _spread(losses[0, i]), lazy, _spread(losses[1, i]), mean_field))
    head = ("m", "1/sqrt(m)", "reference", "1/m", "reference")
    return Table(
        f"Figure 2a: test loss, mean and standard error of {losses.shape[2]} trials", head, tuple(rows)
    )


def _spread(values: NDArray[Any]) -> str:
    mean, error = mean_and_error(values)
    return f"{mean:.3g} ± {error:.1g}"

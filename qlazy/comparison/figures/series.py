"""What figures need of a comparison: one metric over the scales, and which runs were stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qlazy.base.errors import require
from qlazy.base.over_seeds import geometric_interval
from qlazy.comparison.run import LOSSES, RUNAWAY, Run
from qlazy.comparison.runs import Runs

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Series:
    """A metric against the scale: its mean over the seeds, the least and the greatest, all (scales,).

    Means are geometric, of what seeds change by a factor, unless told otherwise.

    Runs that diverged are left out; NaN where no run of a scale came to its end.
    """

    alphas: Floats
    x: Floats  # where they are drawn: the scales, or kappa there
    mean: Floats
    low: Floats
    high: Floats


def series(
    comparison: Runs,
    model: str,
    metric: Callable[[Run], float],
    *,
    geometric: bool = True,
    against: str = "alpha",
) -> Series:
    """A metric of one model over the scales that it was run at."""
    alphas = [alpha for alpha in comparison.alphas if comparison.select(model, alpha)]
    finished = ([run for run in comparison.select(model, alpha) if not run.diverged] for alpha in alphas)
    values = [np.array([metric(run) for run in runs] or [np.nan]) for runs in finished]
    mean = _geometric_mean if geometric else np.mean
    columns = [np.array([reduce(v) for v in values]) for reduce in (mean, np.min, np.max)]
    return Series(np.array(alphas), places(comparison, model, alphas, against), *columns)


def places(comparison: Runs, model: str, alphas: Sequence[float], against: str) -> Floats:
    """Where the scales of a model are drawn: at themselves, or at the geometric mean of kappa over its seeds.

    Raises ValueError for kappa where it is not known.
    """
    if against == "alpha":
        return np.array(alphas)
    kappas = np.array([_geometric_mean(_kappas(comparison, model, alpha)) for alpha in alphas])
    require((kappas > 0).all(), "against", f"be alpha, as kappa of {model} is not known or 0", against)
    return kappas


def _kappas(comparison: Runs, model: str, alpha: float) -> Floats:
    return np.array([run.kappa for run in comparison.select(model, alpha)])


def diverged(comparison: Runs, model: str) -> list[float]:
    """The scales at which a run of the model diverged."""
    return sorted({run.alpha for run in comparison.select(model) if run.diverged})


def _geometric_mean(values: Floats) -> float:
    return geometric_interval(values).mean


def linear_loss(run: Run) -> Floats | None:
    """The training loss of the linearised model at every recorded step, (t,); None for an unknown loss.

    NaN once it is :data:`RUNAWAY` times that of the start, which leaves no room to read the others.
    """
    found = _losses(run, run.linear_train_outputs)
    return None if found is None else np.where(found <= RUNAWAY * found[0], found, np.nan)


def law_loss(run: Run) -> Floats | None:
    """The same by the variance law; None where that does not apply."""
    return None if run.law_train_outputs is None else _losses(run, run.law_train_outputs)


def _losses(run: Run, path: Floats) -> Floats | None:
    if run.trace.loss not in LOSSES:
        return None
    return np.array([run.loss_of(outputs, run.train_targets) for outputs in path])


def above_zero(values: Floats) -> Floats:
    """Zeros have no place on a logarithmic axis: they leave a gap instead of a line to minus infinity."""
    return np.where(values > 0, values, np.nan)

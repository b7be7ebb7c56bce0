"""What theory guarantees of a finished run, beside what was measured: bounds on drift and gap, and how loose they are.

Everything is in ||.||_n, as in :mod:`qlazy.theory.bounds`, with L and L' upper bounds on Lip(h) and Lip(Dh)
(circuits have
them, :attr:`qlazy.Run.lipschitz`), e0 = ||a h(w0) - y||_n, T the time trained and R0 the loss at initialisation:

    COB 2.2   drift <= sqrt(T R0) / a                     gradient flow, any model and loss
    COB 2.3   drift <= T L e0 / a, gap <= T^2 L^2 L' e0 / a    square loss; of gradient descent too, see below
    COB 2.4   drift <= 8 ||Dh|| e0 / (a s^2)              gradient flow, square loss, where its threshold is met

Gradient descent with a rate eta up to 2 n / lambda_max(K_0), whose recorded errors never grew, keeps within 2.3 with
T = eta k: a step moves the outputs by -eta K r and a rest of at most eta^2 L^2 L' e0^2 / (2 a), and the sum over k
steps is (T^2 - T eta / 2) L^2 L' e0^2 / a. In place of 2.2 it has

    drift <= sqrt(T R0 / (1 - eta M / 2)) / a,    M = min(L, ||Dh(w0)|| + L' T L e0 / a)^2 + e0 L' / a

where eta M < 2: M bounds the Hessian of F within reach, so that a step of squared speed v lowers F by
eta v (1 - eta M / 2). Without it the bound of the flow can be violated, and is not given: circuits only, for steps.
Chizat, Oyallon, Bach 2019 (arXiv 1812.07956), "COB"; the forms for steps are derived here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch

from qlazy.base.tables import Table
from qlazy.comparison.run import Run
from qlazy.theory.bounds import Bound, drift_bound, gap_bound, global_convergence, reach
from qlazy.training.losses import SquaredError

DRIFT, GAP = "parameter drift", "output gap"
FLOW = "continuous time"


@final
@dataclass(frozen=True)
class Guarantee:
    """An upper bound on a figure of one run, and the figure as it was measured."""

    quantity: str
    theorem: str
    bound: float
    measured: float

    @property
    def looseness(self) -> float:
        """Bound over measurement: 1 where it is attained, below 1 where it is violated, infinite for a zero."""
        return self.bound / self.measured if self.measured > 0 else math.inf


def guarantees(run: Run) -> list[Guarantee]:
    """Every bound that applies to a run; none for methods other than gradient flow and descent, nor if it diverged."""
    method = run.trace.method
    if run.diverged or not method.startswith(("GradientDescent", "GradientFlow")):
        return []
    return [*_theorem_2_2(run), *_theorem_2_3(run), *_theorem_2_4(run)]


def kappa_bound(run: Run) -> Bound | None:
    """(1/a) ||a h(w0) - y|| Lip(Dh) / ||Dh||^2 from above: the inverse relative scale, lazy where it is far below 1.

    None where Lip(Dh) is not known.
    """
    norm = run.singular_values[0]
    if run.lipschitz is None or norm == 0:
        return None
    value = _initial_error(run) * run.lipschitz[1] / (run.alpha * norm**2)
    return Bound(value, "upper", "Pauli generators")


def _theorem_2_2(run: Run) -> Iterator[Guarantee]:
    left = 1.0 if _is_flow(run) else _descent(run)
    if left > 0:
        bound = drift_bound(float(run.trace.train_loss[0]) / left, _horizon(run), run.alpha).value
        yield Guarantee(
            DRIFT, "COB 2.2" if _is_flow(run) else "COB 2.2 for steps", bound, run.parameter_drift
        )


def _descent(run: Run) -> float:
    """1 - eta M / 2; 0 where M is not known."""
    if run.lipschitz is None or not _is_square(run) or not _stays_within(run):
        return 0.0
    first, second = run.lipschitz
    error = _initial_error(run)
    near = run.singular_values[0] + second * _horizon(run) * first * error / run.alpha
    return 1 - _rate(run) * (min(first, near) ** 2 + error * second / run.alpha) / 2


def _theorem_2_3(run: Run) -> Iterator[Guarantee]:
    if run.lipschitz is None or not _is_square(run) or not _stays_within(run):
        return
    first, second = (Bound(value, "upper", "Pauli generators") for value in run.lipschitz)
    error, horizon = _initial_error(run), _horizon(run)
    yield Guarantee(DRIFT, "COB 2.3", reach(error, first, horizon, run.alpha), run.parameter_drift)
    yield Guarantee(GAP, "COB 2.3", gap_bound(error, first, second, horizon, run.alpha).value, run.output_gap)


def _theorem_2_4(run: Run) -> Iterator[Guarantee]:
    norm, smallest = run.singular_values
    if run.lipschitz is None or smallest == 0 or not (_is_square(run) and _is_flow(run)):
        return
    outputs, targets = torch.from_numpy(run.trace.train_outputs[0]), torch.from_numpy(run.train_targets)
    law = global_convergence(
        outputs / run.alpha, targets, Bound(smallest, "exact", "eigenvalues"),
        Bound(norm, "exact", "eigenvalues"), Bound(run.lipschitz[1], "upper", "Pauli generators"), run.alpha,
    )  # fmt: skip
    if law.applies:
        yield Guarantee(DRIFT, "COB 2.4", law.drift, run.parameter_drift)


def _stays_within(run: Run) -> bool:
    """Whether a run of gradient descent did what 2.3 supposes of it; the flow always does."""
    if _is_flow(run):
        return True
    norm = run.singular_values[0]
    losses = run.trace.train_loss
    return bool(_rate(run) * norm**2 <= 2 and (losses <= losses[0]).all())


def _is_flow(run: Run) -> bool:
    return run.trace.clock == FLOW


def _is_square(run: Run) -> bool:
    return run.trace.loss == SquaredError().convention


def _rate(run: Run) -> float:
    assert run.trace.learning_rate is not None
    return run.trace.learning_rate


def _horizon(run: Run) -> float:
    return float(run.trace.times[-1])


def _initial_error(run: Run) -> float:
    return float(np.linalg.norm(run.trace.train_outputs[0] - run.train_targets)) / math.sqrt(
        len(run.train_targets)
    )


@final
@dataclass(frozen=True)
class Summary:
    """One bound on the runs of a model at one scale: means over seeds, and how loose it is from seed to seed."""

    model: str
    alpha: float
    quantity: str
    theorem: str
    bound: float
    measured: float
    least: float
    greatest: float


def summaries(runs: Sequence[Run]) -> list[Summary]:
    """Every bound of every model and scale, in order of first appearance, over the runs it applies to."""
    groups: dict[tuple[str, float, str, str], list[Guarantee]] = {}
    for run in runs:
        for found in guarantees(run):
            groups.setdefault((run.model, run.alpha, found.quantity, found.theorem), []).append(found)
    return [_summary(key, group) for key, group in groups.items()]


def bound_table(runs: Sequence[Run]) -> Table | None:
    """A row for each bound and model: how many times the measured value it is, scale by scale; None without any.

    The least over seeds: a figure below 1 would be a violation. Also kappa, an upper bound on the inverse relative
    scale, as it is.
    """
    found = summaries(runs)
    if not found:
        return None
    alphas = sorted({run.alpha for run in runs})
    rows: dict[tuple[str, str], dict[float, str]] = {}
    for one in found:
        rows.setdefault((one.model, f"{one.quantity}, {one.theorem}"), {})[one.alpha] = f"{one.least:.3g}"
    for model in dict.fromkeys(run.model for run in runs):
        scales = {alpha: _kappas(runs, model, alpha) for alpha in alphas}
        if any(scales.values()):
            rows[model, "kappa, lazy far below 1; at most"] = {
                a: f"{max(values):.3g}" for a, values in scales.items() if values
            }
    title = "upper bounds of Chizat, Oyallon, Bach 2019 (COB) over what was measured (1: attained; least of the seeds)"
    head = ("model", "bound", *(f"a={alpha:g}" for alpha in alphas))
    cells = tuple((*key, *(row.get(alpha, "-") for alpha in alphas)) for key, row in rows.items())
    return Table(title, head, cells)


def _kappas(runs: Sequence[Run], model: str, alpha: float) -> list[float]:
    found = [kappa_bound(run) for run in runs if (run.model, run.alpha) == (model, alpha)]
    return [bound.value for bound in found if bound is not None]


def _summary(key: tuple[str, float, str, str], group: Sequence[Guarantee]) -> Summary:
    looseness = [one.looseness for one in group]
    bound, measured = (
        float(np.mean([getattr(one, name) for one in group])) for name in ("bound", "measured")
    )
    return Summary(*key, bound, measured, min(looseness), max(looseness))

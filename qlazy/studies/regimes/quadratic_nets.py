"""The experiments of ``regimes`` on two-layer nets with quadratic activation: least squares, training, few samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qlazy.base.tables import Table
from qlazy.studies.experiments import Outcome
from qlazy.studies.regimes.population_risk import PopulationRisk
from qlazy.studies.result import Finding, Relation
from qlazy.theory import regimes
from qlazy.theory.quadratic import (
    GaussianMixture,
    QuadraticFunction,
    QuadraticTask,
    gaussian_weights,
    network_fit,
    quadratic_form,
    quadratic_net,
    random_features_fit,
    tangent_fit,
)
from qlazy.training.loop import Record, train
from qlazy.training.methods import LBFGS

Floats = NDArray[np.float64]
GAMMAS = ("isotropic", "aligned")
TASKS = ("qf", "mg")
BARS = {"isotropic": 0.01, "aligned": 0.02}
"""Weights along the target lie in fewer directions, and scatter by more than .01 from draw to draw at d = 450."""


def target_matrix(dimension: int) -> Tensor:
    """diag(g) / sqrt(d), g ~ Exp(1), of NumPy's legacy generator at seed 100: that of the published curve."""
    g = np.random.RandomState(100).exponential(size=dimension)
    return torch.diag(torch.from_numpy(g)) / math.sqrt(dimension)


def make_task(name: str, matrix: Tensor) -> QuadraticTask:
    return QuadraticFunction(matrix) if name == "qf" else GaussianMixture(matrix)


def least_squares(dimension: int, ratios: Sequence[float], seeds: int) -> Outcome:
    """RF and NT on both tasks, with weights spread evenly and along B, beside the closed forms; the Bayes risk."""
    matrix = target_matrix(dimension)
    units = [round(rho * dimension) for rho in ratios]
    exact = np.array(units) / dimension
    arrays: dict[str, Any] = {"ratios": exact, "units": np.array(units)}
    findings = []
    for name in TASKS:
        arrays[f"{name}_nn"] = _closed(name, matrix, regimes.network_risk(matrix, units))
        for gamma in GAMMAS:
            covariance = None if gamma == "isotropic" else matrix / matrix.trace()
            arrays |= _against_theory(name, gamma, matrix, covariance, units, seeds)
        findings += list(_bars(name, arrays))
    arrays |= _theory_lines(matrix, max(ratios))
    findings.append(_bayes(matrix))
    arrays["mg_bayes"] = np.array(findings[-1].theory)
    return Outcome(findings, arrays, [_table(name, arrays) for name in TASKS])


def _against_theory(
    name: str, gamma: str, matrix: Tensor, covariance: Tensor | None, units: Sequence[int], seeds: int
) -> dict[str, Floats]:
    """R / R0 (t, seeds) by least squares and (t,) by the closed form, for RF and NT."""
    task, ratios = make_task(name, matrix), [count / len(matrix) for count in units]
    found = np.empty((2, len(units), seeds))
    for place, count in enumerate(units):
        for seed in range(seeds):
            generator = torch.Generator().manual_seed(1000 * place + seed)
            weights = gaussian_weights(count, len(matrix), generator, covariance)
            for row, fit in enumerate((random_features_fit, tangent_fit)):
                found[row, place, seed] = task.risk(fit(task, weights)).item() / task.null
    laws = (regimes.random_features_risk, regimes.tangent_risk)
    arrays = {}
    for regime, values, law in zip(("rf", "nt"), found, laws, strict=True):
        arrays[f"{name}_{regime}_{gamma}"] = values
        arrays[f"{name}_{regime}_{gamma}_theory"] = _closed(name, matrix, law(matrix, ratios, covariance))
    return arrays


def _closed(name: str, matrix: Tensor, kept: Tensor) -> Floats:
    return (kept if name == "qf" else regimes.mixture_risk(matrix, kept.clamp(0, 1))).numpy()


def _bars(name: str, arrays: dict[str, Any]) -> Iterator[Finding]:
    """The closed form at rho from .1 to .9, to within .01, or .02 where weights follow the target: the farthest."""
    inside = np.flatnonzero((arrays["ratios"] > 0.09) & (arrays["ratios"] < 0.91))
    for gamma in GAMMAS:
        for regime in ("rf", "nt"):
            key = f"{name}_{regime}_{gamma}"
            off = arrays[key] - arrays[f"{key}_theory"][:, None]
            quantity = f"{regime.upper()}, {gamma}: least squares - theory, the farthest"
            claims = [
                Finding.mean(f"{name} least squares", quantity, 0.0, off[i], BARS[gamma]) for i in inside
            ]
            yield max(claims, key=lambda claim: max(map(abs, claim.interval)))


def _theory_lines(matrix: Tensor, last: float) -> dict[str, Floats]:
    """Closed forms on a fine grid of rho, for the figures."""
    ratios = torch.linspace(0, last, 121, dtype=torch.float64)
    units = (ratios * len(matrix)).round().long()
    lines: dict[str, Floats] = {"line_ratios": ratios.numpy(), "line_units": units.numpy()}
    for name in TASKS:
        lines[f"line_{name}_nn"] = _closed(name, matrix, regimes.network_risk(matrix, units))
        for gamma in GAMMAS:
            covariance = None if gamma == "isotropic" else matrix / matrix.trace()
            for regime, law in (("rf", regimes.random_features_risk), ("nt", regimes.tangent_risk)):
                kept = law(matrix, ratios, covariance)
                lines[f"line_{name}_{regime}_{gamma}"] = _closed(name, matrix, kept)
    return lines


def _bayes(matrix: Tensor, count: int = 20000) -> Finding:
    """1 - E tanh^2(L / 2) of the exact likelihood ratio on samples, beside its Gaussian limit."""
    task = GaussianMixture(matrix)
    x, _ = task.sample(count, torch.Generator().manual_seed(7))
    kept = 1 - torch.tanh(task.log_likelihood_ratio(x) / 2).square()
    error = kept.std().item() / math.sqrt(count)
    theory = regimes.bayes_risk(matrix)
    return Finding("mg Bayes risk", f"d={len(matrix)}", theory, kept.mean().item(), error, tolerance=0.01)


def _table(name: str, arrays: dict[str, Any]) -> Table:
    """R / R0 of every regime, the closed form before what was measured."""
    columns = [f"{name}_{regime}_{gamma}" for gamma in GAMMAS for regime in ("rf", "nt")]
    titles = [f"{part}, {gamma}" for gamma in GAMMAS for part in ("RF", "NT")]
    head = ["rho"]
    for title in titles:
        head += [f"{title}: theory", "least squares"]
    rows = []
    for place, rho in enumerate(arrays["ratios"]):
        row = [f"{rho:.3g}"]
        for key in columns:
            row += [f"{arrays[f'{key}_theory'][place]:.4f}", f"{arrays[key][place].mean():.4f}"]
        rows.append((*row, f"{arrays[f'{name}_nn'][place]:.4f}"))
    return Table(f"{name}: R / R0 by least squares", (*head, "NN: theory"), tuple(rows))


def training(dimension: int, ratios: Sequence[float], seeds: int, steps: int) -> Outcome:
    """NN trained on the exact population risk, within .02 of the closed form."""
    matrix = target_matrix(dimension)
    units = [max(1, round(rho * dimension)) for rho in ratios]
    arrays: dict[str, Any] = {"train_ratios": np.array(units) / dimension, "train_units": np.array(units)}
    findings, rows = [], []
    for name in TASKS:
        task = make_task(name, matrix)
        found = np.array([[descend(task, count, seed, steps) for seed in range(seeds)] for count in units])
        theory = _closed(name, matrix, regimes.network_risk(matrix, units))
        arrays |= {f"{name}_trained": found, f"{name}_trained_theory": theory}
        best = np.array([task.risk(network_fit(task, count)).item() / task.null for count in units])
        # eigenvalues of D, of size 1 / sqrt(d), enter mg squared: the limit is reached within .02 from about here
        relation: Relation = "<=" if name == "qf" or dimension >= 400 else ""
        comparisons: tuple[tuple[str, Floats, Relation], ...] = (
            ("theory", theory, relation), ("best of rank N", best, "<="),
        )  # fmt: skip
        for what, law, claim in comparisons:
            off = np.abs(found - law[:, None])
            quantity = f"largest |trained - {what}|, d={dimension}"
            findings.append(
                Finding.every(f"{name} trained NN", quantity, 0.02 if claim else math.nan, off, claim)
            )
        rows += [
            (name, f"{rho:.3g}", f"{law:.4f}", f"{least:.4f}", f"{values.mean():.4f}", f"{values.max():.4f}")
            for rho, law, least, values in zip(arrays["train_ratios"], theory, best, found, strict=True)
        ]
    head = ("task", "rho", "NN: theory", "best of rank N", "trained", "the worst seed")
    return Outcome(findings, arrays, [Table(f"R / R0 of trained nets, d={dimension}", head, tuple(rows))])


def descend(task: QuadraticTask, units: int, seed: int, steps: int) -> float:
    """R / R0 after ``steps`` of L-BFGS, full gradients, from random weights and zero outer weights."""
    model, size = quadratic_form(units, task.dimension), task.dimension**2
    params = model.init(torch.Generator().manual_seed(seed))
    data = torch.zeros(1, 0, dtype=torch.float64), torch.zeros(1, size, dtype=torch.float64)
    loss, ends = PopulationRisk(task), Record(at=(0, steps))
    trace = train(model, params, data, steps=steps, method=LBFGS(history=20), loss=loss, record=ends)
    return 2 * float(trace.train_loss[-1]) / task.null


class Few(NamedTuple):
    """A regime learned from samples: its fit to (x, y, seed) -> (form, offset), its parameters, its limit."""

    fit: Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]]
    parameters: int
    limit: Callable[[int], float]


def finite_samples(dimension: int, units: int, counts: Sequence[int], seeds: int, steps: int) -> Outcome:
    """The population risk of what n samples teach: least squares of least norm for RF and NT, L-BFGS for NN."""
    findings, arrays = [], {"sample_counts": np.array(counts)}
    matrix = target_matrix(dimension)
    for name in TASKS:
        task = make_task(name, matrix if name == "qf" else matrix * (0.6 / matrix.max()))
        for regime, few in _regimes_of(task, units, steps).items():
            risks = np.array([[_risk(task, few, n, seed) for seed in range(seeds)] for n in counts])
            limits = np.array([few.limit(seed) for seed in range(seeds)]) / task.null
            key = f"few_{name}_{regime}"
            arrays |= {key: risks, f"{key}_limit": limits, f"{key}_parameters": np.array(few.parameters)}
            quantity, limit = f"{regime.upper()}, R / R0 at n={counts[-1]}", float(limits.mean())
            findings.append(Finding.reported(f"{name} few samples", quantity, risks[-1], limit))
    return Outcome(findings, arrays)


def _regimes_of(task: QuadraticTask, units: int, steps: int) -> dict[str, Few]:
    d = task.dimension
    weights = [gaussian_weights(units, d, torch.Generator().manual_seed(s)) for s in range(100)]
    wide = units * d
    return {
        "rf": Few(
            lambda x, y, seed: _few_features(weights[seed], x, y), units + 1,
            lambda seed: task.risk(random_features_fit(task, weights[seed])).item(),
        ),
        "nt": Few(
            lambda x, y, seed: _few_tangent(weights[seed], x, y), wide + 1,
            lambda seed: task.risk(tangent_fit(task, weights[seed])).item(),
        ),
        "nn": Few(
            lambda x, y, seed: _few_trained(units, x, y, seed, steps), wide + units + 1,
            lambda seed: task.risk(network_fit(task, units)).item(),
        ),
    }  # fmt: skip


def _risk(task: QuadraticTask, few: Few, count: int, seed: int) -> float:
    """R / R0 exactly: what the offset is off by counts as well, both inputs and features having E x x^T = I."""
    x, y = task.sample(count, torch.Generator().manual_seed(10_000 + seed))
    form, offset = few.fit(x, y, seed)
    return (task.risk(form) + (offset + form.trace()).square()).item() / task.null


def least_norm(features: Tensor, y: Tensor) -> Tensor:
    """The coefficients (p,) of least norm among those of least squares, features (n, p) and targets (n, 1)."""
    return torch.linalg.lstsq(features, y, driver="gelsd").solution[:, 0]


def _few_features(weights: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    solution = least_norm(torch.cat([(x @ weights.T).square(), x.new_ones(len(x), 1)], 1), y)
    return (weights.T * solution[:-1]) @ weights, solution[-1]


def _few_tangent(weights: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    features = ((x @ weights.T).unsqueeze(2) * x.unsqueeze(1)).flatten(1)
    solution = least_norm(torch.cat([features, x.new_ones(len(x), 1)], 1), y)
    form = weights.T @ solution[:-1].reshape(weights.shape)
    return (form + form.T) / 2, solution[-1]


def _few_trained(units: int, x: Tensor, y: Tensor, seed: int, steps: int) -> tuple[Tensor, Tensor]:
    d = x.shape[1]
    model = quadratic_net(units, d)
    params = model.init(torch.Generator().manual_seed(seed))
    trace = train(model, params, (x, y), steps=steps, method=LBFGS(history=20), record=Record(at=(0, steps)))
    final = torch.from_numpy(trace.params[-1])
    form = quadratic_form(units, d)(final[:-1], torch.zeros(1, 0, dtype=torch.float64))
    return form.reshape(d, d), final[-1]

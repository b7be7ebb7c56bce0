"""The experiments of the study ``tensor``: each gives findings, arrays and a table."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from qlazy.base.tables import Table
from qlazy.models.model import Model
from qlazy.studies.experiments import Outcome
from qlazy.studies.result import Finding
from qlazy.tasks.tensor.baselines import parafac, power_iteration, symmetric_parafac
from qlazy.tasks.tensor.circuit import CircuitTensor, decompose_with_circuits, real_ansatz
from qlazy.tasks.tensor.decomposition import Decomposition, random_target
from qlazy.tasks.tensor.descent import Descended, Descent, decompose_many
from qlazy.tasks.tensor.entries import index_tuples, multiplicities, symmetric_dimension
from qlazy.tasks.tensor.lazy import TangentFit, generic_components, tangent_fit
from qlazy.tasks.tensor.model import SymmetricTensor

Errors = NDArray[np.float64]

FOUND, MISSED, EXACT = 0.01, 0.5, 1e-6
RUN, TANGENT, OTHER = 1000, 2000, 3000  # seeds of descents, of tangent spaces and of baselines start here
LONG = Descent(epochs=16)


class TargetSize(NamedTuple):
    """Dimension d, order l and rank r of the targets."""

    dimension: int
    order: int
    rank: int

    def targets(self, seeds: int, *, signed: bool = False) -> list[Decomposition]:
        return [random_target(*self, _generator(seed), signed=signed) for seed in range(seeds)]

    def __str__(self) -> str:
        return f"d = {self.dimension}, l = {self.order}, r = {self.rank}"

    @property
    def bound(self) -> float:
        """C(d + l - 1, l) / d."""
        return symmetric_dimension(self.dimension, self.order) / self.dimension


def error_curves(problem: TargetSize, components: Sequence[int], seeds: int, limit: int) -> Outcome:
    """Relative errors (m, seeds) of every way to decompose; baselines up to ``limit`` components."""
    targets = problem.targets(seeds)
    fits = [[_lazy(problem, m, target, seed) for seed, target in enumerate(targets)] for m in components]
    errors = {
        "lazy": np.array([[fit.error for fit in row] for row in fits]),
        "modified": np.array([_errors(targets, m) for m in components]),
        "plain": np.array([_errors(targets, m, Descent.plain(0.3)) for m in components]),
        **{name: _baseline(run, targets, components, limit) for name, run in _baselines().items()},
    }
    ranks = np.array([[fit.rank for fit in row] for row in fits])
    whole = symmetric_dimension(problem.dimension, problem.order)
    findings = []
    for m, lazy, modified, rank in zip(components, errors["lazy"], errors["modified"], ranks, strict=True):
        space = min(m * problem.dimension, whole)
        findings.append(
            Finding("error against m", f"dimension of the tangent space, m = {m}", space, int(rank.max()))
        )
        quantity = f"modified, worst seed, m = {m}"
        if m >= 2 * problem.rank:  # with hardly more components than terms a descent may get stuck
            findings.append(Finding.every("error against m", quantity, FOUND, modified, "<="))
        else:
            findings.append(_reported("error against m", quantity, modified.max()))
        if m >= problem.bound:
            findings.append(Finding.every("error against m", f"lazy, worst seed, m = {m}", EXACT, lazy, "<="))
            continue
        if m <= problem.bound / 4:
            findings.append(Finding.every("error against m", f"lazy, best seed, m = {m}", MISSED, lazy, ">="))
        else:
            findings.append(_reported("error against m", f"lazy, best seed, m = {m}", lazy.min()))
        if m <= 0.65 * problem.bound:
            bar = Finding.mean(
                "error against m", f"lazy, mean, m = {m}", MISSED, lazy, relation=">=", effect=1.0
            )
            findings.append(bar)
    title = f"Relative error, {problem}, {seeds} seeds, lowest to highest"
    rows = [(str(m), *(_span(values[i]) for values in errors.values())) for i, m in enumerate(components)]
    arrays = {f"curve_{name.replace(' ', '_')}": values for name, values in errors.items()}
    return Outcome(
        findings, {"curve_m": np.array(components), **arrays}, [Table(title, ("m", *errors), tuple(rows))]
    )


def redraw_ablation(problem: TargetSize, components: Sequence[int], seeds: int) -> Outcome:
    """Shares of runs with error below 0.05, the same number of steps with the redraw and without."""
    targets, signed = problem.targets(seeds), problem.targets(seeds, signed=True)
    ways = {
        "modified": (targets, LONG),
        "no redraw": (targets, replace(LONG, redraw=False)),
        "plain, init .01": (targets, replace(Descent.plain(0.01), epochs=LONG.epochs)),
        "plain, init .3": (targets, replace(Descent.plain(0.3), epochs=LONG.epochs)),
        "modified, 8 epochs": (targets, Descent()),
        "modified, signed": (signed, LONG),
        "no redraw, signed": (signed, replace(LONG, redraw=False)),
    }
    errors = {
        way: np.array([_errors(on, m, descent) for m in components]) for way, (on, descent) in ways.items()
    }
    hits = {way: found < 0.05 for way, found in errors.items()}
    shares = {way: found.mean(1) for way, found in hits.items()}
    tight, below = components.index(problem.rank), [i for i, m in enumerate(components) if m < problem.rank]
    findings = [
        Finding.share(
            "redraw", f"share found with it, m = r = {problem.rank}", 7 / 8, hits["modified"][tight], ">="
        ),
        Finding.share(
            "redraw", f"share found without, m = r = {problem.rank}", 2 / 8, hits["no redraw"][tight], "<="
        ),
    ]
    for i in below:
        at = f"m = {components[i]} < r"
        control = errors["modified"][i]
        missing = math.sqrt((problem.rank - components[i]) / problem.rank)
        findings.append(
            Finding.mean("redraw", f"mean error at {at}", 0.4, control, relation=">=", effect=missing)
        )
        findings.append(Finding.share("redraw", f"share found at {at}", 1 / 8, hits["modified"][i], "<="))
        findings.append(_reported("redraw", f"error at {at}, best seed", control.min()))
    title = f"Share of {seeds} runs with error < .05, {problem}"
    rows = [(str(m), *(f"{share[i]:.3f}" for share in shares.values())) for i, m in enumerate(components)]
    arrays = {f"redraw_{way}": share for way, share in shares.items()}
    return Outcome(
        findings, {"redraw_m": np.array(components), **arrays}, [Table(title, ("m", *ways), tuple(rows))]
    )


def needed_components(sizes: Sequence[tuple[int, int]], seeds: int) -> Outcome:
    """The least m that is exact lazily, and the least at which the modified descent finds rank 2 on every seed."""
    findings, rows, table = [], [], []
    for dimension, order in sizes:
        problem = TargetSize(dimension, order, 2)
        generic, lazy = generic_components(dimension, order), _needed_lazily(problem)
        modified = _needed(problem, seeds)
        findings.append(Finding("needed m", f"lazy, d = {dimension}, l = {order}", generic, lazy))
        findings.append(_reported("needed m", f"modified, d = {dimension}, l = {order}", modified))
        rows.append((dimension, order, problem.bound, lazy, modified))
        table.append(
            (str(dimension), str(order), f"{problem.bound:.2f}", str(generic), str(lazy), f"{modified:g}")
        )
    head = ("d", "l", "C(d+l-1, l)/d", "Alexander-Hirschowitz", "lazy", "modified")
    title = f"Needed m, r = 2: lazy to rounding, modified to error <= .01 on {seeds} seeds"
    return Outcome(findings, {"needed": np.array(rows, np.float64)}, [Table(title, head, tuple(table))])


def needed_by_rank(dimension: int, order: int, ranks: Sequence[int], seeds: int) -> Outcome:
    """The same against the rank: the lazy one does not depend on it."""
    generic = generic_components(dimension, order)
    needed = [_needed(TargetSize(dimension, order, rank), seeds) for rank in ranks]
    findings = [
        Finding(
            "rank", f"modified, needed m at r = {rank}", generic, m, relation="<=", runs=seeds, kind="every"
        )
        for rank, m in zip(ranks, needed, strict=True)
    ]
    rows = tuple((str(rank), f"{m:g}", str(generic)) for rank, m in zip(ranks, needed, strict=True))
    title = f"Needed m against the rank, d = {dimension}, l = {order}, error <= .01 on {seeds} seeds"
    arrays = {
        "ranks": np.array(ranks),
        "needed_by_rank": np.array(needed),
        "needed_lazily": np.array(generic),
    }
    return Outcome(findings, arrays, [Table(title, ("r", "modified", "lazy"), rows)])


def circuits(components: Sequence[int], seeds: int) -> Outcome:
    """Order 4 over the 8 amplitudes of 3 qubits, rank 2: lazy and modified errors (m, seeds)."""
    problem, ansatz = TargetSize(8, 4, 2), real_ansatz(3, 4)
    targets = problem.targets(seeds)
    modified, lazy = [], []
    for m in components:
        runs = decompose_with_circuits(targets, ansatz, m, _generators(seeds))
        modified.append([run.error for run in runs])
        model = CircuitTensor(ansatz, problem.order, m)
        lazy.append([_fit(model, problem, target, seed).error for seed, target in enumerate(targets)])
    errors = {"lazy": np.array(lazy), "modified": np.array(modified)}
    findings = []
    for i, m in enumerate(components):
        if m >= problem.rank:
            quantity = f"modified, worst seed, m = {m}"
            findings.append(Finding.every("circuits", quantity, FOUND, errors["modified"][i], "<="))
        found = errors["lazy"][i]
        if m == 4:
            findings.append(
                Finding.mean("circuits", f"lazy, mean, m = {m}", 0.8, found, relation=">=", effect=1.0)
            )
            findings.append(Finding.every("circuits", f"lazy, best seed, m = {m}", 0.8, found, ">="))
        if m >= problem.bound:
            findings.append(Finding.every("circuits", f"lazy, worst seed, m = {m}", EXACT, found, "<="))
    rows = [
        (str(m), _span(errors["lazy"][i]), _span(errors["modified"][i])) for i, m in enumerate(components)
    ]
    title = f"Components that are states of 3 qubits, 12 angles, {problem}, {seeds} seeds: relative error"
    arrays = {
        "circuit_m": np.array(components),
        "circuit_lazy": errors["lazy"],
        "circuit_modified": errors["modified"],
    }
    return Outcome(findings, arrays, [Table(title, ("m", *errors), tuple(rows))])


def features(problem: TargetSize, components: int, seeds: int) -> Outcome:
    """What part of the target lies outside the tangent space: at the start, and where the modified descent ends."""
    targets = problem.targets(seeds)
    x = index_tuples(problem.dimension, problem.order)
    weights = multiplicities(x)
    before, after, kernels = [], [], []
    for seed, run in enumerate(_runs(targets, components)):
        model = SymmetricTensor(
            problem.dimension, problem.order, components, signs=torch.sign(run.found.weights), degree=2
        )
        y, start = run.target.entries(x), model.init(_generator(TANGENT + seed))
        before.append(tangent_fit(model, start, x, y, weights).error)
        after.append(tangent_fit(model, run.params, x, y, weights).error)
        first, last = (model.gram(params, x)[:, 0, :, 0] for params in (start, run.params))
        kernels.append(float(1 - (first * last).sum() / (first.norm() * last.norm())))
    name = f"m = {components}"
    findings = [
        Finding.every("features", f"target outside the first tangent space, {name}", MISSED, before, ">="),
        Finding.every("features", f"target outside the last tangent space, {name}", FOUND, after, "<="),
        Finding.reported("features", "kernel distance to the first kernel, mean", kernels),
    ]
    rows = tuple(
        (str(seed), *(f"{value:.4f}" for value in row))
        for seed, row in enumerate(zip(before, after, kernels, strict=True))
    )
    title = f"The tangent space before and after, {problem}, {name}"
    arrays = {"outside_before": np.array(before), "outside_after": np.array(after)}
    return Outcome(
        findings, arrays, [Table(title, ("seed", "outside before", "outside after", "kernel distance"), rows)]
    )


def _reported(experiment: str, quantity: str, measured: float | np.floating[Any]) -> Finding:
    return Finding(experiment, quantity, math.nan, float(measured), relation="")


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _generators(count: int) -> list[torch.Generator]:
    return [_generator(RUN + seed) for seed in range(count)]


def _runs(targets: Sequence[Decomposition], m: int, settings: Descent | None = None) -> list[Descended]:
    return decompose_many(targets, m, _generators(len(targets)), settings)


def _errors(targets: Sequence[Decomposition], m: int, settings: Descent | None = None) -> list[float]:
    return [run.error for run in _runs(targets, m, settings)]


def _fit(model: Model, problem: TargetSize, target: Decomposition, seed: int) -> TangentFit:
    x = index_tuples(problem.dimension, problem.order)
    start = model.init(_generator(TANGENT + seed))
    return tangent_fit(model, start, x, target.entries(x), multiplicities(x))


def _lazy(problem: TargetSize, m: int, target: Decomposition, seed: int) -> TangentFit:
    return _fit(SymmetricTensor(problem.dimension, problem.order, m), problem, target, seed)


def _needed_lazily(problem: TargetSize) -> int:
    """By bisection: components are drawn one after the other, so that tangent spaces of one seed are nested."""
    target = problem.targets(1)[0]
    low, high = 0, 2 * math.ceil(problem.bound)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _lazy(problem, middle, target, 0).error <= EXACT else (middle, high)
    return high


def _needed(problem: TargetSize, seeds: int) -> float:
    """The least m from r to 4 r at which every run ends at 0.01 or below; infinite where there is none."""
    targets = problem.targets(seeds)
    for m in range(problem.rank, 4 * problem.rank + 1):
        if max(_errors(targets, m, LONG)) <= FOUND:
            return m
    return math.inf


def _baselines() -> dict[str, Callable[[Decomposition, int, int], float]]:
    """Other ways to decompose; tensorly's where it is installed."""

    def ours(target: Decomposition, m: int, seed: int) -> float:
        return power_iteration(target, m, _generator(OTHER + seed)).relative_error(target)

    def symmetric(target: Decomposition, m: int, seed: int) -> float:
        return symmetric_parafac(target, m, OTHER + seed).relative_error(target)

    def alternating(target: Decomposition, m: int, seed: int) -> float:
        return parafac(target, m, OTHER + seed, iterations=100)

    if importlib.util.find_spec("tensorly") is None:
        return {"power iteration": ours}
    return {"power iteration": ours, "tensorly symmetric": symmetric, "tensorly parafac": alternating}


def _baseline(
    run: Callable[[Decomposition, int, int], float],
    targets: Sequence[Decomposition],
    components: Sequence[int],
    limit: int,
) -> Errors:
    """Errors (m, seeds), NaN beyond ``limit`` components."""
    nothing = [math.nan] * len(targets)
    return np.array(
        [[run(t, m, seed) for seed, t in enumerate(targets)] if m <= limit else nothing for m in components]
    )


def _span(values: Errors) -> str:
    known = values[~np.isnan(values)]
    if not known.size:
        return "-"
    failed = len(values) - len(known)
    return f"{known.min():.4f} .. {known.max():.4f}" + (f" ({failed} gave up)" if failed else "")

"""The experiments of ``shots_and_noise`` on kernels from shots: bias, error bars, and shots shared out."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qlazy.base.tables import Table
from qlazy.kernels.allocation import allocate_shots, naive_excess
from qlazy.kernels.shots import BATCHES, MeasuredKernel, kernel_of_batches, student_interval
from qlazy.quantum.backends.shifted import ShiftedCircuits, ShotMoments
from qlazy.quantum.circuit import Circuit
from qlazy.quantum.corpus import load_program
from qlazy.studies.experiments import Outcome
from qlazy.studies.result import Finding, mean_and_error

FAMILIES: tuple[tuple[str, dict[str, int]], ...] = (
    ("hardware_efficient", {"n": 2, "layers": 1}),
    ("strongly_entangling", {"n": 2, "layers": 1}),
    ("data_reuploading", {"n": 2, "layers": 1}),
    ("simplified_two_design", {"n": 3, "layers": 1}),
    ("iqp_feature_map", {"n": 2, "layers": 1}),
    ("brickwork", {"n": 3, "layers": 1}),
    ("tree_tensor_network", {"n": 4}),
    ("matrix_product_state", {"n": 3}),
    ("convolutional", {"n": 2}),
    ("hardware_efficient", {"n": 3, "layers": 2}),
)
"""Circuits of the corpus with one Pauli word as output, whose variance a shot is 1 - f^2."""

SAMPLES = 2

UNBIASED, FORETOLD = 0.02, 0.1
"""How far unbiased traces may be from the exact ones in the mean, and what is foretold from what is measured."""


class Trial(NamedTuple):
    """A circuit at random angles and rows: its shifted circuits, their exact moments, and its exact kernel."""

    name: str
    circuits: ShiftedCircuits
    moments: ShotMoments
    exact: Tensor


def trial(number: int) -> Trial:
    """The ``number``-th circuit on trial: families in turn, angles and rows by its number."""
    name, sizes = FAMILIES[number % len(FAMILIES)]
    generator = torch.Generator().manual_seed(number)
    model = Circuit.from_program(load_program(name, **sizes))
    params = model.init(generator)
    assert model.program is not None
    x = 2 * torch.rand(SAMPLES, model.program.num_features, generator=generator, dtype=torch.float64) - 1
    circuits = ShiftedCircuits(model.measured(1, generator), params, x)
    return Trial(
        f"{name} n={sizes['n']}", circuits, circuits.exact(), model.gram(params, x).reshape(SAMPLES, SAMPLES)
    )


def bias_and_errors(count: int, shots: int, repeats: int) -> Outcome:
    """The unbiased and the naive kernel of ``count`` circuits, each measured ``repeats`` times."""
    rows = np.array([_bias_row(trial(number), shots, repeats) for number in range(count)])
    score, off, covered, bias, bias_error, predicted = rows.T
    ratio, cases = _mean(bias / predicted, bias_error / predicted), "entries within their 95 % error bars"
    findings = [
        Finding.mean("two batches", "mean deviation of the trace, of the exact one", 0.0, off, UNBIASED),
        Finding.share(
            "two batches", "circuits whose trace is within 3 std. errors", math.nan, np.abs(score) <= 3, ""
        ),
        Finding.mean("error bars", cases, 0.90, covered, relation=">=", effect=0.95),
        Finding.mean("error bars", f"{cases}, again", 0.99, covered, relation="<=", effect=0.95),
        Finding("T9 naive bias", "measured over predicted", 1.0, *ratio, FORETOLD),
    ]
    names = [trial_name(number) for number in range(count)]
    table = Table(
        f"{repeats} kernels of {SAMPLES} samples, {shots} shots a circuit in {BATCHES} batches",
        ("circuit", "deviation / std. error", "covered", "naive bias", "std. error", "predicted"),
        tuple(
            (name, f"{z:+.2f}", f"{c:.3f}", f"{b:.4f}", f"{e:.4f}", f"{p:.4f}")
            for name, (z, _, c, b, e, p) in zip(names, rows, strict=True)
        ),
    )
    kept = {
        "score": score,
        "off": off,
        "covered": covered,
        "bias": bias,
        "bias_error": bias_error,
        "predicted": predicted,
    }
    return Outcome(findings, {f"shots_{name}": values for name, values in kept.items()}, [table])


def trial_name(number: int) -> str:
    name, sizes = FAMILIES[number % len(FAMILIES)]
    return f"{name} n={sizes['n']}, angles {number}"


def allocation(count: int, shots: int, repeats: int) -> Outcome:
    """Shots shared out for the least total variance against an even split, by the closed form and by measuring."""
    rows = np.array([_allocation_row(trial(number), shots, repeats) for number in range(count)])
    foretold, found, ratio, ratio_error = rows.T
    variance = _mean(ratio, ratio_error)
    findings = [
        Finding(
            "allocation", "least gain over an even split, foretold", 1.0, float(foretold.min()), relation=">="
        ),
        Finding.reported("allocation", "mean gain, foretold", foretold),
        Finding.reported("allocation", "mean gain, measured", found),
        Finding.mean("allocation", "measured gain over foretold", 1.0, found / foretold, FORETOLD),
        Finding("allocation", "measured variance over the closed form", 1.0, *variance, FORETOLD),
    ]
    return Outcome(findings, {"gain_foretold": foretold, "gain_measured": found}, [])


def _bias_row(one: Trial, shots: int, repeats: int) -> tuple[float, ...]:
    kernels = _measured(one, torch.full(one.circuits.shape, shots // BATCHES), repeats)
    values, errors = (
        torch.stack([getattr(kernel, name) for kernel in kernels]) for name in ("values", "errors")
    )
    exact = float(one.exact.trace())
    mean, error = mean_and_error([kernel.trace for kernel in kernels])
    upper = torch.triu(torch.ones(SAMPLES, SAMPLES, dtype=torch.bool))
    inside = (values - one.exact).abs() <= student_interval(BATCHES) * errors + 1e-12
    # Less the unbiased trace of the same run, not the exact one: what both have in common says nothing of the bias.
    bias, bias_error = mean_and_error([float(kernel.naive_bias.trace()) for kernel in kernels])
    variances = one.moments.covariances[..., 0]
    predicted = float(naive_excess(one.moments.weights, variances, shots // BATCHES * BATCHES).sum())
    off = mean / exact - 1
    return (mean - exact) / error, off, float(inside[:, upper].double().mean()), bias, bias_error, predicted


def _allocation_row(one: Trial, shots: int, repeats: int) -> tuple[float, ...]:
    plan = allocate_shots(one.moments, one.moments.circuits * shots)
    even = torch.full(one.circuits.shape, max(1, plan.total // plan.circuits // BATCHES))
    squares = [
        [float((kernel.values - one.exact).square().sum()) for kernel in _measured(one, each, repeats)]
        for each in (plan.shots // BATCHES, even)
    ]
    mean, error = mean_and_error(squares[0])
    foretold = float(plan.variances.sum())
    return plan.gain, float(np.mean(squares[1])) / mean, mean / foretold, error / foretold


def _mean(values: NDArray[Any], errors: NDArray[Any]) -> tuple[float, float]:
    """The mean of values that have errors of their own, and its error."""
    return float(values.mean()), float(np.sqrt((errors**2).sum()) / len(errors))


def _measured(one: Trial, each: Tensor, repeats: int) -> list[MeasuredKernel]:
    """Kernels from ``each`` (n, k) shots in every batch."""
    jacobians = one.circuits.jacobian(one.circuits.batches(each, repeats * BATCHES))
    return [kernel_of_batches(list(batches)) for batches in jacobians.unflatten(0, (repeats, BATCHES))]

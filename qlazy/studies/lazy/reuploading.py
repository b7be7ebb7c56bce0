"""Circuits in place of nets: a data re-uploading circuit as student and as teacher, and on digits.

The student a (h(w) - h(w0)) learns y = h(u) - h(w0), the same circuit at other angles u: at a = 1 it represents the
labels exactly, with w = u. A lazy student is left with what its linearised model can represent. The linearised one is
the exact path of its kernel.
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
from qlazy.comparison.compare import compare
from qlazy.comparison.run import Run
from qlazy.data.datasets import Dataset, load_data
from qlazy.models.model import Model
from qlazy.models.wrappers import Centered
from qlazy.quantum.circuit import load_circuit
from qlazy.studies.experiments import Outcome
from qlazy.studies.result import Finding, mean_and_error

FAMILY = "data_reuploading"
TEST_POINTS = 300


def teacher_and_student(
    qubits: int, layers: int, train_size: int, alphas: Sequence[float], seeds: int, steps: int
) -> Outcome:
    """Test loss over that of zero outputs, and relative drift, against a."""
    circuit = load_circuit(FAMILY, n=qubits, layers=layers)
    measured = np.zeros((3, len(alphas), seeds))
    for seed in range(seeds):
        data = _task(circuit, qubits, train_size, seed)
        one = compare({FAMILY: circuit}, data, alphas=alphas, seeds=[seed], steps=steps, progress=False)
        for i, alpha in enumerate(one.alphas):
            (run,) = one.select(FAMILY, alpha)
            measured[:, i, seed] = _relative_losses(run)
    loss, linear, drift = measured
    rise = mean_and_error(loss[-1] / loss[0])
    findings = [
        Finding("circuit, teacher", f"test loss, a = {alphas[-1]:g} / a = {alphas[0]:g}", 1.2, *rise, relation=">="),
        Finding("circuit, teacher", f"trained / linearised, test loss, a = {alphas[-1]:g}", 1.0,
                *mean_and_error(loss[-1] / linear[-1]), 0.02),
        Finding("circuit, teacher", f"relative drift, a = {alphas[-1]:g}", 0.01, *mean_and_error(drift[-1]),
                relation="<="),
    ]  # fmt: skip
    head = ("a", "test loss / null", "linearised", "||dw||/||w0||")
    title = f"{circuit!r} as teacher and student: mean and standard error of {seeds} seeds"
    arrays = {"circuit_alphas": np.array(alphas), "circuit_measured": measured}
    return Outcome(findings, arrays, [_table(title, head, alphas, measured)])


def digits(qubits: int, layers: int, alphas: Sequence[float], seeds: int, steps: int) -> Outcome:
    """Test accuracy on 3 against 8 against a, each seed with a split of its own."""
    circuit = load_circuit(FAMILY, n=qubits, layers=layers)
    measured = np.zeros((3, len(alphas), seeds))
    for seed in range(seeds):
        data = load_data("digits", classes=(3, 8), features=qubits, seed=seed)
        one = compare({FAMILY: circuit}, data, alphas=alphas, seeds=[seed], steps=steps, progress=False)
        for k, metric in enumerate(("train accuracy", "test accuracy", "linearized test accuracy")):
            measured[k, :, seed] = one.values(FAMILY, metric)[:, 0]
    _, test, linear = measured
    agree = mean_and_error(linear[-1] - test[-1])
    fall = mean_and_error(test[0] - test[-1])
    first, last = (f"a = {alpha:g}" for alpha in (alphas[0], alphas[-1]))
    findings = [
        Finding("circuit, digits", f"linearised less {last}, test accuracy", 0.0, *agree, 0.01),
        Finding("circuit, digits", f"{first} less {last}, test accuracy", math.nan, *fall, relation=""),
    ]
    head = ("a", "train accuracy", "test accuracy", "linearized test accuracy")
    title = f"{circuit!r} on digits 3 and 8: mean and standard error of {seeds} seeds"
    arrays = {"digits_alphas": np.array(alphas), "digits_measured": measured}
    return Outcome(findings, arrays, [_table(title, head, alphas, measured)])


def _task(circuit: Model, qubits: int, train_size: int, seed: int) -> Dataset:
    """Inputs uniform in [-pi, pi], labels h(u) - h(w0) with the w0 that :func:`qlazy.compare` draws from the seed."""
    generator = torch.Generator().manual_seed(1000 + seed)
    start = circuit.init(torch.Generator().manual_seed(seed))
    teacher, u = Centered(circuit, start), circuit.init(generator)
    x, held = (_angles(count, qubits, generator) for count in (train_size, TEST_POINTS))
    text = f"{train_size} angles uniform in [-pi, pi], labels of the same circuit at other angles, centred"
    with torch.no_grad():
        return Dataset("teacher", x, teacher(u, x), held, teacher(u, held), (), text)


def _angles(count: int, qubits: int, generator: torch.Generator) -> Tensor:
    return math.pi * (2 * torch.rand(count, qubits, generator=generator, dtype=torch.float64) - 1)


def _relative_losses(run: Run) -> tuple[float, float, float]:
    """Test loss of the trained and the linearised model over that of zero outputs, and ||w - w0|| / ||w0||."""
    null = float((run.test_targets**2).mean())
    linear = float(((run.linear_test_outputs[-1] - run.test_targets) ** 2).mean())
    drift = float(run.trace.drift[-1] / np.linalg.norm(run.trace.params[0]))
    return 2 * run.test_loss / null, linear / null, drift


def _table(title: str, head: tuple[str, ...], alphas: Sequence[float], measured: NDArray[Any]) -> Table:
    def cell(values: NDArray[Any]) -> str:
        mean, error = mean_and_error(values)
        return f"{mean:.4g} ± {error:.2g}"

    return Table(title, head, tuple((f"{a:g}", *map(cell, measured[:, i])) for i, a in enumerate(alphas)))

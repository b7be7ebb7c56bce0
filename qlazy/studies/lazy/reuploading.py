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
from qlazy.quantum.interop.loading import load_circuit
from qlazy.studies.experiments import Outcome
from qlazy.studies.result import Finding, log10_ratios, mean_and_error

FAMILY = "data_reuploading"
TEST_POINTS = 300
RISE, SAME, GAP = 1.2, 1.02, 0.05
"""At the largest scale: by what factor the test loss has risen at least, how far it may be from the linearised model's,
and the share of the labels by which outputs may differ from the linearised ones, as for the convolutional nets."""


def teacher_and_student(
    qubits: int, layers: int, train_size: int, alphas: Sequence[float], seeds: int, steps: int
) -> Outcome:
    """Test loss over that of zero outputs, gap to the linearised outputs and change of the kernel, against a."""
    circuit = load_circuit(FAMILY, n=qubits, layers=layers)
    measured = np.zeros((4, len(alphas), seeds))
    for seed in range(seeds):
        data = _task(circuit, qubits, train_size, seed)
        one = compare({FAMILY: circuit}, data, alphas=alphas, seeds=[seed], steps=steps, progress=False)
        for i, alpha in enumerate(one.alphas):
            (run,) = one.select(FAMILY, alpha)
            measured[:, i, seed] = _figures(run)
    loss, linear, gap, change = measured
    first, last, name = f"a = {alphas[0]:g}", f"a = {alphas[-1]:g}", "circuit, teacher"
    findings = [
        Finding.mean(name, f"log10 of test loss, {last} / {first}", math.log10(RISE), log10_ratios(loss[-1], loss[0]),
                     relation=">="),
        Finding.mean(name, f"log10 of trained / linearised, test loss, {last}", 0.0,
                     log10_ratios(loss[-1], linear[-1]), math.log10(SAME)),
        Finding.mean(name, f"test output gap, {last}", GAP, gap[-1], relation="<=", effect=0.0),
        Finding.reported(name, f"kernel change along what is to be learnt, {last}", change[-1]),
    ]  # fmt: skip
    head = ("a", "test loss / null", "linearised", "test output gap", "kernel change along r0")
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
    first, last = (f"a = {alpha:g}" for alpha in (alphas[0], alphas[-1]))
    findings = [
        Finding.mean(
            "circuit, digits",
            f"linearised less {last}, test accuracy",
            0.0,
            linear[-1] - test[-1],
            0.01,
            answers=len(data.x_test),
        ),
        Finding.reported("circuit, digits", f"{first} less {last}, test accuracy", test[0] - test[-1]),
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


def _figures(run: Run) -> tuple[float, float, float, float]:
    """Test losses, trained and linearised, over that of zero outputs; test output gap; kernel change along r_0.

    None of them depends on where an angle is drawn modulo its period, as drift over the norm of the angles would.
    """
    null = float((run.test_targets**2).mean())
    linear = float(((run.linear_test_outputs[-1] - run.test_targets) ** 2).mean())
    return 2 * run.test_loss / null, linear / null, run.test_output_gap, run.residual_kernel_change


def _table(title: str, head: tuple[str, ...], alphas: Sequence[float], measured: NDArray[Any]) -> Table:
    def cell(values: NDArray[Any]) -> str:
        mean, error = mean_and_error(values)
        return f"{mean:.4g} ± {error:.2g}"

    return Table(title, head, tuple((f"{a:g}", *map(cell, measured[:, i])) for i, a in enumerate(alphas)))

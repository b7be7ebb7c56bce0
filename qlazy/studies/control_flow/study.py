"""Does control change what a circuit can learn, and how it learns? P1 and P2 of Zhu, Hung, Chakrabarti, Wu.

The paper (PLDI 2020, arXiv 2004.01122) differentiates programs that measure and branch, counts the programs of
the derivative, and trains two of them to tell whether two of four bits are equal: P1 without control stays at
loss 0.5, P2 with one measured branch comes below 0.016. Those are the experiments "occurrences" and "case study".

What is new is the reason, and the regime. With s(b) = (-1)^b and bits z1, z4,

    P1:  f = 1/2 - A s(z4),    P2:  f = 1/2 - A s(z4) - B s(z1 xor z4),

so that the tangent kernel of P1 has rank 1 and does not see the target, while that of P2 has rank 2 and does:
"tangent kernels". On targets that a program can represent, drift, kernel change and output gap fall as
1/a with and without control: "lazy regime".

Loss: 1/2 of the squares summed over the four (z1, z4), with z2 = z3 = 0. Not reproduced: the paper's times, its
learning rate (it gives none that can be compared), and its counts of lines.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from torch import Tensor

from qlazy.comparison.compare import compare
from qlazy.data.datasets import Dataset
from qlazy.kernels.operator import tangent_kernel
from qlazy.quantum.corpus import load_program
from qlazy.quantum.interop.loading import load_circuit
from qlazy.quantum.program.analysis import occurrences
from qlazy.studies.experiments import Experiments, Outcome, StudySettings, carry_out
from qlazy.studies.result import Finding, StudyResult
from qlazy.training.loop import Record, train
from qlazy.training.methods import SGD

if TYPE_CHECKING:
    from qlazy.drawing.style import Figure

COUNTS = {
    "qnn": {"small": ((1, 1), (5, 5), (10, 10), (15, 10)), "medium": ((24, 24), (56, 24)),
            "large": ((48, 48), (504, 48))},
    "vqe": {"small": ((1, 1), (2, 2), (4, 4), (6, 4)), "medium": ((15, 15), (35, 15)), "large": ((40, 40), (248, 40))},
    "qaoa": {"small": ((1, 1), (3, 3), (6, 6), (9, 6)), "medium": ((18, 18), (42, 18)),
             "large": ((36, 36), (378, 36))},
}  # fmt: skip
"""Table 1 of the paper: occurrences of t1, and programs of its derivative that do not abort."""
KINDS = ("basic", "shared", "if", "while")
P1_LIMIT, P1_WITHIN, P2_BOUND = 0.5, 0.01, 0.016

BITS = torch.tensor([(a, b) for a in (0, 1) for b in (0, 1)], dtype=torch.float64)
INPUTS = torch.stack([BITS[:, 0], 0 * BITS[:, 0], 0 * BITS[:, 0], BITS[:, 1]], dim=1)
LAST = (1 - 2 * BITS[:, 1]).unsqueeze(1)
"""s(z4) at the four inputs."""
PARITY = (1 - 2 * (BITS[:, 0] - BITS[:, 1]).abs()).unsqueeze(1)
"""s(z1 xor z4), so that the target of the case study is (1 + PARITY) / 2."""


@dataclass(frozen=True)
class CaseStudy:
    """P1 and P2 under momentum SGD."""

    seeds: int = 10
    epochs: int = 300
    learning_rate: float = 2.0
    momentum: float = 0.9


@dataclass(frozen=True)
class LazyRegime:
    """Comparisons on targets that the programs can represent."""

    alphas: tuple[float, ...] = (10, 30, 100, 300, 1000, 3000)
    seeds: int = 12
    steps: int = 200


@dataclass(frozen=True)
class Settings(StudySettings):
    """Sizes of each experiment; tangent kernels are taken at the seeds of the case study."""

    case: CaseStudy = CaseStudy()
    lazy: LazyRegime = LazyRegime()

    @classmethod
    def quick(cls) -> Self:
        return cls(CaseStudy(seeds=3, epochs=100), LazyRegime(alphas=(100, 300, 1000), seeds=2, steps=30))


def run(settings: Settings, out: str | os.PathLike[str] | None = None, progress: bool = True) -> StudyResult:
    """Every experiment in turn; table, arrays and figures go to the folder ``out``, if given."""
    experiments: Experiments = {
        "occurrences": count_occurrences,
        "case study": partial(train_both, settings.case),
        "tangent kernels": partial(compare_kernels, settings.case.seeds),
        "lazy regime": partial(scale_both, settings.lazy),
    }
    return carry_out("control_flow", settings, experiments, figures, out=out, progress=progress)


def figures(result: StudyResult) -> Mapping[str, Figure]:
    """The case study, and the lazy regime."""
    from qlazy.studies.control_flow.figures import control_flow_figures

    return control_flow_figures(result.arrays)


def count_occurrences() -> Outcome:
    """Occurrences and derivative programs of all 24 programs, with loops that discard, as the paper has them."""
    findings = []
    for family, sizes in COUNTS.items():
        for size, counts in sizes.items():
            for kind, (theory, programs) in zip(KINDS[-len(counts) :], counts, strict=True):
                name = f"{family}_{size}_{kind}"
                found = occurrences(load_program(name), "t1")
                findings += [
                    Finding("occurrences", f"OC of {name}", theory, found.occurrences),
                    Finding("occurrences", f"|#d| of {name}", programs, found.programs),
                ]
    return Outcome(findings, {})


def train_both(settings: CaseStudy) -> Outcome:
    """P1 and P2 on the case study's target: losses (seeds, epochs + 1), and the largest at the end."""
    target = (1 + PARITY) / 2
    method = SGD(settings.learning_rate, batch_size=len(INPUTS), momentum=settings.momentum)
    every = Record(at=tuple(range(settings.epochs + 1)))
    losses = {}
    for name in ("p1", "p2"):
        model = load_circuit(name)
        traces = [
            train(
                model,
                _start(model, seed),
                (INPUTS, target),
                steps=settings.epochs,
                method=method,
                record=every,
            )
            for seed in range(settings.seeds)
        ]
        # R is the mean of the squares over 2: the paper sums
        losses[f"loss_{name}"] = len(INPUTS) * np.stack([trace.train_loss for trace in traces])
    ends = {name: loss[:, -1] for name, loss in losses.items()}
    findings = [
        Finding.every("case study", "loss of P1, the least", P1_LIMIT - P1_WITHIN, ends["loss_p1"], ">="),
        Finding.every("case study", "loss of P1, the largest", P1_LIMIT + P1_WITHIN, ends["loss_p1"], "<="),
        Finding.every("case study", "loss of P2, the largest", P2_BOUND, ends["loss_p2"], "<="),
    ]
    return Outcome(findings, losses)


def compare_kernels(seeds: int) -> Outcome:
    """Rank of the kernels at random angles, and how much of the target lies in their range."""
    findings, arrays = [], {}
    for name, rank, seen in (("p1", 1, 0.0), ("p2", 2, 1.0)):
        model = load_circuit(name)
        kernels = torch.stack(
            [tangent_kernel(model, _start(model, seed), INPUTS).to_dense() for seed in range(seeds)]
        )
        arrays[f"kernels_{name}"] = kernels.numpy()
        spectra = [torch.linalg.eigh(kernel) for kernel in kernels]
        ranks = [int((values > 1e-9 * values.max()).sum()) for values, _ in spectra]
        shares = [_share_in_range(values, vectors) for values, vectors in spectra]
        findings += [
            Finding("tangent kernels", f"largest rank of K of {name.upper()}", rank, max(ranks)),
            Finding(
                "tangent kernels",
                f"target within K of {name.upper()}",
                seen,
                float(np.mean(shares)),
                tolerance=1e-9,
            ),
        ]
    return Outcome(findings, arrays)


def scale_both(settings: LazyRegime) -> Outcome:
    """Slopes of drift, kernel change and gap against the scale, on targets that the programs can represent."""
    findings, arrays = [], {"alphas": np.array(settings.alphas)}
    for task, target, names in (("s(z4)", LAST, ("p1", "p2")), ("s(z1 xor z4)", PARITY, ("p2",))):
        comparison = compare(
            {name: load_circuit(name) for name in names},
            _dataset(task, target),
            alphas=settings.alphas,
            seeds=range(settings.seeds),
            steps=settings.steps,
            progress=False,
        )
        # smaller scales are not yet asymptotic where an eigenvalue of the kernel is small
        slopes = comparison.slopes(least=sorted(settings.alphas)[-3])
        for name in names:
            for metric in ("parameter drift", "kernel change", "output gap"):
                slope = slopes[name, metric]
                quantity = f"slope of {metric}, {name.upper()} on {task}"
                findings.append(
                    Finding(
                        "lazy regime",
                        quantity,
                        -1.0,
                        slope.slope,
                        slope.error,
                        tolerance=0.05,
                        runs=settings.seeds,
                    )
                )
                key = f"{metric} {name} {'last' if target is LAST else 'parity'}".replace(" ", "_")
                arrays[key] = comparison.values(name, metric)
    return Outcome(findings, arrays)


def _start(model: Any, seed: int) -> Tensor:
    start: Tensor = model.init(torch.Generator().manual_seed(seed))
    return start


def _share_in_range(values: Tensor, vectors: Tensor) -> float:
    """The share of the target's square, without its mean, that lies in the range of a kernel."""
    inside = vectors[:, values > 1e-9 * values.max()]
    return float((inside.T @ PARITY).square().sum() / PARITY.square().sum())


def _dataset(task: str, target: Tensor) -> Dataset:
    """The four inputs, to be trained and tested on."""
    text = f"the four values of (z1, z4), target {task}"
    return Dataset(task, INPUTS, target, INPUTS, target, ("1", "0"), text)

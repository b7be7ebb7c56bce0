"""Kernels from shots and under noise: what is unbiased, what error bars are worth, what noise does to laziness.

    two batches        the mean of J_a J_b^T over independent batches, on circuits of the corpus: bias and coverage
    naive bias         J J^T of one noisy Jacobian, beside its predicted excess (T9)
    allocation         shots shared out among circuits against an even split, foretold and measured
    closed forms       kernels under depolarising, damping and dephasing noise that scales them
    scale in disguise  noise at the end trains as a smaller output scale does
    after every gate   kernel, drift, kernel change and gap against strength and scale, on default.mixed

Nothing is taken from a paper here but T9; noise on a real device is neither of these channels, and drifts.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self

from qlazy.studies.experiments import Experiments, StudySettings, carry_out
from qlazy.studies.result import StudyResult
from qlazy.studies.shots_and_noise import measured_kernels, noisy_circuits

if TYPE_CHECKING:
    from qlazy.drawing.style import Figure


@dataclass(frozen=True)
class Allocation:
    """Circuits whose shots are shared out, and shots a circuit."""

    circuits: int = 20
    shots: int = 200


@dataclass(frozen=True)
class Settings(StudySettings):
    """Circuits on trial, shots a circuit and repeats; strengths of noise, output scales and steps of training."""

    circuits: int = 20
    shots: int = 400
    repeats: int = 100
    allocation: Allocation = Allocation()
    strength: float = 0.1
    strengths: tuple[float, ...] = (0.01, 0.03, 0.1, 0.2)
    alphas: tuple[float, ...] = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
    end_alphas: tuple[float, ...] = (1.0, 10.0)
    steps: int = 12

    @classmethod
    def quick(cls) -> Self:
        """A few seconds on an idle core, and the same claims."""
        return cls(
            circuits=4, shots=80, repeats=30, allocation=Allocation(2, 80), strengths=(0.1,),
            alphas=(100.0, 300.0, 1000.0), end_alphas=(1.0,), steps=2,
        )  # fmt: skip


def run(settings: Settings, out: str | os.PathLike[str] | None = None, progress: bool = True) -> StudyResult:
    """Every experiment in turn; table, arrays and figures go to the folder ``out``, if given."""
    return carry_out("shots_and_noise", settings, _experiments(settings), figures, out=out, progress=progress)


def figures(result: StudyResult) -> Mapping[str, Figure]:
    """Shots: deviations, coverage, bias and gain by circuit; noise: kernel and laziness."""
    from qlazy.studies.shots_and_noise.figures import shots_and_noise_figures

    return shots_and_noise_figures(result.arrays)


def _experiments(s: Settings) -> Experiments:
    return {
        "two batches": partial(measured_kernels.bias_and_errors, s.circuits, s.shots, s.repeats),
        "allocation": partial(
            measured_kernels.allocation, s.allocation.circuits, s.allocation.shots, s.repeats
        ),
        "closed forms": partial(noisy_circuits.closed_forms, s.strength),
        "scale in disguise": partial(noisy_circuits.scale_in_disguise, s.strength, s.end_alphas, s.steps),
        "after every gate": partial(noisy_circuits.after_every_gate, s.strengths, s.alphas, s.steps),
    }

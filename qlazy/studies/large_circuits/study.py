"""Circuits of up to 1,000 qubits: their mean tangent kernel at random starts, and training at 127.

    against size      E K(x, x) of five families by random walks: exponential, a power of n, or neither
    against draws     the same at few qubits, from kernels at random angles
    closed form       the light-cone circuits' own, at hundreds of qubits
    training          a heavy-hex circuit of 127 qubits by Pauli propagation, at several scales a: slopes of laziness
    truncation        the same circuit with words dropped: true errors beside their bounds

Formulas and sources: :mod:`qlazy.theory.mean_kernel`, :mod:`qlazy.simulator.paulis`. Not reproduced: noise, hardware,
and circuits that scramble at hundreds of qubits, whose words do not fit in memory and whose kernels vanish.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self

from qlazy.studies.experiments import Experiments, StudySettings, carry_out
from qlazy.studies.large_circuits import random_starts, trained
from qlazy.studies.result import StudyResult

if TYPE_CHECKING:
    from qlazy.drawing.style import Figure


@dataclass(frozen=True)
class Training:
    """The circuit of 127 qubits: its ``layers``, and scales ``alphas`` at which it is trained for ``steps``."""

    layers: int = 3
    alphas: tuple[float, ...] = (3, 10, 30, 100)
    seeds: int = 5
    steps: int = 200


@dataclass(frozen=True)
class Settings(StudySettings):
    """Sizes of the experiments: ``qubits`` of mean kernels, to a relative ``precision`` or with so many ``walks``."""

    qubits: tuple[int, ...] = (4, 8, 16, 32, 64, 128, 256, 512, 1000)
    precision: float = 0.01
    walks: int = 2**19
    drawn: tuple[int, ...] = (4, 8, 12)
    draws: int = 1000
    closed: tuple[int, ...] = (100, 1000)
    training: Training = Training()
    truncated: tuple[float, ...] = (3e-2, 1e-2, 3e-3, 1e-3, 3e-4)

    @classmethod
    def quick(cls) -> Self:
        """Under a minute on one core, and the same claims."""
        return cls(
            qubits=(4, 8, 16, 32, 64), precision=0.03, walks=2**15, drawn=(4,), draws=300, closed=(100,),
            training=Training(2, alphas=(10, 30, 100), seeds=4, steps=40), truncated=(1e-2, 3e-3, 1e-3),
        )  # fmt: skip


def run(settings: Settings, out: str | os.PathLike[str] | None = None, progress: bool = True) -> StudyResult:
    """Every experiment in turn; table, arrays and figures go to the folder ``out``, if given."""
    return carry_out("large_circuits", settings, _experiments(settings), figures, out=out, progress=progress)


def figures(result: StudyResult) -> Mapping[str, Figure]:
    """Mean kernels against the number of qubits, and the metrics of training against a."""
    from qlazy.studies.large_circuits.figures import large_circuits_figures

    return large_circuits_figures(result.arrays)


def _experiments(s: Settings) -> Experiments:
    return {
        "against size": partial(random_starts.against_size, s.qubits, s.precision, s.walks),
        "against draws": partial(random_starts.against_draws, s.drawn, s.draws, s.precision),
        "closed form": partial(random_starts.against_closed_form, s.closed, s.precision),
        "training": partial(trained.scales, **vars(s.training)),
        "truncation": partial(trained.truncated, s.training.layers + 1, s.truncated, 4),
    }

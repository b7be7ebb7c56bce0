"""Lazy training on trial: Chizat, Oyallon, Bach (NeurIPS 2019, arXiv 1812.07956) for nets, and the same for circuits.

    Fig 1a, b  neurons in the plane, at a small and a large scale of initialisation (teacher_student)
    Fig 1c     test loss, sign stability and drift against that scale
    Fig 2a     1/sqrt(m) against 1/m as the width m grows
    Fig 2b     the population loss, by SGD on fresh samples
    CNN        accuracy and activation stability against a, and a truly linearised net (convolutional)
    circuits   data re-uploading as student and teacher, and on digits (reuploading)

Not reproduced: VGG-11 and wide ResNets on CIFAR-10, which need a GPU; in their place a small convolutional net on a few
hundred MNIST images, where lazy training shows for the same reason, at one horizon for all scales: the tables give the
training accuracy beside the test accuracy. The convolutional nets and the batched two-layer nets compute in float32.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self

from qlazy.studies.experiments import Experiments, carry_out
from qlazy.studies.lazy import convolutional, reuploading, teacher_student
from qlazy.studies.result import StudyResult

if TYPE_CHECKING:
    from qlazy.drawing.style import Figure

CONVENTIONS = {"dtype": "float64; float32 for convolutional nets and for the moves of two-layer nets"}


@dataclass(frozen=True)
class Settings:
    """Sizes of the experiments; ``plateau``, ``width_ratio`` and ``population_plateau`` are the bars to be cleared.

    The paper's sizes are the defaults; at smaller ones its bars do not apply, so that ``quick`` has its own.
    """

    plane_steps: int = 3000
    plane_seeds: int = 3
    inputs: int = 100
    train: int = 1000
    neurons: int = 50
    taus: tuple[float, ...] = (10**-2.2, 0.01, 0.0316, 0.1, 0.316, 1.0, 10.0)
    seeds: int = 10
    steps: int = 10_000
    plateau: float = 30.0
    widths: tuple[int, ...] = (2, 6, 12, 32, 128, 512)
    width_seeds: int = 5
    width_steps: int = 10_000
    width_claim: int = 128
    width_ratio: float = 4.0
    population_seeds: int = 4
    population_steps: int = 6000
    population_batch: int = 200
    population_plateau: float = 10.0
    images: str = "mnist"
    channels: int = 6
    image_train: int = 300
    image_test: int = 1000
    image_alphas: tuple[float, ...] = (0.03, 0.1, 0.3, 1.0, 10.0, 100.0)
    image_seeds: int = 3
    epochs: int = 250
    qubits: int = 2
    layers: int = 3
    circuit_train: int = 100
    circuit_alphas: tuple[float, ...] = (1.0, 3.0, 10.0, 100.0)
    circuit_seeds: int = 8
    circuit_steps: int = 1000
    digit_qubits: int = 4
    digit_layers: int = 3
    digit_alphas: tuple[float, ...] = (1.0, 3.0, 10.0, 100.0)
    digit_seeds: int = 5
    digit_steps: int = 200

    @classmethod
    def full(cls) -> Self:
        return cls()

    @classmethod
    def quick(cls) -> Self:
        """Under half a minute on one core, and the same claims with bars of its own."""
        return cls(
            plane_steps=400, plane_seeds=2, inputs=30, train=200, neurons=20, taus=(0.01, 0.1, 1.0, 10.0), seeds=3,
            steps=800, plateau=5.0, widths=(6, 64), width_seeds=2, width_steps=500, width_claim=64, width_ratio=1.5,
            population_seeds=2, population_steps=800, population_batch=100, images="digits", channels=4,
            image_train=150, image_test=300, image_alphas=(0.03, 100.0), image_seeds=2, epochs=30, layers=2,
            circuit_train=60, circuit_alphas=(1.0, 10.0, 100.0), circuit_seeds=2, circuit_steps=200,
            digit_layers=2, digit_alphas=(1.0, 100.0), digit_seeds=2, digit_steps=40,
        )  # fmt: skip


def run(settings: Settings, out: str | os.PathLike[str] | None = None, progress: bool = True) -> StudyResult:
    """Every experiment in turn; table, arrays and figures go to the folder ``out``, if given."""
    return carry_out(
        "lazy", settings, experiments(settings), figures, out=out, progress=progress, conventions=CONVENTIONS
    )


def figures(result: StudyResult) -> Mapping[str, Figure]:
    """Neurons in the plane; students of a teacher; convolutional nets; circuits."""
    from qlazy.studies.lazy.figures import lazy_figures

    return lazy_figures(result.arrays)


def experiments(s: Settings) -> Experiments:
    """Each experiment by name, ready to run on its own: findings, arrays, tables."""
    size, width_size = (s.inputs, s.train), (teacher_student.PAPER_SIZE[0], teacher_student.PAPER_SIZE[1])
    return {
        "neurons": partial(teacher_student.neurons_in_the_plane, s.plane_steps, s.plane_seeds),
        "initial scale": partial(
            teacher_student.initial_scale, *size, s.neurons, s.taus, s.seeds, s.steps, s.plateau
        ),
        "width": partial(
            teacher_student.width, *width_size, s.widths, s.width_seeds, s.width_steps, (s.width_claim, s.width_ratio)
        ),
        "population": partial(
            teacher_student.population, s.inputs, s.neurons, s.taus, s.population_seeds, s.population_steps,
            s.population_batch, s.population_plateau,
        ),
        "convolutional nets": partial(
            convolutional.scales, s.images, s.channels, s.image_train, s.image_test, s.image_alphas, s.image_seeds,
            s.epochs,
        ),
        "circuit students": partial(
            reuploading.teacher_and_student, s.qubits, s.layers, s.circuit_train, s.circuit_alphas, s.circuit_seeds,
            s.circuit_steps,
        ),
        "circuits on digits": partial(
            reuploading.digits, s.digit_qubits, s.digit_layers, s.digit_alphas, s.digit_seeds, s.digit_steps
        ),
    }  # fmt: skip

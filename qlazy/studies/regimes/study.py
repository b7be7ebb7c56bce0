"""Random features, linearised model, trained model: what each regime can learn, for two-layer nets and for circuits.

Ghorbani, Mei, Misiakiewicz, Montanari, "Limitations of Lazy Training of Two-layers Neural Networks" (2019, arXiv
1906.08899), on quadratic functions (qf) and mixtures of Gaussians (mg); formulas in :mod:`qlazy.theory.regimes`.

    least squares    RF and NT at d = 450 by population normal equations, weights spread evenly and along the target
    trained NN       L-BFGS on the exact population risk
    few samples      the exact risk of what n samples teach: least squares of least norm, and L-BFGS
    circuits         the three regimes of data re-uploading circuits, at equal parameter counts beside two-layer nets

The last is new: circuits that train their observable alone, that are linearised, and that are trained as a whole.

Risks are R / R0, with R0 the risk of the zero function. Not reproduced: the paper's own training by SGD on fresh
samples (the population risk is exact here), its ReLU nets, and its choice of Delta for mg (here Delta = B).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self

from qlazy.studies.experiments import Experiments, StudySettings, carry_out
from qlazy.studies.regimes.circuit_regimes import equal_counts
from qlazy.studies.regimes.quadratic_nets import finite_samples, least_squares, training
from qlazy.studies.result import StudyResult

if TYPE_CHECKING:
    from qlazy.drawing.style import Figure

CONVENTIONS = {"risk": "R / R0, R = E (f - y)^2", "inputs": "N(0, I), as angles in radians for circuits"}


@dataclass(frozen=True)
class LeastSquares:
    """Targets on R^d, d the ``dimension``, and models of ``ratios`` rho = N / d units."""

    dimension: int = 450
    ratios: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 0.9, 1.0, 1.5)
    seeds: int = 6


@dataclass(frozen=True)
class TrainedNets:
    """The same for nets that are trained."""

    dimension: int = 450
    ratios: tuple[float, ...] = (0.1, 0.3, 0.5, 0.9)
    seeds: int = 2
    steps: int = 250


@dataclass(frozen=True)
class FewSamples:
    """Models of so many ``units`` on ``counts`` samples."""

    dimension: int = 24
    units: int = 12
    counts: tuple[int, ...] = (10, 20, 40, 80, 120, 160, 200, 222, 240, 300, 500, 1000, 2500)
    seeds: int = 3
    steps: int = 250


@dataclass(frozen=True)
class EqualCounts:
    """Circuits and nets with as many parameters."""

    features: int = 4
    layers: tuple[int, ...] = (1, 2, 4, 6)
    seeds: int = 3
    samples: int = 1000
    steps: int = 200


@dataclass(frozen=True)
class Settings(StudySettings):
    """Sizes of each experiment."""

    least_squares: LeastSquares = LeastSquares()
    trained: TrainedNets = TrainedNets()
    few: FewSamples = FewSamples()
    circuits: EqualCounts = EqualCounts()

    @classmethod
    def quick(cls) -> Self:
        """The same claims on fewer points; nets are trained at d = 100, circuits at d = 3."""
        return cls(
            LeastSquares(ratios=(0.1, 0.5, 0.9), seeds=2),
            TrainedNets(dimension=100, ratios=(0.1, 0.5)),
            FewSamples(dimension=12, units=6, counts=(10, 60, 300), seeds=2, steps=100),
            EqualCounts(features=3, layers=(1, 2), seeds=2, samples=200, steps=30),
        )


def run(settings: Settings, out: str | os.PathLike[str] | None = None, progress: bool = True) -> StudyResult:
    """Every experiment in turn; tables, arrays and figures go to the folder ``out``, if given."""
    return carry_out(
        "regimes",
        settings,
        _experiments(settings),
        figures,
        out=out,
        progress=progress,
        conventions=CONVENTIONS,
    )


def figures(result: StudyResult) -> Mapping[str, Figure]:
    """Risk against N / d, against the number of parameters, and of samples; and the circuits."""
    from qlazy.studies.regimes.figures import regimes_figures

    return regimes_figures(result.arrays)


def _experiments(s: Settings) -> Experiments:
    return {
        "least squares": partial(least_squares, **vars(s.least_squares)),
        "trained NN": partial(training, **vars(s.trained)),
        "few samples": partial(finite_samples, **vars(s.few)),
        "circuits": partial(equal_counts, **vars(s.circuits)),
    }

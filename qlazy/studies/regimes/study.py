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

from qlazy.studies.experiments import Experiments, carry_out
from qlazy.studies.regimes.circuit_regimes import equal_counts
from qlazy.studies.regimes.quadratic_nets import finite_samples, least_squares, training
from qlazy.studies.result import StudyResult

if TYPE_CHECKING:
    from qlazy.drawing.style import Figure

CONVENTIONS = {"risk": "R / R0, R = E (f - y)^2", "inputs": "N(0, I), as angles in radians for circuits"}


@dataclass(frozen=True)
class Settings:
    """``dimension`` d and ``ratios`` rho of least squares; the same with train_, few_ and circuit_ for the others."""

    dimension: int = 450
    ratios: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 0.9, 1.0, 1.5)
    seeds: int = 3
    train_dimension: int = 450
    train_ratios: tuple[float, ...] = (0.1, 0.3, 0.5, 0.9)
    train_seeds: int = 1
    train_steps: int = 250
    few_dimension: int = 24
    few_units: int = 12
    few_counts: tuple[int, ...] = (10, 20, 40, 80, 120, 160, 200, 222, 240, 300, 500, 1000, 2500)
    few_seeds: int = 3
    few_steps: int = 250
    circuit_features: int = 4
    circuit_layers: tuple[int, ...] = (1, 2, 4, 6)
    circuit_seeds: int = 3
    circuit_samples: int = 1000
    circuit_steps: int = 200

    @classmethod
    def full(cls) -> Self:
        return cls()

    @classmethod
    def quick(cls) -> Self:
        """The same claims on fewer points; nets are trained at d = 100, circuits at d = 3."""
        return cls(
            ratios=(0.1, 0.5, 0.9), seeds=1, train_dimension=100, train_ratios=(0.1, 0.5), few_dimension=12,
            few_units=6, few_counts=(10, 60, 300), few_seeds=2, few_steps=100, circuit_features=3,
            circuit_layers=(1, 2), circuit_seeds=2, circuit_samples=200, circuit_steps=30,
        )  # fmt: skip


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
    few = (s.few_dimension, s.few_units, s.few_counts, s.few_seeds, s.few_steps)
    circuits = (s.circuit_features, s.circuit_layers, s.circuit_seeds, s.circuit_samples, s.circuit_steps)
    return {
        "least squares": partial(least_squares, s.dimension, s.ratios, s.seeds),
        "trained NN": partial(training, s.train_dimension, s.train_ratios, s.train_seeds, s.train_steps),
        "few samples": partial(finite_samples, *few),
        "circuits": partial(equal_counts, *circuits),
    }

"""Closed forms of wide and deep circuits on trial, T1 to T10, and what they say about laziness.

The finding: small drift does not imply a frozen kernel. With depth the drift falls as L^-1/2 while the kernel goes on
moving with the variance of the observable; it freezes with many qubits and local light cones, or at large scale.

    T1 mean kernel           T4 noise plateau        T7 variance law       T10 light cones, to thousands of qubits
    T2 its fluctuation       T5 frozen drift         T8 output scale       three dynamics by target, the edge
    T3 frozen error          T6 kernel on the path   T9 shot bias          rank, Fourier support, Gaussian outputs

Formulas and sources: :mod:`qlazy.theory.scrambled_laws` and :mod:`qlazy.theory.light_cone`. Not reproduced: hardware
noise, other designs than Haar-random gates between Pauli rotations, and the papers' own data sets.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self

from qlazy.studies.experiments import Experiments, StudySettings, carry_out
from qlazy.studies.result import StudyResult
from qlazy.studies.wide_circuits import light_cones, scrambled_layers

if TYPE_CHECKING:
    from qlazy.drawing.style import Figure


@dataclass(frozen=True)
class Ensemble:
    """So many ``circuits`` of one depth."""

    layers: int = 64
    circuits: int = 200


@dataclass(frozen=True)
class Wide:
    """Light-cone circuits in closed form: ``qubits`` at which they are trained, and ``draws`` of their outputs."""

    qubits: tuple[int, ...] = (16, 64, 256, 1024, 4096)
    seeds: int = 12
    steps: int = 300
    draws: int = 20000


@dataclass(frozen=True)
class Settings(StudySettings):
    """Sizes of the experiments. ``qubits`` and ``layers`` are those of scrambled circuits."""

    qubits: int = 4
    ensemble: Ensemble = Ensemble()
    layers: tuple[int, ...] = (32, 64, 128, 256, 512)
    seeds: int = 6
    steps: int = 300
    alphas: tuple[float, ...] = (100, 300, 1000, 3000, 10000)
    noise_steps: int = 4000
    edge_steps: int = 1500
    shots: int = 20000
    targets: tuple[float, ...] = (
        *(-1.5, -1.25, -0.95, -0.8, -0.6, -0.4, -0.2, 0.0),
        *(0.2, 0.4, 0.6, 0.8, 0.95, 1.25, 1.5),
    )
    rank_layers: tuple[int, ...] = (1, 2, 4, 6, 8, 10, 12, 16, 24)
    simulated: tuple[int, ...] = (3, 4, 6, 8, 10, 12)
    wide: Wide = Wide()

    @classmethod
    def quick(cls) -> Self:
        """Under a minute on one core, and the same claims."""
        return cls(
            qubits=3, ensemble=Ensemble(16, 40), layers=(32, 64, 128), seeds=3, steps=80,
            alphas=(100, 1000, 10000), noise_steps=400, edge_steps=250, shots=5000, targets=(-1.5, -0.6, 0.0, 0.6, 1.5),
            rank_layers=(2, 4, 6, 8, 10, 12), simulated=(3, 5, 8),
            wide=Wide((64, 256, 1024), seeds=3, steps=150, draws=2000),
        )  # fmt: skip


def run(settings: Settings, out: str | os.PathLike[str] | None = None, progress: bool = True) -> StudyResult:
    """Every experiment in turn; table, arrays and figures go to the folder ``out``, if given."""
    return carry_out("wide_circuits", settings, _experiments(settings), figures, out=out, progress=progress)


def figures(result: StudyResult) -> Mapping[str, Figure]:
    """Depth, width and target, in a figure each, and the rest in one."""
    from qlazy.studies.wide_circuits.figures import wide_circuits_figures

    return wide_circuits_figures(result.arrays)


def _experiments(s: Settings) -> Experiments:
    deep, deepest = s.layers[len(s.layers) // 2], s.layers[-1]
    return {
        "mean kernel": partial(scrambled_layers.mean_kernel_and_fluctuation, s.qubits, **vars(s.ensemble)),
        "frozen error": partial(scrambled_layers.frozen_error, s.qubits, s.ensemble.layers, 1e3),
        "noise": partial(scrambled_layers.noise_plateau, s.qubits, s.layers[0], s.noise_steps),
        "depth": partial(scrambled_layers.depth, s.qubits, s.layers, s.seeds, s.steps),
        "scale": partial(scrambled_layers.scale, s.qubits, deep, s.alphas, s.steps),
        "shots": partial(scrambled_layers.shots, s.qubits, s.layers[0], s.shots),
        "dynamics": partial(scrambled_layers.dynamics, s.qubits, deepest, s.targets, s.steps),
        "edge": partial(scrambled_layers.edge, s.qubits, deepest, s.edge_steps),
        "rank": partial(scrambled_layers.rank, 2, s.rank_layers, 12),
        "Fourier": partial(scrambled_layers.fourier, 3),
        "light cones": partial(light_cones.simulation, s.simulated),
        "width": partial(light_cones.width, s.wide.qubits, s.wide.seeds, s.wide.steps),
        "Gaussian outputs": partial(light_cones.gaussian, s.wide.qubits, s.wide.draws),
    }  # fmt: skip

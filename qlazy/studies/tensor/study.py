"""How many components does a decomposition need, lazily and not? Wang, Wu, Lee, Ma, Ge on trial.

The paper (NeurIPS 2020, arXiv 2010.11356): to reach a symmetric tensor of order l and rank r in R^d, a model in the
lazy regime needs about C(d + l - 1, l) / d components, whatever r is; a modified gradient descent needs a number that
depends on r, and on d only through log d. The experiments:

    error against m      lazy (exact), the modified descent, plain descent, power iteration, tensorly's two
    redraw               what becomes of it without redrawing the components that stay small; and with m < r
    needed m             against d, l and r, beside the closed form of Alexander and Hirschowitz for the lazy one
    circuits             the same with components that are states of a small circuit
    features             whether the target lies in the tangent space, before training and after it

Targets are r equal terms +v_j^{(x) l} in random directions, of norm 1; those with random signs are reported beside
them. c_i is brought up to date at every step: held for an epoch the descent diverges. Not reproduced: the paper's
proofs and its rate O*(r^{2.5 l} log d), which is an upper bound far above what is needed here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self

from qlazy.studies.experiments import Experiments, StudySettings, carry_out
from qlazy.studies.result import StudyResult
from qlazy.studies.tensor import decompositions
from qlazy.studies.tensor.decompositions import TargetSize

if TYPE_CHECKING:
    from qlazy.drawing.style import Figure


@dataclass(frozen=True)
class Curve:
    """Errors at one size (d, l, r) against numbers of components, of baselines up to ``limit`` of them."""

    problem: tuple[int, int, int] = (16, 3, 2)
    components: tuple[int, ...] = (2, 4, 8, 16, 32, 48, 64)
    seeds: int = 16
    limit: int = 16


@dataclass(frozen=True)
class Ablation:
    """With the redraw and without, at one size (d, l, r)."""

    problem: tuple[int, int, int] = (10, 4, 3)
    components: tuple[int, ...] = (2, 3, 4, 8, 16)
    seeds: int = 64


@dataclass(frozen=True)
class Needed:
    """The needed m: ``sizes`` are (d, l) at rank 2, ``ranks`` those at (10, 3)."""

    sizes: tuple[tuple[int, int], ...] = (
        *((4, 3), (5, 3), (6, 3), (8, 3), (10, 3), (12, 3), (16, 3)),
        *((3, 4), (4, 4), (5, 4), (6, 4), (8, 4), (10, 4)),
    )
    ranks: tuple[int, ...] = (1, 2, 3, 4, 6, 8)
    seeds: int = 16


@dataclass(frozen=True)
class CircuitStates:
    """Components that are states of a circuit."""

    components: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 48)
    seeds: int = 8


@dataclass(frozen=True)
class Settings(StudySettings):
    """Sizes of each experiment."""

    curve: Curve = Curve()
    ablation: Ablation = Ablation()
    needed: Needed = Needed()
    circuits: CircuitStates = CircuitStates()

    @classmethod
    def quick(cls) -> Self:
        return cls(
            Curve(components=(4, 8, 32, 64), seeds=3, limit=4),
            Ablation(components=(2, 3), seeds=16),
            Needed(sizes=((4, 3), (5, 3), (8, 3), (5, 4)), ranks=(1, 3), seeds=4),
            CircuitStates(components=(4, 48), seeds=2),
        )


def run(settings: Settings, out: str | os.PathLike[str] | None = None, progress: bool = True) -> StudyResult:
    """Every experiment in turn; table, arrays and figures go to the folder ``out``, if given."""
    conventions = {"loss": "1/2 ||T - T*||_F^2 + penalty sum_i ||u_i||^2; errors are ||T - T*||_F / ||T*||_F"}
    return carry_out(
        "tensor",
        settings,
        _experiments(settings),
        figures,
        out=out,
        progress=progress,
        conventions=conventions,
    )


def figures(result: StudyResult) -> Mapping[str, Figure]:
    """Error against m, the needed m, and the redraw with the circuits."""
    from qlazy.studies.tensor.figures import tensor_figures

    return tensor_figures(result.arrays, result.settings.curve.problem)


def _experiments(s: Settings) -> Experiments:
    curve, ablation = (vars(part) | {"problem": TargetSize(*part.problem)} for part in (s.curve, s.ablation))
    return {
        "error against m": partial(decompositions.error_curves, **curve),
        "redraw": partial(decompositions.redraw_ablation, **ablation),
        "needed m": partial(decompositions.needed_components, s.needed.sizes, s.needed.seeds),
        "rank": partial(decompositions.needed_by_rank, 10, 3, s.needed.ranks, s.needed.seeds),
        "circuits": partial(decompositions.circuits, **vars(s.circuits)),
        "features": partial(decompositions.features, curve["problem"], 4, s.curve.seeds),
    }

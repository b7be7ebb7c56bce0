"""An atlas: families of circuits, and nets, on data sets that people argue with.

For each, with intervals over seeds: how far its kernel moves and its outputs leave the linearised model at a = 1, and
the scale from which it is lazy; whether training it, its rate tuned, beats kernel regression with its own initial
kernel, its ridge chosen by leaving one out; and whether it beats its unentangled twin and the best of five classical
models, all tuned alike. Data sets: Bowles, Ahmed, Schuld 2024 (arXiv 2403.07059), which compares circuits with
classical models and asks nothing of laziness. Not reproduced: their models and sizes, noise, shots. All circuits have
four qubits: what is said is said of that size. The best classical model is chosen by test accuracy, which favours it by
the chance of five.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self

from qlazy.studies.atlas.cells import Data, on_data
from qlazy.studies.atlas.counts import counts
from qlazy.studies.atlas.page import write_page
from qlazy.studies.experiments import Experiments, StudySettings, carry_out
from qlazy.studies.result import StudyResult

if TYPE_CHECKING:
    from qlazy.drawing.style import Figure

FAMILIES = (
    "brickwork", "convolutional", "data_reuploading", "hardware_efficient", "iqp_feature_map", "light_cone",
    "matrix_product_state", "simplified_two_design", "strongly_entangling", "tree_tensor_network",
)  # fmt: skip
NETS = ("mlp:4", "mlp:16", "mlp:64")
DATA = (
    Data("linearly_separable", (("dimension", 4),)),
    Data("hyperplanes", (("dimension", 4),)),
    Data("two_curves", (("dimension", 4),)),
    Data("hidden_manifold", (("dimension", 4), ("manifold", 4))),
    Data("bars_and_stripes", (("height", 2), ("width", 2))),
    Data("digits"),
    Data("breast_cancer"),
)


@dataclass(frozen=True)
class Settings(StudySettings):
    """Models by spec, data sets, scales ``alphas``, and how many seeds, steps, and candidates in tuning."""

    models: tuple[str, ...] = (*FAMILIES, *NETS)
    data: tuple[Data, ...] = DATA
    alphas: tuple[float, ...] = (1, 3, 10, 30, 100, 300)
    seeds: int = 10
    steps: int = 200
    candidates: int = 8

    @classmethod
    def quick(cls) -> Self:
        """Half a minute on one core."""
        small = tuple(Data(one.name, one.options, train=30, test=60) for one in (DATA[2], DATA[5]))
        return cls(("hardware_efficient", "tree_tensor_network", "mlp:4"), small, (1, 30), 3, 30, 3)


def run(settings: Settings, out: str | os.PathLike[str] | None = None, progress: bool = True) -> StudyResult:
    """Every data set in turn; table, arrays, figures, report and a sortable ``atlas.html`` go to ``out``, if given."""
    result = carry_out(
        "atlas", settings, _experiments(settings), figures, summary=counts, out=out, progress=progress
    )
    if out is not None:
        write_page(result.tables[-len(settings.data) :], out)
    return result


def figures(result: StudyResult) -> Mapping[str, Figure]:
    """Kernel changes and what training buys, models by data sets."""
    from qlazy.studies.atlas.figures import atlas_figures

    return atlas_figures(result.arrays)


def _experiments(s: Settings) -> Experiments:
    return {
        data.name: partial(on_data, data, s.models, s.alphas, s.seeds, s.steps, s.candidates)
        for data in s.data
    }

"""The questions by name, and how each is asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, final

from qlazy.base.errors import UnsupportedModelError
from qlazy.base.tables import Table
from qlazy.checking.lazy import LazyPanel
from qlazy.checking.panel import Panel
from qlazy.comparison.baselines.result import Surrogates, called, does
from qlazy.comparison.baselines.surrogates import surrogates
from qlazy.comparison.compare import compare
from qlazy.data.datasets import Dataset
from qlazy.models.model import Model
from qlazy.theory.trainability.panel import trainability
from qlazy.theory.trainability.result import Trainability
from qlazy.training.features.measure import has_score
from qlazy.training.losses import Loss
from qlazy.training.methods import Method

if TYPE_CHECKING:
    from qlazy.drawing.style import Figure


@final
@dataclass(frozen=True, eq=False)
class Question:
    """What is asked of whom: settings that the panels share."""

    name: str
    model: Model
    data: Dataset
    alphas: tuple[float, ...]
    seeds: tuple[int, ...]
    loss: Loss
    method: Method
    steps: int
    centered: bool
    small: float
    out: Path | None
    key: str | None
    workers: int | None
    progress: bool


class Asked(NamedTuple):
    """How a question is asked, and what is made of its answer.

    ``ask`` gives a text where there is no answer, ``words`` the answer in a few, ``claim`` in a sentence or two with
    what it rests on, ``short`` the tables that one reads first, ``figures`` those of a page by name.
    """

    ask: Callable[[Question], Panel | str]
    load: Callable[[str | os.PathLike[str]], Any]
    words: Callable[[Any], str]
    claim: Callable[[Any], str]
    short: Callable[[Any], tuple[Table, ...]]
    tables: Callable[[Any], tuple[Table, ...]]
    figures: Callable[[Any], Mapping[str, Figure]]


def ask_lazy(question: Question) -> Panel:
    """Train at every scale from every seed, beside the tangent models."""
    kept = None if question.out is None else question.out / "lazy"
    comparison = compare(
        {question.name: question.model},
        question.data,
        alphas=question.alphas,
        seeds=question.seeds,
        loss=question.loss,
        method=question.method,
        steps=question.steps,
        centered=question.centered,
        features=has_score(question.data),
        out=kept,
        key=question.key,
        workers=question.workers,
        progress=question.progress,
    )
    return LazyPanel(comparison, question.small, kept)


def ask_flat(question: Question) -> Panel | str:
    """Measure gradients and kernels over random angles, at the sizes of a family where it has them."""
    from qlazy.quantum.circuit import Circuit

    if not isinstance(question.model, Circuit):
        return "Whether its gradients vanish with size is asked of circuits alone."
    try:
        return trainability(question.model, question.data, progress=question.progress)
    except UnsupportedModelError as error:
        return f"Whether its gradients vanish with size cannot be asked: {error}."


FLAT = {
    "flat": "flat: its gradients vanish exponentially with size",
    "not flat": "not flat",
    "one size": "whether its gradients vanish cannot be told from one size",
    "undecided": "whether its gradients vanish with size is undecided",
}


def ask_classical(question: Question) -> Panel:
    """Set models without quantum parts beside it, and its unentangled twin."""
    return surrogates(
        question.model,
        question.data,
        seeds=question.seeds,
        loss=question.loss,
        steps=question.steps,
        progress=question.progress,
    )


def classical_words(panel: Surrogates) -> str:
    """Who does as well."""
    if panel.decision == "classical":
        return f"classical, as {_listed(panel.matching)} as well or better"
    if panel.decision == "not classical":
        return "no classical model that was tried does as well"
    return "whether a classical model does as well is undecided"


_WHO_DOES_AS_WELL = (0, 3, 4, 5, 6)
"""The columns of a table of surrogates that one reads first: not how they were tuned, and how long it took."""


def _first_sentence(panel: Panel) -> str:
    return panel.sentences()[0]


def _listed(names: Sequence[str]) -> str:
    first = called(names[0])
    if len(names) == 1:
        return f"{first} {does(names[0])}"
    others = "another model" if len(names) == 2 else f"{len(names) - 1} others"
    return f"{first} and {others} do"


PANELS: Mapping[str, Asked] = {
    "lazy": Asked(
        ask_lazy,
        LazyPanel.load,
        lambda panel: panel.words,
        lambda panel: " ".join(panel.verdict.answer()),
        lambda panel: (panel.summary(),),
        LazyPanel.tables,
        LazyPanel.figures,
    ),
    "flat": Asked(
        ask_flat,
        Trainability.load,
        lambda panel: FLAT[panel.decision],
        _first_sentence,
        lambda panel: (),
        Trainability.tables,
        lambda panel: {"flat": panel.plot()},
    ),
    "classical": Asked(
        ask_classical,
        Surrogates.load,
        classical_words,
        _first_sentence,
        lambda panel: (panel.as_table().narrowed(*_WHO_DOES_AS_WELL),),
        lambda panel: (panel.as_table(),),
        lambda panel: {"classical": panel.plot()},
    ),
}
"""The questions in the order of a verdict."""


def facts_of(question: Question) -> dict[str, Any]:
    """What was asked, for the page."""
    return {
        "data": question.data.description,
        "model": repr(question.model),
        "parameters": question.model.num_params,
        "scales a": ", ".join(repr(float(alpha)).removesuffix(".0") for alpha in question.alphas),
        "seeds": ", ".join(map(str, question.seeds)),
        "method": repr(question.method),
        "loss": question.loss.convention,
        "steps": question.steps,
        "centered": question.centered,
        "threshold": question.small,
    }

"""One cell of the atlas: a model on a data set, trained at several scales, and set beside its rivals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from qlazy.base.over_seeds import Interval, half_interval
from qlazy.base.tables import Table
from qlazy.comparison.baselines.result import FOURIER, TWIN, Surrogates
from qlazy.comparison.baselines.surrogates import surrogates
from qlazy.comparison.compare import compare
from qlazy.comparison.run import Run
from qlazy.comparison.specs import NET, build_models
from qlazy.comparison.verdict import LazyVerdict
from qlazy.data.datasets import Dataset, class_index, load_data
from qlazy.studies.experiments import Outcome

if TYPE_CHECKING:
    from qlazy.comparison.result import Comparison

CLASSICAL = ("logistic regression", "RBF support vectors", "multilayer perceptron", "infinite net", FOURIER)
"""Models without quantum parts, of which the best by test accuracy stands in the table."""

HEAD = (
    "model", "parameters", "kernel change at a = 1", "output gap", "at a = 1", "lazy from a", "test accuracy",
    "less kernel regression", "training", "less its twin", "less the best classical", "which",
)  # fmt: skip


@dataclass(frozen=True)
class Data:
    """A data set by name, with options of its own as pairs; two classes."""

    name: str
    options: tuple[tuple[str, int], ...] = ()
    features: int = 4
    train: int = 100
    test: int = 200

    def load(self) -> Dataset:
        options: dict[str, Any] = dict(self.options)
        return load_data(self.name, features=self.features, train=self.train, test=self.test, **options)


class Cell(NamedTuple):
    """What was found of a model: changes at a = 1, accuracies, and differences with their 95 % intervals."""

    model: str
    parameters: int
    verdict: LazyVerdict
    rivals: Surrogates
    less_kernel: Interval
    less_twin: Interval | None
    less_classical: Interval
    classical: str

    @property
    def training(self) -> str:
        """Whether the trained model beats kernel regression with its initial kernel."""
        return standing(self.less_kernel)

    def row(self) -> tuple[str, ...]:
        changes = (self.verdict.intervals[name][0] for name in ("kernel", "outputs"))
        lazy_from = [self.verdict.lazy_from[name] for name in ("kernel", "outputs")]
        least = None if None in lazy_from else max(float(a) for a in lazy_from if a is not None)
        return (
            self.model, str(self.parameters), *map(_percents, changes), self.verdict.decision,
            "none" if least is None else f"{least:g}", f"{self.rivals.scores[self.rivals.model]:.3f}",
            _points(self.less_kernel), self.training, "-" if self.less_twin is None else _points(self.less_twin),
            _points(self.less_classical), self.classical,
        )  # fmt: skip


def on_data(
    data: Data, models: Sequence[str], alphas: Sequence[float], seeds: int, steps: int, candidates: int
) -> Outcome:
    """Every model on one data set: trained at scales ``alphas`` beside its linearisation, and beside its rivals."""
    dataset = data.load()
    built = build_models(models, dataset)
    comparison = compare(built, dataset, alphas=alphas, seeds=range(seeds), steps=steps, progress=False)
    cells = [
        _cell(comparison, name, index, dataset, surrogates(
            model, dataset, seeds=seeds, steps=steps, candidates=candidates, progress=False
        ))
        for index, (name, model) in enumerate(built.items())
    ]  # fmt: skip
    table = Table(f"{data.name}: {dataset.description}", HEAD, tuple(cell.row() for cell in cells))
    return Outcome([], _arrays(data.name, cells), (table,))


def _cell(comparison: Comparison, name: str, index: int, data: Dataset, rivals: Surrogates) -> Cell:
    names = [rival.name for rival in rivals.rivals]
    own = rivals.answers[0]
    best = max((one for one in CLASSICAL if one in names), key=lambda one: rivals.scores[one])
    twin = rivals.answers[names.index(TWIN)] if TWIN in names else None
    return Cell(
        name,
        comparison.settings["params"][name],
        comparison.verdict()[index],
        rivals,
        difference(own - kernel_answers(comparison.select(name, comparison.alphas[0]), data)),
        None if twin is None else difference(own - twin),
        difference(own - rivals.answers[names.index(best)]),
        best,
    )


def kernel_answers(runs: Sequence[Run], data: Dataset) -> NDArray[np.float64]:
    """Of kernel regression with each seed's initial kernel: 1 where a test sample's class is right, (s, m)."""
    right = class_index(data.y_test)
    found = [class_index(torch.from_numpy(run.regression_test_outputs)) == right for run in runs]
    return torch.stack(found).double().numpy()


def difference(answers: NDArray[np.float64]) -> Interval:
    """The mean of differences (s, m) with its 95 % interval over seeds and test samples."""
    mean, half = float(answers.mean()), half_interval(answers)
    return Interval(mean, mean - half, mean + half)


def standing(found: Interval) -> str:
    """What a difference says of training: it pays, costs, or neither for certain."""
    if found.low > 0:
        return "pays"
    return "costs" if found.high < 0 else "undecided"


COLUMNS: Mapping[str, Callable[[Cell], Any]] = {
    "kernel change": lambda cell: cell.verdict.intervals["kernel"][0],
    "output gap": lambda cell: cell.verdict.intervals["outputs"][0],
    "accuracy": lambda cell: cell.rivals.scores[cell.rivals.model],
    "less kernel": lambda cell: cell.less_kernel,
    "less twin": lambda cell: cell.less_twin or Interval(np.nan, np.nan, np.nan),
    "less classical": lambda cell: cell.less_classical,
    "lazy": lambda cell: cell.verdict.decision,
    "model": lambda cell: cell.model,
    "is net": lambda cell: cell.model.startswith(NET),
}
"""The arrays of a data set, a row a model; intervals are (mean, low, high)."""


def _arrays(name: str, cells: Sequence[Cell]) -> dict[str, NDArray[Any]]:
    return {f"{name}: {column}": np.array([of(cell) for cell in cells]) for column, of in COLUMNS.items()}


def _percents(found: Interval) -> str:
    return f"{100 * found.mean:.3g} % [{100 * found.low:.3g}, {100 * found.high:.3g}]"


def _points(found: Interval) -> str:
    return f"{100 * found.mean:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"

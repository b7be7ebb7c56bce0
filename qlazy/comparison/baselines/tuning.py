"""One rule of tuning for all: the same folds of the training samples, and as many candidates for each model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qlazy.base.errors import require
from qlazy.data.datasets import Dataset, class_index
from qlazy.training.losses import sample_accuracies

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

GOLDEN = (5**0.5 - 1) / 2


class Fold(NamedTuple):
    """Training samples to fit on, and those to be scored on."""

    fit: Indices
    held: Indices


class Split(NamedTuple):
    """One data set, the seeds that models start from on it, and the folds of its training samples."""

    data: Dataset
    seeds: tuple[int, ...]
    folds: tuple[Fold, ...]

    @property
    def fold_seeds(self) -> tuple[int, ...]:
        """The seed from which each fold is tried: one after another, so that no single start decides."""
        return tuple(self.seeds[place % len(self.seeds)] for place in range(len(self.folds)))

    def parts(self) -> list[Dataset]:
        """A data set of each fold, its held part for a test."""
        return [part_of(self.data, fold.fit, fold.held) for fold in self.folds]


class Entry(NamedTuple):
    """What a model gave on the test samples of a split, and what was tuned for it."""

    outputs: Tensor  # (s, m, c)
    chosen: str
    candidates: int
    parameters: int
    diverged: int = 0
    loss_left: float | None = (
        None  # of the training loss at the start, mean over seeds; None where nothing is trained
    )


def split_of(data: Dataset, seeds: Sequence[int], folds: int) -> Split:
    """At most so many folds, no more than samples of the rarest class, shuffled from seed 0 and stratified by class.

    Raises ValueError for a class of fewer than two samples.
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    x, y = np.zeros((len(data.x_train), 1)), class_index(data.y_train).numpy()
    rarest = int(np.bincount(y, minlength=len(data.classes)).min()) if data.classes else len(x)
    require(
        rarest >= 2,
        "data",
        "have two training samples or more, of each class if there are any",
        f"one of {rarest}",
    )
    kind = StratifiedKFold if data.classes else KFold
    found = kind(min(folds, rarest), shuffle=True, random_state=0).split(x, y)
    return Split(data, tuple(seeds), tuple(Fold(fit, held) for fit, held in found))


def part_of(data: Dataset, fit: Indices, held: Indices) -> Dataset:
    """Some training samples as a data set of their own, tested on others of them."""
    x, y = data.x_train, data.y_train
    return replace(data, x_train=x[fit], y_train=y[fit], x_test=x[held], y_test=y[held])


def answers(outputs: Tensor, data: Dataset) -> Floats:
    """What each test sample counts for outputs (m, c): 1 where its class is right, its share of a tie, 0 where wrong.

    Of real targets 1 - |f - y|^2 / v, v the mean square of the targets about their mean, so that the mean over samples
    is the share of the variance that is explained.
    """
    targets = data.y_test.double()
    if data.classes:
        return np.asarray(sample_accuracies(outputs.double(), targets).numpy())
    unit = float((targets - targets.mean(0)).square().sum(1).mean())
    require(unit > 0, "data", "have test targets that differ", "all alike")
    return np.asarray((1 - (outputs.double() - targets).square().sum(1) / unit).numpy())


def best(scores: Floats) -> int:
    """The candidate with the best mean of scores (folds, candidates); the first of equals."""
    means = np.nan_to_num(scores, nan=-np.inf, posinf=-np.inf).mean(0)
    return int(np.argmax(means))


def tuned(settings: Sequence[Any], score: Callable[[Any, Fold, int], float], split: Split) -> Any:
    """The setting that scores best over the folds, each from its own seed; one that stands alone is taken as it is."""
    if len(settings) == 1:
        return settings[0]
    folds = zip(split.folds, split.fold_seeds, strict=True)
    return settings[best(np.array([[score(one, fold, seed) for one in settings] for fold, seed in folds]))]


def spread(count: int, *ranges: tuple[float, float]) -> list[tuple[float, ...]]:
    """So many points over ranges of exponents of 10: even in the first, a golden-ratio lattice in a second."""
    if count == 1:
        return [tuple(10 ** ((low + high) / 2) for low, high in ranges)]
    first = np.linspace(0, 1, count)
    columns = [first, (np.arange(count) + 0.5) * GOLDEN % 1]
    return [
        tuple(
            float(10 ** (low + u[i] * (high - low))) for u, (low, high) in zip(columns, ranges, strict=False)
        )
        for i in range(count)
    ]


def as_targets(labels: NDArray[Any], like: Tensor) -> Tensor:
    """Classes (m,) as outputs (m, c): signs in one column, one-hot in several."""
    indices = torch.from_numpy(np.asarray(labels).astype(np.int64))
    if like.shape[1] == 1:
        return (2.0 * indices.double() - 1).unsqueeze(1)
    return torch.nn.functional.one_hot(indices, like.shape[1]).double()

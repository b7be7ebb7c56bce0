"""Models without quantum parts in training: scikit-learn's, and regression with kernels that stay as they are."""

from __future__ import annotations

import abc
import warnings
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qlazy.comparison.baselines.tuning import (
    Entry,
    Floats,
    Fold,
    Indices,
    Split,
    answers,
    as_targets,
    part_of,
    spread,
    tuned,
)
from qlazy.data.datasets import Dataset, class_index

Setting = tuple[float, ...]


class Learner(abc.ABC):
    """A model that is fitted on some training samples, by rows of one pool: training, then test samples."""

    names: ClassVar[tuple[str, ...]]
    """What a setting is made of."""

    @abc.abstractmethod
    def settings(self, count: int) -> list[Setting]:
        """So many candidates, the smoothest model first."""

    @abc.abstractmethod
    def predict(self, setting: Setting, fit: Indices, at: Indices, seed: int) -> Tensor:
        """Outputs (m, c) at rows ``at`` of the pool, fitted on rows ``fit``."""

    @abc.abstractmethod
    def parameters(self, setting: Setting) -> int:
        """How many numbers are fitted: weights, or coefficients of training samples."""


SMALL = 1000
"""Fewer training samples are fitted on one thread."""

Make = Callable[[Dataset, int], Learner]


@final
class Tuned:
    """A learner entered in a comparison: tuned on each split at its first seed, and fitted from every seed."""

    def __init__(self, name: str, make: Make, count: int, by_seed: bool) -> None:
        self.name, self._make, self._count, self._by_seed = name, make, count, by_seed

    def enter(self, split: Split) -> Entry:
        from threadpoolctl import threadpool_limits  # comes with scikit-learn

        # Threads of linear algebra wait for each other longer than small matrices take.
        with threadpool_limits(1 if len(split.data.x_train) < SMALL else None):
            return self._entered(split)

    def _entered(self, split: Split) -> Entry:
        data, seeds = split.data, split.seeds
        learners = {seed: self._make(data, seed) for seed in (seeds if self._by_seed else seeds[:1])}
        learner = learners[seeds[0]]
        settings = learner.settings(self._count)

        def score(setting: Setting, fold: Fold, seed: int) -> float:
            outputs = learners.get(seed, learner).predict(setting, fold.fit, fold.held, seed)
            return float(answers(outputs, part_of(data, fold.fit, fold.held)).mean())

        setting = tuned(settings, score, split)
        outputs = [self._fitted(own, data, setting, seed) for seed, own in learners.items()]
        chosen = ", ".join(
            f"{name} = {value:.3g}" for name, value in zip(learner.names, setting, strict=True)
        )
        every = torch.stack(outputs).expand(len(seeds), -1, -1)
        return Entry(every, chosen, len(settings), learner.parameters(setting))

    @staticmethod
    def _fitted(learner: Learner, data: Dataset, setting: Setting, seed: int) -> Tensor:
        count = len(data.x_train)
        return learner.predict(setting, np.arange(count), count + np.arange(len(data.x_test)), seed)


@final
class KernelRidge(Learner):
    """Kernel ridge regression on the targets, of classes as well: 1 or -1, or one column a class.

    ``kernel`` (n + m, n) is that of all samples with the training samples, n of the n + m.
    """

    names = ("ridge",)

    def __init__(self, kernel: Tensor, data: Dataset) -> None:
        self._kernel, self._targets = kernel.double(), data.y_train.double()

    def settings(self, count: int) -> list[Setting]:
        return spread(count, (1, -6))

    def predict(self, setting: Setting, fit: Indices, at: Indices, seed: int) -> Tensor:
        own, rows = self._kernel[fit][:, fit], torch.eye(len(fit), dtype=torch.float64)
        shifted = own + setting[0] * own.diagonal().mean() * rows
        return self._kernel[at][:, fit] @ torch.linalg.solve(shifted, self._targets[fit])

    def parameters(self, setting: Setting) -> int:
        return self._targets.numel()


class _Sklearn(Learner):
    """An estimator of scikit-learn on standardised inputs, or on rows of a kernel."""

    def __init__(self, data: Dataset) -> None:
        self._x, self._data = pooled(data), data
        self._labels = class_index(data.y_train).numpy() if data.classes else None
        self._targets = data.y_train.double().numpy()

    def predict(self, setting: Setting, fit: Indices, at: Indices, seed: int) -> Tensor:
        rows, places = self._inputs(fit, fit), self._inputs(at, fit)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a fit stopped at its most steps, which the scores tell of
            if self._labels is not None:
                estimator = self._classifier(setting, seed).fit(rows, self._labels[fit])
                return as_targets(estimator.predict(places), self._data.y_train)
            return torch.from_numpy(self._regressed(setting, seed, rows, self._targets[fit], places))

    def _inputs(self, at: Indices, fit: Indices) -> Floats:
        return self._x[at]

    def _regressed(self, setting: Setting, seed: int, x: Floats, y: Floats, places: Floats) -> Floats:
        """A fit of its own for every target."""
        columns = [self._regressor(setting, seed).fit(x, column).predict(places) for column in y.T]
        return np.stack(columns, 1)

    @abc.abstractmethod
    def _classifier(self, setting: Setting, seed: int) -> Any:
        """The estimator of classes."""

    @abc.abstractmethod
    def _regressor(self, setting: Setting, seed: int) -> Any:
        """The estimator of one real target."""

    def parameters(self, setting: Setting) -> int:
        return self._targets.size


@final
class Linear(_Sklearn):
    """Logistic regression, or ridge regression of real targets."""

    names = ("C",)

    def settings(self, count: int) -> list[Setting]:
        return spread(count, (-3, 3))

    def _classifier(self, setting: Setting, seed: int) -> Any:
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(C=setting[0], max_iter=500)

    def _regressor(self, setting: Setting, seed: int) -> Any:
        from sklearn.linear_model import Ridge

        return Ridge(alpha=1 / setting[0])

    def parameters(self, setting: Setting) -> int:
        return (self._x.shape[1] + 1) * self._targets.shape[1]


@final
class RadialSupport(_Sklearn):
    """A support vector machine with the kernel exp(-gamma |x - x'|^2)."""

    names = ("gamma", "C")

    def settings(self, count: int) -> list[Setting]:
        features = np.log10(self._x.shape[1])
        return spread(count, (-1.5 - features, 1 - features), (-1, 3))

    def _classifier(self, setting: Setting, seed: int) -> Any:
        from sklearn.svm import SVC

        return SVC(gamma=setting[0], C=setting[1])

    def _regressor(self, setting: Setting, seed: int) -> Any:
        from sklearn.svm import SVR

        return SVR(gamma=setting[0], C=setting[1])


@final
class KernelSupport(_Sklearn):
    """A support vector machine with a kernel (n + m, n) of all samples with the training samples; classes alone."""

    names = ("C",)

    def __init__(self, kernel: Tensor, data: Dataset) -> None:
        super().__init__(data)
        self._kernel = kernel.double().numpy()

    def _inputs(self, at: Indices, fit: Indices) -> Floats:
        return np.ascontiguousarray(self._kernel[at][:, fit])

    def settings(self, count: int) -> list[Setting]:
        return spread(count, (-2, 4))

    def _classifier(self, setting: Setting, seed: int) -> Any:
        from sklearn.svm import SVC

        return SVC(C=setting[0], kernel="precomputed")

    def _regressor(self, setting: Setting, seed: int) -> Any:
        from sklearn.svm import SVR

        return SVR(C=setting[0], kernel="precomputed")


WIDTHS = (0.6, 1.8)
"""Exponents of 10: from 4 hidden units to 63."""


@final
class Perceptron(_Sklearn):
    """A net with one hidden layer of ReLU units, trained by L-BFGS with weight decay, from random weights."""

    names = ("decay", "units")

    def settings(self, count: int) -> list[Setting]:
        return [(decay, float(round(units))) for decay, units in spread(count, (1, -4), WIDTHS)]

    def _options(self, setting: Setting, seed: int) -> dict[str, Any]:
        return {
            "alpha": setting[0], "hidden_layer_sizes": (int(setting[1]),), "solver": "lbfgs", "max_iter": 200,
            "random_state": seed % 2**32,
        }  # fmt: skip

    def _classifier(self, setting: Setting, seed: int) -> Any:
        from sklearn.neural_network import MLPClassifier

        return MLPClassifier(**self._options(setting, seed))

    def _regressor(self, setting: Setting, seed: int) -> Any:
        from sklearn.neural_network import MLPRegressor

        return MLPRegressor(**self._options(setting, seed))

    def _regressed(self, setting: Setting, seed: int, x: Floats, y: Floats, places: Floats) -> Floats:
        found = self._regressor(setting, seed).fit(x, y[:, 0] if y.shape[1] == 1 else y).predict(places)
        return np.asarray(found, dtype=np.float64).reshape(len(places), -1)

    def parameters(self, setting: Setting) -> int:
        inputs, outputs = self._x.shape[1], self._targets.shape[1]
        return int((inputs + 1) * setting[1] + (setting[1] + 1) * outputs)


def pooled(data: Dataset) -> NDArray[np.float64]:
    """Inputs (n + m, d), training samples first, brought to mean 0 and deviation 1 over those."""
    train, test = (x.double().flatten(1).numpy() for x in (data.x_train, data.x_test))
    size = train.std(0)
    return np.asarray((np.concatenate([train, test]) - train.mean(0)) / np.where(size > 0, size, 1))


def samples(data: Dataset) -> Tensor:
    """Inputs (n + m, ...) as they are, training samples first."""
    return torch.cat([data.x_train, data.x_test])


def classical(count: int, classes: bool) -> Sequence[Tuned]:
    """The models that take any data, of classes or of real targets."""
    return (
        Tuned(
            "logistic regression" if classes else "ridge regression",
            lambda data, seed: Linear(data),
            count,
            by_seed=False,
        ),
        Tuned("RBF support vectors", lambda data, seed: RadialSupport(data), count, by_seed=False),
        Tuned("multilayer perceptron", lambda data, seed: Perceptron(data), count, by_seed=True),
        Tuned("infinite net", _infinite, count, by_seed=False),
    )


def _infinite(data: Dataset, seed: int) -> Learner:
    from qlazy.kernels.infinite_nets import infinite_kernels

    x = torch.from_numpy(pooled(data))
    return KernelRidge(infinite_kernels(x, x[: len(data.x_train)], bias_scale=0.3).tangent, data)

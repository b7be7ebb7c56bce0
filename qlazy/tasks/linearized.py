"""The linearised model as estimators of scikit-learn: kernel ridge regression with the tangent kernel.

LinearizedClassifier("mlp:16").fit(X, y).predict(X)
GridSearchCV(LinearizedRegressor(circuit, centered=False), {"ridge": [0.01, 0.1], "scale": [1, 10]})
"""

from __future__ import annotations

import abc
import math
from typing import Any, NamedTuple, Self, final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from qlazy.base.errors import number_of, positive_of, refuse, require, require_flag
from qlazy.data.arrays import for_scikit_learn, real_array
from qlazy.kernels.operator import tangent_kernel
from qlazy.kernels.prediction import leave_one_out_ridge
from qlazy.kernels.spectrum import ridge_solve
from qlazy.models.wrappers import Scaled
from qlazy.tasks.making import Makes, made_or_named_model, start_of

LEAVE_ONE_OUT = "leave-one-out"

Floats = NDArray[np.float64]


class _Samples(NamedTuple):
    """Inputs (n, d) no two of which are equal, their targets (n, k), and how much each counts (n,)."""

    inputs: Floats
    targets: Floats
    weights: Floats

    @classmethod
    def distinct(cls, inputs: Floats, targets: Floats, weights: Floats) -> Self:
        """Rows of equal inputs as one of all of their weight and of their mean target: the fit is the same."""
        _, first, group = np.unique(inputs, axis=0, return_index=True, return_inverse=True)
        sums = np.zeros((len(first), 1 + targets.shape[1]))
        np.add.at(sums, group.reshape(-1), weights[:, None] * np.c_[np.ones(len(targets)), targets])
        order = np.argsort(first)
        return cls(inputs[first[order]], sums[order, 1:] / sums[order, :1], sums[order, 0])


class _LinearizedEstimator(BaseEstimator, abc.ABC):
    """f(x) = f0(x) + K(x, X) (K(X, X) + ridge I)^-1 (y - f0(X)) with the kernel K of a h at its initialisation."""

    def __init__(
        self,
        model: Makes = "mlp:16",
        *,
        ridge: float | str = LEAVE_ONE_OUT,
        scale: float = 1.0,
        centered: bool = True,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.model = model
        self.ridge = ridge
        self.scale = scale
        self.centered = centered
        self.random_state = random_state

    def _fit(self, inputs: Floats, targets: Floats, weights: Floats) -> Self:
        """Settle model and parameters, and solve for the coefficients of targets (n, k).

        Weights s (n,) of the square errors make it (S K S + ridge I)^-1 S y, with square roots of s on S's diagonal.
        """
        require_flag("centered", self.centered)
        inputs, targets, weights = _Samples.distinct(inputs, targets, weights)
        self.X_fit_ = inputs
        self.model_ = Scaled(
            made_or_named_model(self.model, inputs.shape[1]), positive_of("scale", self.scale)
        )
        self.params_ = start_of(self.model_, self._generator())
        x, y = torch.from_numpy(inputs), torch.from_numpy(targets)
        outputs = self._at_start(x)
        must = f"have one output, or {y.shape[1]} as the targets have"
        require(outputs.shape[1] in (1, y.shape[1]), "model", must, f"one of {outputs.shape[1]}")
        roots = torch.from_numpy(np.sqrt(weights))
        residual = roots[:, None] * (y - (0.0 if self.centered else outputs))
        sides = roots.repeat_interleave(outputs.shape[1])
        kernel = sides[:, None] * tangent_kernel(self.model_, self.params_, x).to_dense() * sides
        self.ridge_ = self._ridge(kernel, residual)
        # One output serves all targets: then a column each, with the same kernel (n, n).
        columns = residual if outputs.shape[1] == 1 else residual.reshape(-1, 1)
        duals = ridge_solve(kernel, columns, self.ridge_).reshape(residual.shape)
        self.dual_coef_ = (roots[:, None] * duals).numpy()
        return self

    def _outputs(self, X: ArrayLike) -> Floats:
        """Outputs (m, k) of the linearised model."""
        check_is_fitted(self)
        x = torch.from_numpy(
            _writable(validate_data(self, for_scikit_learn("X", X), reset=False, dtype=np.float64))
        )
        duals, fitted = torch.from_numpy(self.dual_coef_), torch.from_numpy(self.X_fit_)
        kernel = tangent_kernel(self.model_, self.params_, x, fitted)
        columns = duals if kernel.outputs == 1 else duals.reshape(-1, 1)
        moved = (kernel.to_dense() @ columns).reshape(len(x), duals.shape[1])
        return (moved if self.centered else moved + self._at_start(x)).numpy()

    def _at_start(self, x: Tensor) -> Tensor:
        """a h(w0) (n, c)."""
        self.model_.check(self.params_, x)
        with torch.no_grad():
            return self.model_(self.params_, x)

    def _generator(self) -> torch.Generator:
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        return torch.Generator().manual_seed(int(seed))

    def _ridge(self, kernel: Tensor, residual: Tensor) -> float:
        if isinstance(self.ridge, str) and self.ridge == LEAVE_ONE_OUT:
            return leave_one_out_ridge(kernel, residual)
        must = f"be {LEAVE_ONE_OUT!r} or a number from 0 up"
        if isinstance(self.ridge, str):
            refuse("ridge", must, repr(self.ridge))
        ridge = number_of("ridge", self.ridge, must)
        require(0 <= ridge < math.inf, "ridge", must, self.ridge)
        return ridge


@final
class LinearizedRegressor(RegressorMixin, _LinearizedEstimator):
    """Regression with a model linearised at its initialisation, in the names of scikit-learn.

    f(x) = f0(x) + K(x, X) (K(X, X) + ridge I)^-1 (y - f0(X)), with the tangent kernel K of a h at the initial
    parameters w0, and f0 = 0, or a h(w0) where ``centered`` is False. It has the least sum of squares of y - f, each
    times the weight of its sample, plus ridge times that of w - w0: a sample of weight 2 is two samples, and one of
    weight 0 is none. With ridge 0 it is where gradient flow of ``Linearized(Scaled(model, scale), w0)`` ends under the
    square loss (Lee et al. 2019, arXiv 1902.06720). Inputs are computed with in float64. Targets are not shifted:
    ``TransformedTargetRegressor`` does that.

    Parameters
    ----------
    model : Model of inputs (n, d), torch module, text such as "mlp:16" or "hardware_efficient:layers=2", or function of
        the number of features d that returns a Model. Its outputs are as many as the targets, or one, whose kernel
        then serves every target; that of a text is one.
    ridge : what is added to K, or "leave-one-out" for the ridge that errs least on training samples left out one by
        one, those of equal inputs together, scored by their weights
    scale : the output scale a > 0, by which outputs are multiplied and K by its square. A centred model with the ridge
        of leaving one out does not depend on it.
    centered : whether the model is a (h(w) - h(w0)), whose outputs begin at 0
    random_state : seed, or RandomState of NumPy, from which the initial parameters are drawn, by way of a seed that it
        draws for torch, so that ``random_state=0`` starts elsewhere than ``model.init(0)``

    Attributes
    ----------
    model_, params_ : the model a h, and its initial parameters (p,)
    ridge_ : the ridge taken
    X_fit_, dual_coef_ : training inputs (n, d) that count, each once, and the coefficients of their kernel (n, k)

    Raises ValueError and TypeError that name the argument, and KernelTooLargeError where K does not fit in memory.
    """

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit to inputs (n, d) and targets (n,) or (n, k), which count by their weights (n,), or alike."""
        X, y = for_scikit_learn("X", X), for_scikit_learn("y", y)
        inputs, targets = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        columns = np.array(targets, dtype=np.float64)
        self._is_flat = columns.ndim == 1
        weights = _weights(sample_weight, len(columns))
        kept = weights > 0
        return self._fit(inputs[kept], columns.reshape(len(columns), -1)[kept], weights[kept])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def predict(self, X: ArrayLike) -> Floats:
        """Targets (m,) or (m, k) of inputs (m, d)."""
        outputs = self._outputs(X)
        return outputs[:, 0] if self._is_flat else outputs


@final
class LinearizedClassifier(ClassifierMixin, _LinearizedEstimator):
    """Classification with a model linearised at its initialisation, in the names of scikit-learn.

    Two classes are targets -1 and 1 of one output, several are one column each, 1 for the class of the sample and else
    0, and the outputs are those of :class:`LinearizedRegressor`, which says what the parameters are. The class with the
    largest output is predicted. Outputs of a square loss are no probabilities, so that there is no ``predict_proba``;
    ``CalibratedClassifierCV`` makes some of ``decision_function``.

    Attributes
    ----------
    classes_ : the labels (k,)
    model_, params_, ridge_, X_fit_, dual_coef_ : as those of the regressor
    """

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit to inputs (n, d) and labels (n,), which count by their weights (n,), or alike.

        Raises ValueError for fewer than two classes.
        """
        X, y = for_scikit_learn("X", X), for_scikit_learn("y", y)
        inputs, labels = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(labels)
        weights = _weights(sample_weight, len(labels))
        kept = weights > 0
        self.classes_, places = np.unique(labels[kept], return_inverse=True)
        must = "have two classes or more"
        require(len(self.classes_) >= 2, "y", must, f"of one class, {self.classes_[0]!r}")
        return self._fit(inputs[kept], self._targets(places), weights[kept])

    def decision_function(self, X: ArrayLike) -> Floats:
        """The output (m,) for two classes, positive for the second; the outputs (m, k) for several."""
        outputs = self._outputs(X)
        return outputs[:, 0] if len(self.classes_) == 2 else outputs

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Labels (m,) of inputs (m, d)."""
        decision = self.decision_function(X)
        return self.classes_[(decision > 0).astype(int) if decision.ndim == 1 else decision.argmax(1)]

    def _targets(self, places: NDArray[np.intp]) -> Floats:
        if len(self.classes_) == 2:
            return np.asarray(2.0 * places[:, None] - 1)
        return np.eye(len(self.classes_))[places]


def _weights(given: ArrayLike | None, count: int) -> Floats:
    if given is None:
        return np.ones(count)
    weights = real_array("sample_weight", given)
    must = f"have shape ({count},), a weight for each row of X"
    require(weights.shape == (count,), "sample_weight", must, weights.shape)
    require(bool((weights >= 0).all()), "sample_weight", "be from 0 up", float(weights.min()))
    require(bool(weights.any()), "sample_weight", "be positive for some row", "zero for each")
    return weights


def _writable(array: NDArray[Any]) -> NDArray[Any]:
    """As torch takes it."""
    return np.require(array, requirements=["C", "W"])

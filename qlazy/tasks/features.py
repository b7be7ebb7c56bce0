"""The tangent kernel inside scikit-learn: a transformer whose features are rows of the Jacobian.

    make_pipeline(TangentFeatures(circuit), RidgeClassifier())
    SVC(kernel=TangentFeatures(circuit).fit(X).kernel)

fit a linear model in the tangent features, or a support vector machine on the tangent kernel itself.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self, final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from qlazy.base.errors import generator_of, refuse, require_tensor
from qlazy.data.arrays import for_scikit_learn
from qlazy.kernels.operator import tangent_kernel
from qlazy.models.model import Model
from qlazy.tasks.making import made_model

Floats = NDArray[np.floating[Any]]


@final
class TangentFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Inputs (n, d) to features (n, c p): every output's gradient at fixed parameters, one after the other.

    Products of features are the tangent kernel summed over the outputs, <phi(x), phi(y)> = sum_a K_aa(x, y): a
    linear model in them is the model of inputs linearised around its parameters (Jacot, Gabriel, Hongler 2018, arXiv
    1806.07572). Features have the dtype of the inputs.

    Parameters
    ----------
    model : Model, or function of the number of features d that returns one
    seed : of the initial parameters (p,), where ``params`` does not give them
    params : array (p,), such as those of a trained model

    Attributes
    ----------
    model_, params_ : the model and its parameters (p,), from ``fit``, which does not train anything

    ``fit`` and ``transform`` raise ValueError for inputs that are not finite, not (n, d) or do not fit the model.
    """

    def __init__(
        self,
        model: Model | Callable[[int], Model],
        *,
        seed: int = 0,
        params: ArrayLike | Tensor | None = None,
    ) -> None:
        self.model = model
        self.seed = seed
        self.params = params

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Settle the model and its parameters for inputs of this many features; ``y`` is not looked at."""
        inputs = self._validated(X, reset=True)
        self.model_ = made_model(self.model, inputs.shape[1])
        self.params_ = self.model_.init(generator_of(self.seed)) if self.params is None else self._given()
        x = torch.from_numpy(inputs[:1])
        self.model_.check(self.params_.to(x), x)
        self._n_features_out = self.params_.numel() * self.model_(self.params_.to(x), x).shape[1]
        return self

    def transform(self, X: ArrayLike) -> Floats:
        """The features (n, c p) of inputs (n, d)."""
        check_is_fitted(self)
        x = torch.from_numpy(self._validated(X))
        return self.model_.jacobian(self.params_.to(x), x).detach().flatten(1).numpy()

    def kernel(self, X: ArrayLike, Y: ArrayLike) -> Floats:
        """The tangent kernel (n, m) between inputs, summed over outputs: what ``SVC(kernel=...)`` calls."""
        check_is_fitted(self)
        x, y = (torch.from_numpy(self._validated(inputs)) for inputs in (X, Y))
        gram = tangent_kernel(self.model_, self.params_.to(x), x, y.to(x)).gram()
        return torch.einsum("iaja->ij", gram).numpy()

    def _given(self) -> Tensor:
        if isinstance(self.params, Tensor):
            require_tensor("params", self.params)
            return self.params.detach().clone()
        must = "be an array (p,) of real numbers"
        with suppress(TypeError, ValueError):
            array = np.array(self.params)
            if array.dtype.kind in "iuf":
                return torch.from_numpy(array)
        return refuse("params", must, self.params)

    def _validated(self, inputs: ArrayLike, *, reset: bool = False) -> Floats:
        checked = validate_data(
            self, for_scikit_learn("X", inputs), reset=reset, dtype=[np.float64, np.float32]
        )
        return np.require(checked, requirements=["C", "W"])

"""The transformer by scikit-learn's own suite of checks, and its features by the tangent kernel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import parametrize_with_checks

import qlazy
from qlazy import TangentFeatures, load_circuit, mlp, tangent_kernel


class SmallNet:
    """A net for so many features, with a name that is the same in every process: test ids hold it."""

    def __call__(self, features: int) -> qlazy.Model:
        return mlp([features, 3, 2], dtype=torch.float64)

    def __repr__(self) -> str:
        return "SmallNet()"


@parametrize_with_checks([TangentFeatures(SmallNet())])
def test_scikit_learns_conventions(estimator, check) -> None:
    check(estimator)


@pytest.fixture(params=["net", "circuit"])
def model(request):
    return mlp([3, 4, 2]) if request.param == "net" else load_circuit("hardware_efficient", n=3, layers=2)


X = np.random.default_rng(0).normal(size=(7, 3))
Y = np.random.default_rng(1).normal(size=(5, 3))


def test_products_of_features_are_the_kernel_summed_over_outputs(model) -> None:
    features = TangentFeatures(model, seed=4).fit(X)
    params = model.init(torch.Generator().manual_seed(4)).double()
    dense = tangent_kernel(model, params, torch.from_numpy(X), torch.from_numpy(Y)).gram()
    expected = sum(dense[:, a, :, a] for a in range(dense.shape[1]))
    np.testing.assert_allclose(features.transform(X) @ features.transform(Y).T, expected, atol=1e-12)
    np.testing.assert_allclose(features.kernel(X, Y), expected, atol=1e-12)


def test_ridge_on_the_features_is_kernel_regression(model) -> None:
    """Ridge regression in feature space and in kernel space are one (the push-through identity)."""
    features, targets = TangentFeatures(model).fit(X), np.sin(X[:, :1])
    ridge = make_pipeline(features, Ridge(alpha=0.1, fit_intercept=False)).fit(X, targets)
    kernel = features.kernel(X, X) + 0.1 * np.eye(len(X))
    expected = features.kernel(Y, X) @ np.linalg.solve(kernel, targets)
    np.testing.assert_allclose(ridge.predict(Y).reshape(-1, 1), expected, atol=1e-10)


def test_a_support_vector_machine_takes_the_kernel(model) -> None:
    labels = X[:, 0] > 0
    machine = SVC(kernel=TangentFeatures(model).fit(X).kernel, C=1e6).fit(X, labels)
    assert (machine.predict(X) == labels).all()


def test_params_of_a_trained_model_and_float32(model) -> None:
    params = torch.linspace(-1, 1, model.num_params, dtype=torch.float64)
    exact = TangentFeatures(model, params=params).fit(X).transform(X)
    single = (
        TangentFeatures(model, params=params.numpy())
        .fit(X.astype(np.float32))
        .transform(X.astype(np.float32))
    )
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, exact, atol=1e-4)


def test_what_does_not_fit_is_named(model) -> None:
    with pytest.raises(ValueError, match="`params` must have shape"):
        TangentFeatures(model, params=np.zeros(2)).fit(X)
    with pytest.raises(ValueError, match="NaN"):
        TangentFeatures(model).fit(np.full((2, 3), np.nan))
    with pytest.raises(
        ValueError,
        match="`model` must be a Model, or a function of the number of features that returns one, but is int",
    ):
        TangentFeatures(lambda features: features).fit(X)

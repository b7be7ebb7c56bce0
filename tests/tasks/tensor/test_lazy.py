"""The lazy solution: the dimension of the tangent space by Alexander and Hirschowitz, and what is left over."""

from __future__ import annotations

import pytest
import torch

from qlazy import Linearized, mlp, tangent_kernel
from qlazy.tasks.tensor import (
    SymmetricTensor,
    generic_components,
    index_tuples,
    multiplicities,
    random_target,
    symmetric_dimension,
    tangent_fit,
)
from tests.systems import normal


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def fit(dimension, order, components, degree=None, seed=0):
    model, x = SymmetricTensor(dimension, order, components, degree=degree), index_tuples(dimension, order)
    target = random_target(dimension, order, 2, rng(seed + 50))
    return tangent_fit(model, model.init(rng(seed)), x, target.entries(x), multiplicities(x))


@pytest.mark.parametrize(("dimension", "order"), [(4, 3), (6, 3), (3, 5), (6, 4)])
def test_the_tangent_space_has_the_generic_dimension(dimension, order):
    """min(m d, C(d + l - 1, l)): Alexander and Hirschowitz 1995, through Terracini's lemma. Either degree."""
    whole = symmetric_dimension(dimension, order)
    for components in (1, 2, generic_components(dimension, order) - 1, generic_components(dimension, order)):
        for degree in (None, 2):
            found = fit(dimension, order, components, degree)
            assert found.rank == min(components * dimension, whole)
            assert (found.error < 1e-9) == (found.rank == whole)
            assert found.rows == whole


@pytest.mark.parametrize(("dimension", "order", "components"), [(5, 3, 7), (3, 4, 5), (4, 4, 9), (5, 4, 14)])
def test_the_four_exceptions(dimension, order, components):
    """There the dimension is one less than it could be, and one more component is needed."""
    assert components * dimension >= symmetric_dimension(dimension, order)
    assert fit(dimension, order, components).rank == symmetric_dimension(dimension, order) - 1
    assert generic_components(dimension, order) == components + 1
    assert fit(dimension, order, components + 1).error < 1e-9


def test_quadrics_need_every_dimension():
    """Order 2: m components reach the symmetric matrices of rank m on their span and what touches it."""
    assert generic_components(5, 2) == 5
    assert fit(5, 2, 4).rank == 14  # 15 less the one quadric on the complement
    assert fit(5, 2, 5).rank == 15


def test_the_fit_is_the_least_squares_solution_of_the_linearised_model():
    model, x = SymmetricTensor(4, 3, 2), index_tuples(4, 3)
    params, targets, weights = model.init(rng(1)), normal(len(x)), multiplicities(x)
    found = tangent_fit(model, params, x, targets, weights)
    residual = Linearized(model, params)(params + found.direction, x)[:, 0] - targets
    error = (weights * residual**2).sum().sqrt() / (weights * targets**2).sum().sqrt()
    assert found.error == pytest.approx(float(error))
    normal_equations = model.vjp(params, x, (weights * residual).unsqueeze(1))
    assert float(normal_equations.abs().max()) < 1e-10


def test_any_model_and_the_tangent_kernel_agree():
    """Without weights the residual is what the kernel's range leaves of y - h(w0)."""
    model, x = mlp([2, 3, 1]), normal(20, 2)
    params, y = model.init(rng(2)).double(), normal(20, 1, seed=4)
    values, vectors = tangent_kernel(model, params, x).eigh()
    inside = vectors[:, values > 1e-10 * values[0]]
    rest = (y - model(params, x))[:, 0]
    rest = rest - inside @ (inside.T @ rest)
    found = tangent_fit(model, params, x, y)
    assert found.error == pytest.approx(float(rest.norm() / y.norm()), rel=1e-6)
    assert found.rank == inside.shape[1]


def test_what_is_refused():
    model, x = SymmetricTensor(3, 3, 1), index_tuples(3, 3)
    params = model.init(rng(0))
    with pytest.raises(ValueError, match="`targets` must have shape"):
        tangent_fit(model, params, x, normal(3))
    with pytest.raises(ValueError, match="`targets` must not be zero"):
        tangent_fit(model, params, x, torch.zeros(10, dtype=torch.float64))
    with pytest.raises(ValueError, match="`weights` must not be negative"):
        tangent_fit(model, params, x, normal(10), -torch.ones(10))

"""Symmetric tensors as models: entries against an explicit einsum, homogeneity, kernels. Laws: tests/test_laws.py."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qlazy import Scaled, tangent_kernel
from qlazy.tasks.tensor import SymmetricTensor, index_tuples
from tests.systems import normal

ALL = index_tuples(3, 3)


def explicit(vectors, weights):
    return torch.einsum("m,ma,mb,mc->abc", weights, vectors, vectors, vectors)


@pytest.mark.parametrize("degree", [None, 1, 2, 3])
def test_entries_are_those_of_the_explicit_tensor(degree):
    signs = torch.tensor([1.0, -1.0], dtype=torch.float64)
    model = SymmetricTensor(3, 3, 2, signs=signs, degree=degree)
    vectors = normal(2, 3)
    dense = explicit(vectors, signs * vectors.norm(dim=1) ** ((degree or 3) - 3))
    every = torch.cartesian_prod(*[torch.arange(3)] * 3)
    torch.testing.assert_close(model(vectors.flatten(), every)[:, 0], dense.flatten())
    torch.testing.assert_close(model.decomposition(vectors.flatten()).dense(), dense)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.floats(0.1, 10.0), st.integers(1, 4))
def test_scaling_the_components_scales_outputs_and_kernel(degree, factor, components):
    """h(c w) = c^q h(w) and K(c w) = c^(2q - 2) K(w): the initialisation acts as the scale a = c^q."""
    model = SymmetricTensor(3, 4, components, degree=degree)
    params, x = model.init(torch.Generator().manual_seed(1)), index_tuples(3, 4)
    outputs, kernel = model(params, x), model.gram(params, x)
    torch.testing.assert_close(model(factor * params, x), factor**degree * outputs)
    torch.testing.assert_close(model.gram(factor * params, x), factor ** (2 * degree - 2) * kernel)
    euler = model.jvp(params, x, params)
    torch.testing.assert_close(euler, degree * outputs)


def test_kernel_in_closed_form():
    """One component of order 2, T = u u^T: dT_ab = u_a du_b + u_b du_a, so K(ab, ac) = u_a^2 + ... by hand."""
    u = torch.tensor([2.0, 3.0], dtype=torch.float64)
    x = torch.tensor([[0, 0], [0, 1], [1, 1]])
    kernel = tangent_kernel(Scaled(SymmetricTensor(2, 2, 1), 2.0), u, x).to_dense()
    expected = torch.tensor([[16.0, 12.0, 0.0], [12.0, 13.0, 12.0], [0.0, 12.0, 36.0]], dtype=torch.float64)
    torch.testing.assert_close(kernel, 4 * expected)


def test_components_start_on_the_sphere_reproducibly():
    model = SymmetricTensor(5, 3, 7)
    params = model.init(torch.Generator().manual_seed(3))
    torch.testing.assert_close(params.reshape(7, 5).norm(dim=1), torch.ones(7, dtype=torch.float64))
    assert list(model.blocks) == [f"u{i}" for i in range(7)]


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (ALL.double(), "`x` must be integer index tuples"),
        (ALL[:, :2], "`x` must be integer index tuples"),
        (ALL - 1, r"`x` must lie in 0\.\.2, but is in -1\.\.1"),
        (ALL + 1, r"`x` must lie in 0\.\.2, but is in 1\.\.3"),
    ],
)
def test_wrong_indices_are_refused(x, message):
    with pytest.raises(ValueError, match=message):
        SymmetricTensor(3, 3, 2)(torch.ones(6, dtype=torch.float64), x)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"degree": 5}, "`degree` must be between 1 and the order 3"),
        ({"signs": [1.0, 0.5]}, "`signs` must be 2 times"),
        ({"signs": [1.0]}, "`signs` must be 2 times"),
    ],
)
def test_wrong_settings_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        SymmetricTensor(3, 3, 2, **arguments)

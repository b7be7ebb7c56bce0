"""The kernel where others want a matrix: NumPy, SciPy's solvers, indexing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import cg, eigsh

import qlazy
from tests import systems

X, X2 = systems.normal(6, 3, seed=1), systems.normal(4, 3, seed=2)
KERNELS = {
    "one output": lambda: qlazy.tangent_kernel(systems.linear(3), systems.normal(3), X),
    "two outputs": lambda: qlazy.tangent_kernel(systems.linear(3, 2), systems.normal(6), X),
    "between two sets": lambda: qlazy.tangent_kernel(systems.linear(3), systems.normal(3), X, X2),
}


@pytest.mark.parametrize("name", KERNELS)
def test_indexing_is_that_of_the_matrix_dense_or_not(name: str) -> None:
    dense = KERNELS[name]().to_dense()
    slices = slice(3), slice(None, None, 2), (slice(2), slice(3)), (slice(1, 3), 0)
    for index in (0, -1, *slices, (2, 1), ..., torch.tensor([2, 0])):
        fresh = KERNELS[name]()
        torch.testing.assert_close(fresh[index], dense[index], rtol=0, atol=1e-13)
    with pytest.raises(IndexError):
        _ = KERNELS[name]()[100]


def test_rows_are_computed_without_the_rest() -> None:
    kernel = KERNELS["one output"]()
    assert kernel[:2].shape == (2, 6)
    assert not kernel.is_dense


@pytest.mark.parametrize("name", KERNELS)
def test_numpy_takes_a_copy_and_leaves_products_to_the_kernel(name: str) -> None:
    kernel = KERNELS[name]()
    array = np.asarray(kernel)
    np.testing.assert_array_equal(array, kernel.to_dense().numpy())
    array[:] = 0
    assert float(kernel.to_dense().abs().max()) > 0
    assert np.asarray(kernel, dtype=np.float32).dtype == np.float32
    with pytest.raises(TypeError):
        np.ones(kernel.shape[0]) @ kernel
    with pytest.raises(ValueError, match="`copy` must be True or None"):
        np.array(kernel, copy=False)


def test_scipys_solvers_take_it() -> None:
    kernel = KERNELS["one output"]()
    operator = kernel.aslinearoperator()
    v = np.random.default_rng(0).normal(size=(6, 2))
    np.testing.assert_allclose(operator @ v, np.asarray(kernel) @ v, atol=1e-13)
    np.testing.assert_allclose(eigsh(operator, 2)[0][::-1], kernel.eigh(2).values, rtol=1e-9)
    b = np.asarray(kernel) @ v[:, 0]
    solved, code = cg(operator, b, rtol=1e-12)
    assert code == 0
    np.testing.assert_allclose(np.asarray(kernel) @ solved, b, atol=1e-9)
    across = KERNELS["between two sets"]()
    np.testing.assert_allclose(across.aslinearoperator().T @ v, np.asarray(across).T @ v, atol=1e-13)


def test_a_kernel_on_disk_has_leading_eigenpairs(tmp_path) -> None:
    pytest.importorskip("zarr")
    model, params = qlazy.mlp([3, 5, 1]), None
    params = model.init(torch.Generator().manual_seed(0))
    tiled = qlazy.tiled_kernel(model, params, X, tile=2, store=tmp_path / "k.zarr", progress=False)
    found, expected = tiled.eigh(3), qlazy.tangent_kernel(model, params, X).eigh(3)
    torch.testing.assert_close(found.values, expected.values, rtol=1e-9, atol=0)
    overlaps = (found.vectors.T @ expected.vectors).diagonal().abs()
    torch.testing.assert_close(overlaps, torch.ones_like(overlaps))
    for k in (0, 7):
        with pytest.raises(ValueError, match="`k` must be"):
            tiled.eigh(k)

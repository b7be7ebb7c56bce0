"""The kernel operator against closed forms and against dense linear algebra on J J^T."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import qlazy.base.memory
import qlazy.models.model
from qlazy.base.errors import KernelTooLargeError, NotConvergedError, NotFiniteError, ZeroJacobianError
from qlazy.kernels.operator import COLUMNS, DENSE_ROWS, FACTOR_ROWS, TangentKernel, tangent_kernel
from qlazy.models.model import Function
from qlazy.models.wrappers import Centered, Linearized, Scaled
from tests.systems import (
    constant,
    linear,
    linear_kernel,
    normal,
    quadratic,
    quadratic_kernel,
    rx,
    rx_kernel,
    ry_encoded,
    ry_encoded_kernel,
    tanh_net,
)

sizes = st.integers(1, 5)


def net_kernel(n: int = 6, c: int = 2, m: int | None = None) -> tuple[TangentKernel, torch.Tensor]:
    """A tanh net's kernel as an operator, and J J^T from torch.func's Jacobian."""
    model = tanh_net(3, 4, c)
    params, x = normal(model.num_params), normal(n, 3, seed=1)
    y = None if m is None else normal(m, 3, seed=2)
    left, right = (
        torch.func.jacrev(model)(params, inputs).reshape(-1, model.num_params)
        for inputs in (x, x if y is None else y)
    )
    return tangent_kernel(model, params, x, y), left @ right.T


@given(n=sizes, m=sizes, d=sizes, c=sizes)
def test_a_linear_model_has_the_kernel_of_its_inputs(n: int, m: int, d: int, c: int) -> None:
    x, y = normal(n, d), normal(m, d, seed=1)
    kernel = tangent_kernel(linear(d, c), normal(d * c, seed=2), x, y)
    assert kernel.shape == (n * c, m * c)
    torch.testing.assert_close(kernel.to_dense(), linear_kernel(x, y, c), atol=1e-12, rtol=1e-12)


@given(theta=st.floats(-3, 3).filter(lambda t: abs(t) > 1e-3), n=sizes)
def test_one_rotation_has_the_kernel_sine_squared(theta: float, n: int) -> None:
    params = torch.tensor([theta], dtype=torch.float64)
    kernel = tangent_kernel(rx(), params, torch.empty(n, 0, dtype=torch.float64))
    torch.testing.assert_close(kernel.to_dense(), rx_kernel(params, n), atol=1e-14, rtol=1e-12)


def test_data_dependent_closed_forms() -> None:
    params, x, y = normal(1), normal(4, 1, seed=1), normal(3, 1, seed=2)
    dense = tangent_kernel(ry_encoded(), params, x, y).to_dense()
    torch.testing.assert_close(dense, ry_encoded_kernel(params, x, y))
    params, x, y = normal(5), normal(4, 5, seed=1), normal(3, 5, seed=2)
    dense = tangent_kernel(quadratic(5), params, x, y).to_dense()
    torch.testing.assert_close(dense, quadratic_kernel(params, x, y))


@given(n=sizes, m=st.none() | sizes, c=sizes, columns=st.integers(0, 3), seed=st.integers(0, 9))
@settings(max_examples=50)
def test_products_without_the_matrix_are_products_with_it(
    n: int, m: int | None, c: int, columns: int, seed: int
) -> None:
    kernel, expected = net_kernel(n, c, m)
    width = kernel.shape[1]
    v = normal(width, columns, seed=seed) if columns else normal(width, seed=seed)
    free = kernel @ v
    assert not kernel.is_dense
    torch.testing.assert_close(free, expected @ v)
    kernel.to_dense()
    assert kernel.is_dense
    torch.testing.assert_close(kernel @ v, expected @ v)


def test_no_columns_give_no_columns() -> None:
    kernel, _ = net_kernel()
    assert (kernel @ normal(12, 0)).shape == (12, 0)


def test_the_transpose_swaps_the_inputs() -> None:
    kernel, expected = net_kernel(5, 2, 3)
    torch.testing.assert_close(kernel.T @ normal(10), expected.T @ normal(10))
    kernel.to_dense()
    assert kernel.T.is_dense
    torch.testing.assert_close(kernel.T.to_dense(), expected.T)
    assert kernel.T.shape == (6, 10)
    symmetric, _ = net_kernel()
    assert symmetric.T is symmetric


@pytest.mark.parametrize("n", [7, 1100])
def test_the_dense_kernel_is_symmetric_to_the_last_bit(n: int) -> None:
    kernel, expected = net_kernel(n, 1)
    assert torch.equal(kernel.to_dense(), kernel.to_dense().T)
    torch.testing.assert_close(kernel.to_dense(), expected)


@pytest.mark.parametrize("n", [3, 1024, 1500])
def test_a_gram_that_is_symmetric_only_to_rounding_is_averaged_with_its_transpose(
    n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    uneven = normal(n, 1, n, 1)
    monkeypatch.setattr(Function, "gram", lambda *_: uneven.clone())
    dense = tangent_kernel(linear(3), normal(3), normal(n, 3)).to_dense()
    square = uneven.reshape(n, n)
    assert torch.equal(dense, (square + square.T) / 2)


def test_the_dense_kernel_is_computed_once() -> None:
    kernel, _ = net_kernel()
    assert kernel.to_dense() is kernel.to_dense()


def test_gram_blocks_are_samples_and_outputs() -> None:
    kernel, expected = net_kernel(5, 2, 3)
    blocks = kernel.gram()
    assert blocks.shape == (5, 2, 3, 2)
    assert blocks[4, 1, 2, 0] == kernel.to_dense()[9, 4]
    torch.testing.assert_close(blocks.reshape(10, 6), expected)


@pytest.mark.parametrize("block_bytes", [1, 1000, 2**26])
def test_diagonal_and_trace_need_no_matrix(block_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qlazy.models.model, "BLOCK_BYTES", block_bytes)
    kernel, expected = net_kernel()
    torch.testing.assert_close(kernel.diagonal(), expected.diagonal())
    torch.testing.assert_close(kernel.trace(), expected.trace())
    assert not kernel.is_dense
    kernel.to_dense()
    torch.testing.assert_close(kernel.diagonal(), expected.diagonal())


@pytest.mark.parametrize("matrix_free", [False, True, None])
@pytest.mark.parametrize("k", [1, 3, 12, None])
def test_leading_eigenpairs(k: int | None, matrix_free: bool | None) -> None:
    kernel, expected = net_kernel()
    values, vectors = kernel.eigh(k, matrix_free=matrix_free)
    assert kernel.is_dense == (k in (12, None) or not matrix_free)
    torch.testing.assert_close(values, torch.linalg.eigvalsh(expected).flip(0)[:k])
    torch.testing.assert_close(expected @ vectors, vectors * values, atol=1e-10, rtol=0)
    torch.testing.assert_close(vectors.T @ vectors, torch.eye(len(values), dtype=values.dtype))


def test_eigenvalues_descend() -> None:
    kernel, expected = net_kernel()
    torch.testing.assert_close(kernel.eigenvalues(), torch.linalg.eigvalsh(expected).flip(0))


def test_lanczos_repeats_itself_and_leaves_numpys_generator_alone() -> None:
    kernel, _ = net_kernel()
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = (kernel.eigh(2, matrix_free=True) for _ in range(2))
    assert torch.equal(first.vectors, second.vectors)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


@pytest.mark.parametrize("matrix_free", [False, True])
@pytest.mark.parametrize("outputs", [1, 10])
def test_eigenvalues_that_coincide_are_found_as_often_as_they_occur(outputs: int, matrix_free: bool) -> None:
    """A linear model has the kernel X X^T times the identity of its outputs, whose copies single vectors miss."""
    x = normal(420 // outputs, 5)
    kernel = tangent_kernel(linear(5, outputs), normal(5 * outputs), x)
    values, vectors = kernel.eigh(10, matrix_free=matrix_free)
    expected = torch.linalg.eigvalsh(x.T @ x).flip(0).repeat_interleave(outputs)
    known = min(10, len(expected))
    scale = float(expected[0])
    torch.testing.assert_close(values[:known], expected[:known], rtol=0, atol=1e-12 * scale)
    assert float(values[known:].abs().sum()) < 1e-12 * scale
    torch.testing.assert_close(kernel @ vectors, vectors * values, rtol=0, atol=1e-11 * scale)
    torch.testing.assert_close(vectors.T @ vectors, torch.eye(10).double(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("matrix_free", [False, True])
def test_lanczos_finds_the_leading_pairs_of_a_dense_spectrum(matrix_free: bool, dtype: torch.dtype) -> None:
    model, x = tanh_net(3, 40), normal(400, 3, seed=1, dtype=dtype)
    kernel = tangent_kernel(model, normal(model.num_params, dtype=dtype), x)
    values, vectors = kernel.eigh(6, matrix_free=matrix_free)
    assert kernel.is_dense != matrix_free
    expected, eps = torch.linalg.eigvalsh(kernel.to_dense()).flip(0), torch.finfo(dtype).eps
    torch.testing.assert_close(values, expected[:6], rtol=0, atol=100 * eps * float(expected[0]))
    residual = kernel.to_dense() @ vectors - vectors * values
    assert float(residual.norm()) < 2000 * eps * float(expected[0])


def test_many_rows_of_few_parameters_go_by_the_singular_values_of_the_jacobian() -> None:
    model, x = tanh_net(3, 2), normal(FACTOR_ROWS, 3, seed=1)
    params, b = normal(model.num_params), normal(FACTOR_ROWS, 2, seed=2)
    kernel, dense = tangent_kernel(model, params, x), tangent_kernel(model, params, x).to_dense()
    values, vectors = kernel.eigh(4)
    every, solved = kernel.eigenvalues(), kernel.solve(b, 0.1)
    assert not kernel.is_dense
    expected = torch.linalg.eigvalsh(dense).flip(0)
    tolerance = 1e-12 * float(expected[0])
    torch.testing.assert_close(values, expected[:4], rtol=0, atol=tolerance)
    torch.testing.assert_close(every, expected, rtol=0, atol=tolerance)
    torch.testing.assert_close(dense @ vectors, vectors * values, rtol=0, atol=10 * tolerance)
    torch.testing.assert_close(dense @ solved + 0.1 * solved, b, rtol=0, atol=1e-9)
    torch.testing.assert_close(kernel.solve(b[:, 0], 0.1), solved[:, 0])
    with pytest.raises(ZeroJacobianError):
        tangent_kernel(constant(), normal(1), normal(FACTOR_ROWS, 1)).eigenvalues()


@pytest.mark.filterwarnings("ignore::qlazy.base.errors.SlowBackendWarning")
def test_columns_go_together_where_torch_func_maps_the_model() -> None:
    """A product with more columns than go at once; and a model that cannot be mapped over columns."""
    kernel, expected = net_kernel()
    v = normal(12, COLUMNS + 3)
    torch.testing.assert_close(kernel @ v, expected @ v)

    def branching(w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([(row * (2 * w if row.sum().item() > 0 else w)).sum().reshape(1, 1) for row in x])

    x = normal(5, 3)
    kernel = tangent_kernel(Function(branching, 3), normal(3, seed=1), x)
    v = normal(5, 3, seed=2)
    torch.testing.assert_close(kernel @ v, kernel.to_dense() @ v)


@pytest.mark.parametrize("matrix_free", [False, True])
@pytest.mark.parametrize("shape", [(12,), (12, 3)])
@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_solve(ridge: float, shape: tuple[int, ...], matrix_free: bool) -> None:
    kernel, expected = net_kernel()
    shifted = expected + ridge * torch.eye(12, dtype=torch.float64)
    b = shifted @ normal(*shape, seed=5)
    z = kernel.solve(b, ridge, matrix_free=matrix_free)
    assert z.shape == b.shape
    assert kernel.is_dense != matrix_free
    torch.testing.assert_close(shifted @ z, b, atol=1e-8, rtol=1e-8)


def test_conjugate_gradients_give_the_least_norm_solution_of_a_singular_system() -> None:
    x = normal(8, 3)
    kernel = tangent_kernel(linear(3), normal(3), x)
    b = x @ normal(3, seed=4)
    free = kernel.solve(b, matrix_free=True)
    torch.testing.assert_close(free, kernel.solve(b, matrix_free=False))


def test_a_system_without_a_solution_is_not_solved_silently() -> None:
    kernel = tangent_kernel(linear(3), normal(3), normal(8, 3))
    with pytest.raises(NotConvergedError, match="`right` must be solved to a residual of"):
        kernel.solve(normal(8, seed=4), matrix_free=True)


def test_large_kernels_are_solved_without_the_matrix() -> None:
    n = DENSE_ROWS + 1
    x = normal(n, 3)
    kernel = tangent_kernel(linear(3), normal(3), x)
    values, _ = kernel.eigh(2)
    assert not kernel.is_dense
    # the nonzero spectrum of X X^T is that of X^T X
    torch.testing.assert_close(values, torch.linalg.eigvalsh(x.T @ x).flip(0)[:2])
    b = normal(n, seed=1)
    z = kernel.solve(b, 1.0)
    assert not kernel.is_dense
    torch.testing.assert_close(x @ (x.T @ z) + z, b, atol=1e-6, rtol=0)


@given(alpha=st.floats(1e-3, 1e3))
@settings(max_examples=20)
def test_wrappers_scale_or_keep_the_kernel(alpha: float) -> None:
    model, x = tanh_net(3, 4), normal(5, 3, seed=1)
    w = normal(model.num_params)
    dense, trace = tangent_kernel(model, w, x).to_dense(), tangent_kernel(model, w, x).trace()
    scaled = tangent_kernel(Scaled(Centered(model, w), alpha), w, x)
    torch.testing.assert_close(scaled.trace(), alpha**2 * trace)
    torch.testing.assert_close(scaled.to_dense(), alpha**2 * dense)
    elsewhere = normal(model.num_params, seed=9)
    torch.testing.assert_close(tangent_kernel(Linearized(model, w), elsewhere, x).to_dense(), dense)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_is_kept(dtype: torch.dtype) -> None:
    model = tanh_net(3, 4)
    params, x = normal(model.num_params, dtype=dtype), normal(5, 3, seed=1, dtype=dtype)
    kernel = tangent_kernel(model, params, x)
    b = kernel @ normal(5, seed=2, dtype=dtype)
    results = [b, kernel.trace(), *kernel.eigh(2, matrix_free=True), kernel.solve(b, 0.1, matrix_free=True)]
    results += [kernel.to_dense(), kernel.eigenvalues(), *kernel.eigh(2), kernel.solve(b, 0.1)]
    assert {result.dtype for result in results} == {kernel.dtype} == {dtype}


def test_no_graph_is_kept() -> None:
    captured = normal(3, seed=1).requires_grad_()
    model = Function(lambda w, x: x @ (w * captured).unsqueeze(1), 3)
    kernel = tangent_kernel(model, normal(3).requires_grad_(), normal(5, 3))
    for result in (kernel @ normal(5), kernel.diagonal(), kernel.to_dense()):
        assert not result.requires_grad


def test_numpy_inputs() -> None:
    model, params, x = linear(3), normal(3), normal(5, 3)
    frozen = x.numpy()[::-1].copy()
    frozen.setflags(write=False)
    torch.testing.assert_close(tangent_kernel(model, params, frozen).to_dense(), x.flip(0) @ x.flip(0).T)
    counts = np.arange(6).reshape(2, 3)
    expected = torch.tensor(counts @ counts.T, dtype=torch.float64)
    torch.testing.assert_close(tangent_kernel(model, params, counts).to_dense(), expected)
    with pytest.raises(ValueError, match="`x` must have the dtype of params, torch.float64, but is"):
        tangent_kernel(model, params, frozen.astype(np.float32))


@pytest.mark.parametrize("use", ["to_dense", "diagonal", "trace", "eigenvalues", "eigh"])
def test_a_zero_jacobian_is_refused_at_first_use(use: str) -> None:
    kernel = tangent_kernel(constant(), normal(1), normal(4, 2))
    with pytest.raises(
        ZeroJacobianError, match="`jacobian` must have a nonzero entry, but is zero at all 4 inputs"
    ):
        getattr(kernel, use)()


def test_a_zero_jacobian_is_refused_in_products_and_for_either_argument() -> None:
    with pytest.raises(ZeroJacobianError):
        tangent_kernel(constant(), normal(1), normal(4, 2)) @ normal(4)
    x, zero = normal(4, 2), torch.zeros(3, 2, dtype=torch.float64)
    for pair in ((x, zero), (zero, x)):
        with pytest.raises(ZeroJacobianError, match="zero at all 3 inputs"):
            tangent_kernel(linear(2), normal(2), *pair).to_dense()


def test_zero_results_without_a_zero_jacobian_stand() -> None:
    x = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    orthogonal = torch.tensor([[0.0, 1.0]], dtype=torch.float64)
    assert not tangent_kernel(linear(2), normal(2), x, orthogonal).to_dense().any()
    twice = tangent_kernel(linear(2), normal(2), torch.cat([x, x]))
    assert not (twice @ torch.tensor([1.0, -1.0], dtype=torch.float64)).any()
    assert not (tangent_kernel(constant(), normal(1), x) @ torch.zeros(1, dtype=torch.float64)).any()


def test_a_zero_kernel_can_be_meant() -> None:
    kernel = tangent_kernel(constant(), normal(1), normal(4, 2), allow_zero=True)
    assert not (kernel @ normal(4)).any()
    assert not kernel.to_dense().any()
    assert kernel.trace() == 0


def test_the_zero_check_costs_a_working_model_nothing() -> None:
    calls = []

    def counted(w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        calls.append(len(x))
        return (x @ w).unsqueeze(1)

    kernel = tangent_kernel(Function(counted, 3), normal(3), normal(5, 3))
    kernel @ normal(5)  # which also tries the rules for derivatives, once
    calls.clear()
    kernel @ normal(5)
    assert len(calls) == 2  # one vjp, one jvp


def test_a_kernel_that_does_not_fit_is_refused_before_it_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, _ = net_kernel(64, 2)
    monkeypatch.setattr(qlazy.base.memory, "available_bytes", lambda device: 128 * 128 * 8 - 1)
    monkeypatch.setattr(Function, "jacobian", lambda *_: pytest.fail("computed"))
    with pytest.raises(
        KernelTooLargeError, match=r"GiB as a dense matrix \(128, 128\) of torch.float64.*`kernel @ v`"
    ):
        kernel.to_dense()


def test_available_memory_is_plausible() -> None:
    assert 2**20 < qlazy.base.memory.available_bytes(torch.device("cpu")) < 2**60


def test_bad_inputs_are_refused() -> None:
    model, params, x = linear(3), normal(3), normal(5, 3)
    nan = x.clone()
    nan[2, 1] = torch.nan
    with pytest.raises(
        NotFiniteError, match=r"`x` must be finite, but is not in 1 of 15 entries, first at \(2, 1\)"
    ):
        tangent_kernel(model, params, nan)
    with pytest.raises(NotFiniteError, match="`x2` must be finite"):
        tangent_kernel(model, params, x, nan)
    with pytest.raises(NotFiniteError, match="`params` must be finite"):
        tangent_kernel(model, params / 0, x)
    with pytest.raises(ValueError, match="`x` must hold at least one sample"):
        tangent_kernel(model, params, x[:0])
    with pytest.raises(ValueError, match="`x2` must have the dtype of params"):
        tangent_kernel(model, params, x, x.float())
    with pytest.raises(ValueError, match="`params` must have shape"):
        tangent_kernel(model, params[:2], x)
    with pytest.raises(ValueError, match="`x` must be a torch tensor or a NumPy array, but is list"):
        tangent_kernel(model, params, [[1.0, 2.0, 3.0]])  # type: ignore[arg-type]


def test_bad_arguments_of_the_operator_are_refused() -> None:
    kernel, _ = net_kernel()
    with pytest.raises(ValueError, match=r"`right` must have shape \(12,\) or \(12, k\)"):
        kernel @ normal(6)
    with pytest.raises(ValueError, match="`right` must have the dtype of the kernel"):
        kernel @ normal(12).float()
    with pytest.raises(
        ValueError, match="`k` must be a whole number between 1 and the kernel's size 12, but is 13"
    ):
        kernel.eigh(13)
    with pytest.raises(ValueError, match="`ridge` must not be negative"):
        kernel.solve(normal(12), -1.0, matrix_free=True)
    rectangular, _ = net_kernel(5, 2, 5)
    for use in (
        rectangular.trace,
        rectangular.eigenvalues,
        rectangular.eigh,
        lambda: rectangular.solve(normal(10)),
    ):
        with pytest.raises(ValueError, match="needs the kernel of x with itself"):
            use()


def test_derivatives_that_are_not_finite_are_refused() -> None:
    model = Function(lambda w, x: (x * w).sum(1, keepdim=True).sqrt(), 1)
    kernel = tangent_kernel(model, torch.zeros(1, dtype=torch.float64), normal(3, 1).abs())
    with pytest.raises(NotFiniteError, match="`tangent kernel` must be finite"):
        kernel.to_dense()

"""Low-rank forms of kernels against dense matrices of known spectrum, and against their papers' theorems."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import qlazy
from qlazy import Function, tangent_kernel, tiled_kernel
from qlazy.kernels.lowrank import hutchinson_trace, hutchpp_trace, nystrom, random_eigenpairs
from tests.makers import inputs, qnode_circuit, rng

SIZE = 60


def with_spectrum(spectrum: torch.Tensor, seed: int = 0) -> qlazy.TangentKernel:
    """The tangent kernel of a linear model x -> x w: K = X X^T has the given eigenvalues and random eigenvectors."""
    size = len(spectrum)
    vectors = torch.linalg.qr(torch.randn(size, size, generator=rng(seed), dtype=torch.float64)).Q
    x = vectors * spectrum.sqrt()
    model = Function(lambda w, x: (x @ w).unsqueeze(1), size)
    kernel = tangent_kernel(model, torch.ones(size, dtype=torch.float64), x)
    kernel.to_dense()  # products with the matrix from here on: this is about the algorithms
    return kernel


def decaying(power: float) -> torch.Tensor:
    return torch.arange(1, SIZE + 1, dtype=torch.float64) ** -power


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_nystrom_is_below_the_kernel_with_the_residual_it_says(power):
    kernel = with_spectrum(decaying(power))
    found = nystrom(kernel, 15, rng(1))
    residual = kernel.to_dense() - found.to_dense()
    values = torch.linalg.eigvalsh(residual)
    assert values[0] > -1e-12
    torch.testing.assert_close(values.sum(), found.residual_trace, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(found.relative_error, residual.trace() / kernel.trace(), rtol=1e-9, atol=0)
    # exact on the columns it is made of
    assert residual[:, found.pivots].abs().max() < 1e-12
    assert len(set(found.pivots.tolist())) == 15


def test_nystrom_comes_near_the_best_of_its_rank():
    # Theorem 5.1 of 2207.06503 at k = 5, e = 1: r = k + k log(tr K / best) is enough, in the mean.
    spectrum = decaying(2.0)
    best, k = float(spectrum[5:].sum()), 5
    rank = int(np.ceil(k + k * np.log(float(spectrum.sum()) / best)))
    kernel = with_spectrum(spectrum)
    errors = [float(nystrom(kernel, rank, rng(seed)).residual_trace) for seed in range(40)]
    assert np.mean(errors) <= 2 * best
    assert min(errors) >= float(spectrum[rank:].sum()) - 1e-12  # Eckart, Young: nothing does better


def test_nystrom_of_low_rank_is_exact_and_stops():
    model, params, _ = qnode_circuit()  # 24 parameters, so that K has rank 24 at most
    kernel = tangent_kernel(model, params, inputs(30, 3))
    found = nystrom(kernel, 60, rng())
    assert found.factor.shape[1] <= 24
    assert found.relative_error < 1e-12
    torch.testing.assert_close(found.to_dense(), kernel.to_dense(), rtol=0, atol=1e-9)


def test_nystrom_solves():
    found = nystrom(with_spectrum(decaying(1.0)), 12, rng())
    b = torch.randn(SIZE, 3, generator=rng(2), dtype=torch.float64)
    for right in (b, b[:, 0]):
        solution = found.solve(right, 0.1)
        torch.testing.assert_close(found @ solution + 0.1 * solution, right)
    with pytest.raises(ValueError, match="`ridge` must be positive"):
        found.solve(b, 0.0)


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), power=st.floats(0.3, 3), k=st.integers(1, SIZE), steps=st.integers(0, 3))
def test_random_eigenpairs_keep_their_bounds(seed, power, k, steps):
    spectrum = decaying(power)
    found = random_eigenpairs(with_spectrum(spectrum), k, rng(seed), iterations=steps)
    rounding = 1e-12
    assert (found.values <= spectrum[:k] + rounding).all()  # Cauchy's interlacing
    distance = (found.values.unsqueeze(1) - spectrum).abs().amin(1)
    assert (distance <= found.residuals + rounding).all()
    torch.testing.assert_close(found.vectors.T @ found.vectors, torch.eye(k, dtype=torch.float64))
    # what the sketch misses is within the bound, and with it every Ritz value
    assert (spectrum[:k] - found.values <= 2 * found.bound + rounding).all()


def test_the_bound_holds_and_is_not_idle():
    spectrum = decaying(1.0)
    kernel = with_spectrum(spectrum)
    dense = kernel.to_dense()
    for seed in range(20):
        found = random_eigenpairs(kernel, 10, rng(seed), oversampling=0, iterations=0)
        missed = torch.linalg.matrix_norm(dense - found.vectors @ (found.vectors.T @ dense), 2)
        assert missed <= found.bound <= 100 * missed


def test_power_iterations_sharpen_the_values():
    spectrum = decaying(1.0)
    kernel = with_spectrum(spectrum)
    errors = [
        float((spectrum[:8] - random_eigenpairs(kernel, 8, rng(3), iterations=steps).values).amax())
        for steps in (0, 1, 2, 4)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-3 * errors[0]


def test_all_eigenpairs_are_the_dense_ones():
    kernel = with_spectrum(decaying(1.0))
    found = random_eigenpairs(kernel, SIZE, rng())
    torch.testing.assert_close(found.values, decaying(1.0))
    assert found.bound < 1e-10


@pytest.mark.parametrize("estimate", [hutchinson_trace, hutchpp_trace])
def test_traces_are_unbiased_and_their_error_bars_are_honest(estimate):
    kernel = with_spectrum(decaying(0.5))
    exact, tries = float(kernel.trace()), 200
    found = [estimate(kernel, 30, rng(seed)) for seed in range(tries)]
    values = np.array([float(f.value) for f in found])
    assert abs(values.mean() - exact) < 4 * values.std() / np.sqrt(tries)
    # the mean of the squared standard errors is the variance; 200 tries know it to 10%
    ratio = np.mean([float(f.error) ** 2 for f in found]) / values.var()
    assert ratio == pytest.approx(1, abs=0.4)


def test_hutchinson_has_the_variance_of_its_formula():
    # Var z^T K z = 2 (||K||_F^2 - sum_i K_ii^2) for random signs.
    kernel = with_spectrum(decaying(0.5))
    dense = kernel.to_dense()
    expected = 2 * float(dense.square().sum() - dense.diagonal().square().sum()) / 10
    values = [float(hutchinson_trace(kernel, 10, rng(seed)).value) for seed in range(600)]
    assert np.var(values) == pytest.approx(expected, rel=0.25)


def test_hutchpp_falls_faster_than_hutchinson():
    # Theorem 1.1 and the lower bound of 2010.09649: 1/m against 1/sqrt(m).
    kernel = with_spectrum(torch.arange(1, 201, dtype=torch.float64) ** -2)

    def spread(estimate, products: int) -> float:
        return float(np.std([float(estimate(kernel, products, rng(seed)).value) for seed in range(60)]))

    few, many = 12, 96
    plain = np.log(spread(hutchinson_trace, few) / spread(hutchinson_trace, many)) / np.log(many / few)
    sketched = np.log(spread(hutchpp_trace, few) / spread(hutchpp_trace, many)) / np.log(many / few)
    assert plain == pytest.approx(0.5, abs=0.2)
    assert sketched > 1


def test_hutchpp_is_exact_where_the_sketch_holds_the_range():
    model, params, _ = qnode_circuit()
    kernel = tangent_kernel(model, params, inputs(40, 3))
    found = hutchpp_trace(kernel, 90, rng())
    torch.testing.assert_close(found.value, kernel.trace())
    assert found.error < 1e-9


def test_kernels_on_disk_are_operators_too(tmp_path):
    model, params, _ = qnode_circuit()
    x = inputs(20, 3)
    stored = tiled_kernel(model, params, x, store=tmp_path / "k", tile=6, workers=1, progress=False)
    kernel = tangent_kernel(model, params, x)
    torch.testing.assert_close(nystrom(stored, 8, rng()).factor, nystrom(kernel, 8, rng()).factor)
    torch.testing.assert_close(
        random_eigenpairs(stored, 4, rng()).values, random_eigenpairs(kernel, 4, rng()).values
    )
    assert hutchpp_trace(stored, 9, rng()).value.dtype == torch.float64


def test_float32_stays_float32():
    kernel = with_spectrum(decaying(1.0))
    single = tangent_kernel(kernel.model, kernel.params.float(), kernel.x.float())
    assert nystrom(single, 5, rng()).factor.dtype == torch.float32
    assert random_eigenpairs(single, 5, rng()).values.dtype == torch.float32
    assert hutchpp_trace(single, 9, rng()).value.dtype == torch.float32


def test_refusals():
    kernel = with_spectrum(decaying(1.0))
    other = tangent_kernel(kernel.model, kernel.params, kernel.x, kernel.x[:5])
    calls = [
        (lambda: nystrom(kernel, 0, rng()), "`rank` must be between 1 and the kernel's size 60"),
        (lambda: nystrom(kernel, 61, rng()), "`rank` must be between 1"),
        (lambda: nystrom(other, 3, rng()), "`kernel` must be of x with itself"),
        (lambda: random_eigenpairs(kernel, 61, rng()), "`k` must be between 1"),
        (lambda: random_eigenpairs(kernel, 3, rng(), oversampling=-1), "`oversampling` must not be negative"),
        (lambda: random_eigenpairs(kernel, 3, rng(), iterations=-1), "`iterations` must not be negative"),
        (lambda: random_eigenpairs(kernel, 3, rng(), probes=0), "`probes` must be positive"),
        (lambda: hutchpp_trace(kernel, 5, rng()), "`products` must be at least 6"),
        (lambda: hutchinson_trace(kernel, 1, rng()), "`products` must be at least 2"),
    ]
    for call, message in calls:
        with pytest.raises(ValueError, match=message):
            call()


def test_nystrom_stops_at_rounding_and_no_earlier():
    """Of eigenvalues 1, 1e-4, 1e-8, 1e-12 and 1e-18 the last is below the rounding of the first, and left out."""
    spectrum = torch.zeros(30, dtype=torch.float64)
    spectrum[:5] = torch.tensor([1.0, 1e-4, 1e-8, 1e-12, 1e-18])
    kernel = with_spectrum(spectrum)
    found = nystrom(kernel, 20, rng(3))
    assert found.factor.shape[1] == 4
    torch.testing.assert_close(found.to_dense(), kernel.to_dense(), rtol=0, atol=1e-13)

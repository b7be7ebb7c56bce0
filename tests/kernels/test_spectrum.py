"""Spectral figures against kernels whose eigenvalues are known."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qlazy.base.errors import NotFiniteError
from qlazy.kernels.operator import tangent_kernel
from qlazy.kernels.spectrum import (
    alignment,
    centered,
    centered_alignment,
    critical_rate,
    eigenvalues,
    label_energies,
    label_kernel,
    participation_ratio,
    ridge_solve,
)
from tests.systems import linear, normal

scales = st.floats(1e-6, 1e6)


def with_eigenvalues(*values: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """A kernel with these eigenvalues, and its eigenvectors in the same order."""
    vectors = torch.linalg.qr(normal(len(values), len(values), seed=seed)).Q
    kernel = vectors @ torch.diag(torch.tensor(values, dtype=torch.float64)) @ vectors.T
    return (kernel + kernel.T) / 2, vectors


def test_eigenvalues_descend() -> None:
    kernel, _ = with_eigenvalues(0.5, 3.0, 1.0, 0.0)
    expected = torch.tensor([3.0, 1.0, 0.5, 0.0], dtype=torch.float64)
    torch.testing.assert_close(eigenvalues(kernel), expected, atol=1e-14, rtol=0)


@given(rank=st.integers(1, 6), extra=st.integers(0, 3), scale=scales)
def test_effective_rank_counts_equal_eigenvalues(rank: int, extra: int, scale: float) -> None:
    kernel, _ = with_eigenvalues(*[scale] * rank, *[0.0] * extra)
    assert participation_ratio(kernel).item() == pytest.approx(rank)


def test_effective_rank_of_unequal_eigenvalues() -> None:
    kernel, _ = with_eigenvalues(3.0, 1.0)
    assert participation_ratio(kernel).item() == pytest.approx((3 + 1) ** 2 / (9 + 1))


def test_critical_rate_is_where_descent_stops_converging() -> None:
    kernel, _ = with_eigenvalues(4.0, 1.0, 0.1)
    learning_rate = critical_rate(kernel, 3).item()
    assert learning_rate == pytest.approx(2 / (4 / 3))
    for factor, converges in [(0.99, True), (1.01, False)]:
        step = torch.eye(3, dtype=torch.float64) - factor * learning_rate * kernel / 3
        assert (torch.linalg.matrix_norm(torch.linalg.matrix_power(step, 1000), 2) < 1) == converges


@given(scale=scales, label_scale=scales)
def test_alignment_is_the_eigenvalues_share_and_ignores_scale(scale: float, label_scale: float) -> None:
    kernel, vectors = with_eigenvalues(3.0, 2.0, 1.0)
    figure = alignment(scale * kernel, label_scale * vectors[:, 1:2])
    assert figure.item() == pytest.approx(2 / math.sqrt(9 + 4 + 1))


def test_alignment_is_the_cosine_with_the_label_kernel_for_several_outputs() -> None:
    features, y = normal(6, 4), normal(3, 2, seed=1)
    kernel = features @ features.T
    ideal = label_kernel(y)
    expected = (kernel * ideal).sum() / (kernel.norm() * ideal.norm())
    torch.testing.assert_close(alignment(kernel, y), expected)
    torch.testing.assert_close(alignment(ideal, y), torch.ones((), dtype=torch.float64))


def test_centring_is_that_of_the_features_over_the_samples() -> None:
    features = normal(5, 2, 7)
    moved = features - features.mean(0)
    expected = moved.reshape(10, 7) @ moved.reshape(10, 7).T
    kernel = features.reshape(10, 7) @ features.reshape(10, 7).T
    torch.testing.assert_close(centered(kernel, 2), expected)
    projector = torch.kron(torch.eye(5, dtype=torch.float64) - 1 / 5, torch.eye(2, dtype=torch.float64))
    torch.testing.assert_close(centered(kernel, 2), projector @ kernel @ projector)


@given(shift=st.floats(0, 10), scale=scales)
def test_centred_alignment_ignores_scale_and_constant_offsets(shift: float, scale: float) -> None:
    features, y = normal(6, 4), normal(6, 1, seed=1)
    kernel = features @ features.T
    figure = centered_alignment(kernel, label_kernel(y))
    torch.testing.assert_close(centered_alignment(scale * (kernel + shift), label_kernel(y + 1)), figure)
    assert centered_alignment(kernel, kernel).item() == pytest.approx(1)


def test_label_energies_of_labels_made_of_two_eigenvectors() -> None:
    kernel, vectors = with_eigenvalues(4.0, 3.0, 2.0, 1.0)
    y = (3 * vectors[:, 0] + 4 * vectors[:, 2]).reshape(2, 2)
    assert label_energies(kernel, y).tolist() == pytest.approx([9 / 25, 9 / 25, 1, 1])


def test_kernels_along_training_pass_through() -> None:
    kernels = torch.stack([with_eigenvalues(3.0, 2.0, 1.0, seed=s)[0] * (s + 1) for s in range(4)])
    y, reference = normal(3, 1), kernels[0]
    for figure in (
        eigenvalues,
        participation_ratio,
        lambda k: critical_rate(k, 3),
        lambda k: alignment(k, y),
        lambda k: centered_alignment(k, reference),
        lambda k: label_energies(k, y),
    ):
        torch.testing.assert_close(figure(kernels), torch.stack([figure(k) for k in kernels]))


def test_float32_is_kept() -> None:
    kernel = with_eigenvalues(3.0, 2.0, 1.0)[0].float()
    y = normal(3, 1).float()
    figures = [participation_ratio(kernel), critical_rate(kernel, 3), alignment(kernel, y)]
    figures += [
        centered_alignment(kernel, label_kernel(y)),
        label_energies(kernel, y),
        ridge_solve(kernel, y),
    ]
    assert {figure.dtype for figure in figures} == {torch.float32}


@given(ridge=st.floats(1e-8, 1e3), columns=st.integers(0, 3))
def test_ridge_solve_solves(ridge: float, columns: int) -> None:
    kernel, _ = with_eigenvalues(3.0, 1.0, 0.0, 0.0)
    b = normal(4, columns, seed=1) if columns else normal(4, seed=1)
    z = ridge_solve(kernel, b, ridge)
    assert z.shape == b.shape
    shifted = kernel + ridge * torch.eye(4, dtype=torch.float64)
    torch.testing.assert_close(shifted @ z, b, atol=1e-7, rtol=1e-7)


@pytest.mark.parametrize("ridge", [0.0, 1e-300])
def test_without_a_ridge_a_singular_kernel_gives_the_solution_of_least_norm(ridge: float) -> None:
    features = normal(8, 3)
    b = normal(8, 2, seed=1)
    expected = torch.linalg.pinv(features @ features.T, hermitian=True, rtol=1e-12) @ b
    torch.testing.assert_close(ridge_solve(features @ features.T, b, ridge), expected)


def test_undefined_figures_are_refused() -> None:
    zero, y = torch.zeros(3, 3, dtype=torch.float64), normal(3, 1)
    kernel = torch.eye(3, dtype=torch.float64)
    with pytest.raises(ValueError, match="`kernel` must not be zero"):
        participation_ratio(zero)
    with pytest.raises(ValueError, match="`kernel` must not be zero"):
        alignment(zero, y)
    with pytest.raises(ValueError, match="`labels` must not be zero"):
        alignment(kernel, 0 * y)
    with pytest.raises(ValueError, match="`labels` must not be zero"):
        label_energies(kernel, 0 * y)
    with pytest.raises(ValueError, match="`kernel` must have a positive eigenvalue"):
        critical_rate(zero, 3)
    with pytest.raises(ValueError, match="`kernel` must vary over the samples"):
        centered_alignment(torch.full((3, 3), 0.1, dtype=torch.float64), kernel)
    constant_to_rounding = torch.full((3, 3), 0.1, dtype=torch.float64)
    constant_to_rounding[0, 0] += 3e-17
    assert centered(constant_to_rounding).any()
    with pytest.raises(ValueError, match="`other` must vary over the samples"):
        centered_alignment(kernel, constant_to_rounding)


def test_bad_arguments_are_refused() -> None:
    kernel, y = torch.eye(4, dtype=torch.float64), normal(4, 1)
    with pytest.raises(ValueError, match="`kernel` must be a dense square matrix"):
        eigenvalues(kernel[:2])
    operator = tangent_kernel(linear(2), normal(2), normal(4, 2))
    with pytest.raises(ValueError, match="but is a TangentKernel; see `.to_dense"):
        eigenvalues(operator)  # type: ignore[arg-type]
    with pytest.raises(NotFiniteError, match="`kernel` must be finite"):
        participation_ratio(kernel / 0)
    with pytest.raises(ValueError, match="`labels` must have n c = 4 entries"):
        alignment(kernel, y[:2])
    with pytest.raises(ValueError, match="`labels` must have the dtype of the kernel"):
        alignment(kernel, y.float())
    with pytest.raises(ValueError, match="`outputs` must divide the kernel's size 4, but is 3"):
        centered(kernel, 3)
    with pytest.raises(ValueError, match="`ridge` must not be negative"):
        ridge_solve(kernel, y, -1.0)
    with pytest.raises(ValueError, match="`right` must have 4 rows"):
        ridge_solve(kernel, y[:2])

"""The closed forms against the target curve, simulation at finite size, their limits and what must never rise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qlazy.base.errors import NotFiniteError
from qlazy.theory import regimes

RATIOS = (0.1, 0.3, 0.5, 0.7, 0.9, 1.0, 3.0)


def target(d: int = 450) -> torch.Tensor:
    """B = diag(g) / sqrt(d), g ~ Exp(1), the matrix of the published curve."""
    return torch.diag(torch.from_numpy(np.random.RandomState(100).exponential(size=d))) / d**0.5


def symmetric(d: int, seed: int, shift: float = 0.0) -> torch.Tensor:
    parts = torch.randn(d, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return parts + parts.T + shift * torch.eye(d, dtype=torch.float64)


def covariance(d: int, seed: int) -> torch.Tensor:
    parts = torch.randn(d, 2 * d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return parts @ parts.T


def test_the_target_curve() -> None:
    """The table for d = 450 (computed apart from this code): ||f*||^2, tr-share, and R / R0 at seven rho."""
    matrix = target()
    assert 2 * matrix.square().sum().item() == pytest.approx(4.2024, abs=5e-5)
    assert regimes.trace_share(matrix) == pytest.approx(0.48881, abs=5e-6)
    table = {
        regimes.random_features_risk: ((0.956, 0.887, 0.837, 0.799, 0.769, 0.756, 0.633), 6e-4),
        regimes.tangent_risk: ((0.854, 0.593, 0.372, 0.193, 0.054, 0.0, 0.0), 6e-4),
    }
    for risk, (figures, rounding) in table.items():
        np.testing.assert_allclose(risk(matrix, RATIOS).numpy(), figures, atol=rounding)
    units = [round(rho * 450) for rho in RATIOS]
    figures = (0.380, 0.111, 0.032, 0.0054, 2e-4, 0.0, 0.0)
    np.testing.assert_allclose(regimes.network_risk(matrix, units).numpy(), figures, atol=6e-4)


@pytest.mark.parametrize("aligned", [True, False])
def test_general_gamma_against_projections(aligned: bool) -> None:
    """Averages over random weights at d = 60, of projections computed here: NT to 3 errors and 1 / d."""
    d, draws = 60, 60
    matrix = symmetric(d, 1, shift=3.0)
    values = torch.linspace(0.2, 2.0, d, dtype=torch.float64)
    vectors = torch.linalg.eigh(matrix).eigenvectors if aligned else torch.linalg.qr(symmetric(d, 5))[0]
    gamma = (vectors * values) @ vectors.T
    root = (vectors * values.sqrt()) @ vectors.T
    generator = torch.Generator().manual_seed(0)
    for units in (12, 30, 51):
        kept = []
        for _ in range(draws):
            weights = torch.randn(units, d, generator=generator, dtype=torch.float64) @ root
            projector = torch.eye(d, dtype=torch.float64) - torch.linalg.pinv(weights) @ weights
            kept.append(((projector @ matrix @ projector).norm() / matrix.norm()).square().item())
        expected = regimes.tangent_risk(matrix, [units / d], gamma).item()
        error = np.std(kept, ddof=1) / draws**0.5
        assert np.mean(kept) == pytest.approx(expected, abs=3 * error + 0.3 / d)


def test_isotropic_gamma_is_the_general_formula() -> None:
    """(1 - rho)^2 (1 - t) + (1 - rho) t, and Gamma counts up to a factor."""
    matrix, rho = (
        symmetric(20, 2, shift=1.0),
        torch.tensor([0.0, 0.2, 0.5, 0.95, 1.0, 2.0], dtype=torch.float64),
    )
    share, left = regimes.trace_share(matrix), (1 - rho).clamp(min=0)
    for gamma in (None, 7.0 * torch.eye(20, dtype=torch.float64)):
        found = regimes.tangent_risk(matrix, rho, gamma)
        torch.testing.assert_close(found, left**2 * (1 - share) + left * share)
        found = regimes.random_features_risk(matrix, rho, gamma)
        torch.testing.assert_close(found, 1 - rho / (1 + rho) * share)


def test_limits() -> None:
    matrix = symmetric(12, 3, shift=2.0)
    for risk in (regimes.random_features_risk, regimes.tangent_risk):
        for gamma in (None, covariance(12, 4)):
            assert risk(matrix, [0.0], gamma).item() == 1.0
            assert risk(matrix, [1e-9], gamma).item() == pytest.approx(1.0, abs=1e-6)
    assert regimes.tangent_risk(matrix, [1.0], covariance(12, 4)).item() == 0.0
    torch.testing.assert_close(
        regimes.network_risk(matrix, [0, 12, 13]), torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    )
    # random features aligned with the target learn it all, in the limit
    gamma = covariance(12, 4)
    assert regimes.random_features_risk(gamma, [1e9], gamma).item() == pytest.approx(0.0, abs=1e-6)


@settings(max_examples=50)
@given(
    d=st.integers(2, 9), seed=st.integers(0, 999), shift=st.floats(-3, 3), isotropic=st.booleans(),
    data=st.data(),
)  # fmt: skip
def test_more_units_never_hurt(d, seed, shift, isotropic, data) -> None:
    """Risks lie in [0, 1] and fall with N; mg follows qf. NT has rank 2 N: it may beat N trained units."""
    matrix, gamma = symmetric(d, seed, shift), None if isotropic else covariance(d, seed + 1)
    rho = torch.tensor(
        sorted(data.draw(st.lists(st.floats(0, 3), min_size=2, max_size=6))), dtype=torch.float64
    )
    curves = [risk(matrix, rho, gamma) for risk in (regimes.random_features_risk, regimes.tangent_risk)]
    curves.append(regimes.network_risk(matrix, torch.arange(2 * d)))
    for curve in curves:
        assert ((curve >= -1e-9) & (curve <= 1 + 1e-9)).all()
        assert (curve.diff() <= 1e-9).all()
        assert (regimes.mixture_risk(matrix, curve.clamp(0, 1)).diff() <= 1e-9).all()
    tangent = regimes.tangent_risk(matrix, torch.arange(d) / d)
    assert (regimes.network_risk(matrix, 2 * torch.arange(d)) <= tangent + 1e-9).all()


def test_bayes_risk_lies_below_the_best_quadratic() -> None:
    """And below by little where s is small: 1 - s/2 + O(s^2) for both."""
    matrix = symmetric(6, 7)
    for s in (1e-4, 0.3, 2.0, 30.0):
        scaled = matrix * (s**0.5 / matrix.norm())
        bayes, best = regimes.bayes_risk(scaled), regimes.mixture_risk(scaled, 0.0).item()
        assert 0 <= bayes <= best
        if s == 1e-4:
            assert bayes == pytest.approx(1 - s / 2, abs=s**2)
            assert best == pytest.approx(1 - s / 2, abs=s**2)


def test_bayes_risk_against_sampled_ratios() -> None:
    """d = 300, both classes: the exact log-likelihood ratio of Gaussians, drawn and evaluated here."""
    d, count = 300, 20000
    values = torch.linspace(-1.0, 2.0, d, dtype=torch.float64)
    values = values / values.norm() * 1.3
    scales = torch.stack([(1 - values).sqrt(), (1 + values).sqrt()])
    normal = torch.randn(2, count, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = (normal * scales.unsqueeze(1)).flatten(0, 1)
    plus, minus = (torch.distributions.Normal(0.0, scale).log_prob(x).sum(1) for scale in scales)
    kept = 1 - torch.tanh((plus - minus) / 2).square()
    expected = regimes.bayes_risk(torch.diag(values))
    assert kept.mean().item() == pytest.approx(expected, abs=3 * kept.std().item() / len(kept) ** 0.5 + 2e-3)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda m: regimes.trace_share(m[:2]), ValueError, "`matrix` must be a square matrix"),
        (lambda m: regimes.trace_share(m.triu()), ValueError, "`matrix` must be symmetric"),
        (lambda m: regimes.trace_share(0 * m), ValueError, "`matrix` must not be zero"),
        (lambda m: regimes.trace_share(m / 0), NotFiniteError, "`matrix` must be finite"),
        (lambda m: regimes.tangent_risk(m, [-0.1]), ValueError, "`ratios` must be finite and not negative"),
        (lambda m: regimes.tangent_risk(m, 0.1), ValueError, "`ratios` must be a list"),
        (lambda m: regimes.tangent_risk(m, [0.5], -m @ m), ValueError, "`gamma` must be a covariance"),
        (lambda m: regimes.random_features_risk(m, [0.5], m[:2, :2]), ValueError, "`gamma` must have shape"),
        (lambda m: regimes.random_features_risk(m, [0.5], (m @ m).float()), ValueError, "`gamma` must have the dtype"),
        (lambda m: regimes.network_risk(m, [0.5]), ValueError, "`units` must be a list of whole numbers"),
        (lambda m: regimes.network_risk(m, [-1]), ValueError, "`units` must be a list of whole numbers"),
        (lambda m: regimes.mixture_risk(m, 1.5), ValueError, "`kept` must be between 0 and 1"),
    ],
)  # fmt: skip
def test_refusals(call, error, text) -> None:
    with pytest.raises(error, match=text):
        call(symmetric(3, 0))


def test_a_singular_gamma_is_refused_where_it_matters() -> None:
    """NT's formula needs every direction; RF's does not."""
    gamma = torch.diag(torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64))
    with pytest.raises(ValueError, match="`gamma` must be positive definite"):
        regimes.tangent_risk(symmetric(3, 0), [0.5], gamma)
    assert regimes.random_features_risk(symmetric(3, 0), [0.5], gamma).isfinite().all()

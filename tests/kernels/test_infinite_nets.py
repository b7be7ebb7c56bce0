"""Infinite nets against quadrature, hand-made values, and wide finite nets."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from qlazy.kernels.infinite_nets import infinite_kernels, ntk_net
from tests import systems


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_one_hidden_layer_against_quadrature(activation: str) -> None:
    """E over (u, v) on a grid for erf; ReLU, with a kink, in polar angles: the radius integrates by hand."""
    x = systems.normal(3, 4)
    w, b = 1.7, 0.4
    first = (w * x @ x.T / 4 + b).numpy()
    phi = np.zeros((3, 3))
    slope = np.zeros((3, 3))
    for i in range(3):
        for j in range(3):
            factor = np.linalg.cholesky(first[np.ix_([i, j], [i, j])] + 1e-14 * np.eye(2))
            if activation == "erf":
                nodes = np.linspace(-9, 9, 361)  # the trapezoid rule, spectrally exact here
                weights = np.exp(-(nodes**2) / 2) * (nodes[1] - nodes[0])
                grid = np.stack(np.meshgrid(nodes, nodes, indexing="ij"))
                mass = np.outer(weights, weights) / (2 * math.pi)
                u, v = np.tensordot(factor, grid, 1)
                erf = torch.special.erf
                phi[i, j] = (mass * (erf(torch.tensor(u)) * erf(torch.tensor(v))).numpy()).sum()
                slope[i, j] = (mass * 4 / math.pi * np.exp(-(u**2) - v**2)).sum()
            else:
                turn = 2 * math.pi * (np.arange(200000) + 0.5) / 200000
                u, v = factor @ np.stack([np.cos(turn), np.sin(turn)])
                phi[i, j] = 2 * (np.clip(u, 0, None) * np.clip(v, 0, None)).mean()  # E r^2 = 2
                slope[i, j] = ((u > 0) & (v > 0)).mean()
    covariance = w * phi + b
    expected = covariance + w * slope * first
    found = infinite_kernels(
        x, hidden=1, activation=activation, weight_scale=math.sqrt(w), bias_scale=math.sqrt(b)
    )
    np.testing.assert_allclose(found.covariance.numpy(), covariance, rtol=2e-5)
    np.testing.assert_allclose(found.tangent.numpy(), expected, rtol=2e-5)


@pytest.mark.parametrize(("activation", "bias"), [("relu", 0.0), ("relu", 0.5), ("erf", 0.3)])
@pytest.mark.parametrize("hidden", [1, 2])
def test_wide_finite_nets_come_to_it(activation: str, bias: float, hidden: int) -> None:
    """Within four standard errors over seeds, and closer with width."""
    x = systems.normal(3, 5, seed=2)
    limit = infinite_kernels(x, hidden=hidden, activation=activation, bias_scale=bias).tangent
    spread = {}
    for width in (32, 256):
        net = ntk_net((5, *[width] * hidden, 1), activation=activation, bias_scale=bias)
        kernels = torch.stack([net.gram(net.init(rng(seed)), x).reshape(3, 3) for seed in range(24)])
        spread[width] = (kernels - limit).norm(dim=(1, 2)).mean() / limit.norm()
    error = kernels.std(0) / math.sqrt(24)
    # the mean itself is off by a term of order 1/width
    assert ((kernels.mean(0) - limit).abs() < 4 * error + 2 / 256 * limit.abs().max()).all()
    assert spread[256] < 0.15
    assert 1.8 < spread[32] / spread[256] < 4.5  # as width^-1/2: a factor of sqrt(8)


def test_outputs_have_the_covariance() -> None:
    x = systems.normal(2, 3, seed=4)
    net = ntk_net((3, 128, 1), activation="erf", bias_scale=0.2)
    outputs = torch.stack([net(net.init(rng(seed)), x).squeeze(1) for seed in range(3000)])
    covariance = infinite_kernels(x, hidden=1, activation="erf", bias_scale=0.2).covariance
    torch.testing.assert_close(outputs.T @ outputs / 3000, covariance, rtol=0.15, atol=0.03)


def test_known_values() -> None:
    """A linear net: both kernels are s_w^2 x.y / d + s_b^2. Deep ReLU at equal inputs: Theta = (hidden + 1) Sigma."""
    x, y = systems.normal(2, 3), systems.normal(4, 3, seed=1)
    linear = infinite_kernels(x, y, hidden=0, weight_scale=2.0, bias_scale=0.5)
    torch.testing.assert_close(linear.tangent, 4 * x @ y.T / 3 + 0.25)
    deep = infinite_kernels(x, hidden=4)
    torch.testing.assert_close(deep.covariance.diagonal(), 2 * x.square().mean(1))
    torch.testing.assert_close(deep.tangent.diagonal(), 5 * deep.covariance.diagonal())
    cross = infinite_kernels(x, y, hidden=3, activation="erf")
    both = infinite_kernels(torch.cat([x, y]), hidden=3, activation="erf")
    torch.testing.assert_close(cross.tangent, both.tangent[:2, 2:])
    zero = infinite_kernels(torch.zeros(1, 3, dtype=torch.float64), hidden=2)
    assert zero.tangent.item() == 0.0


def test_refusals() -> None:
    x = systems.normal(2, 3)
    with pytest.raises(ValueError, match="`activation` must be one of relu, erf, but is 'tanh'"):
        infinite_kernels(x, activation="tanh")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`y` must have 3 columns"):
        infinite_kernels(x, systems.normal(2, 4))

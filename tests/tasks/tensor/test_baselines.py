"""Power iteration and tensorly: exact where theory says so, and refused in words where tensorly is missing."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from qlazy.tasks.tensor import Decomposition, parafac, power_iteration, random_target, symmetric_parafac


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def orthogonal(order, weights):
    basis = torch.linalg.qr(torch.randn(6, len(weights), generator=rng(3), dtype=torch.float64))[0]
    return Decomposition(torch.tensor(weights, dtype=torch.float64), basis.T.contiguous(), order)


@pytest.mark.parametrize(("order", "weights"), [(3, [1.0, -0.8, 0.6]), (4, [1.0, -0.8, 0.6])])
def test_power_iteration_finds_orthogonal_components(order, weights):
    """Anandkumar et al. 2014, theorem 4.1; negative weights as well, also where l is even."""
    target = orthogonal(order, weights)
    found = power_iteration(target, 3, rng(1))
    assert found.relative_error(target) < 1e-7
    assert sorted(found.weights.abs().tolist()) == pytest.approx([0.6, 0.8, 1.0])


def test_power_iteration_beyond_the_rank_stays_put():
    assert power_iteration(orthogonal(3, [1.0]), 3, rng(1)).relative_error(orthogonal(3, [1.0])) < 1e-7


def test_tensorly_on_what_it_can_do():
    """Alternating least squares finds a random target of low rank; the power iteration an orthogonal one. It takes
    off the positive terms first, where ours takes the largest."""
    assert parafac(random_target(6, 3, 2, rng(0)), 2, seed=0) < 1e-4
    assert (
        symmetric_parafac(orthogonal(3, [1.0, 0.8]), 2, seed=0).relative_error(orthogonal(3, [1.0, 0.8]))
        < 1e-7
    )
    negative = orthogonal(4, [0.8, -1.0])
    assert symmetric_parafac(negative, 1, seed=0).weights.tolist() == pytest.approx([0.8])
    assert power_iteration(negative, 1, rng(0)).weights.tolist() == pytest.approx([-1.0])


def test_numpys_global_state_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = symmetric_parafac(random_target(4, 3, 2, rng(0)), 2, seed=1)
    second = symmetric_parafac(random_target(4, 3, 2, rng(0)), 2, seed=1)
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert torch.equal(first.vectors, second.vectors)


def test_without_tensorly(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorly", None)
    with pytest.raises(ImportError, match="pip install tensorly$"):
        parafac(random_target(4, 3, 1, rng(0)), 1, seed=0)

"""Sums of powers through Gram matrices, held to the explicit tensors."""

from __future__ import annotations

import pytest
import torch

from qlazy.base.errors import NotFiniteError
from qlazy.tasks.tensor import Decomposition, index_tuples, multiplicities, random_target
from tests.systems import normal


def example(components=3, seed=0):
    return Decomposition(normal(components, seed=seed + 10), normal(components, 4, seed=seed), 3)


def test_everything_is_that_of_the_explicit_tensor():
    first, second = example(), example(2, seed=5)
    dense, other = first.dense(), second.dense()
    torch.testing.assert_close(first.inner(second), (dense * other).sum())
    torch.testing.assert_close(first.norm(), dense.norm())
    torch.testing.assert_close(first.minus(second).dense(), dense - other)
    assert first.relative_error(second) == pytest.approx(float((dense - other).norm() / other.norm()))
    u = normal(2, 4, seed=9)
    torch.testing.assert_close(first.contracted(u), torch.einsum("abc,kb,kc->ka", dense, u, u))


def test_distinct_entries_with_multiplicities_have_the_norm_of_the_tensor():
    tensor, x = example(), index_tuples(4, 3)
    torch.testing.assert_close((multiplicities(x) * tensor.entries(x).square()).sum(), tensor.norm() ** 2)


@pytest.mark.parametrize("signed", [False, True])
def test_random_targets(signed):
    targets = [random_target(6, 4, 3, torch.Generator().manual_seed(s), signed=signed) for s in range(8)]
    assert all(float(t.norm()) == pytest.approx(1.0) and t.components == 3 for t in targets)
    assert any(bool((t.weights < 0).any()) for t in targets) == signed
    assert all(len(t.weights.abs().unique()) == 1 for t in targets)


def test_what_is_refused():
    with pytest.raises(ValueError, match="`other` must have dimension and order"):
        example().inner(random_target(3, 3, 1, torch.Generator()))
    with pytest.raises(NotFiniteError, match="vectors"):
        Decomposition(torch.ones(1), torch.full((1, 2), float("nan")), 3)
    with pytest.raises(ValueError, match="`weights` must have shape"):
        Decomposition(torch.ones(2), torch.ones(1, 2), 3)
    with pytest.raises(ValueError, match="zero tensor"):
        example().relative_error(Decomposition(torch.zeros(1).double(), torch.ones(1, 4).double(), 3))
    with pytest.raises(MemoryError, match="GiB"):
        Decomposition(torch.ones(1), torch.ones(1, 100), 12).dense()

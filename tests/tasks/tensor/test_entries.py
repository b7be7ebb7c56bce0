"""Which entries a symmetric tensor has, and how often each occurs."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from qlazy.tasks.tensor import index_tuples, multiplicities, symmetric_dimension
from qlazy.tasks.tensor.entries import power_derivatives, powers_at
from tests.systems import normal


@pytest.mark.parametrize(("dimension", "order"), [(1, 3), (2, 5), (4, 3), (6, 2), (3, 1)])
def test_every_entry_is_counted_once(dimension, order):
    """C(d + l - 1, l) distinct entries; with their multiplicities they are the d^l entries of the tensor."""
    x = index_tuples(dimension, order)
    assert len(x) == symmetric_dimension(dimension, order) == math.comb(dimension + order - 1, order)
    sorted_tuples = [tuple(sorted(t)) for t in itertools.product(range(dimension), repeat=order)]
    assert multiplicities(x).tolist() == [float(sorted_tuples.count(tuple(row.tolist()))) for row in x]


def test_derivatives_of_powers_at_zeros():
    """By autograd, at vectors with a zero entry, where dividing by a factor would give NaN."""
    vectors, x = normal(3, 4), index_tuples(4, 3)
    vectors[0, 1] = 0.0
    expected = torch.func.jacrev(powers_at)(vectors, x)
    expected = torch.stack([expected[:, i, i] for i in range(3)], 1)
    torch.testing.assert_close(power_derivatives(vectors, x), expected)


def test_what_is_refused():
    with pytest.raises(ValueError, match="`order` must be a whole number from 1 on, but is 0"):
        symmetric_dimension(3, 0)
    with pytest.raises(MemoryError, match=r"`tensor` must fit in the .* GiB"):
        index_tuples(500, 8)

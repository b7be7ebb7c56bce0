"""Counted operations of nets: closed forms, torch's own counter, and nets that are not counted."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import qlazy


def counted(module: nn.Module, x: Tensor) -> int | None:
    net = qlazy.Net(module.double(), init="own")
    return net.gradient_flops(net.init(0), x)


def by_torch(module: nn.Module, x: Tensor) -> int:
    """What torch's counter sees in one value and gradient."""
    params = [parameter for parameter in module.double().parameters() if parameter.requires_grad]
    with FlopCounterMode(display=False) as counter:
        torch.autograd.grad(module(x).sum(), params)
    return int(counter.get_total_flops())


@given(st.lists(st.integers(1, 7), min_size=2, max_size=5), st.integers(0, 9))
def test_multilayer_perceptrons(widths: list[int], samples: int) -> None:
    net = qlazy.mlp(widths)
    sizes = [a * b for a, b in pairwise(widths)]
    x = torch.ones(samples, widths[0], dtype=torch.float64)
    forward, weights, inputs = sum(sizes), sum(sizes), sum(sizes[1:])
    assert net.gradient_flops(net.init(0), x) == 2 * samples * (forward + weights + inputs)
    wrapped = qlazy.Scaled(qlazy.Centered(net, net.init(0)), 3.0)
    assert wrapped.gradient_flops(net.init(0), x) == net.gradient_flops(net.init(0), x)


@pytest.mark.parametrize(("size", "stride", "is_frozen"), [(1, 2, False), (3, 1, True), (2, 1, False)])
def test_convolutions_are_counted_as_torch_counts_them(size: int, stride: int, is_frozen: bool) -> None:
    first = nn.Conv2d(2, 5, size, stride=stride, padding=1).requires_grad_(not is_frozen)
    module = nn.Sequential(
        first, nn.GroupNorm(1, 5), nn.ReLU(), nn.Conv2d(5, 3, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)
    )  # fmt: skip
    x = torch.randn(3, 2, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert counted(module, x) == by_torch(module, x)


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 4))
def test_convolutions_in_groups(groups: int, inner: int, size: int, samples: int) -> None:
    x = torch.ones(samples, groups, 5, dtype=torch.float64)
    module = nn.Sequential(nn.Conv1d(groups, groups * inner, size, groups=groups), nn.Flatten())
    products = groups * inner * (6 - size) * size  # each output sums over its own channel
    assert counted(module, x) == samples * 2 * 2 * products


class Twice(nn.Module):
    """A layer that is used twice, and one that may be left out."""

    def __init__(self, uses_both: bool) -> None:
        super().__init__()
        self.inner, self.other, self.uses_both = nn.Linear(3, 3), nn.Linear(3, 3), uses_both

    def forward(self, x: Tensor) -> Tensor:
        x = self.inner(torch.tanh(self.inner(x)))
        return self.other(x) if self.uses_both else nn.functional.linear(x, self.other.weight)


class Product(nn.Linear):
    """A layer of one's own, which does what it likes."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) ** 2


def test_a_layer_that_is_used_twice_counts_twice() -> None:
    x = torch.ones(5, 3, dtype=torch.float64)
    assert counted(Twice(True), x) == by_torch(Twice(True), x) == 5 * 2 * 9 * (2 + 3 + 3)


@pytest.mark.parametrize(
    "module", [Twice(False), Product(3, 2), nn.Sequential(nn.Linear(3, 2), Product(2, 2))]
)
def test_nets_with_parameters_elsewhere_are_not_counted(module: nn.Module) -> None:
    assert counted(module, torch.ones(5, 3, dtype=torch.float64)) is None


def test_other_models_are_not_counted() -> None:
    function = qlazy.Function(lambda w, x: x @ w[:, None], 3)
    assert function.gradient_flops(torch.ones(3), torch.ones(2, 3)) is None

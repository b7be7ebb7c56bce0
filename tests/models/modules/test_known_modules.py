"""Nets of torch's own row-wise modules are not tried, all others are; and mixing that shows in large batches only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from qlazy import Net, UnsupportedModelError, mlp
from qlazy.models import nets
from qlazy.models.modules import known_modules
from qlazy.models.modules.known_modules import BATCH_NORMS, POINTWISE, SPATIAL, maps_each_sample

F64 = torch.float64


def image_net(dimensions: int, kind: type[nn.Module]) -> tuple[nn.Module, Tensor]:
    x = torch.randn(3, 2, *(6,) * dimensions, dtype=F64)
    part = kind(2, 3, 2) if "Conv" in kind.__name__ else kind(2)
    return nn.Sequential(part, nn.Flatten(), nn.LazyLinear(2)), x


KNOWN = {
    **{
        kind.__name__: (nn.Sequential(nn.Linear(4, 3), kind()), torch.randn(3, 4, dtype=F64))
        for kind in POINTWISE
    },
    **{kind.__name__: image_net(dimensions, kind) for kind, dimensions in SPATIAL.items()},
    "norm": (nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3)), torch.randn(3, 4, dtype=F64)),
    "norm of groups": (
        nn.Sequential(nn.Conv2d(2, 4, 2), nn.GroupNorm(2, 4), nn.Flatten()),
        torch.randn(3, 2, 4, 4, dtype=F64),
    ),
    **{
        kind.__name__: (
            nn.Sequential(kind(2), nn.Flatten()).eval(),
            torch.randn(3, 2, *(4,) * (ndims[-1] - 2), dtype=F64),
        )
        for kind, ndims in BATCH_NORMS.items()
    },
    "within": (
        nn.Sequential(nn.Sequential(nn.Linear(4, 3), nn.Tanh()), nn.Flatten()),
        torch.randn(3, 2, 4, dtype=F64),
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_modules_map_each_sample(name: str) -> None:
    module, x = KNOWN[name]
    module = module.double()
    module(x)
    assert maps_each_sample(module, x)
    torch.testing.assert_close(module(x), torch.cat([module(row) for row in x.split(1)]), rtol=0, atol=1e-12)


class Own(nn.Linear):
    pass


def with_hook() -> nn.Module:
    module = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
    module[1].register_forward_hook(lambda m, args, outputs: outputs - outputs.mean(0))
    return module


def with_another_forward() -> nn.Module:
    module = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
    module[1].forward = lambda x: x - x.mean(0)  # type: ignore[method-assign]
    return module


def with_buffer() -> nn.Module:
    module = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
    module[1].register_buffer("shift", torch.ones(4))
    return module


UNKNOWN = {
    "a class of one's own": (lambda: nn.Sequential(Own(4, 4)), (3, 4)),
    "a hook": (with_hook, (3, 4)),
    "another forward": (with_another_forward, (3, 4)),
    "a weight that is computed": (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)), (3, 4)),
    "in place": (lambda: nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 4)), (3, 4)),
    "dropout": (lambda: nn.Sequential(nn.Linear(4, 4), nn.Dropout()), (3, 4)),
    "recurrent": (lambda: nn.LSTM(4, 4), (3, 4)),
    "flattened whole": (lambda: nn.Sequential(nn.Linear(4, 4), nn.Flatten(0)), (3, 4)),
    "softmax over samples": (lambda: nn.Sequential(nn.Linear(4, 4), nn.Softmax(0)), (3, 4)),
    "one image": (lambda: nn.Sequential(nn.Conv2d(3, 2, 2), nn.Flatten()), (3, 4, 4)),
    "a norm over samples": (lambda: nn.Sequential(nn.Linear(4, 4), nn.LayerNorm((3, 4))), (3, 4)),
    "three dimensions": (lambda: nn.Linear(4, 4), (3, 2, 4)),
    "buffers": (with_buffer, (3, 4)),
    "statistics of the batch": (lambda: nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)), (3, 4)),
    "no others": (lambda: nn.BatchNorm1d(4, track_running_stats=False).eval(), (3, 4)),
}


@pytest.mark.parametrize(
    "register",
    [
        nn.modules.module.register_module_forward_hook,
        nn.modules.module.register_module_forward_pre_hook,
        nn.modules.module.register_module_full_backward_hook,
    ],
    ids=lambda register: register.__name__,
)
def test_a_hook_on_every_module_is_seen(register: Callable[..., Any]) -> None:
    module, x = nn.Sequential(nn.Linear(4, 4), nn.Tanh()).double(), torch.ones(3, 4, dtype=F64)
    hook = register(lambda module, *seen: None)
    assert not maps_each_sample(module, x)
    hook.remove()
    assert maps_each_sample(module, x)


@pytest.mark.parametrize("name", UNKNOWN)
def test_other_modules_are_tried(name: str) -> None:
    make, shape = UNKNOWN[name]
    assert not maps_each_sample(make(), torch.zeros(shape))


def test_a_forward_that_was_replaced_in_torch_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    module, x = nn.Sequential(nn.Linear(4, 4), nn.Tanh()), torch.zeros(3, 4)
    assert maps_each_sample(module, x)
    monkeypatch.setattr(nn.Tanh, "forward", lambda self, x: x - x.mean(0))
    assert not maps_each_sample(module, x)


def test_a_known_net_is_run_once_before_its_first_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nets, "Trial", None)
    net = mlp([4, 8, 1])
    assert net(net.params, torch.randn(500, 4, dtype=F64)).shape == (500, 1)
    assert known_modules.maps_each_sample(net.module, torch.randn(5, 4))


# -- what shows in large batches, and what is counted elsewhere ---------------------------------------------------


class Clipped(nn.Module):
    """Divides by the norm of the batch where that is above a limit."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.linear, self.limit = nn.Linear(2, 1, dtype=F64), limit

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x / max(1.0, float(x.detach().norm()) / self.limit))


def test_mixing_beyond_the_rows_that_are_tried() -> None:
    net = Net(Clipped(limit=12.0))  # 72 rows of (1, 1): more than a batch of the trial has, taken twice
    with pytest.raises(UnsupportedModelError, match="a batch of 100 and its rows one by one differ"):
        net(net.params, torch.ones(100, 2, dtype=F64))


def test_mixing_in_a_batch_far_larger_than_the_first() -> None:
    net = Net(Clipped(limit=20.0))
    x = torch.ones(300, 2, dtype=F64) + torch.linspace(0, 0.01, 300, dtype=F64)[:, None]
    torch.testing.assert_close(net(net.params, x[:20]), net.module(x[:20]))
    for _ in range(2):
        with pytest.raises(UnsupportedModelError, match="a batch of 300 and its rows one by one differ"):
            net(net.params, x)


COUNT, SEEN, FEW = 0, [0.0], {"calls": 0}


class Counting(nn.Module):
    calls = 0

    def __init__(self, count: str) -> None:
        super().__init__()
        self.linear, self.count = nn.Linear(2, 1, dtype=F64), count

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) * (1 + 1e-13 * getattr(self, self.count)())

    def number(self) -> int:
        global COUNT
        COUNT += 1
        return COUNT

    def entry(self) -> float:
        SEEN[0] += 1
        return SEEN[0]

    def key(self) -> int:
        FEW["calls"] += 1
        return FEW["calls"]

    def of_the_class(self) -> int:
        Counting.calls += 1
        return Counting.calls

    def by_a_function(self) -> int:
        return counted()


def counted() -> int:
    global COUNT
    COUNT += 1
    return COUNT


@pytest.mark.parametrize("count", ["number", "entry", "key", "of_the_class", "by_a_function"])
def test_slow_counters_outside_of_the_module_are_refused(count: str) -> None:
    net = Net(Counting(count))
    with pytest.raises(UnsupportedModelError, match="changes .*, which it reads, from call to call"):
        net(net.params, torch.ones(2, 2, dtype=F64))

"""What torch says of its own rules for batches does not reach the user, whatever operations a net is made of."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import qlazy
from qlazy.training.losses import loss_of
from tests.makers import inputs, rng

LOOPS = "There is a performance drop"
N, D, H = 5, 4, 6

OPERATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "attention": lambda h: F.scaled_dot_product_attention(*(h.reshape(-1, 1, 3, 2),) * 3).flatten(1),
    "glu": F.glu,
    "largest so far": lambda h: h.cummax(-1)[0],
    "quantile": lambda h: torch.quantile(h, 0.3, dim=-1, keepdim=True),
    "renorm": lambda h: h.renorm(2, 0, 1.0),
    "lu": lambda h: torch.linalg.lu(torch.eye(H).to(h) + h[:, :, None] * h[:, None])[2].flatten(1),
    "grid": lambda h: F.affine_grid(h.reshape(-1, 2, 3), [len(h), 1, 3, 3], align_corners=True).flatten(1),
    "windows": lambda h: h.unfold(-1, 3, 1).flatten(1),
    "nearest": lambda h: F.interpolate(h.reshape(-1, 1, 2, 3), (4, 6), mode="nearest-exact").flatten(1),
    "pooled": lambda h: F.max_pool2d(h.reshape(-1, 1, 2, 3), (1, 2), 1).flatten(1),
    "padded": lambda h: F.pad(h.reshape(-1, 1, 2, 3), (1, 1, 0, 1), mode="reflect").flatten(1),
    "sorted": lambda h: h.sort(-1)[0],
    "solved": lambda h: torch.linalg.solve(torch.eye(H).to(h) + h[:, :, None] * h[:, None], h),
    "spectrum": lambda h: torch.fft.rfft(h).abs(),
}
PARTS: dict[str, Callable[[], nn.Module]] = {
    "tanh": nn.Tanh,
    "norm": lambda: nn.LayerNorm(H),
    "linear": lambda: nn.Linear(H, H),
    "twice": lambda: Twice(),
}


class Twice(nn.Module):
    """A product of two layers of the same rows."""

    def __init__(self) -> None:
        super().__init__()
        self.product = nn.Bilinear(H, H, H)

    def forward(self, h: Tensor) -> Tensor:
        found: Tensor = self.product(h, h)
        return found


class Applied(nn.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, h: Tensor) -> Tensor:
        return OPERATIONS[self.name](h)


def drawn(seed: int, name: str) -> nn.Module:
    """A net of a layer, parts by chance, the operation and a readout."""
    chance = rng(seed)
    parts = [PARTS[list(PARTS)[k]]() for k in torch.randint(len(PARTS), (2,), generator=chance)]
    body = nn.Sequential(nn.Linear(D, H), *parts, Applied(name)).double()
    with torch.no_grad():
        width = body(torch.zeros(1, D, dtype=torch.float64)).shape[1]
    return nn.Sequential(body, nn.Linear(width, 1).double()).eval()


def uses(net: qlazy.Net, x: Tensor) -> Iterator[Callable[[], object]]:
    """What is asked of a net by what the user calls."""
    params, y = net.init(0), x[:, :1].sign()
    along, weights = torch.randn(net.num_params, generator=rng(1), dtype=torch.float64), torch.ones_like(y)
    data = qlazy.Dataset("d", x, y, x[:2], y[:2], ("a", "b"), "drawn")
    yield lambda: qlazy.tangent_kernel(net, params, x).to_dense()
    yield lambda: qlazy.tangent_kernel(net, params, x) @ weights[:, 0]
    yield lambda: net.jacobian(params, x)
    yield lambda: net.jvp(params, x, along)
    yield lambda: net.vjp(params, x, weights)
    yield lambda: qlazy.train(net, params, data, steps=2)
    yield lambda: qlazy.compare({"net": net}, data, alphas=(1, 10), seeds=2, steps=2)
    yield lambda: net.hvp(params, x, weights, along)


def words_of(call: Callable[[], object]) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with contextlib.suppress(RuntimeError, ValueError):  # where torch has no derivative
            call()
    return [str(one.message) for one in caught if str(one.message).startswith(LOOPS)]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", OPERATIONS)
def test_no_word_of_torch_about_its_loops_reaches_the_user(name: str, seed: int) -> None:
    net, x = qlazy.Net(drawn(seed, name)), inputs(N, D)
    for call in uses(net, x):
        assert not words_of(call)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_nor_about_bags_of_words(mode: str) -> None:
    class Bags(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bag, self.readout = nn.EmbeddingBag(5, 3, mode=mode), nn.Linear(3, 1)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.readout(self.bag(x))
            return found

    net, x = qlazy.Net(Bags().double()), torch.randint(5, (N, D), generator=rng(0))
    params = net.init(0)
    for call in (lambda: net.jacobian(params, x), lambda: qlazy.tangent_kernel(net, params, x).to_dense()):
        assert not words_of(call)


def loud() -> object:
    return torch.func.vmap(OPERATIONS["renorm"])(torch.rand(3, 2, H))


def test_torch_still_tells_the_user_of_his_own_maps() -> None:
    """Before and after qlazy has mapped something, while it failed, and in threads that begin and end in any order."""
    net, x = qlazy.Net(drawn(0, "renorm")), inputs(N, D)
    params = net.init(0)
    assert words_of(loud)
    net.jacobian(params, x)
    assert words_of(loud)
    with pytest.raises(ValueError, match="`x` must"):
        net.jacobian(params, x[:, :2])
    assert words_of(loud)
    threads = [threading.Thread(target=net.jacobian, args=(params, x)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert words_of(loud)


def test_a_loss_of_the_users_is_mapped_without_words() -> None:
    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - targets).renorm(2, 0, 1.0).square().mean()

    outputs, targets = inputs(3, N, 2), inputs(N, 2)
    assert not words_of(lambda: loss_of(loss).on_lanes(outputs, targets))
    assert words_of(lambda: torch.func.vmap(loss, (0, None))(outputs, targets))

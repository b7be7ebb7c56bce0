"""Jacobians of chains and of large nets against ``torch.func`` on the plain module, and who takes which way."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from qlazy import Net
from qlazy.models import nets
from qlazy.models.layerwise import chain_of, choice, is_dense, jacobians, layerwise_gram, layerwise_jacobian
from qlazy.models.modules.known_modules import POINTWISE
from tests.makers import rng


def by_transforms(net: Net, params: Tensor, x: Tensor) -> Tensor:
    """(n, c, p) by ``torch.func`` alone, of the module as the net holds it."""

    def single(w: Tensor, row: Tensor) -> Tensor:
        return torch.func.functional_call(net.module, net.state(w), (row[None],))[0]

    return torch.func.vmap(torch.func.jacrev(single), (None, 0))(params, x)


def drawn_chain(seed: int) -> tuple[nn.Sequential, int]:
    """Linear layers of drawn widths, some without bias, pointwise functions between them or not, in nested parts."""
    random = rng(seed)

    def below(top: int) -> int:
        return int(torch.randint(top, (1,), generator=random))

    widths = [1 + below(5) for _ in range(2 + below(3))]
    parts: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths):
        parts.append(nn.Linear(fan_in, fan_out, bias=below(4) > 0))
        if below(4):
            parts.append(POINTWISE[below(len(POINTWISE))]())
    cut = below(len(parts))
    return nn.Sequential(*parts[:cut], nn.Sequential(*parts[cut:])).double(), widths[0]


@pytest.mark.parametrize("seed", range(40))
def test_jacobian_of_a_chain(seed: int) -> None:
    """Every pointwise function and shape; also where some parameters are frozen, and for a single sample."""
    module, width = drawn_chain(seed)
    own = list(module.parameters())
    if seed % 4 == 0 and len(own) > 1:
        own[seed % len(own)].requires_grad_(False)
    net = Net(module)
    params = torch.randn(net.num_params, generator=rng(seed), dtype=torch.float64)
    x = torch.randn(1 + seed % 5, width, generator=rng(seed), dtype=torch.float64)
    assert chain_of(net.module, x) is not None
    expected = by_transforms(net, params, x)
    torch.testing.assert_close(net.jacobian(params, x), expected, rtol=1e-10, atol=1e-12)
    recorded = net.jacobian(params.clone().requires_grad_(), x)
    torch.testing.assert_close(recorded.detach(), expected, rtol=1e-10, atol=1e-12)


def drawn_images(seed: int) -> tuple[nn.Sequential, Tensor]:
    """Convolutions in one to three dimensions with drawn settings, norms, pooling, one to seven outputs; and inputs."""
    random = rng(1000 + seed)

    def one_of(*choices):
        return choices[int(torch.randint(len(choices), (1,), generator=random))]

    d = 1 + seed % 3
    convolution, norm = getattr(nn, f"Conv{d}d"), getattr(nn, f"BatchNorm{d}d")
    parts: list[nn.Module] = []
    for fan_in, fan_out in ((2, 4), (4, 4)):
        modes = ("zeros", "reflect", "replicate", "circular") if d < 3 else ("zeros", "replicate", "circular")
        settings = {"groups": one_of(1, 2), "bias": one_of(True, False), "dilation": one_of(1, 2)}
        settings |= one_of({"stride": 2}, {"padding": 1, "padding_mode": one_of(*modes)}, {"padding": "same"})
        size = (
            one_of(1, 3) if settings.get("padding") == "same" else one_of(1, 2, 3)
        )  # of even ones torch warns
        parts.append(convolution(fan_in, fan_out, size, **settings))
        parts += [one_of(nn.GroupNorm(2, 4), norm(4), nn.Tanh()), one_of(nn.ReLU, nn.SiLU, nn.Identity)()]
    if d < 3:
        kinds = ("AvgPool", "MaxPool", "AdaptiveAvgPool")
        parts.append(getattr(nn, f"{one_of(*kinds)}{d}d")(1 if d == 2 else 2))
    body = nn.Sequential(*parts, nn.Flatten()).double().eval()
    for part in body:
        if isinstance(part, norm):
            part.running_mean.normal_(generator=random)
            part.running_var.uniform_(0.5, 2.0, generator=random)
    x = torch.randn(1 + seed % 4, 2, *[9 - d] * d, generator=random, dtype=torch.float64)
    return nn.Sequential(body, nn.Linear(body(x).shape[1], one_of(1, 3, 7)).double()).eval(), x


@pytest.mark.parametrize("seed", range(60))
def test_jacobian_and_kernel_of_a_convolutional_chain(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its kernel, stride, padding, groups and norms; frozen parts too, at once and a sample at a time."""
    module, x = drawn_images(seed)
    own = list(module.parameters())
    if seed % 4 == 0:
        own[seed % len(own)].requires_grad_(False)
    net = Net(module, init="own")
    params = torch.randn(net.num_params, generator=rng(seed), dtype=torch.float64)
    chain = chain_of(net.module, x)
    assert chain is not None
    assert not is_dense(chain)
    expected = by_transforms(net, params, x)
    close = {"rtol": 1e-9, "atol": 1e-10 * (1 + float(expected.abs().max()))}
    torch.testing.assert_close(net.jacobian(params, x), expected, **close)
    kernel = torch.einsum("icp,jdp->icjd", expected, expected)
    wide = {"rtol": 1e-9, "atol": 1e-10 * (1 + float(kernel.abs().max()))}
    torch.testing.assert_close(layerwise_gram(net, params, x, None, chain), kernel, **wide)
    torch.testing.assert_close(layerwise_gram(net, params, x, x[:1], chain), kernel[:, :, :1], **wide)
    for name in ("READ_BYTES", "SMALL"):
        monkeypatch.setattr(jacobians, name, 1)
    torch.testing.assert_close(net.jacobian(params, x), expected, **close)


def test_a_norm_that_learns_from_the_batch_is_no_chain() -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)).double()
    x = torch.randn(5, 3, generator=rng(0), dtype=torch.float64)
    assert chain_of(module, x) is None
    assert chain_of(module.eval(), x) is not None
    unknown = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4, track_running_stats=False)).double().eval()
    assert chain_of(unknown, x) is None


@pytest.mark.parametrize("seed", range(12))
def test_second_derivatives_of_a_chain(seed: int) -> None:
    """H v and D^2h[v, v] of smooth chains against forward mode over forward mode of ``torch.func``."""
    smooth = [nn.Tanh, nn.Sigmoid, nn.GELU, nn.Softplus, nn.SiLU, nn.Identity]
    kind = smooth[seed % len(smooth)]
    module = nn.Sequential(nn.Linear(3, 4), kind(), nn.Linear(4, 1 + seed % 3), nn.Tanh()).double()
    net = Net(module)
    params, v = (torch.randn(net.num_params, generator=rng(s), dtype=torch.float64) for s in (seed, 99))
    x = torch.randn(5, 3, generator=rng(seed), dtype=torch.float64)

    def along(w: Tensor) -> Tensor:
        return torch.func.jvp(lambda u: net.forward(u, x), (w,), (v,))[1]

    expected = torch.func.jvp(along, (params,), (v,))[1]
    torch.testing.assert_close(net.second_derivative(params, x, v), expected, rtol=1e-9, atol=1e-11)
    u = torch.randn(expected.shape, generator=rng(7), dtype=torch.float64)
    torch.testing.assert_close(net.hvp(params, x, u, v) @ v, (u * expected).sum(), rtol=1e-9, atol=1e-11)


def test_second_derivatives_where_forward_mode_is_wrong() -> None:
    """Of a layer norm, whose nested forward mode loses terms: against a second difference of the outputs."""
    module = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Tanh(), nn.Linear(4, 2)).double()
    net = Net(module)
    params, v = (torch.randn(net.num_params, generator=rng(s), dtype=torch.float64) for s in (3, 4))
    x, step = torch.randn(5, 3, generator=rng(5), dtype=torch.float64), 1e-4
    ahead, here, behind = (net(params + e * v, x) for e in (step, 0.0, -step))
    expected = (ahead - 2 * here + behind) / step**2
    torch.testing.assert_close(net.second_derivative(params, x, v), expected, rtol=1e-4, atol=1e-5)


class Own(nn.Linear):
    """A linear layer with a forward of its own."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


def test_what_is_no_chain() -> None:
    """A layer that runs twice, a subclass, a hook and images take the general way, and give the right Jacobian."""
    twice = nn.Linear(3, 3)
    hooked = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
    hooked[0].register_forward_hook(lambda module, args, output: 3 * output)
    tied = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))
    tied[2].weight = tied[0].weight
    x = torch.randn(4, 3, generator=rng(0), dtype=torch.float64)
    for module in (nn.Sequential(twice, nn.Tanh(), twice), nn.Sequential(Own(3, 2)), hooked, tied):
        net = Net(module.double(), init="own")
        assert chain_of(net.module, x) is None
        params = net.init(0)
        torch.testing.assert_close(net.jacobian(params, x), by_transforms(net, params, x))


class Skip(nn.Module):
    """Layers with rules, and parameters outside of all of them."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(4, 6), nn.LayerNorm(6), nn.Linear(6, outputs)
        self.mix = nn.Parameter(torch.linspace(-1, 1, 36).reshape(6, 6))
        self.scale = nn.Parameter(torch.tensor([1.3]))

    def forward(self, x: Tensor) -> Tensor:
        inner = torch.tanh(self.norm(self.first(x)))
        return self.last(inner + self.scale * torch.sin(inner @ self.mix))


@pytest.mark.parametrize("outputs", [1, 3])
def test_layer_by_layer(outputs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Jacobian of a net that is read layer by layer, in one block and in several."""
    net = Net(Skip(outputs).double())
    params = torch.randn(net.num_params, generator=rng(1), dtype=torch.float64)
    x = torch.randn(7, 4, generator=rng(2), dtype=torch.float64)
    expected = by_transforms(net, params, x)
    torch.testing.assert_close(layerwise_jacobian(net, params, x), expected)
    for name in ("READ_BYTES", "SMALL"):
        monkeypatch.setattr(jacobians, name, 1)
    torch.testing.assert_close(layerwise_jacobian(net, params, x), expected)
    monkeypatch.setattr(choice, "LAYERS_SHARE", -1e9)
    called = []
    monkeypatch.setattr(nets, "layerwise_jacobian", lambda *a: called.append(1) or layerwise_jacobian(*a))
    monkeypatch.setattr(choice, "ENTRY_COST", 1.0)
    torch.testing.assert_close(net.jacobian(params, x), expected)
    assert called


SLOW_IMPORTS = """
import sys, torch, qlazy
data = qlazy.load_data("digits", features=3, train=8, test=4)
models = {"net": qlazy.mlp([3, 3, 1]), "circuit": qlazy.load_circuit("hardware_efficient", n=3, layers=1)}
qlazy.compare(models, data, alphas=(1, 10, 100), seeds=2, steps=4, out=sys.argv[1], progress=False)
print([name for name in ("sklearn", "torch._dynamo", "sympy", "pennylane", "scipy.stats") if name in sys.modules])
"""


def test_a_comparison_waits_for_no_slow_imports(tmp_path) -> None:
    """Circuits of the corpus and multilayer perceptrons: seconds are saved."""
    command = [sys.executable, "-c", SLOW_IMPORTS, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

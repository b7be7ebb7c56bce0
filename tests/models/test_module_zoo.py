"""Modules as people write them, against plain autograd row by row: right, or refused in words."""

from __future__ import annotations

import itertools
import random
import re
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize, prune
from torch.utils.checkpoint import checkpoint

from qlazy import Linearized, Net, Readout, tangent_kernel
from qlazy.base.errors import SlowBackendWarning, UnsupportedModelError
from qlazy.models.layerwise import choice
from tests.makers import inputs, rng

N = 4
GRAMMAR = re.compile(r"`[\w\[\]']+` must .*, but (is |\w+ |in )", re.DOTALL)


@pytest.fixture(autouse=True, scope="module")
def layer_by_layer():
    """Small nets too, whose kernels come from their Jacobian otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DENSE_COSTS", "CHAIN_COSTS", "READING_COSTS"):
            patch.setattr(choice, name, getattr(choice, name)._replace(layers=-float("inf")))
        yield


class Using(nn.Module):
    """Named parts, used as a function says."""

    def __init__(self, use, **parts):
        super().__init__()
        self.use = use
        for name, part in parts.items():
            if isinstance(part, torch.Tensor) and not isinstance(part, nn.Parameter):
                self.register_buffer(name, part)
            else:
                setattr(self, name, part)

    def forward(self, x):
        return self.use(self, x)


class Half(torch.autograd.Function):
    """Written in the old style, which ``torch.func`` does not take; its gradient is half the true one."""

    @staticmethod
    def forward(ctx, x):
        return x.sin()

    @staticmethod
    def backward(ctx, gradient):
        return gradient / 2


class StraightThrough(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x.round()

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class WrongForward(torch.autograd.Function):
    """Its two modes contradict each other."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x.sin()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[0])
        ctx.save_for_forward(inputs[0])

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.saved_tensors[0].cos()

    @staticmethod
    def jvp(ctx, tangent):
        return tangent * 7


class OnceOnly(torch.autograd.Function):
    """Has no second derivative and no forward mode."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.exp()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return gradient * ctx.saved_tensors[0].exp()


class Reversed(torch.autograd.Function):
    """A gradient reversal layer."""

    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        return -gradient


def frozen_front(m, x):
    with torch.no_grad():
        hidden = torch.tanh(m.a(x))
    return m.o(hidden)


def branching(m, x):
    return torch.stack([m.o(m.a(row).tanh()) if row[0] > 0 else m.o(m.a(row).sin()) for row in x])


def by_numpy(m, x):
    scale = torch.from_numpy(x.detach().numpy().copy()).abs()
    return m.o(m.a(x * scale).tanh())


def by_item(m, x):
    return torch.stack([m.o(m.a(row) * row.sum().item()) for row in x])


def in_place(m, x):
    hidden = m.a(x)
    hidden[:, 0] += hidden[:, 1].clone().sin()
    hidden.relu_()
    return m.o(hidden)


def sequence(m, x):
    return m.o(m.r(x.unsqueeze(-1))[0][:, -1])


def forces(m, x):
    """Minus the gradient of an energy, by autograd within."""
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        return -torch.autograd.grad(m.o(m.a(x).tanh()).sum(), x, create_graph=True)[0]


def forces_of_caller(m, x):
    """The same where nobody thought of a caller that runs without autograd."""
    x = x.detach().requires_grad_()
    return -torch.autograd.grad(m.o(m.a(x).tanh()).sum(), x, create_graph=True)[0]


def mixture(m, x):
    """Each sample to the expert that its gate chooses."""
    gates = m.a(x).softmax(1)[:, :2]
    chosen, out = gates.argmax(1), x.new_zeros(len(x), 2)
    for number, expert in enumerate(m.experts):
        rows = chosen == number
        if rows.any():
            out[rows] = expert(x[rows]) * gates[rows, number, None]
    return out


def packed(m, x):
    lengths = torch.full((len(x),), x.shape[1])
    return m.o(m.r(nn.utils.rnn.pack_padded_sequence(x.unsqueeze(-1), lengths, batch_first=True))[1][0][-1])


def pruned():
    module = nn.Linear(3, 2)
    prune.l1_unstructured(module, "weight", amount=0.5)
    return module


class Symmetric(nn.Module):
    def forward(self, weight):
        return weight + weight.T


def linear(**more):
    torch.manual_seed(0)
    return {"a": nn.Linear(3, 4), "o": nn.Linear(4, 2), **more}


def parametrized():
    module = nn.Linear(3, 3)
    parametrize.register_parametrization(module, "weight", Symmetric())
    return nn.Sequential(module, nn.Tanh(), nn.Linear(3, 2))


def tied():
    module = Using(lambda m, x: m.b(m.a(x).tanh()), a=nn.Linear(3, 3), b=nn.Linear(3, 3))
    module.b.weight = module.a.weight
    return module


def frozen_part():
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    module[0].requires_grad_(False)
    return module


def transposed_parameter():
    return Using(lambda m, x: x @ m.w.T, w=nn.Parameter(torch.randn(3, 2, generator=rng()).T))


def old_weight_norm():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return torch.nn.utils.weight_norm(nn.Linear(3, 2))


def image(*layers):
    return nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(2))


def tokens(n=N):
    return torch.tensor([[1, 2, 0, 3], [0, 0, 1, 4], [4, 3, 2, 1], [2, 2, 2, 0]])[:n]


def x3():
    return inputs(N, 3)


def pictures():
    return inputs(N, 2, 6, 6)


def steps():
    return inputs(N, 5, 3)


RECURRENT = {
    "GRU": lambda: Using(sequence, r=nn.GRU(1, 4, batch_first=True), o=nn.Linear(4, 2)),
    "LSTM": lambda: Using(sequence, r=nn.LSTM(1, 4, batch_first=True), o=nn.Linear(4, 2)),
    "RNN": lambda: Using(sequence, r=nn.RNN(1, 4, batch_first=True), o=nn.Linear(4, 2)),
    "bidirectional LSTM": lambda: Using(
        sequence, r=nn.LSTM(1, 3, num_layers=2, bidirectional=True, batch_first=True), o=nn.Linear(6, 1)
    ),
    "projected LSTM": lambda: Using(
        sequence, r=nn.LSTM(1, 4, proj_size=2, batch_first=True), o=nn.Linear(2, 1)
    ),
    "GRU cell": lambda: Using(
        lambda m, x: m.o(m.r(x[:, 1:], m.r(x[:, :-1]))), r=nn.GRUCell(2, 4), o=nn.Linear(4, 2)
    ),
    "LSTM cell": lambda: Using(lambda m, x: m.o(m.r(x)[0]), r=nn.LSTMCell(3, 4), o=nn.Linear(4, 2)),
}
UNMAPPED = {
    "experts": lambda: Using(mixture, experts=nn.ModuleList([nn.Linear(3, 2), nn.Linear(3, 2)]), **linear()),
    "packed sequences": lambda: Using(packed, r=nn.LSTM(1, 4, batch_first=True), o=nn.Linear(4, 2)),
    "branches on data": lambda: Using(branching, **linear()),
    "NumPy on data": lambda: Using(by_numpy, **linear()),
    "item of data": lambda: Using(by_item, **linear()),
    "nonzero": lambda: Using(
        lambda m, x: torch.stack([m.a(r)[r.nonzero()[:2, 0]] for r in x]), a=nn.Linear(3, 3)
    ),
    "old autograd.Function": lambda: Using(lambda m, x: m.o(Half.apply(m.a(x))), **linear()),
    "gradient reversal": lambda: Using(lambda m, x: m.o(Reversed.apply(m.a(x))), **linear()),
    "once differentiable": lambda: Using(lambda m, x: m.o(OnceOnly.apply(m.a(x))), **linear()),
}
STOPPED = {
    "no_grad front": lambda: Using(frozen_front, **linear()),
    "detach": lambda: Using(lambda m, x: m.o(m.a(x).detach().tanh() * m.a(x)), **linear()),
    "data": lambda: Using(lambda m, x: m.o(m.a(x).data + m.a(x).sin()), **linear()),
    "straight through": lambda: Using(lambda m, x: m.o(StraightThrough.apply(3 * m.a(x))), **linear()),
    "straight through by detach": lambda: Using(
        lambda m, x: m.o(m.a(x) + (m.a(x).sign() - m.a(x)).detach()), **linear()
    ),
    "forward mode that is wrong": lambda: Using(lambda m, x: m.o(WrongForward.apply(m.a(x))), **linear()),
    "weight detached": lambda: Using(
        lambda m, x: m.o(F.linear(x, m.a.weight.detach(), m.a.bias)), **linear()
    ),
}
PLAIN = {
    "sequential": lambda: nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.Linear(4, 2)),
    "in place": lambda: Using(in_place, **linear()),
    "in-place activation": lambda: nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True), nn.Linear(4, 2)),
    "bilinear": lambda: Using(lambda m, x: m.b(x, x.sin()), b=nn.Bilinear(3, 3, 2)),
    "list": lambda: Using(
        lambda m, x: sum(p(x) for p in m.l), l=nn.ModuleList([nn.Linear(3, 2), nn.Linear(3, 2)])
    ),
    "dictionary": lambda: Using(
        lambda m, x: m.d["b"](m.d["a"](x)), d=nn.ModuleDict({"a": nn.Linear(3, 4), "b": nn.Linear(4, 2)})
    ),
    "parameter list": lambda: Using(
        lambda m, x: x @ m.l[0] + m.l[1],
        l=nn.ParameterList([torch.randn(3, 2, generator=rng()), torch.zeros(2)]),
    ),
    "scalar parameter": lambda: Using(
        lambda m, x: m.a(x) * m.s.exp(), a=nn.Linear(3, 2), s=nn.Parameter(torch.tensor(0.3))
    ),
    "empty parameter": lambda: Using(
        lambda m, x: m.a(x) + m.s.sum(), a=nn.Linear(3, 2), s=nn.Parameter(torch.zeros(0, 3))
    ),
    "transposed parameter": transposed_parameter,
    "unused parameter": lambda: Using(lambda m, x: m.a(x), a=nn.Linear(3, 2), b=nn.Linear(3, 2)),
    "buffer": lambda: Using(lambda m, x: m.a(x) * m.s, a=nn.Linear(3, 2), s=torch.tensor([2.0, 3.0])),
    "sparse buffer": lambda: Using(
        lambda m, x: m.a(torch.sparse.mm(m.s, x.T).T), a=nn.Linear(3, 2), s=torch.eye(3).flip(0).to_sparse()
    ),
    "complex buffer": lambda: Using(
        lambda m, x: (m.a(x) * m.s).abs(), a=nn.Linear(3, 2), s=torch.tensor([2.0 + 1j, 3.0])
    ),
    "tied": tied,
    "frozen": frozen_part,
    "residual": lambda: Using(lambda m, x: m.o(x + m.a(m.a(x).tanh())), a=nn.Linear(3, 3), o=nn.Linear(3, 2)),
    "parametrization": parametrized,
    "weight norm": lambda: nn.Sequential(
        parametrizations.weight_norm(nn.Linear(3, 4)), nn.Tanh(), nn.Linear(4, 2)
    ),
    "old weight norm": old_weight_norm,
    "orthogonal": lambda: nn.Sequential(
        parametrizations.orthogonal(nn.Linear(3, 3)), nn.Tanh(), nn.Linear(3, 2)
    ),
    "spectral norm": lambda: nn.Sequential(
        parametrizations.spectral_norm(nn.Linear(3, 4)), nn.Linear(4, 2)
    ).eval(),
    "layer norm": lambda: nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2)),
    "RMS norm": lambda: nn.Sequential(nn.Linear(3, 4), nn.RMSNorm(4), nn.Linear(4, 2)),
    "batch norm": lambda: nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).eval(),
    "PReLU": lambda: nn.Sequential(nn.Linear(3, 4), nn.PReLU(4), nn.Linear(4, 2)),
    "dropout in evaluation": lambda: nn.Sequential(nn.Linear(3, 4), nn.Dropout(), nn.Linear(4, 2)).eval(),
    "fourth root": lambda: Using(lambda m, x: m.a(x).square().add(1).pow(0.25), a=nn.Linear(3, 2)),
    "starts at zero": lambda: Using(
        lambda m, x: m.a(x) @ m.w, a=nn.Linear(3, 4), w=nn.Parameter(torch.zeros(4, 2))
    ),
    "checkpoints": lambda: Using(lambda m, x: m.o(checkpoint(m.a, x, use_reentrant=False)), **linear()),
    "forces": lambda: Using(forces, **linear()),
    "forces with autograd of the caller": lambda: Using(forces_of_caller, **linear()),
    "pruned": pruned,
    "traced by fx": lambda: torch.fx.symbolic_trace(
        nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    ),
    "keeps what it saw": lambda: Using(lambda m, x: setattr(m, "seen", x) or m.a(x), a=nn.Linear(3, 2)),
}
IMAGES = {
    "convolution": lambda: image(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(2)),
    "grouped": lambda: image(
        nn.Conv2d(2, 4, 3, groups=2, padding="same", padding_mode="circular"), nn.GELU()
    ),
    "transposed": lambda: image(nn.ConvTranspose2d(2, 2, 3, stride=2)),
    "pooling": lambda: image(nn.Conv2d(2, 2, 3), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1)),
    "group norm": lambda: image(nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.SiLU()),
    "instance norm": lambda: image(nn.Conv2d(2, 2, 3), nn.InstanceNorm2d(2, affine=True)),
    "batch norm of images": lambda: image(nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2)).eval(),
    "upsampling": lambda: image(
        nn.Conv2d(2, 2, 3), nn.Upsample(scale_factor=2, mode="bilinear"), nn.PixelShuffle(1)
    ),
    "unfolded": lambda: image(nn.Conv2d(2, 2, 1), nn.Unfold(3)),
}
SEQUENCES = {
    "attention": lambda: Using(
        lambda m, x: m.o(m.a(x, x, x)[0].mean(1)), a=nn.MultiheadAttention(3, 1, batch_first=True), o=nn.Linear(3, 2)
    ),
    "encoder layer": lambda: Using(
        lambda m, x: m.o(m.a(x).mean(1)),
        a=nn.TransformerEncoderLayer(3, 1, 4, 0.0, batch_first=True), o=nn.Linear(3, 2),
    ),
    "encoder layer in evaluation": lambda: Using(
        lambda m, x: m.o(m.a(x).mean(1)),
        a=nn.TransformerEncoderLayer(3, 1, 4, batch_first=True), o=nn.Linear(3, 2),
    ).eval(),
    "scaled dot product": lambda: Using(
        lambda m, x: F.scaled_dot_product_attention(m.a(x), m.a(x), x, is_causal=True).mean(1), a=nn.Linear(3, 3)
    ),
    "convolution of sequences": lambda: nn.Sequential(nn.Conv1d(5, 4, 2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 2)),
}  # fmt: skip
TOKENS = {
    "embedding": lambda: nn.Sequential(nn.Embedding(5, 3), nn.Flatten(), nn.Linear(12, 2)),
    "padded embedding": lambda: nn.Sequential(nn.Embedding(5, 3, padding_idx=0), nn.Flatten(), nn.Linear(12, 2)),
    "embedding with sparse gradients": lambda: nn.Sequential(
        nn.Embedding(5, 3, sparse=True), nn.Flatten(), nn.Linear(12, 2)
    ),
    "bag of embeddings": lambda: nn.Sequential(nn.EmbeddingBag(5, 3), nn.Linear(3, 2)),
    "padded bag": lambda: nn.Sequential(nn.EmbeddingBag(5, 3, padding_idx=0, mode="sum"), nn.Linear(3, 2)),
    "one-hot": lambda: Using(lambda m, x: m.a(F.one_hot(x, 5).to(m.a.weight.dtype).sum(1)), a=nn.Linear(5, 2)),
    "recurrent language model": lambda: Using(
        lambda m, x: m.o(m.r(m.e(x))[0][:, -1]),
        e=nn.Embedding(5, 3, padding_idx=0), r=nn.GRU(3, 4, batch_first=True), o=nn.Linear(4, 2),
    ),
}  # fmt: skip
RIGHT = {
    **{name: (make, x3) for name, make in (RECURRENT | UNMAPPED | STOPPED | PLAIN).items()},
    **{name: (make, pictures) for name, make in IMAGES.items()},
    **{name: (make, steps) for name, make in SEQUENCES.items()},
    **{name: (make, tokens) for name, make in TOKENS.items()},
}


def built(name):
    """The module in double precision, run once where it is lazy."""
    make, data = RIGHT[name]
    torch.manual_seed(0)
    module, x = make().double(), data()
    module(x)
    return module, x


def row_by_row(module, x):
    """Outputs (n, c) and Jacobian (n, c, p) by one backward pass an output and row."""
    weights = [p for p in module.parameters() if p.requires_grad]
    outputs, rows = [], []
    for row in x.split(1):
        out = module(row)[0]
        outputs.append(out.detach())
        gradients = [
            torch.autograd.grad(o, weights, retain_graph=True, allow_unused=True, materialize_grads=True)
            for o in out
        ]
        rows.append(
            torch.stack([torch.cat([g.to_dense().reshape(-1) for g in gradient]) for gradient in gradients])
        )
    return torch.stack(outputs), torch.stack(rows)


@pytest.mark.parametrize("name", RIGHT)
def test_a_module_is_what_it_is_row_by_row(name):
    module, x = built(name)
    outputs, jacobian = row_by_row(module, x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SlowBackendWarning)
        net = Net(module)
        params = net.params
        v = torch.randn(net.num_params, generator=rng(1), dtype=torch.float64)
        u = torch.randn(outputs.shape, generator=rng(2), dtype=torch.float64)
        kernel = torch.tensordot(jacobian, jacobian, ([2], [2]))
        applied = tangent_kernel(net, params, x, allow_zero=True) @ u.flatten()
        found = {
            "outputs": (net(params, x), outputs),
            "jacobian": (net.jacobian(params, x), jacobian),
            "jvp": (net.jvp(params, x, v), jacobian @ v),
            "vjp": (net.vjp(params, x, u), torch.tensordot(u, jacobian, 2)),
            "gram": (net.gram(params, x), kernel),
            "gram of two": (net.gram(params, x, x[1:3]), kernel[:, :, 1:3]),
            "K u": (applied, kernel.reshape(u.numel(), u.numel()) @ u.flatten()),
            "linearized": (Linearized(net, params)(params + v, x), outputs + jacobian @ v),
        }
        for what, (actual, expected) in found.items():
            torch.testing.assert_close(
                actual, expected, rtol=1e-8, atol=1e-10, msg=lambda m, what=what: f"{what}: {m}"
            )


def test_there_are_sixty():
    assert len(RIGHT) + len(REFUSED) >= 90
    assert len(RIGHT) >= 60


@pytest.mark.parametrize("name", [*RECURRENT, *UNMAPPED])
def test_what_torch_cannot_map_says_so(name):
    """The reason for the slow way: the day it warns no more, torch has learnt it."""
    module, x = built(name)
    net = Net(module)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        net.jacobian(net.params, x)
        net.jacobian(net.params, x)
    slow = [w for w in caught if issubclass(w.category, SlowBackendWarning)]
    assert len(slow) == 1
    assert all(
        re.match(r"`module` is differentiated row by row, .*: torch.func cannot", str(w.message))
        for w in slow
    )


@pytest.mark.parametrize("name", ["no_grad front", "forward mode that is wrong", "padded embedding"])
def test_forward_mode_differs_where_gradients_are_stopped(name):
    """What torch.func.jvp would give, so that the check above has something to catch."""
    module, x = built(name)
    net = Net(module)
    v = torch.randn(net.num_params, generator=rng(1), dtype=torch.float64)
    forward = torch.func.jvp(lambda w: net(w, x), (net.params,), (v,))[1]
    assert (forward - net.jvp(net.params, x, v)).abs().max() > 1e-3


def test_padding_outside_of_the_rows_tried():
    """Forward mode would be right on the rows that are tried, and wrong later."""
    net = Net(nn.Sequential(nn.Embedding(5, 2, padding_idx=0), nn.Flatten()).double())
    v = torch.ones(10, dtype=torch.float64)
    for x in (torch.tensor([[1, 2], [3, 4]]), torch.tensor([[0, 2], [3, 0]])):
        torch.testing.assert_close(net.jvp(net.params, x, v), (x != 0).double().repeat_interleave(2, 1))


@pytest.mark.parametrize("name", ["weight norm", "attention", "padded embedding", "GRU"])
def test_derivatives_can_be_recorded(name):
    """Second derivatives by plain autograd: those of the Jacobian that autograd gives row by row."""
    module, x = built(name)
    net = Net(module)
    params = net.params.requires_grad_()
    v = torch.randn(net.num_params, generator=rng(1), dtype=torch.float64).requires_grad_()
    u = torch.randn(net(params, x).shape, generator=rng(2), dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SlowBackendWarning)
        along_v = torch.autograd.grad((u * net.jvp(params, x, v)).sum(), v)[0]
        torch.testing.assert_close(along_v, net.vjp(params, x, u).detach())
        by_vjp = torch.autograd.grad(net.vjp(params, x, u) @ v.detach(), params)[0]
        by_jacobian = torch.autograd.grad((u * (net.jacobian(params, x) @ v.detach())).sum(), params)[0]
        torch.testing.assert_close(by_vjp, by_jacobian)


def test_readout_keeps_the_rules_of_its_model():
    module, x = built("no_grad front")
    readout = Readout(Net(module), 2)
    params = readout.init(rng()).double()
    v = torch.randn(params.shape, generator=rng(1), dtype=torch.float64)
    u = torch.randn(N, 1, generator=rng(2), dtype=torch.float64)
    jacobian = readout.jacobian(params, x)
    torch.testing.assert_close(readout.jvp(params, x, v), jacobian @ v)
    torch.testing.assert_close(readout.vjp(params, x, u), torch.tensordot(u, jacobian, 2))


COUNTER = itertools.count()


def remembered(m, x):
    if not hasattr(m, "first"):
        m.first = m.a.weight.detach().clone()
    return x @ m.first.T + m.a(x)


def counted(m, x):
    m.calls = getattr(m, "calls", 0) + 1
    return m.a(x) if m.calls < 100 else 2 * m.a(x)


def logged(m, x):
    m.log.append(float(x.sum().detach()))
    return m.a(x)


def smoothed(m, x):
    m.mean.mul_(0.9).add_(0.1 * x.detach().mean(0))
    return m.a(x - m.mean)


def reassigned(m, x):
    m.mean = m.mean + x.detach().mean(0)
    return m.a(x)


def clamped(m, x):
    m.a.weight.data.clamp_(-0.1, 0.1)
    return m.a(x)


def with_log():
    module = Using(logged, a=nn.Linear(3, 2))
    module.log = []
    return module


def sequence_first(kind):
    return lambda: Using(lambda m, x: m.o(m.r(x)[0].mean(1)), r=kind(3, 4), o=nn.Linear(4, 2))


def clipped(m, x):
    hidden = m.a(x)
    if hidden.requires_grad:
        hidden.register_hook(lambda g: g.clamp(-1e-3, 1e-3))
    return m.o(hidden)


class Kept(nn.Module):
    """A layer, and what ``keep`` makes of it in front of any call, which forward uses."""

    def __init__(self, keep, use):
        super().__init__()
        self.a = nn.Linear(3, 2)
        self.kept = keep(self.a)
        self.use = use

    def double(self):  # as a module that comes in this precision does, what it kept included
        return self

    def forward(self, x):
        return self.use(self.kept, x)


def kept(keep, use):
    def make():
        torch.set_default_dtype(torch.float64)
        try:
            return Kept(keep, use)
        finally:
            torch.set_default_dtype(torch.float32)

    return make


class Closed(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 2)
        self.steps = [lambda x: self.a(x)]

    def forward(self, x):
        return self.steps[0](x)


def masked(module):
    module.weight.register_hook(lambda gradient: gradient * 0.5)
    return module


def body():
    return nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))


def again(reentrant):
    def use(m, x):
        return m.o(checkpoint(m.b, x.clone().requires_grad_(), use_reentrant=reentrant))

    return lambda: Using(use, b=body(), o=nn.Linear(3, 2))


def using(f, **parts):
    return lambda: Using(f, **(parts or {"a": nn.Linear(3, 2)}))


MIXING = {
    "mean": using(lambda m, x: m.a(x - x.mean(0))),
    "normalize": using(lambda m, x: F.normalize(m.a(x), dim=0)),
    "softmax": using(lambda m, x: m.a(x).softmax(0)),
    "running sum": using(lambda m, x: torch.cumsum(m.a(x), 0)),
    "rank": using(lambda m, x: m.a(x) * x.argsort(0)[:, :1]),
    "sorted": using(lambda m, x: m.a(x).sort(0).values),
    "largest": using(lambda m, x: m.a(x / x.max())),
    "neighbour": using(lambda m, x: m.a(x + x.roll(1, 0))),
    "attention over samples": using(lambda m, x: (x @ x.T).softmax(1) @ m.a(x)),
    "size of the batch": using(lambda m, x: m.a(x) / len(x)),
    "batch statistics": using(lambda m, x: F.batch_norm(m.a(x), None, None, training=True)),
    "standard deviation": using(lambda m, x: m.a(x) / m.a(x).std()),
    "behind a zero layer": lambda: Using(
        lambda m, x: (x - x.mean(0)) @ m.w, w=nn.Parameter(torch.zeros(3, 2))
    ),
    "sum decides": using(lambda m, x: m.a(x) if x.sum() > 0 else m.a(-x)),
    "nearest other": using(lambda m, x: m.a(x[torch.cdist(x, x).topk(2, largest=False).indices[:, 1]])),
}
MIXING_SEQUENCES = {
    "encoder layer": lambda: Using(
        lambda m, x: m.o(m.t(x).mean(1)), t=nn.TransformerEncoderLayer(3, 1, 4, 0.0), o=nn.Linear(3, 2)
    ),
    "attention": lambda: Using(
        lambda m, x: m.o(m.t(x, x, x)[0].mean(1)), t=nn.MultiheadAttention(3, 1), o=nn.Linear(3, 2)
    ),
    "GRU": sequence_first(nn.GRU),
    "LSTM": sequence_first(nn.LSTM),
    "RNN": sequence_first(nn.RNN),
}
CHANGING = {
    "counter": using(counted),
    "log": with_log,
    "weights of the first call": using(remembered),
    "running mean": using(smoothed, a=nn.Linear(3, 2), mean=torch.zeros(3)),
    "reassigned buffer": using(reassigned, a=nn.Linear(3, 2), mean=torch.zeros(3)),
    "clamped weights": using(clamped),
    "spectral norm in training": lambda: parametrizations.spectral_norm(nn.Linear(3, 2)),
    "noise of NumPy": using(lambda m, x: m.a(x) + float(np.random.default_rng().normal())),
    "noise of Python": using(lambda m, x: m.a(x) * random.random()),
    "counter elsewhere": using(lambda m, x: m.a(x) + next(COUNTER)),
    "writes to x": using(lambda m, x: m.a(x.mul_(2))),
    "in place first": lambda: nn.Sequential(nn.ReLU(inplace=True), nn.Linear(3, 2)),
}
RANDOM = {
    "functional dropout": using(lambda m, x: F.dropout(m.a(x), 0.3)),
    "rare dropout": using(lambda m, x: F.dropout(m.a(x), 1e-6)),
    "noise": using(lambda m, x: m.a(x) + torch.rand_like(x[:, :2])),
    "noise in training": using(lambda m, x: m.a(x) + (torch.randn(len(x), 2) if m.training else 0)),
    "random rotation": using(lambda m, x: m.a(x) * torch.empty(1).uniform_()),
    "rarely skipped": using(lambda m, x: m.a(x) * (random.random() < 0.999)),
    "rare noise of NumPy": using(lambda m, x: m.a(x) * float(np.random.rand() < 0.999)),  # noqa: NPY002
    "random choice": using(lambda m, x: m.a(x[:, torch.randperm(3)])),
    "leaky in training": lambda: nn.Sequential(nn.Linear(3, 2), nn.RReLU()),
    "LSTM with dropout": lambda: Using(
        sequence, r=nn.LSTM(1, 4, 2, dropout=0.5, batch_first=True), o=nn.Linear(4, 2)
    ),
    "attention with dropout": lambda: Using(
        lambda m, x: m.o(m.r(x[:, None], x[:, None], x[:, None])[0][:, 0]),
        r=nn.MultiheadAttention(3, 1, dropout=0.5, batch_first=True), o=nn.Linear(3, 2),
    ),
}  # fmt: skip
ELSEWHERE = {
    "in a list": kept(lambda a: [a.weight], lambda k, x: x @ k[0].T),
    "a view": kept(lambda a: a.weight[:, :3], lambda k, x: x @ k.T),
    "computed once": kept(lambda a: a.weight.exp(), lambda k, x: x @ k.T),
    "in a function": kept(lambda a: lambda x: x @ a.weight.T, lambda k, x: k(x)),
    "closed over": lambda: Closed(),
    "gradients changed by a hook": lambda: masked(nn.Linear(3, 2, dtype=torch.float64)),
    "run again on the way back": again(reentrant=False),
    "run again, reentrant": again(reentrant=True),
}
OTHERS = {
    "sparse outputs": using(lambda m, x: m.a(x).to_sparse()),
    "nested outputs": using(lambda m, x: torch.nested.nested_tensor(list(m.a(x)))),
    "tuple": using(lambda m, x: (m.a(x), x)),
    "dictionary of outputs": using(lambda m, x: {"logits": m.a(x)}),
    "nothing": using(lambda m, x: None),
    "one output, flat": using(lambda m, x: m.a(x)[:, 0]),
    "image out": using(lambda m, x: m.a(x)[:, :, None]),
    "scalar": using(lambda m, x: m.a(x).sum()),
    "complex outputs": using(lambda m, x: m.a(x) * 1j),
    "other precision": using(lambda m, x: m.a(x).float()),
    "booleans": using(lambda m, x: m.a(x) > 0),
    "complex parameters": lambda: nn.Linear(3, 2, dtype=torch.complex128),
    "only empty parameters": using(lambda m, x: x[:, :2] + m.s.sum(), s=nn.Parameter(torch.zeros(0))),
    "scripted": lambda: torch.jit.script(nn.Linear(3, 2)),
    "in parallel": lambda: nn.DataParallel(nn.Linear(3, 2)),
    "sparse gradients": using(
        lambda m, x: F.embedding(x.long().abs(), m.e, sparse=True).sum(1), e=nn.Parameter(torch.ones(9, 2))
    ),
    "tokens beyond the table": using(lambda m, x: m.e(x.long().abs() + 7).sum(1), e=nn.Embedding(5, 2)),
    "raises": using(lambda m, x: m.a(x) @ torch.ones(7, 7).double()),
    "gradients clipped on the way": using(clipped, **linear()),
    "lazy": lambda: nn.LazyLinear(2),
}
REFUSED = {
    **{f"mixing: {name}": (make, x3) for name, make in MIXING.items()},
    **{f"mixing sequences: {name}": (make, steps) for name, make in MIXING_SEQUENCES.items()},
    **{f"changing: {name}": (make, x3) for name, make in CHANGING.items()},
    **{f"random: {name}": (make, x3) for name, make in RANDOM.items()},
    **{f"weights elsewhere: {name}": (make, x3) for name, make in ELSEWHERE.items()},
    **{f"other: {name}": (make, x3) for name, make in OTHERS.items()},
}


def jacobian_of(module, x):
    net = Net(module)
    return net.jacobian(net.params, x)


@pytest.mark.parametrize("name", REFUSED)
def test_a_module_is_refused_in_words(name):
    make, data = REFUSED[name]
    torch.manual_seed(0)
    module, x = make(), data()
    module = module if name == "other: complex parameters" else module.double()
    before, kept = torch.random.get_rng_state(), x.clone()
    with pytest.raises(ValueError, match="`") as caught:
        jacobian_of(module, x)
    assert GRAMMAR.match(str(caught.value)), caught.value
    assert torch.equal(x, kept)
    if not name.startswith("random"):
        assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("name", MIXING)
def test_rows_that_mix_are_refused_wherever_the_net_is_used_first(name):
    torch.manual_seed(0)
    net, x = Net(MIXING[name]().double()), x3()
    v = torch.ones(net.num_params, dtype=torch.float64)
    for use in (
        lambda: net(net.params, x),
        lambda: net.jvp(net.params, x, v),
        lambda: net.vjp(net.params, x, x[:, :2]),
        lambda: net.gram(net.params, x),
        lambda: tangent_kernel(net, net.params, x),
        lambda: torch.func.vmap(lambda row: net(net.params, row[None]))(x),
        lambda: torch.func.jacrev(lambda w: net(w, x))(net.params),
    ):
        with pytest.raises(UnsupportedModelError, match="`module` must map each sample on its own"):
            use()


def mapped_inside(m, x):
    return torch.vmap(m.a)(x)


@pytest.mark.parametrize("first", ["grad", "vmap", "jvp", "vmap of grad"])
@pytest.mark.parametrize("module", ["no_grad front", "padded embedding", "sequential", "mapped inside"])
def test_a_first_use_within_transforms_finds_the_same(module, first):
    """Nothing is mistaken for a module's own doing, and what holds later is found out then."""
    module, x = (using(mapped_inside)().double(), x3()) if module == "mapped inside" else built(module)
    _, jacobian = row_by_row(module, x)
    net = Net(module)
    params, v = net.params, torch.randn(net.num_params, generator=rng(1), dtype=torch.float64)
    uses = {
        "grad": lambda: torch.func.grad(lambda w: net.gram(w, x).sum() + net.jvp(w, x, v).sum())(params),
        "vmap": lambda: torch.func.vmap(lambda w: net.jvp(w, x, v))(torch.stack([params, params + 1])),
        "jvp": lambda: torch.func.jvp(lambda w: net.jvp(w, x, v), (params,), (v,)),
        "vmap of grad": lambda: torch.func.vmap(
            torch.func.grad(lambda w, r: net.jvp(w, r[None], v).sum()), (None, 0)
        )(params, x),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error", SlowBackendWarning)
        uses[first]()
        torch.testing.assert_close(net.jvp(params, x, v), jacobian @ v)
        torch.testing.assert_close(net.jacobian(params, x), jacobian)


def test_one_row_does_not_settle_it():
    net, x = Net(MIXING["mean"]().double()), x3()
    assert net(net.params, x[:1]).shape == (1, 2)
    assert net(net.params, x[:1].expand(3, 3)).shape == (3, 2)
    with pytest.raises(UnsupportedModelError, match="each sample on its own"):
        net(net.params, x)


def test_the_trial_is_made_once():
    calls = []
    net = Net(Using(lambda m, x: calls.append(len(x)) or m.a(x), a=nn.Linear(3, 2)).double())
    for _ in range(2):
        net(net.params, inputs(50, 3))
    assert calls.count(50) == 3  # once to hold it to some of its rows
    assert len(calls) - 3 <= 24


def test_a_module_keeps_its_buffers_when_it_is_refused():
    module = CHANGING["running mean"]().double()
    net = Net(module)
    with pytest.raises(
        UnsupportedModelError, match="leave its parameters and buffers as they are.*changes mean"
    ):
        net(net.params, x3())
    assert not net.module.mean.any()


@pytest.mark.parametrize("name", ["noise of NumPy", "noise of Python", "counter elsewhere"])
def test_a_second_call_tells_with_one_row(name):
    net = Net(CHANGING[name]().double())
    must = "give the same outputs whatever it was called with|be deterministic"
    with pytest.raises(UnsupportedModelError, match=f"`module` must ({must})"):
        net(net.params, x3()[:1])


NOT_TWICE = {
    *("detach", "straight through", "straight through by detach", "weight detached"),
    *("old autograd.Function", "gradient reversal", "once differentiable"),
}


@pytest.mark.filterwarnings("ignore::qlazy.base.errors.SlowBackendWarning")
@pytest.mark.parametrize("name", [*RECURRENT, *UNMAPPED, *STOPPED, "weight norm", "layer norm", "attention"])
def test_second_derivatives_are_those_of_differences_or_refused(name):
    """Autograd differentiates not every gradient that it gives: what it gets wrong is no Hessian."""
    module, x = built(name)
    net, x = Net(module), x[:3]
    params, outputs = net.params, net(net.params, x)
    u, v = (torch.randn(size, generator=rng(3), dtype=torch.float64) for size in (outputs.shape, len(params)))
    ahead, behind = (net.vjp(params + e * v, x, u) for e in (1e-5, -1e-5))
    if name in NOT_TWICE:
        with pytest.raises(UnsupportedModelError, match="differentiates once more"):
            net.hvp(params, x, u, v)
        return
    found = net.hvp(params, x, u, v)
    expected = (ahead - behind) / 2e-5
    scale = max(1.0, float(expected.abs().max()))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-7 * scale)
    if len(params) < 60:
        torch.testing.assert_close(net.hessian(params, x, u) @ v, found, rtol=0, atol=1e-10 * scale)

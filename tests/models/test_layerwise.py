"""Kernels layer by layer equal J J^T by ``torch.func``, on random nets and wherever a rule does not apply."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from qlazy import Net
from qlazy.base.errors import UnsupportedModelError
from qlazy.models.layerwise import RULES, assemble, capture, choice, layerwise_gram, plan
from qlazy.models.model import Model
from tests.makers import inputs, residual_net, rng, tanh_net


@pytest.fixture(autouse=True, scope="module")
def layer_by_layer():
    """Small nets too, whose kernels come from their Jacobian otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DENSE_COSTS", "CHAIN_COSTS", "READING_COSTS"):
            patch.setattr(choice, name, getattr(choice, name)._replace(layers=-float("inf")))
        yield


def randomized(net: Net, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Parameters away from the ones and zeros that norms and biases start with."""
    return torch.randn(net.num_params, generator=rng(3), dtype=torch.float64).mul_(0.5).to(dtype)


def assert_default(module: nn.Module, x: torch.Tensor, y: torch.Tensor | None = None) -> None:
    net = Net(module)
    params = randomized(net)
    for right in (None, x[:1] if y is None else y):
        chosen, expected = net.gram(params, x, right), Model.gram(net, params, x, right)
        for actual in (chosen, layerwise_gram(net, params, x, right)):  # chains too as any other net
            assert actual.shape == expected.shape
            assert actual.dtype == params.dtype
            close = {"rtol": 1e-9, "atol": 1e-11 * float(expected.abs().max() + 1)}
            torch.testing.assert_close(actual, expected, **close)


def read_layers(module: nn.Module, x: torch.Tensor) -> set[str]:
    """Names of the parameters that were taken layer by layer, from a run that is checked like any other."""
    net = Net(module)
    params = randomized(net)
    instrumented = capture.Instrumented(net.module, net.state(params), list(net.blocks))
    found, _ = plan.search(instrumented, x, None)
    return set(net.blocks) - set(found.rest)


ACTIVATIONS = st.sampled_from([nn.Tanh(), nn.ReLU(inplace=True), nn.GELU(), nn.SiLU(), nn.Softplus()])
WIDTHS = st.integers(1, 6)


class Skip(nn.Module):
    """x + f(x)."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return x + self.inner(x)


@st.composite
def dense_nets(draw):
    """Linear layers, norms, residual sums, shared and frozen layers on vectors or on sequences of them."""
    width, outputs = draw(WIDTHS), draw(st.integers(1, 3))
    sequence = draw(st.lists(st.integers(1, 4), max_size=2))
    parts = [nn.Linear(3, width, bias=draw(st.booleans()))]
    for _ in range(draw(st.integers(0, 3))):
        inner = nn.Linear(width, width, bias=draw(st.booleans()))
        inner.weight.requires_grad_(draw(st.booleans()))
        if inner.bias is not None:
            inner.bias.requires_grad_(draw(st.booleans()))
        kinds = [inner, Skip(inner), nn.LayerNorm(width), nn.Sequential(inner, nn.Tanh(), inner), parts[-1]]
        parts += (
            [draw(ACTIVATIONS), draw(st.sampled_from(kinds))]
            if len(parts) > 1
            else [draw(ACTIVATIONS), inner]
        )
    parts += [nn.Flatten(), nn.Linear(width * int(torch.tensor(sequence).prod()), outputs)]
    return nn.Sequential(*parts).double(), inputs(
        draw(st.integers(1, 4)), *sequence, 3, seed=draw(st.integers(0, 99))
    )


@given(dense_nets())
@settings(max_examples=40)
def test_dense_nets(case):
    assert_default(*case)


@st.composite
def convolutional_nets(draw):
    """Convolutions of every geometry in one and two dimensions, norms and pooling."""
    dimensions = draw(st.integers(1, 2))
    kind = (nn.Conv1d, nn.Conv2d)[dimensions - 1]
    batch_norm = (nn.BatchNorm1d, nn.BatchNorm2d)[dimensions - 1]
    channels, parts = 2, []
    for _ in range(draw(st.integers(1, 3))):
        out = draw(st.sampled_from([2, 4]))
        padding = draw(st.sampled_from(["same", "valid", 1, 2]))
        stride = 1 if padding == "same" else draw(st.integers(1, 2))
        mode = draw(st.sampled_from(["zeros", "circular", "reflect", "replicate"]))
        size = draw(st.integers(1, 3)) if padding in (1, 2) else draw(st.integers(1, 2))
        parts += [
            nn.ZeroPad2d(2) if dimensions == 2 else nn.ZeroPad1d(2),
            kind(
                channels, out, size, stride, padding, dilation=draw(st.integers(1, 2)),
                groups=draw(st.integers(1, 2)), bias=draw(st.booleans()), padding_mode=mode,
            ),
            draw(st.sampled_from([nn.GroupNorm(2, out), batch_norm(out), nn.Tanh()])),
        ]  # fmt: skip
        channels = out
    pool = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)[dimensions - 1]
    parts += [pool(2), nn.Flatten(), nn.Linear(channels * 2**dimensions, draw(st.integers(1, 2)))]
    module = nn.Sequential(*parts).double().eval()
    for name, buffer in module.named_buffers():
        if name.endswith(("mean", "var")):
            buffer.uniform_(0.5, 2.0, generator=rng(4))
    return module, inputs(3, 2, *[5] * dimensions)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@given(convolutional_nets())
@settings(max_examples=40)
def test_convolutional_nets(case):
    assert_default(*case)


@pytest.mark.parametrize("shape", [(3,), (3, 4)])
@pytest.mark.parametrize("slopes", [1, 3])
def test_slopes(slopes, shape):
    # The default fails on a slope shared by all channels, so this is held to one backward pass a sample.
    module = nn.Sequential(nn.PReLU(slopes), nn.Flatten(), nn.Linear(torch.Size(shape).numel(), 1)).double()
    net, x = Net(module), inputs(4, *shape)
    leaf = randomized(net).requires_grad_()
    rows = torch.stack([torch.autograd.grad(net(leaf, row[None]).sum(), leaf)[0] for row in x])
    torch.testing.assert_close(net.gram(leaf.detach(), x).squeeze(), rows @ rows.T)
    assert read_layers(module, x) == set(net.blocks)


@pytest.mark.parametrize("padding", [None, 2])
@pytest.mark.parametrize(("rows", "width"), [(5, 4), (400, 40)])
def test_embeddings_of_sequences_of_two_lengths(padding, rows, width):
    class Bag(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(rows, width, padding_idx=padding)
            self.norm = nn.LayerNorm(width)
            self.last = nn.Linear(width, 2)

        def forward(self, tokens):
            return self.last(torch.tanh(self.norm(self.table(tokens))).mean(1))

    x, y = (torch.randint(5, (n, t), generator=rng(n)) for n, t in ((4, 3), (2, 6)))
    assert_default(Bag().double(), x, y)
    assert read_layers(Bag().double(), x) == set(Net(Bag()).blocks)


def test_small_inputs_and_wide_layers_are_contracted_without_gradients():
    module = nn.Sequential(
        nn.Conv1d(8, 40, 3), nn.Tanh(), nn.Flatten(), nn.Linear(80, 40), nn.Linear(40, 2)
    ).double()
    x = inputs(4, 8, 4)
    net = Net(module)
    instrumented = capture.Instrumented(net.module, net.state(net.params), list(net.blocks))
    found, _ = plan.search(instrumented, x, None)
    assert set(found.forms.values()) == {plan._as_read}
    assert_default(module, x, inputs(3, 8, 4, seed=5))


@pytest.mark.parametrize("pool", [nn.AdaptiveAvgPool1d(1), nn.AdaptiveMaxPool1d(1)])
def test_pooled_layers_are_separated_by_features(pool):
    module = nn.Sequential(
        nn.Conv1d(3, 8, 3), nn.Tanh(), nn.Conv1d(8, 8, 3), nn.ReLU(), pool, nn.Flatten(),
        nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 5),
    ).double()  # fmt: skip
    x = inputs(5, 3, 12)
    net = Net(module)
    instrumented = capture.Instrumented(net.module, net.state(net.params), list(net.blocks))
    found, _ = plan.search(instrumented, x, None)
    forms = [form is plan.separated for form in found.forms.values()]
    assert forms == [False, True, False, False]
    assert_default(module, x, inputs(3, 3, 15, seed=5))


def test_a_layer_pooled_for_the_first_sample_alone_is_not_separated():
    class Sometimes(nn.Module):
        def forward(self, h):
            shift = torch.linspace(0, 1, h.shape[2]).to(h)
            return torch.where(
                h[:, :1, :1] > 0, h.mean(2, keepdim=True), (h.sin() * shift).cumsum(2)
            ).flatten(1)

    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv1d(3, 8, 3), Sometimes(), nn.Linear(80, 4)).double()
    x = inputs(40, 3, 12)
    first = module[0].requires_grad_(False)(x)[:, 0, 0] > 0
    module.requires_grad_(True)
    assert first.any()
    assert not first.all()
    assert_default(module, x[first.argsort(descending=True, stable=True)])


def test_no_block_size_changes_the_kernel(monkeypatch):
    module = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(12, 9), nn.Tanh(), nn.Linear(9, 2)
    ).double()
    monkeypatch.setattr(plan, "READ_BYTES", 5000)
    monkeypatch.setattr(plan, "KEPT_BYTES", 9000)
    monkeypatch.setattr(assemble, "_TILE_ROWS", 2)
    net, x = Net(module), inputs(11, 1, 4, 4)
    instrumented = capture.Instrumented(net.module, net.state(net.params), list(net.blocks))
    found, _ = plan.search(instrumented, x, None)
    assert 1 <= found.read_samples < found.kept_samples < len(x)
    assert_default(module, x, inputs(5, 1, 4, 4, seed=2))


class Using(nn.Module):
    """Two linear layers used as a function says."""

    def __init__(self, use):
        super().__init__()
        self.first, self.last, self.use = nn.Linear(3, 3), nn.Linear(3, 2), use

    def forward(self, x):
        return self.use(self, x)


ALL = {"first.weight", "first.bias", "last.weight", "last.bias"}
LAST = {"last.weight", "last.bias"}
USES = {
    "as modules": (lambda m, x: m.last(torch.tanh(m.first(x))), ALL),
    "twice": (lambda m, x: m.last(torch.tanh(m.first(torch.tanh(m.first(x))))), ALL),
    "folded positions": (
        lambda m, x: m.last(m.first(torch.cat([x, x**2], 1).view(-1, 3)).view(-1, 2, 3).sin().sum(1)), ALL,
    ),
    "in place": (lambda m, x: m.last(m.first(x).mul_(2).tanh_()), ALL),
    "without gradient": (lambda m, x: m.last(m.first(x).detach() + x), ALL),
    "positions before samples": (
        lambda m, x: m.last(m.first(torch.stack([x, x**2, x.sin(), x.cos()])).sin().sum(0)), LAST,
    ),
    "also outside of forward": (lambda m, x: m.last(m.first(x).sin()) * m.first.weight.sum().sin(), LAST),
    "never as a module": (lambda m, x: m.last(x @ m.first.weight.T + m.first.bias), LAST),
    "never": (lambda m, x: m.last(x), LAST),
    "by keyword": (lambda m, x: m.last(torch.tanh(m.first(input=x))), LAST),
    "under vmap": (lambda m, x: m.last(torch.vmap(m.first)(x).tanh()), LAST),
    "row by row": (lambda m, x: m.last(torch.stack([m.first(row) for row in x]).tanh()), LAST),
    "last twice": (lambda m, x: m.last(m.first(x).sin()) + m.last(x) ** 2, ALL),
}  # fmt: skip


@pytest.mark.parametrize("use", USES)
def test_parameters_are_counted_wherever_they_are_used(use):
    function, expected = USES[use]
    module, x = Using(function).double(), inputs(4, 3)
    assert_default(module, x, inputs(2, 3, seed=7))
    assert read_layers(module, x) == expected


INTERACTING = {
    "mean": lambda m, x: m.last((m.first(x) - m.first(x).mean(0)).sin() + x),
    "earlier rows": lambda m, x: m.last(torch.cumsum(m.first(x).tanh(), 0)),
    "neighbours of the inputs": lambda m, x: m.last(m.first(x + x.roll(1, 0)).tanh()),
    "largest input, without gradient": lambda m, x: m.last(m.first(x / x.detach().max()).tanh()),
}


@pytest.mark.parametrize("use", INTERACTING)
def test_interacting_rows_are_not_read(use):
    """Net refuses them; and if it did not, nothing would be taken layer by layer."""
    module, x = Using(INTERACTING[use]).double(), inputs(4, 3)
    with pytest.raises(UnsupportedModelError, match="each sample on its own"):
        Net(module).gram(Net(module).params, x)
    assert read_layers(module, x) == set()


def test_tied_weights_fall_back_alone():
    module = Using(lambda m, x: m.last(torch.tanh(m.first(x)))).double()
    module.last = nn.Linear(3, 3).double()
    module.last.weight = module.first.weight
    assert_default(module, inputs(4, 3))
    assert read_layers(module, inputs(4, 3)) == {"first.bias", "last.bias"}


def test_unknown_modules_fall_back_alone():
    class Scale(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(4))

        def forward(self, x):
            return self.scale * x

    module = nn.Sequential(nn.Linear(3, 4), Scale(), nn.Tanh(), nn.Bilinear(4, 4, 2))
    module = nn.Sequential(module[0], module[1], module[2], nn.Linear(4, 2)).double()
    assert_default(module, inputs(4, 3))
    assert set(Net(module).blocks) - read_layers(module, inputs(4, 3)) == {"1.scale"}


def test_attention_whose_projection_is_used_by_a_function():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
            self.last = nn.Linear(4, 2)

        def forward(self, x):
            return self.last(self.attention(x, x, x, need_weights=False)[0].mean(1))

    module = Attention().double().eval()
    assert_default(module, inputs(3, 5, 4))
    assert read_layers(module, inputs(3, 5, 4)) == LAST


def test_parametrised_weights_fall_back_and_their_bias_does_not():
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(3, 4))
    module = nn.Sequential(layer, nn.Tanh(), nn.Linear(4, 1)).double()
    assert_default(module, inputs(4, 3))
    assert read_layers(module, inputs(4, 3)) == {"0.bias", "2.weight", "2.bias"}


def test_a_rule_that_is_wrong_is_found_out(monkeypatch):
    class Wrong(RULES[nn.Linear]):
        def read(self, x):
            return 1.001 * super().read(x)

    monkeypatch.setitem(RULES, nn.Linear, Wrong)
    module = nn.Sequential(nn.Linear(3, 4), Skip(nn.LayerNorm(4)), nn.Linear(4, 2)).double()
    assert_default(module, inputs(4, 3))
    assert read_layers(module, inputs(4, 3)) == {"1.inner.weight", "1.inner.bias"}


def test_single_precision():
    net = Net(nn.Sequential(nn.Conv1d(2, 4, 2), nn.ReLU(), nn.Flatten(), nn.Linear(12, 8), nn.Linear(8, 2)))
    params, x = randomized(net, torch.float32), inputs(5, 2, 4).float()
    kernel = net.gram(params, x)
    assert kernel.dtype == torch.float32
    torch.testing.assert_close(kernel.double(), net.gram(params.double(), x.double()), rtol=1e-4, atol=1e-3)


def test_grad_modes():
    net, params, x = residual_net()
    expected = Model.gram(net, params, x)
    with torch.no_grad():
        torch.testing.assert_close(net.gram(params.clone().requires_grad_(), x), expected)
    torch.testing.assert_close(net.gram(params, x.clone().requires_grad_()).detach(), expected)
    assert not net.gram(params, x).requires_grad


@pytest.mark.parametrize("product", ["gram", "jacobian", "jvp", "vjp"])
@pytest.mark.parametrize("make", [residual_net, tanh_net])
def test_derivatives_in_inference_mode_are_right_or_refused(make, product):
    net, params, x = make()
    last = {
        "gram": (),
        "jacobian": (),
        "jvp": (torch.ones_like(params),),
        "vjp": (torch.ones_like(net(params, x)),),
    }
    arguments = (params, x, *last[product])
    expected = getattr(net, product)(*arguments)
    with torch.inference_mode():
        if tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 12):
            torch.testing.assert_close(getattr(net, product)(*arguments), expected)
        else:
            with pytest.raises(RuntimeError, match=r"derivatives of zero within torch.inference_mode\(\)"):
                getattr(net, product)(*arguments)


def test_the_kernel_itself_can_be_differentiated():
    net, params, x = tanh_net()
    leaf = params.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(net.gram(leaf, x).sum(), leaf)
    direction = torch.randn(params.shape, generator=rng(), dtype=params.dtype)
    _, derivative = torch.func.jvp(lambda w: net.gram(w, x).sum(), (params,), (direction,))
    difference = (
        net.gram(params + 1e-5 * direction, x) - net.gram(params - 1e-5 * direction, x)
    ).sum() / 2e-5
    torch.testing.assert_close(gradient @ direction, derivative)
    torch.testing.assert_close(derivative, difference, rtol=1e-6, atol=1e-6)


def test_the_net_is_left_without_hooks():
    net, params, x = residual_net()
    net.gram(params, x)
    assert not any(module._forward_hooks for module in net.module.modules())


def test_no_samples():
    net, params, x = residual_net()
    assert net.gram(params, x[:0], x).shape == (0, 1, 4, 1)
    assert net.gram(params, x, x[:0]).shape == (4, 1, 0, 1)

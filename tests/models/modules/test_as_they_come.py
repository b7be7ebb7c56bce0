"""Modules as people have them: attention, recurrent layers, bags, weight norm, several outputs; all under the laws."""

import re
import types

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from qlazy import GradientDescent, Linearized, Net, train
from qlazy.base.errors import UnsupportedModelError
from qlazy.models.modules.twice import TwiceDifferentiable
from qlazy.testing import check_model

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*differentiated row by row"),
    pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated:FutureWarning"),
]


class Wrapped(nn.Module):
    def __init__(self, part, pick, head):
        super().__init__()
        self.part, self.pick, self.head = part, pick, head

    def forward(self, x):
        return self.head(self.pick(self.part(x)))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.part, self.head = nn.MultiheadAttention(4, 2, batch_first=True), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.part(x, x, x, need_weights=False)[0].mean(1))


class Block(nn.Module):
    """A small decoder of tokens: embeddings, causal attention over heads, a residual block, a head."""

    def __init__(self):
        super().__init__()
        self.tokens, self.places = nn.Embedding(7, 4), nn.Embedding(3, 4)
        self.norm, self.mix, self.back = nn.LayerNorm(4), nn.Linear(4, 12), nn.Linear(4, 4)
        self.head = nn.Linear(4, 2, bias=False)

    def forward(self, indices):
        x = self.tokens(indices) + self.places(torch.arange(indices.shape[1]))
        heads = self.mix(self.norm(x)).unflatten(-1, (3, 2, 2)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(*heads, is_causal=True).transpose(1, 2).flatten(2)
        return self.head((x + self.back(mixed))[:, -1])


def _last(returned):
    return returned[0][:, -1]


def _mean(returned):
    return returned.mean(1)


def _encoder():
    return nn.TransformerEncoderLayer(4, 2, 4, 0.0, batch_first=True)


def _logits(returned):
    return returned["hidden"].tanh()


def _words():
    return torch.tensor([[0, 1, 2], [3, 3, 6]])


def _series():
    return torch.randn(2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def _rows():
    return _series()[:, 0]


MODULES = {
    "attention": (Attention, _series),
    "encoder": (lambda: Wrapped(_encoder(), _mean, nn.Linear(4, 2)), _series),
    "decoder of tokens": (Block, _words),
    "weight norm": (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), _rows),
    "weight norm of old": (lambda: nn.utils.weight_norm(nn.Linear(4, 3)), _rows),
    "bag, mean": (lambda: nn.Sequential(nn.EmbeddingBag(7, 3), nn.Linear(3, 2)), _words),
    "bag, sum": (lambda: nn.Sequential(nn.EmbeddingBag(7, 3, mode="sum"), nn.Tanh(), nn.Linear(3, 2)), _words),
    "gate": (lambda: nn.Sequential(nn.Linear(4, 6), nn.GLU(), nn.Linear(3, 2)), _rows),
    "hard sigmoid": (lambda: nn.Sequential(nn.Linear(4, 3), nn.Hardsigmoid(), nn.Linear(3, 2)), _rows),
    "rnn": (lambda: Wrapped(nn.RNN(4, 2, batch_first=True), _last, nn.Linear(2, 1)), _series),
    "gru": (lambda: Wrapped(nn.GRU(4, 2, batch_first=True), _last, nn.Linear(2, 1)), _series),
    "lstm": (lambda: Wrapped(nn.LSTM(4, 2, batch_first=True), _last, nn.Linear(2, 1)), _series),
}  # fmt: skip
LONG = {"lstm", "gru", "encoder", "attention", "decoder of tokens"}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n in LONG else []) for n in MODULES]
)
def test_the_laws_hold(name):
    make, inputs = MODULES[name]
    net = Net(make().double())
    check_model(net, net.init(1), inputs())


@pytest.mark.parametrize("name", MODULES)
def test_second_derivatives_are_those_of_differences_of_the_gradient(name):
    make, inputs = MODULES[name]
    net, x = Net(make().double()), inputs()
    params = net.init(1)
    cotangent = torch.randn(net(params, x).shape, dtype=torch.float64)
    tangent = torch.randn_like(params)
    ahead, behind = (net.vjp(params + e * tangent, x, cotangent) for e in (1e-5, -1e-5))
    torch.testing.assert_close(
        net.hvp(params, x, cotangent, tangent), (ahead - behind) / 2e-5, atol=1e-7, rtol=1e-6
    )


@pytest.mark.parametrize("name", ["gate", "hard sigmoid", "bag, sum", "attention"])
def test_the_linearised_model_is_trained_by_autograd(name):
    make, inputs = MODULES[name]
    net, x = Net(make().double()), inputs()
    params, rate = net.init(1), 0.1
    targets = torch.ones_like(net(params, x))
    history = train(Linearized(net, params), params, (x, targets), steps=1, method=GradientDescent(rate))
    residual = (net(params, x) - targets) / len(x)
    torch.testing.assert_close(
        torch.from_numpy(history.params[-1]), params - rate * net.vjp(params, x, residual)
    )


@pytest.mark.parametrize("mask", [None, "bool", "added", "causal"])
def test_attention_in_products_is_torchs(mask):
    q, k, v = torch.randn(3, 2, 2, 3, 4, dtype=torch.float64)
    allowed = torch.tensor([[1, 0, 1], [1, 1, 0], [0, 0, 1]]).bool()
    masks = {"bool": allowed, "added": torch.randn(3, 3, dtype=torch.float64)}
    arguments = {"attn_mask": masks.get(mask), "is_causal": mask == "causal", "scale": 0.3}
    expected = F.scaled_dot_product_attention(q, k, v, **arguments)
    with TwiceDifferentiable():
        found = F.scaled_dot_product_attention(q, k, v, **arguments)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags_in_embeddings_are_torchs(mode):
    table = torch.randn(7, 3, dtype=torch.float64)
    with TwiceDifferentiable():
        found = F.embedding_bag(_words(), table, mode=mode)
    torch.testing.assert_close(found, F.embedding_bag(_words(), table, mode=mode))


class Several(nn.Module):
    def __init__(self, form):
        super().__init__()
        self.layer, self.form = nn.Linear(4, 3), form

    def forward(self, x):
        hidden = self.layer(x)
        forms = {
            "tuple": (hidden, hidden.tanh()),
            "dict": {"hidden": hidden, "logits": hidden.tanh()},
            "object": types.SimpleNamespace(hidden=hidden, logits=hidden.tanh()),
        }
        return forms[self.form]


@pytest.mark.parametrize(
    ("form", "output"),
    [("tuple", 1), ("tuple", -1), ("dict", "logits"), ("object", "logits"), ("dict", _logits)],
)  # fmt: skip
def test_one_of_several_outputs_is_picked(form, output):
    net = Net(Several(form).double(), output=output)
    params, x = net.init(1), _rows()
    plain = Net(nn.Sequential(nn.Linear(4, 3), nn.Tanh()).double())
    assert list(net.blocks) == ["layer.weight", "layer.bias"]
    torch.testing.assert_close(net.jacobian(params, x), plain.jacobian(params, x))
    torch.testing.assert_close(net.gram(params, x), plain.gram(params, x))
    check_model(net, params, x)


@pytest.mark.parametrize(
    ("form", "output"), [("tuple", 2), ("dict", "loss"), ("object", "loss"), ("tuple", "logits")]
)
def test_a_missing_output_is_refused_by_name(form, output):
    net = Net(Several(form).double(), output=output)
    with pytest.raises(
        ValueError, match=rf"`output` must be part of what the module returns, a .*, but is {output!r}"
    ):
        net(net.init(1), _rows())


@pytest.mark.parametrize("shape", ["(3,)", "()", "(3, 2, 1)", "(1, 6)"])
def test_outputs_of_another_shape_are_told_with_the_module(shape):
    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 2)

        def forward(self, x):
            found = self.layer(x)
            forms = {"(3,)": found[:, 0], "()": found.sum(), "(3, 2, 1)": found[..., None]}
            return forms.get(shape, found.reshape(1, -1))

    net = Net(Flat().double())
    remedy = re.escape(" (`.unsqueeze(1)`)" if shape == "(3,)" else "")
    must = rf"`module` must return outputs of shape \(n, c\){remedy}, but is Flat, which returns shape"
    with pytest.raises(UnsupportedModelError, match=rf"{must} {re.escape(shape)} for 3 rows"):
        net.jacobian(net.init(1), torch.arange(12.0, dtype=torch.float64).reshape(3, 4))


@pytest.mark.parametrize("output", [True, 1.5, ["logits"]])
def test_output_is_an_index_a_name_or_a_function(output):
    with pytest.raises(TypeError, match="`output` must be an index, a name or a function"):
        Net(Several("tuple"), output=output)


def test_a_module_of_several_outputs_names_the_remedy():
    net = Net(Several("tuple").double())
    with pytest.raises(ValueError, match="output="):
        net(net.init(1), _rows())

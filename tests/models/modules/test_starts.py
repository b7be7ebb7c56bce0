"""Where nets start: drawn anew, from their own weights, or as the function that makes them draws."""

import pytest
import torch
from torch import nn

from qlazy import Net, UnsupportedModelError, mlp
from qlazy.models.modules.starts import foreign
from qlazy.models.thread_copies import copied
from tests.makers import rng


class Orthogonal(nn.Module):
    """A net that draws its own start."""

    def __init__(self, width=6):
        super().__init__()
        self.first, self.last = nn.Linear(4, width), nn.Linear(width, 2)
        nn.init.orthogonal_(self.first.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x):
        return self.last(self.first(x).tanh())


def _first(net, params):
    return params[net.blocks["first.weight"]].reshape(-1, 4)


def test_a_net_with_weights_of_its_own_is_not_drawn_anew_without_a_word():
    net = Net(Orthogonal())
    with pytest.raises(
        ValueError, match=r"`module` must say where it starts: .* but is one whose `last.bias`"
    ):
        net.init(rng())


def test_own_weights_are_the_start_of_every_seed():
    module = Orthogonal()
    net = Net(module, init="own")
    assert torch.equal(net.init(rng(1)), net.params)
    assert torch.equal(net.init(2), torch.cat([p.detach().flatten() for p in module.parameters()]))


def test_reset_draws_anew():
    net = Net(Orthogonal(), init="reset")
    starts = [net.init(seed) for seed in (1, 2)]
    assert not torch.equal(*starts)
    assert starts[0][net.blocks["last.bias"]].abs().min() > 0
    plain = Net(nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 2))).init(1)
    assert torch.equal(starts[0], plain)  # the same layers from the same random numbers


@pytest.mark.parametrize("make", [Orthogonal, lambda: Orthogonal(5)])
def test_what_makes_a_module_gives_each_seed_its_start(make):
    net = Net(make)
    before = torch.random.get_rng_state()
    starts = [net.init(seed) for seed in (1, 1, 2)]
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(starts[0], starts[1])
    assert not torch.equal(starts[0], starts[2])
    for start in starts:  # orthogonal, as its own __init__ draws it
        first = _first(net, start)
        torch.testing.assert_close(first.T @ first, torch.eye(4))
        assert not start[net.blocks["last.bias"]].any()


def _with(change):
    module = nn.Sequential(nn.Linear(8, 16), nn.LayerNorm(16), nn.Linear(16, 3))
    with torch.no_grad():
        change(module)
    return module


OTHERS = {
    "zeros": (lambda m: m[2].weight.zero_(), "2.weight"),
    "a scale": (lambda m: nn.init.normal_(m[0].weight, 0, 0.02), "0.weight"),
    "large": (lambda m: m[2].bias.fill_(1).mul_(torch.tensor([9.0, 1, 1])), "2.bias"),
    "a norm that was trained": (lambda m: m[1].weight.add_(0.01), "1.weight"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_weights_of_another_distribution_are_told(name):
    change, found = OTHERS[name]
    assert foreign(_with(change), copied) == found


PARTS = {
    "linear": lambda: nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1)),
    "one weight": lambda: nn.Linear(1, 1),
    "convolution": lambda: nn.Sequential(nn.Conv1d(2, 3, 2), nn.BatchNorm1d(3)),
    "recurrent": lambda: nn.LSTM(3, 4),
    "attention": lambda: nn.TransformerEncoderLayer(4, 2, 8),
    "embedding": lambda: nn.Embedding(10, 3),
    "weight norm": lambda: nn.utils.parametrizations.weight_norm(nn.Linear(5, 6)),
}


@pytest.mark.parametrize("name", PARTS)
def test_what_torch_draws_is_not_taken_for_others(name):
    for seed in range(10):
        torch.manual_seed(seed)
        assert foreign(PARTS[name](), copied) is None


@pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated:FutureWarning")
@pytest.mark.parametrize("norm", [nn.utils.parametrizations.weight_norm, nn.utils.weight_norm])
def test_weight_norm_is_drawn_through_its_parametrisation(norm):
    """The weight that a seed draws is that of the plain layer, in whatever parameters it is kept."""
    torch.manual_seed(3)
    layer, x = norm(nn.Linear(4, 3)), torch.randn(5, 4)
    net, plain = Net(layer), Net(nn.Linear(4, 3))
    assert net.num_params == plain.num_params + 3
    torch.testing.assert_close(net(net.init(7), x), plain(plain.init(7), x))
    assert not torch.equal(net.init(7), net.init(8))


def test_a_net_of_ours_is_drawn_at_once():
    assert mlp([2, 3, 1]).init(1).shape == (13,)


@pytest.mark.parametrize(
    ("module", "init", "error", "message"),
    [
        (nn.Linear(2, 1), "mine", TypeError, "`init` must be 'own', 'reset' or a function of a generator"),
        (nn.Linear(2, 1), 3, TypeError, "`init` must be 'own'"),
        (nn.Linear, None, TypeError, "a function without arguments that makes one"),
        (lambda: 3, None, TypeError, "one that makes a int"),
        (3, None, TypeError, "`module` must be a torch.nn.Module"),
    ],
)
def test_what_is_refused(module, init, error, message):
    with pytest.raises(error, match=message):
        Net(module, init=init)


def test_a_part_without_reset_parameters_names_the_remedies():
    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.ones(2))

        def forward(self, x):
            return (x @ self.w).unsqueeze(1)

    with pytest.raises(UnsupportedModelError, match=r'init="own"'):
        Net(Bare()).init(1)
    assert Net(Bare, init="own").init(1).tolist() == [1, 1]
    assert Net(Bare).init(1).tolist() == [1, 1]

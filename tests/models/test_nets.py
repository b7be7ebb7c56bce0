"""torch modules as models: what is accepted, what is refused and what is left alone."""

from __future__ import annotations

import pennylane as qml
import pytest
import torch
from torch import nn

from qlazy import Net, mlp
from qlazy.base.errors import UnsupportedModelError
from qlazy.models import nets
from qlazy.models.model import Model
from tests.makers import Residual, inputs, probabilities, rng


def test_outputs_equal_the_module_itself():
    module = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).double()
    net, x = Net(module), inputs(5, 3)
    assert torch.equal(net(net.params, x), module(x))


def test_blocks_are_named_parameters():
    net = mlp([3, 4, 1])
    assert list(net.blocks) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert net.num_params == 3 * 4 + 4 + 4 + 1
    weight = net.init(rng())[net.blocks["0.weight"]].reshape(4, 3)
    assert torch.equal(net.state(net.init(rng()))["0.weight"], weight)


def test_init_leaves_the_global_generator_alone():
    net = mlp([2, 3, 1])
    before = torch.random.get_rng_state()
    net.init(rng(5))
    assert torch.equal(before, torch.random.get_rng_state())


def test_init_has_torchs_own_distribution():
    params = mlp([100, 400, 1]).init(rng(3))
    first = params[: 100 * 400]
    assert first.abs().max() <= 0.1  # uniform in +-1/sqrt(fan in)
    assert first.std() == pytest.approx(0.1 / 3**0.5, rel=0.02)
    assert not torch.equal(params, mlp([100, 400, 1]).init(rng(4)))


def test_frozen_parameters_and_buffers_are_not_parameters():
    net = Net(Residual())
    assert not any(name.startswith(("frozen", "shared", "shift")) for name in net.blocks)


def test_the_module_is_copied():
    module = nn.Linear(2, 1)
    net = Net(module)
    before = net.params
    nn.init.zeros_(module.weight)
    assert torch.equal(net.params, before)


def test_parameters_without_reset_need_an_init():
    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.ones(2, dtype=torch.float64))

        def forward(self, x):
            return (x @ self.w).unsqueeze(1)

    with pytest.raises(UnsupportedModelError, match="reset_parameters"):
        Net(Bare()).init(rng())
    drawn = Net(Bare(), init=lambda g: torch.full((2,), 0.5)).init(rng())
    assert drawn.tolist() == [0.5, 0.5]


REFUSED = {
    "training mode": nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)),
    "batch statistics": nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)),
    "batch statistics: ": nn.BatchNorm1d(2, track_running_stats=False).eval(),
    "is lazy": nn.LazyLinear(2),
    "trainable parameter": nn.ReLU(),
    "one dtype": nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double()),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_refused_modules(reason):
    with pytest.raises(UnsupportedModelError, match=reason):
        Net(REFUSED[reason])


def test_torch_layer_really_loses_its_weights():
    # Why a net turns it into another: functional_call leaves the layer's outputs as they were.
    layer = qml.qnn.TorchLayer(probabilities, {"angle": 1, "weights": (1, 2, 3)})
    x = torch.tensor([0.1, 0.2])
    zeros = {name: torch.zeros_like(p) for name, p in layer.named_parameters()}
    assert torch.equal(torch.func.functional_call(layer, zeros, (x,)), layer(x))


def test_dropout_in_evaluation_is_accepted():
    net = Net(nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)).eval())
    assert net(net.params, torch.ones(1, 2)).shape == (1, 2)


@pytest.mark.parametrize("widths", [[3], [3, 0, 1], [], [3, 2.5]])
def test_mlp_widths(widths):
    with pytest.raises(ValueError, match="`widths` must be two or more positive integers"):
        mlp(widths)


@pytest.mark.parametrize("width", [2, 4])
def test_inputs_of_another_width_are_refused_in_words(width):
    """Before torch says it in terms of matrices nobody has seen; also where the first layer lies deeper."""
    module = torch.nn.Sequential(
        torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Tanh()), torch.nn.Linear(2, 1)
    )
    for net in (mlp([3, 2, 1]), Net(module.double())):
        params = net.init(torch.Generator())
        message = rf"`x` must have shape \(n, \.\.\., 3\), .* but is \(5, {width}\)"
        with pytest.raises(ValueError, match=message):
            net(params, torch.zeros(5, width, dtype=torch.float64))
        with pytest.raises(ValueError, match=message):
            net.gram(params, torch.zeros(5, width, dtype=torch.float64))
        assert net(params, torch.zeros(5, 3, dtype=torch.float64)).shape == (5, 1)


def test_kernels_of_small_nets_come_from_their_jacobian_and_those_of_large_ones_from_their_layers(
    monkeypatch,
):
    calls = []

    def recorded(net, params, x, y, chain):
        calls.append(len(x))
        return Model.gram(net, params, x, y)

    monkeypatch.setattr(nets, "layerwise_gram", recorded)
    small, large = mlp([4, 4, 1]), mlp([8, 64, 64, 4])
    small.gram(small.init(rng()), inputs(20, 4))
    assert not calls
    large.gram(large.init(rng()), inputs(50, 8))
    large.gram(large.init(rng()), inputs(30, 8), inputs(40, 8))
    assert calls == [50, 30]

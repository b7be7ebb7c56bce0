"""PennyLane's TorchLayer turned into a layer of qlazy: outputs, layout and gradients, alone and within nets."""

from __future__ import annotations

import copy
from typing import Any

import pennylane as qml
import pytest
import torch
from torch import nn

import qlazy
from qlazy import Net, UnsupportedModelError, from_torch_layer
from qlazy.testing import check_model

RETURNED = {
    "one": lambda: qml.expval(qml.Z(0)),
    "list": lambda: [qml.expval(qml.Z(0)), qml.expval(qml.X(1) @ qml.Y(2))],
    "list of one": lambda: [qml.expval(qml.Z(0))],
    "probabilities": lambda: qml.probs(wires=[2, 0]),
    "list of both": lambda: [qml.expval(qml.Z(0)), qml.probs(wires=1)],
    "tuple": lambda: (qml.expval(qml.Z(0)), qml.expval(qml.X(1)), qml.expval(qml.Y(2))),
    "tuple of probabilities": lambda: (qml.probs(wires=[1, 0]), qml.probs(wires=[0, 2])),
}


def layer_of(returned: Any = RETURNED["list"], dtype: torch.dtype = torch.float64, body: Any = None) -> Any:
    @qml.qnode(qml.device("default.qubit", wires=3))
    def circuit(inputs, weights, turn):
        qml.AngleEmbedding(inputs, wires=range(3)) if body is None else body(inputs)
        qml.BasicEntanglerLayers(weights, wires=range(3), rotation=qml.RY)
        qml.RX(turn, 0)
        return returned()

    return qml.qnn.TorchLayer(circuit, {"weights": (2, 3), "turn": 1}).to(dtype)


def rows(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("name", RETURNED)
@pytest.mark.parametrize("shape", [(), (1,), (4,), (2, 2)])
def test_outputs_layout_and_gradients_are_those_of_the_layer(name, shape) -> None:
    theirs = layer_of(RETURNED[name])
    ours, x = from_torch_layer(theirs), rows(*shape)
    outputs, expected = ours(x), theirs(x)
    assert outputs.shape == expected.shape
    torch.testing.assert_close(outputs, expected, atol=1e-12, rtol=0)
    mix = torch.arange(1.0, 1 + expected.numel(), dtype=torch.float64).sin().reshape(expected.shape)
    [slope] = torch.autograd.grad((mix * outputs).sum(), [ours.weights])
    parts = torch.autograd.grad((mix * expected).sum(), [theirs.weights, theirs.turn])
    torch.testing.assert_close(slope, torch.cat([part.flatten() for part in parts]), atol=1e-12, rtol=0)
    assert float(slope.abs().max()) > 1e-3


def test_the_weights_are_copied() -> None:
    theirs = layer_of(dtype=torch.float32)
    ours = from_torch_layer(theirs)
    assert ours.weights.dtype == torch.float32
    x = rows(2).float()
    expected = ours(x).detach().clone()
    with torch.no_grad():
        theirs.weights.zero_()
    torch.testing.assert_close(ours(x), expected)
    theirs.weights.requires_grad_(False)
    theirs.turn.requires_grad_(False)
    assert not from_torch_layer(theirs).weights.requires_grad


class Hybrid(nn.Module):
    """A layer in two places, one expectation value without an axis of its own, and a branch around it."""

    def __init__(self, layer: nn.Module, other: nn.Module) -> None:
        super().__init__()
        self.before, self.layer, self.other = nn.Linear(2, 3, dtype=torch.float64), layer, other

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.before(x).tanh()
        return self.layer(hidden).unsqueeze(-1) * self.other(hidden) + self.layer(2 * hidden).unsqueeze(-1)


def hybrid() -> nn.Module:
    return Hybrid(layer_of(RETURNED["one"]), layer_of(RETURNED["list"]))


def sequence() -> nn.Module:
    linear = nn.Linear(2, 3, dtype=torch.float64), nn.Linear(2, 2, dtype=torch.float64)
    return nn.Sequential(linear[0], nn.Tanh(), layer_of(), linear[1])


@pytest.mark.parametrize("make", [sequence, hybrid])
def test_a_net_holds_torch_layers(make) -> None:
    """Jacobians by plain autograd through PennyLane, in the net's order of parameters; the module stays as it was."""
    module, x = make(), rows(3)[:, :2].clone()
    names = [name for name, _ in module.named_parameters()]
    net = Net(module, init="own")
    assert any(isinstance(part, qml.qnn.TorchLayer) for part in module.modules())
    assert [name for name, _ in module.named_parameters()] == names
    assert not any(isinstance(part, qml.qnn.TorchLayer) for part in net.module.modules())
    outputs = module(x)
    torch.testing.assert_close(net(net.params, x), outputs, atol=1e-12, rtol=0)
    parameters = list(module.parameters())
    expected = torch.stack(
        [
            torch.cat([g.flatten() for g in torch.autograd.grad(value, parameters, retain_graph=True)])
            for value in outputs.flatten()
        ]
    )
    torch.testing.assert_close(net.jacobian(net.params, x).flatten(0, 1), expected, atol=1e-11, rtol=0)
    check_model(net, net.params, x)


def test_a_net_of_a_torch_layer_alone_and_of_its_maker() -> None:
    x = rows(2)
    alone = Net(layer_of(), init="own")
    assert alone.num_params == 7
    torch.testing.assert_close(alone(alone.params, x), alone.module(x))
    made = Net(sequence)
    assert made.init(0).shape == (made.num_params,)
    assert not torch.equal(made.init(0), made.init(1))
    assert torch.equal(made.init(0), made.init(0))


def test_a_hybrid_net_is_trained_as_pennylane_trains_it() -> None:
    module, x = sequence(), rows(6)[:, :2].clone()
    net, y = Net(copy.deepcopy(module), init="own"), torch.ones(6, 2, dtype=torch.float64)
    history = qlazy.train(net, net.params, (x, y), steps=5, method=qlazy.GradientDescent(0.3))
    optimiser, losses = torch.optim.SGD(module.parameters(), 0.3), []
    for _ in range(6):
        optimiser.zero_grad()
        loss = (module(x) - y).square().sum(1).mean() / 2
        losses.append(loss.item())
        loss.backward()
        optimiser.step()
    torch.testing.assert_close(
        torch.as_tensor(history.train_loss[-1]), torch.tensor(losses[-1], dtype=torch.float64)
    )
    assert losses[-1] < losses[0]


def test_a_circuit_that_mixes_rows_is_refused() -> None:
    def first(inputs):
        for wire in range(3):
            qml.RX(inputs[wire], wires=wire)  # the first feature, or the first row of a batch

    theirs = layer_of(body=first)
    x = rows(3)
    assert not torch.allclose(theirs(x)[0], theirs(x[0]))
    with pytest.raises(UnsupportedModelError, match="`layer` must give each row of a batch"):
        from_torch_layer(theirs)(x)


def test_what_is_no_plain_torch_layer_is_refused() -> None:
    class Own(qml.qnn.TorchLayer):
        def forward(self, inputs):
            return 2 * super().forward(inputs)

    theirs = layer_of()
    own = Own(theirs.qnode, {"weights": (2, 3), "turn": 1})
    with pytest.raises(UnsupportedModelError, match="a Own with a `forward` of its own"):
        Net(own)
    with pytest.raises(
        TypeError, match=r"`qnode` must go through qlazy.from_torch_layer, but is a TorchLayer"
    ):
        qlazy.Circuit(theirs, {})
    with pytest.raises(TypeError, match="`layer` must be such as qml.qnn.TorchLayer"):
        from_torch_layer(nn.Linear(2, 2))
    theirs.turn.requires_grad_(False)
    with pytest.raises(UnsupportedModelError, match="train all of its weights or none"):
        from_torch_layer(theirs)
    theirs.turn.requires_grad_(True)
    theirs.register_forward_hook(lambda module, inputs, outputs: outputs)
    with pytest.raises(UnsupportedModelError, match="one with hooks"):
        from_torch_layer(theirs)


def test_a_layer_whose_parameter_was_replaced_is_refused_in_its_own_words() -> None:
    """It runs with the weights it had, and not with its parameter: no mixing of rows."""
    first, second = layer_of(), layer_of()
    second.weights = first.weights
    net = Net(nn.Sequential(first, nn.Linear(2, 3).double(), second), init="own")
    with pytest.raises(
        UnsupportedModelError, match="`layer` must run with the weights that are its parameters"
    ):
        net(net.params.double(), rows(4))

"""The registry: one maker for every leaf and every wrapper, each giving (model, params, x)."""

from __future__ import annotations

from collections.abc import Callable

import pennylane as qml
import torch
from torch import Tensor, nn

from qlazy import (
    Centered,
    Circuit,
    CircuitLayer,
    Function,
    Linearized,
    Model,
    Net,
    Readout,
    Scaled,
    from_qasm,
    mlp,
)
from qlazy.tasks.tensor import CircuitTensor, SymmetricTensor, index_tuples, real_ansatz

Case = tuple[Model, Tensor, Tensor]
N = 4


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def inputs(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=rng(seed), dtype=torch.float64)


def case(model: Model, *row: int) -> Case:
    return model, model.init(rng()).double(), inputs(N, *row)


def linear_function() -> Case:
    return case(Function(lambda w, x: (x @ w).unsqueeze(1), 3), 3)


def curved_function() -> Case:
    def f(w: Tensor, x: Tensor) -> Tensor:
        return torch.stack([torch.sin(x @ w), torch.exp(-((x - w) ** 2).sum(1))], dim=1)

    return case(Function(f, 3, blocks={"a": slice(0, 1), "b": slice(1, 3)}), 3)


def tanh_net() -> Case:
    return case(mlp([3, 8, 2]), 3)


class Residual(nn.Module):
    """Shared, frozen and plain parameters, a buffer, a norm and a residual sum in one module."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.shared = self.first
        self.norm = nn.LayerNorm(3)
        self.frozen = nn.Linear(3, 3).requires_grad_(False)
        self.register_buffer("shift", torch.arange(3.0))
        self.last = nn.Linear(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(self.first(x)) + self.frozen(x)
        return self.last(self.norm(x + self.shared(hidden)) + self.shift)


def residual_net() -> Case:
    torch.manual_seed(0)
    return case(Net(Residual()), 3)


def convolutional_net() -> Case:
    module = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.GELU(), nn.GroupNorm(1, 2), nn.Flatten(), nn.Linear(32, 2)
    )
    return case(Net(module), 1, 4, 4)


def normalized_net() -> Case:
    return case(Net(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 1)).eval()), 3)


@qml.qnode(qml.device("default.qubit", wires=3))
def reuploading(inputs, encoding, weights):  # type: ignore[no-untyped-def]
    for layer in range(2):
        for wire in range(3):
            qml.RX(encoding[layer, wire] * inputs[wire], wires=wire)
            qml.Rot(*weights[layer, wire], wires=wire)
        for wire in range(3):
            qml.CNOT([wire, (wire + 1) % 3])
    return qml.expval(qml.Z(0)), qml.expval(qml.X(1) @ qml.Y(2))


@qml.qnode(qml.device("default.qubit", wires=2))
def probabilities(inputs, angle, weights):  # type: ignore[no-untyped-def]
    qml.AngleEmbedding(inputs, wires=range(2))
    qml.IsingXX(angle, wires=[0, 1])
    qml.StronglyEntanglingLayers(weights, wires=range(2))
    return qml.probs(wires=[0, 1])


def qnode_circuit() -> Case:
    return case(Circuit(reuploading, {"encoding": (2, 3), "weights": (2, 3, 3)}), 3)


def torch_circuit() -> Case:
    return case(Circuit(reuploading, {"encoding": (2, 3), "weights": (2, 3, 3)}, backend="torch"), 3)


def lightning_circuit() -> Case:
    return case(Circuit(reuploading, {"encoding": (2, 3), "weights": (2, 3, 3)}, backend="lightning"), 3)


@qml.qnode(qml.device("default.mixed", wires=2))
def noisy(inputs, weights):  # type: ignore[no-untyped-def]
    qml.RX(weights[0] * inputs[0], wires=0)
    qml.DepolarizingChannel(0.1, wires=0)
    qml.CRY(weights[1] + inputs[1], wires=[0, 1])
    return qml.expval(qml.Z(0) @ qml.X(1)), qml.expval(qml.Z(1))


def device_circuit() -> Case:
    return case(Circuit(noisy, {"weights": 2}, backend="device"), 2)


def probability_circuit() -> Case:
    return case(Circuit(probabilities, {"angle": 1, "weights": (1, 2, 3)}), 2)


@qml.qnode(qml.device("default.qubit", wires=3))
def branching(inputs, weights):  # type: ignore[no-untyped-def]
    qml.RX(weights[0] * inputs[0], wires=0)
    qml.RY(weights[1], wires=1)
    qml.CRY(weights[2], wires=[0, 1])
    first, second = qml.measure(0, reset=True), qml.measure(1)
    qml.cond(first == second, qml.RX, qml.RZ)(weights[3], wires=2)

    def inner() -> None:
        qml.cond(second, qml.RY)(weights[0], wires=0)
        qml.Rot(inputs[1], weights[1], 0.3, wires=2)

    qml.cond(first, inner)()
    return qml.expval(qml.Z(0) @ qml.X(2)), qml.probs(wires=[2])


def branching_qnode() -> Case:
    return case(Circuit(branching, {"weights": 4}), 2)


RETRY = """OPENQASM 3.0;
include "stdgates.inc";
qubit[3] q;
input array[float, 3] w;
@qlazy.data
input float x;
bit c = 1;
h q[0];
cx q[0], q[1];
@qlazy.bound 4
while (c) { reset q[2]; rx(w[0]) q[1]; ry(w[1] * x) q[2]; cx q[1], q[2]; c = measure q[2]; }
if (!c) { rx(w[2]) q[0]; } else { ry(w[2] * w[0]) q[0]; }
pragma qlazy.observable Z q[0] Z q[1]
pragma qlazy.observable X q[0]
"""


def repeat_until_success() -> Case:
    return case(from_qasm(RETRY), 1)


def hybrid_net() -> Case:
    circuit = Circuit(reuploading, {"encoding": (2, 3), "weights": (2, 3, 3)})
    return case(
        Net(nn.Sequential(nn.Linear(2, 3).double(), CircuitLayer(circuit), nn.Linear(2, 1).double())), 2
    )


def scaled_net() -> Case:
    model, params, x = tanh_net()
    return Scaled(model, 2.5), params, x


def readout_circuit() -> Case:
    return case(Readout(Circuit(reuploading, {"encoding": (2, 3), "weights": (2, 3, 3)}), 2), 3)


def readout_net() -> Case:
    return case(Readout(mlp([3, 4, 2]), 2), 3)


def centered_net() -> Case:
    model, params, x = tanh_net()
    return Centered(model, params + 0.5), params, x


def linearized_net() -> Case:
    model, params, x = tanh_net()
    return Linearized(model, params + 0.5), params, x


def linearized_circuit() -> Case:
    model, params, x = qnode_circuit()
    return Linearized(Scaled(Centered(model, params), 10.0), params), params + 0.1, x


def symmetric_tensor() -> Case:
    model = SymmetricTensor(3, 4, 2, signs=[1, -1])
    return model, model.init(rng()), index_tuples(3, 4)[::4]


def homogeneous_tensor() -> Case:
    model = SymmetricTensor(3, 3, 2, degree=2)
    return model, model.init(rng()), index_tuples(3, 3)[::3]


def circuit_tensor() -> Case:
    model = CircuitTensor(real_ansatz(2, 2), 3, 2, signs=[1, -1])
    return model, model.init(rng()), index_tuples(4, 3)[::6]


MAKERS: tuple[Callable[[], Case], ...] = (
    linear_function,
    curved_function,
    tanh_net,
    residual_net,
    convolutional_net,
    normalized_net,
    qnode_circuit,
    torch_circuit,
    lightning_circuit,
    device_circuit,
    probability_circuit,
    branching_qnode,
    repeat_until_success,
    hybrid_net,
    scaled_net,
    readout_circuit,
    readout_net,
    centered_net,
    linearized_net,
    linearized_circuit,
    symmetric_tensor,
    homogeneous_tensor,
    circuit_tensor,
)

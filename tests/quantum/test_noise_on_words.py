"""Noise on backend "paulis": default.mixed is the oracle, called row by row."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
import torch
from torch import Tensor

import qlazy
from qlazy.base.identity import identity
from qlazy.quantum.pennylane.noise import with_noise
from qlazy.testing import check_model
from qlazy.theory.mean_kernel import mean_kernel

CHANNELS = {
    "depolarizing": lambda wire: qml.DepolarizingChannel(0.07, wires=wire),
    "phase flip": lambda wire: qml.PhaseFlip(0.11, wires=wire),
    "phase damping": lambda wire: qml.PhaseDamping(0.13, wires=wire),
    "bit flip": lambda wire: qml.BitFlip(0.09, wires=wire),
    "amplitude damping": lambda wire: qml.AmplitudeDamping(0.17, wires=wire),
    "at a temperature": lambda wire: qml.GeneralizedAmplitudeDamping(0.2, 0.3, wires=wire),
    "Pauli error": lambda wire: qml.PauliError("Y", 0.12, wires=wire),
    "to the middle": lambda wire: qml.DepolarizingChannel(0.75, wires=wire),
    "reset": lambda wire: qml.ResetError(0.1, 0.2, wires=wire),
}
WIRES, LAYERS = 3, 2


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def qnode_with(channel, reuploading: bool = False) -> qml.QNode:
    @qml.qnode(qml.device("default.mixed", wires=WIRES))
    def circuit(inputs, w):
        for layer in range(LAYERS):
            if reuploading or layer == 0:
                qml.AngleEmbedding(inputs, wires=range(WIRES))
            for wire in range(WIRES):
                channel(wire)
                qml.RY(w[layer, wire, 0], wires=wire)
                qml.RZ(w[layer, wire, 1], wires=wire)
            for wire in range(WIRES - 1):
                qml.CNOT([wire, wire + 1])
                channel(wire + 1)
            qml.CRX(w[layer, 0, 0], wires=[2, 0])
            channel(0)
        return qml.expval(qml.Z(0) @ qml.X(1)), qml.expval(qml.Y(2)), qml.probs(wires=[0, 1])

    return circuit


def by_rows(qnode: qml.QNode, params: Tensor, x: Tensor) -> Tensor:
    weights = params.reshape(LAYERS, WIRES, 2).numpy()
    rows = [np.concatenate([np.ravel(part) for part in qnode(row, weights)]) for row in x.numpy()]
    return torch.from_numpy(np.stack(rows))


@pytest.mark.parametrize("reuploading", [False, True])
@pytest.mark.parametrize("name", CHANNELS)
def test_outputs_and_slopes_are_those_of_default_mixed(name: str, reuploading: bool) -> None:
    qnode = qnode_with(CHANNELS[name], reuploading)
    circuit = qlazy.Circuit(qnode, {"w": (LAYERS, WIRES, 2)}, backend="paulis")
    params, x = circuit.init(rng()), 3 * torch.rand(3, WIRES, generator=rng(1), dtype=torch.float64)
    torch.testing.assert_close(circuit(params, x), by_rows(qnode, params, x), rtol=0, atol=1e-10)
    assert (circuit.backend, circuit.backend_reason) == ("paulis", "")
    along = torch.randn(len(params), generator=rng(2), dtype=torch.float64)
    step = 1e-5
    ends = [by_rows(qnode, params + sign * step * along, x) for sign in (1, -1)]
    torch.testing.assert_close(
        circuit.jacobian(params, x) @ along, (ends[0] - ends[1]) / (2 * step), rtol=0, atol=1e-8
    )
    assert float(circuit.truncation_error(params, x).bound.max()) == 0


def test_the_laws_hold_with_noise() -> None:
    circuit = qlazy.Circuit(
        qnode_with(CHANNELS["amplitude damping"]), {"w": (LAYERS, WIRES, 2)}, backend="paulis"
    )
    x = torch.rand(3, WIRES, generator=rng(), dtype=torch.float64)
    check_model(circuit, circuit.init(rng()), x)


def test_a_circuit_with_noise_put_in_is_the_same_on_words_as_on_its_device() -> None:
    device = with_noise(qlazy.load_circuit("hardware_efficient", n=3, layers=2), "amplitude_damping", 0.05)
    words = qlazy.Circuit(device.qnode, device.weight_shapes, backend="paulis")
    params, x = words.init(rng()), 3 * torch.rand(3, 3, generator=rng(1), dtype=torch.float64)
    torch.testing.assert_close(words(params, x), device(params, x), rtol=0, atol=1e-10)
    torch.testing.assert_close(words.jacobian(params, x), device.jacobian(params, x), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["depolarizing", "amplitude damping", "phase flip"])
def test_bounds_hold_with_noise(name: str) -> None:
    qnode = qnode_with(CHANNELS[name])
    exact = qlazy.Circuit(qnode, {"w": (LAYERS, WIRES, 2)}, backend="paulis")
    dropped = []
    for seed in range(8):
        for options in ({"cutoff": 0.05}, {"cutoff": 0.2}, {"max_weight": 2}):
            cut = qlazy.Circuit(qnode, {"w": (LAYERS, WIRES, 2)}, backend="paulis", **options)
            params, x = (
                cut.init(rng(seed)),
                3 * torch.rand(3, WIRES, generator=rng(seed), dtype=torch.float64),
            )
            error = cut.truncation_error(params, x)
            off = (cut(params, x) - exact(params, x)).abs().numpy()
            assert (off <= error.bound + 1e-12).all()
            slopes = (cut.jacobian(params, x) - exact.jacobian(params, x)).abs()
            # CRX is two rotations by half its angle, and one of RY: a weight in several has the sum of their bounds
            assert (slopes.amax(2).numpy() <= 2 * error.slope_bound + 1e-12).all()
            dropped.append(off.max())
    assert max(dropped) > 0.01


def test_rounded_by_chance_noise_leaves_no_bias() -> None:
    qnode = qnode_with(CHANNELS["amplitude damping"])
    exact, cut = (
        qlazy.Circuit(qnode, {"w": (LAYERS, WIRES, 2)}, backend="paulis", cutoff=cutoff)
        for cutoff in (0, 0.2)
    )
    params, x = exact.init(rng()), 3 * torch.rand(2, WIRES, generator=rng(1), dtype=torch.float64)
    rounded = cut.rounded(rng(0))
    found = torch.stack([rounded(params, x) for _ in range(300)])
    z = (found.mean(0) - exact(params, x)) / (found.std(0) / len(found) ** 0.5 + 1e-12)
    assert found.std(0).max() > 0.01
    assert z.abs().max() < 4


def test_noise_far_past_states() -> None:
    """Independent wires: cos(x + w) times (1 - 4p/3)^2 each. The device has no wires declared, nor room for so many."""
    wires = 60

    @qml.qnode(qml.device("default.mixed"))
    def circuit(inputs, w):
        for wire in range(wires):
            qml.RY(inputs[wire], wires=wire)
            qml.DepolarizingChannel(0.1, wires=wire)
            qml.RY(w[wire], wires=wire)
            qml.DepolarizingChannel(0.1, wires=wire)
        return qml.expval(qml.Z(0) @ qml.Z(wires - 1))

    model = qlazy.Circuit(circuit, {"w": wires}, backend="paulis")
    params, x = model.init(rng()), torch.rand(2, wires, generator=rng(1), dtype=torch.float64)
    each = (1 - 0.4 / 3) ** 2 * torch.cos(x + params)
    torch.testing.assert_close(model(params, x)[:, 0], each[:, 0] * each[:, -1], rtol=0, atol=1e-12)


def test_what_noise_does_not_take_is_refused() -> None:
    def circuit_of(channel, **options):
        @qml.qnode(qml.device("default.mixed", wires=2, **options))
        def circuit(inputs, w):
            qml.RY(inputs[0] + w[0], wires=0)
            channel(w)
            return qml.expval(qml.Z(0))

        return circuit

    damped = circuit_of(lambda w: qml.AmplitudeDamping(0.1, wires=0))
    cases = [
        (circuit_of(lambda w: qml.DepolarizingChannel(w[0] ** 2 / 100, wires=0)), "depends on weights"),
        (circuit_of(lambda w: qml.PauliError("XX", 0.1, wires=[0, 1])), "acts on several wires"),
        (circuit_of(lambda w: qml.BitFlip(0.1, wires=0), readout_prob=0.1), "readout errors"),
        (qml.set_shots(damped, 10), "shots"),
    ]
    for qnode, message in cases:
        with pytest.raises(qlazy.UnsupportedModelError, match=message):
            qlazy.Circuit(qnode, {"w": (1,)}, backend="paulis")(
                torch.ones(1).double(), torch.ones(2, 1).double()
            )
    model = qlazy.Circuit(damped, {"w": (1,)}, backend="paulis")
    for call in (model.lowering, lambda x: mean_kernel(model, x)):
        with pytest.raises(qlazy.UnsupportedModelError, match="noise channels"):
            call(torch.ones(2, 1).double())
    with pytest.raises(qlazy.UnsupportedModelError, match="be given backend='device'"):
        qlazy.Circuit(damped, {"w": (1,)}, backend="adjoint")


def test_strengths_are_part_of_what_a_circuit_is_told_by() -> None:
    x = torch.ones(2, 3).double()
    circuit = qlazy.load_circuit("hardware_efficient", n=3, layers=1)
    noisy = [with_noise(circuit, "bit_flip", strength).qnode for strength in (0.1, 0.1, 0.2)]
    one, same, other = (
        identity(qlazy.Circuit(qnode, circuit.weight_shapes, backend="paulis").keyed_by(x)) for qnode in noisy
    )
    assert one == same != other

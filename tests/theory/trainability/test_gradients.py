"""Variances of gradients against closed forms, integrals over all angles, and walks of Pauli words."""

from __future__ import annotations

import math

import pennylane as qml
import pytest
import torch

import qlazy
from qlazy.base.errors import UnsupportedModelError
from qlazy.quantum.scrambled import scrambled_circuit
from qlazy.theory import light_cone
from qlazy.theory.mean_kernel import mean_kernel
from qlazy.theory.scrambled_laws import mean_kernel as scrambled_mean
from qlazy.theory.trainability import gradient_variance
from qlazy.theory.trainability.draws import by_rows, draw


def inputs(rows: int, features: int, seed: int = 1) -> torch.Tensor:
    return (
        2
        * math.pi
        * torch.rand(rows, features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    )


def two_angles() -> qlazy.Circuit:
    @qml.qnode(qml.device("default.qubit", wires=2))
    def circuit(inputs, w):  # type: ignore[no-untyped-def]
        qml.RX(w[0], wires=0)
        qml.RY(2 * w[1] + inputs[0], wires=0)
        return qml.expval(3 * qml.Z(0)), qml.expval(qml.Z(1))

    return qlazy.Circuit(circuit, {"w": 2})


def test_it_is_the_integral_over_angles() -> None:
    """f = 3 cos(w0) cos(2 w1 + x): variances 9/4 by w0 and 4 times that by w1, whatever x; 0 of the second output."""
    found = gradient_variance(two_angles(), inputs(3, 1), samples=20_000)
    expected = torch.tensor([[9 / 4, 9.0], [0, 0]], dtype=torch.float64)
    assert ((found.variances - expected).abs() <= 4 * found.errors + 1e-12).all()
    assert (found.errors < 0.02 * expected + 1e-12).all()
    assert abs(found.largest.value - 9) < 4 * found.largest.error
    assert abs(found.total.value - 45 / 4) < 4 * found.total.error
    assert found.qubits == 2


def test_it_is_the_closed_form_of_scrambled_circuits() -> None:
    """L N^2 v / (2 (N - 1) (N + 1)^2) in the mean over the gates that scramble."""
    x, totals = inputs(1, 0), []
    for seed in range(40):
        circuit = scrambled_circuit(3, 12, torch.Generator().manual_seed(seed))
        totals.append(gradient_variance(circuit, x, samples=50, seed=seed).total.value)
    values = torch.tensor(totals)
    error = float(values.std()) / math.sqrt(len(values))
    assert abs(float(values.mean()) - scrambled_mean(12, 3)) < 4 * error
    assert error < 0.1 * scrambled_mean(12, 3)


@pytest.mark.parametrize("name", ["hardware_efficient", "tree_tensor_network"])
def test_states_and_walks_agree_with_each_other_and_with_the_mean_kernel(name: str) -> None:
    circuit = qlazy.load_circuit(name, n=4)
    x = inputs(4, 4)
    states = gradient_variance(circuit, x, samples=4000)
    walks = gradient_variance(circuit, x, samples=1000, method="walks")
    assert walks.method == "walks"
    errors = (states.errors.square().sum(0) + walks.errors.square().sum(0)).sqrt()
    assert ((states.variances.sum(0) - walks.variances.sum(0)).abs() < 4.5 * errors + 1e-9).all()
    kernel = mean_kernel(circuit, x, precision=0.005)
    mean = float(kernel.tangent.diagonal().mean())
    for found in (states, walks):
        assert abs(found.total.value - mean) < 4 * math.hypot(found.total.error, 0.005 * mean)
        assert found.total.error < 0.03 * mean


def test_the_largest_is_not_larger_by_the_choice() -> None:
    """Many parameters of one variance, 1/8: the largest of noisy estimates would lie far above."""

    @qml.qnode(qml.device("default.qubit", wires=8))
    def circuit(inputs, w):  # type: ignore[no-untyped-def]
        qml.RZ(inputs[0], wires=0)
        for k in range(8):
            qml.RX(w[k], wires=k)
            qml.RY(w[8 + k], wires=k)
        return [qml.expval(qml.Z(k)) for k in range(8)]

    model, x = qlazy.Circuit(circuit, {"w": 16}), inputs(1, 1)
    found = [gradient_variance(model, x, samples=16, seed=seed) for seed in range(100)]
    values = torch.tensor([one.largest.value for one in found])
    assert abs(float(values.mean()) - 1 / 4) < 4 * float(values.std()) / 10
    assert torch.stack([one.variances.sum(0).max() for one in found]).mean() > 0.3


def test_rows_have_the_circuits_own_derivatives() -> None:
    circuit = qlazy.load_circuit("data_reuploading", n=3)
    x = inputs(5, circuit.program.num_features)
    draws = draw(circuit, x, 5, torch.Generator().manual_seed(0))
    rows = by_rows(circuit, x)
    own = torch.cat([circuit.jacobian(w, row.unsqueeze(0)) for w, row in zip(*draws, strict=True)])
    torch.testing.assert_close(rows.gradients(rows.rows(*draws)), own)


@pytest.mark.parametrize(("qubits", "method"), [(6, "states"), (100, "walks")])
def test_it_is_the_closed_form_of_light_cone_circuits(qubits: int, method: str) -> None:
    """By b_k: 1/m [c_k^2 / 4 + (c_(k-1) c_k c_(k+1))^2 / 16], c = cos x; and the sum is E K(x, x)."""
    circuit = qlazy.load_circuit("light_cone", n=qubits)
    x = inputs(1, qubits)
    found = gradient_variance(circuit, x, samples=2000 if method == "states" else 100, method=method)  # type: ignore[arg-type]
    squares = torch.cos(x[0]).square()
    expected = (squares / 4 + squares.roll(1) * squares * squares.roll(-1) / 16) / qubits
    by_b, errors = found.variances[0, qubits:], found.errors[0, qubits:]
    assert ((by_b - expected).abs() <= 4.5 * errors + 1e-4 / qubits).all()
    mean = float(light_cone.mean_kernel(x))
    assert abs(found.total.value - mean) < 4 * found.total.error
    assert found.total.error < 0.03 * mean
    assert found.qubits == qubits


def test_a_circuit_that_measures_is_taken_row_by_row() -> None:
    @qml.qnode(qml.device("default.qubit", wires=2))
    def circuit(inputs, w):  # type: ignore[no-untyped-def]
        qml.RZ(inputs[0], wires=0)
        qml.RX(w[0], wires=0)
        bit = qml.measure(0)
        qml.cond(bit, qml.RX)(w[1], wires=1)
        return qml.expval(qml.Z(1))

    found = gradient_variance(qlazy.Circuit(circuit, {"w": 2}), inputs(1, 1), samples=400)
    # f = cos^2(w0/2) + sin^2(w0/2) cos(w1) = (1 + cos w0 + (1 - cos w0) cos w1) / 2
    expected = torch.tensor([[3 / 16, 3 / 16]], dtype=torch.float64)
    assert ((found.variances - expected).abs() < 4 * found.errors).all()


def test_walks_that_see_nothing_do_not_say_zero_without_an_error() -> None:
    """Deep, and a parity of 24 qubits: the variance is about 2^-24, and no walk of some thousands ends in it."""
    text = qlazy.load_circuit("hardware_efficient").program.text
    parity = " ".join(f"Z q[{k}]" for k in range(24))
    circuit = qlazy.from_qasm(text, n=24, layers=24, observables=(parity,), backend="paulis")
    found = gradient_variance(circuit, torch.zeros(1, 24, dtype=torch.float64), samples=20, method="walks")
    assert found.samples == 1280
    assert found.largest.value < 2**-10
    assert found.largest.error >= 1 / 1280
    assert (found.errors >= 1 / 1280).all()


def test_noise_and_shots_are_refused() -> None:
    @qml.qnode(qml.device("default.mixed", wires=1))
    def circuit(inputs, w):  # type: ignore[no-untyped-def]
        qml.RY(inputs[0] + w[0], wires=0)
        qml.DepolarizingChannel(0.3, wires=0)
        return qml.expval(qml.Z(0))

    noisy = qlazy.Circuit(circuit, {"w": (1,)}, backend="device")
    with pytest.raises(
        UnsupportedModelError, match="`circuit` must be exact: shots and noise of backend='device'"
    ):
        gradient_variance(noisy, inputs(2, 1))


def test_refusals() -> None:
    circuit = two_angles()
    with pytest.raises(ValueError, match="`samples` must be at least 8, but is 3"):
        gradient_variance(circuit, inputs(1, 1), samples=3)
    with pytest.raises(ValueError, match="`method` must be 'auto', 'states' or 'walks'"):
        gradient_variance(circuit, inputs(1, 1), method="fast")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="`circuit` must be such as"):
        gradient_variance(qlazy.mlp([1, 1]), inputs(1, 1))  # type: ignore[arg-type]
    with pytest.raises(qlazy.KernelTooLargeError, match="derivatives over all samples"):
        gradient_variance(circuit, inputs(1, 1), samples=2**25)

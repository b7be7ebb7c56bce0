"""Noise on circuits: where a closed form exists, outputs and Jacobians are it; elsewhere a dense simulation decides."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pennylane as qml
import pytest
import torch

from qlazy import Circuit, from_qasm, load_circuit
from qlazy.base.errors import UnsupportedModelError
from qlazy.quantum.pennylane.noise import damping, with_global_depolarizing, with_noise, with_noise_model
from tests.makers import inputs, rng

F64 = torch.float64
CHANNELS = ("depolarizing", "amplitude_damping", "phase_damping", "bit_flip")

PRODUCT = """
OPENQASM 3.0;
include "stdgates.inc";
@qlazy.data
input array[float[64], 2] x;
input array[float[64], 2, 2] a;
qubit[2] q;
for int k in [0:1] {
  ry(x[k]) q[k];
  rx(a[k, 0]) q[k];
  rz(a[k, 1]) q[k];
}
rx(a[0, 0]) q[0];
rx(a[1, 1]) q[1];
"""
"""Four gates on each qubit and none between them."""


def entangled(observable):
    return from_qasm(
        'OPENQASM 3.0; include "stdgates.inc"; @qlazy.data\n input float[64] x; input array[float[64], 3] a; '
        "qubit[2] q; ry(x) q[0]; rx(a[0]) q[1]; cx q[0], q[1]; ry(a[1]) q[0]; rx(a[2]) q[1];",
        observables=[observable],
    )


def assert_scaled(noisy, exact, factor, offset=0.0):
    params, x = exact.init(rng(1)), inputs(3, exact.program.num_features)
    outputs, jacobian = exact(params, x), exact.jacobian(params, x)
    assert jacobian.abs().max() > 0.05
    torch.testing.assert_close(noisy(params, x), factor * outputs + offset, rtol=0, atol=1e-12)
    torch.testing.assert_close(noisy.jacobian(params, x), factor * jacobian, rtol=0, atol=1e-12)


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("letter", "XYZ")
def test_a_channel_at_the_end_scales_one_pauli(channel, letter):
    exact = entangled(f"{letter} q[{0 if letter == 'X' else 1}]")  # where it depends on the weights
    known = damping(channel, 0.2)
    offset = known.offset if letter == "Z" else 0.0
    assert_scaled(
        with_noise(exact, channel, 0.2, position="end"), exact, getattr(known, letter.lower()), offset
    )


@pytest.mark.parametrize("channel", ["depolarizing", "phase_damping", "bit_flip"])
def test_and_a_product_of_two_by_both_factors(channel):
    exact, known = entangled("Y q[0] Z q[1]"), damping(channel, 0.2)
    assert_scaled(with_noise(exact, channel, 0.2, position="end"), exact, known.y * known.z)


def test_depolarizing_commutes_with_gates_of_one_qubit():
    exact = from_qasm(PRODUCT, observables=["Z q[0] X q[1]"])
    assert_scaled(with_noise(exact, "depolarizing", 0.05), exact, (1 - 4 * 0.05 / 3) ** 8)


@pytest.mark.parametrize("observable", ["Z q[1]", "X q[0] Y q[1]"])
def test_global_depolarizing_scales_whatever_is_traceless(observable):
    exact = entangled(observable)
    assert_scaled(with_global_depolarizing(exact, 0.3), exact, 0.7)


def test_noise_after_every_gate_is_what_a_density_matrix_says():
    exact = entangled("Z q[0] Z q[1]")
    noisy = with_noise(exact, "amplitude_damping", 0.1)
    params, x = exact.init(rng(2)), inputs(1, 1)
    expected = dense(x[0].tolist() + params.tolist(), 0.1)
    assert float(noisy(params, x)) == pytest.approx(expected, abs=1e-12)
    assert abs(float(exact(params, x)) - expected) > 0.05


def dense(angles, gamma):
    """The circuit `entangled` as matrices, each gate followed by damping of each of its qubits."""
    one = np.eye(2)
    x, y = np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]])
    on = (lambda m: np.kron(m, one), lambda m: np.kron(one, m))
    turn = lambda p, t: np.cos(t / 2) * one - 1j * np.sin(t / 2) * p  # noqa: E731
    cnot = np.eye(4)[[0, 1, 3, 2]]
    gates = (
        (on[0](turn(y, angles[0])), [0]), (on[1](turn(x, angles[1])), [1]), (cnot, [0, 1]),
        (on[0](turn(y, angles[2])), [0]), (on[1](turn(x, angles[3])), [1]),
    )  # fmt: skip
    kraus = (np.diag([1, (1 - gamma) ** 0.5]), np.array([[0, gamma**0.5], [0, 0]]))
    rho = np.diag([1.0, 0, 0, 0])
    for gate, wires in gates:
        rho = gate @ rho @ gate.conj().T
        for wire in wires:
            rho = reduce(np.add, (on[wire](k) @ rho @ on[wire](k).conj().T for k in kraus))
    return np.trace(rho @ np.diag([1, -1, -1, 1])).real


def test_a_noise_model_of_pennylane():
    exact = entangled("Z q[1]")
    noise = qml.NoiseModel({qml.noise.op_eq(qml.CNOT): qml.noise.partial_wires(qml.BitFlip, 0.5)})
    params, x = exact.init(rng(1)), inputs(2, 1)
    assert with_noise_model(exact, noise)(params, x).abs().max() < 1e-12  # Z of a coin is nothing
    with pytest.raises(TypeError, match=r"`noise` must be a qml.NoiseModel, but is dict"):
        with_noise_model(exact, {})


def test_templates_are_expanded_and_their_gates_noisy():
    @qml.qnode(qml.device("default.qubit", wires=2))
    def layers(inputs, weights):
        qml.AngleEmbedding(inputs, wires=range(2), rotation="Y")
        qml.BasicEntanglerLayers(weights, wires=range(2))
        return qml.expval(qml.Z(0))

    model = Circuit(layers, {"weights": (1, 2)})
    params, x = model.init(rng()), inputs(2, 2)
    noisy = with_noise(model, "depolarizing", 0.1)
    # Z0 sees its own CNOT as a control, unchanged, and two rotations: three channels of weight 1.
    factor = (1 - 0.4 / 3) ** 3
    torch.testing.assert_close(noisy(params, x), factor * model(params, x), rtol=0, atol=1e-12)


def test_no_noise_is_no_noise():
    model = load_circuit("hardware_efficient", n=2, layers=1)
    params, x = model.init(rng()), inputs(2, 2)
    noisy = with_noise(model, "depolarizing", 0.0)
    torch.testing.assert_close(noisy.jacobian(params, x), model.jacobian(params, x), rtol=0, atol=1e-12)
    assert noisy.backend == "device"


def test_noise_and_shots_together():
    model = load_circuit("hardware_efficient", n=2, layers=1)
    params, x = model.init(rng()), inputs(1, 2)
    noisy = with_noise(model, "depolarizing", 0.1)
    found = noisy.measured(4000).jacobian(params, x)
    assert (found - noisy.jacobian(params, x)).abs().max() < 5 / (2 * 4000) ** 0.5


def test_refusals():
    model = load_circuit("single_qubit")
    with pytest.raises(ValueError, match="`channel` must be one of depolarizing, .*, but is 'heat'"):
        with_noise(model, "heat", 0.1)
    with pytest.raises(ValueError, match=r"`strength` must be between 0 and 1, but is 1.5"):
        with_noise(model, "bit_flip", 1.5)
    with pytest.raises(ValueError, match="`strength` must be between 0 and 1, but is nan"):
        with_noise(model, "bit_flip", float("nan"))
    with pytest.raises(ValueError, match="`position` must be 'all' or 'end'"):
        with_noise(model, "bit_flip", 0.1, position="start")
    with pytest.raises(UnsupportedModelError, match="does not measure on its way"):
        with_noise(load_circuit("teleportation"), "bit_flip", 0.1)
    with pytest.raises(UnsupportedModelError, match="1 to 4 wires"):
        with_global_depolarizing(load_circuit("hardware_efficient", n=5), 0.1)

"""Quantum Fisher information against PennyLane's metric tensor, closed forms and the dimension of the Lie algebra."""

from __future__ import annotations

import math

import numpy as np
import pennylane as qml
import pytest
import torch
from pennylane import numpy as pnp

import qlazy
from qlazy.theory.trainability import fisher_spectrum, lie_algebra, quantum_fisher_information


def inputs(rows: int, features: int, seed: int = 1) -> torch.Tensor:
    return (
        2
        * math.pi
        * torch.rand(rows, features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    )


def layered():
    """Rotations on one wire and two, a fixed gate that is no Clifford gate, data between weights."""

    @qml.qnode(qml.device("default.qubit", wires=4))
    def circuit(inputs, w):  # type: ignore[no-untyped-def]
        qml.AngleEmbedding(inputs, wires=range(3))
        qml.RX(w[0], wires=0)
        qml.RY(w[1], wires=1)
        qml.CNOT([0, 1])
        qml.T(1)
        qml.IsingXX(w[2], wires=[1, 2])
        qml.RZ(inputs[0], wires=1)
        qml.Rot(w[3], w[4], w[5], wires=2)
        qml.CNOT([2, 0])
        qml.RY(w[6], wires=0)
        return qml.expval(qml.Z(0))

    return circuit


def test_it_is_four_times_pennylanes_metric_tensor() -> None:
    qnode = layered()
    circuit, x = qlazy.Circuit(qnode, {"w": 7}), inputs(1, 3)
    params = circuit.init(torch.Generator().manual_seed(0))
    # a wire is left free for the Hadamard tests of the off-diagonal blocks
    metric = qml.metric_tensor(qnode, approx=None, aux_wire=3)(
        pnp.array(x[0].numpy(), requires_grad=False), pnp.array(params.numpy(), requires_grad=True)
    )
    found = quantum_fisher_information(circuit, params, x)
    np.testing.assert_allclose(found.numpy(), 4 * np.asarray(metric), atol=1e-8)
    assert abs(found.numpy()).sum() > 1


def test_a_weight_in_two_rotations_adds_their_derivatives() -> None:
    """RX(w) RX(w) on one qubit turns twice as fast: F = 4 Var(X) = 4 at |0>; RX alone has 1."""
    text = 'OPENQASM 3.0; include "stdgates.inc"; input float w; qubit q; rx(w) q; rx(w) q;'
    circuit = qlazy.from_qasm(text)
    found = quantum_fisher_information(circuit, torch.tensor([0.3], dtype=torch.float64), inputs(1, 0))
    torch.testing.assert_close(found, torch.tensor([[4.0]], dtype=torch.float64))


def test_overlaps_have_its_second_order() -> None:
    """|<psi(w)|psi(w + e)>|^2 = 1 - e^T F e / 4 + O(e^3), by PennyLane's own states."""

    @qml.qnode(qml.device("default.qubit", wires=3))
    def qnode(inputs, w):  # type: ignore[no-untyped-def]
        """A controlled rotation, a weight in two gates, one times data."""
        qml.AngleEmbedding(inputs, wires=range(3))
        qml.RX(w[0], wires=0)
        qml.CRY(w[1], wires=[0, 1])
        qml.RZ(w[2] * inputs[1], wires=1)
        qml.RX(3 * w[0] + w[2], wires=2)
        qml.CNOT([1, 2])
        return qml.expval(qml.Z(0))

    circuit, x = qlazy.Circuit(qnode, {"w": 3}), inputs(1, 3)
    params = circuit.init(torch.Generator().manual_seed(0))
    step = 1e-3 * torch.randn(len(params), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    from qlazy.quantum.pennylane.states import final_states

    before, after = (final_states(circuit, w, x)[0] for w in (params - step / 2, params + step / 2))
    overlap = float((before.conj() * after).sum().abs() ** 2)
    expected = float(step @ quantum_fisher_information(circuit, params, x) @ step) / 4
    assert 1 - overlap == pytest.approx(expected, rel=1e-4)


def random_circuit(seed: int) -> qlazy.Circuit:
    """Rotations about random words, some by one weight, with fixed gates of every kind between."""
    chance = np.random.default_rng(seed)
    wires, count = int(chance.integers(2, 4)), int(chance.integers(3, 9))
    words = ["".join(chance.choice(list("IXYZ"), wires)) for _ in range(count)]
    words = [word if set(word) != {"I"} else "X" * wires for word in words]
    weights = chance.integers(0, max(2, count - 2), count)
    gates = chance.integers(0, 5, count)

    @qml.qnode(qml.device("default.qubit", wires=wires))
    def circuit(inputs, w):  # type: ignore[no-untyped-def]
        qml.AngleEmbedding(inputs, wires=[0], rotation="Y")
        for word, weight, gate in zip(words, weights, gates, strict=True):
            qml.PauliRot(w[weight], word, wires=range(wires))
            [lambda: qml.CNOT([0, 1]), lambda: qml.T(0), lambda: qml.S(1), lambda: qml.H(0), lambda: None][
                gate
            ]()
        qml.CRX(w[0], wires=[1, 0])
        return qml.expval(qml.Z(0))

    return qlazy.Circuit(circuit, {"w": max(2, count - 2)})


@pytest.mark.parametrize("seed", range(12))
def test_the_rank_is_at_most_the_dimension_of_the_lie_algebra(seed: int) -> None:
    circuit, x = random_circuit(seed), inputs(1, 1)
    found, algebra = fisher_spectrum(circuit, x, samples=3), lie_algebra(circuit, x)
    assert algebra.complete
    assert 0 < found.rank <= min(found.most, algebra.dimension)


def test_the_bound_is_reached_and_not_trivial() -> None:
    """Many layers of a transverse Ising chain: the rank stays within an algebra smaller than what states allow."""
    circuit, x = qlazy.load_circuit("tfim", n=4, layers=12), inputs(1, 0)
    found, algebra = fisher_spectrum(circuit, x, samples=3), lie_algebra(circuit, x)
    assert algebra.dimension < found.most == 24
    assert 4 <= found.rank <= algebra.dimension


def test_ranks_and_spectra_are_those_of_the_matrix() -> None:
    circuit, x = qlazy.load_circuit("strongly_entangling", n=3, layers=8), inputs(2, 3)
    found = fisher_spectrum(circuit, x, samples=1, seed=3)
    params = (
        2
        * math.pi
        * torch.rand(1, circuit.num_params, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    )
    matrix = quantum_fisher_information(circuit, params[0], x[:1])
    torch.testing.assert_close(
        found.eigenvalues[0], torch.linalg.eigvalsh(matrix).flip(0), atol=1e-10, rtol=1e-8
    )
    assert found.rank == found.most == 14  # 2 (2^3 - 1)


def test_refusals() -> None:
    circuit = qlazy.load_circuit("hardware_efficient", n=20, layers=2)
    with pytest.raises(
        qlazy.KernelTooLargeError, match="amplitudes in all its tangent kets .* 80 parameters on 20 qubits"
    ):
        fisher_spectrum(circuit, inputs(1, 20))
    small = qlazy.load_circuit("hardware_efficient", n=2)
    with pytest.raises(ValueError, match="`x` must be one input"):
        quantum_fisher_information(small, small.init(torch.Generator()), inputs(2, 2))
    with pytest.raises(ValueError, match="`params` must have shape"):
        quantum_fisher_information(small, torch.zeros(2, dtype=torch.float64), inputs(1, 2))

"""Expressibility against Haar-random states, exact limits, and an estimate from PennyLane's states."""

from __future__ import annotations

import math

import numpy as np
import pennylane as qml
import pytest
import torch

import qlazy
from qlazy.quantum.scrambled import haar_unitaries
from qlazy.theory.trainability import expressibility, from_fidelities
from qlazy.theory.trainability.expressibility import log_haar_masses


def test_haars_masses_are_those_of_its_density() -> None:
    """(N - 1) (1 - F)^(N - 2), integrated by quadrature, and they add up to one at any width."""
    edges = np.linspace(0, 1, 76)
    for dimension in (2, 4, 16):
        grid = edges[:-1, None] + (np.arange(400) + 0.5) / 400 / 75  # midpoints
        masses = ((dimension - 1) * (1 - grid) ** (dimension - 2)).mean(1) / 75
        np.testing.assert_allclose(np.exp(log_haar_masses(dimension)), masses, rtol=1e-4, atol=1e-30)
    for qubits in (1, 8, 20):
        logs = log_haar_masses(2**qubits)
        assert np.isfinite(logs).all()
        assert np.exp(logs).sum() == pytest.approx(1)


def test_one_state_alone_has_the_divergence_of_the_last_bin() -> None:
    """RZ leaves |0> where it is: every fidelity is 1, and D = (N - 1) ln 75."""

    @qml.qnode(qml.device("default.qubit", wires=2))
    def idle(inputs, w):  # type: ignore[no-untyped-def]
        qml.RY(inputs[0], wires=1)
        qml.RZ(w[0], wires=0)
        return qml.expval(qml.Z(0)), qml.expval(qml.Z(1))

    found = expressibility(
        qlazy.Circuit(idle, {"w": (1,)}), torch.ones(1, 1, dtype=torch.float64), samples=50
    )
    assert found.divergence == pytest.approx(3 * math.log(75))
    assert found.error < 1e-9


def test_haar_random_states_have_the_divergence_of_sampling_alone() -> None:
    found = []
    for seed in range(20):
        states = haar_unitaries(4000, 8, torch.Generator().manual_seed(seed))[:, :, 0]
        overlaps = (states[::2].conj() * states[1::2]).sum(1).abs().square()
        found.append(from_fidelities(overlaps.numpy(), 3, seed=seed))
    values = np.array([one.divergence for one in found])
    assert values.mean() == pytest.approx(found[0].floor, rel=0.1)
    assert float(values.std(ddof=1)) == pytest.approx(np.mean([one.error for one in found]), rel=0.6)


def test_the_papers_single_qubit_circuits() -> None:
    """Sim, Johnson, Aspuru-Guzik, figure 1: H RZ on a circle, about 0.2; H RZ RX nearer to Haar, about 0.02."""
    head = 'OPENQASM 3.0; include "stdgates.inc"; '
    circle = qlazy.from_qasm(head + "input float a; qubit q; h q; rz(a) q;")
    sphere = qlazy.from_qasm(head + "input float a; input float b; qubit q; h q; rz(a) q; rx(b) q;")
    x = torch.empty(1, 0, dtype=torch.float64)
    one, other = (expressibility(c, x, samples=20_000) for c in (circle, sphere))
    assert one.divergence == pytest.approx(arcsine_divergence(), abs=4 * one.error + 2 * one.floor)
    assert 0.01 < other.divergence < 0.04


def arcsine_divergence() -> float:
    """States on a circle: F = cos^2(d / 2), d uniform, below f with 1 - arccos(2 f - 1) / pi; Haar's is uniform."""
    shares = np.diff(1 - np.arccos(2 * np.linspace(0, 1, 76) - 1) / math.pi)
    return float((shares * np.log(shares * 75)).sum())


def test_it_is_that_of_pennylanes_states() -> None:
    from qlazy.quantum.pennylane.states import final_states

    circuit = qlazy.load_circuit("hardware_efficient", n=2, layers=1)
    x = torch.tensor([[0.3, 1.1]], dtype=torch.float64)
    generator = torch.Generator().manual_seed(9)
    kets = torch.stack([final_states(circuit, circuit.init(generator), x)[0] for _ in range(240)])
    overlaps = (kets[::2].conj() * kets[1::2]).sum(1).abs().square().numpy()
    counts, _ = np.histogram(overlaps, 75, (0, 1))
    shares, haar = counts / 120, np.diff(-((1 - np.linspace(0, 1, 76)) ** 3))
    kept = counts > 0
    expected = float((shares[kept] * np.log(shares[kept] / haar[kept])).sum())
    found = expressibility(circuit, x, samples=120)
    assert found.divergence == pytest.approx(expected, abs=5 * found.error)
    assert found.divergence > 3 * found.error


def test_refusals() -> None:
    with pytest.raises(ValueError, match="`fidelities` must lie from 0 to 1"):
        from_fidelities(np.array([0.5, 1.5]), 2)
    with pytest.raises(ValueError, match="`fidelities` must have shape"):
        from_fidelities(np.array([0.5]), 2)

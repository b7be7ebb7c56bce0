"""Derivatives by angle against central differences, and the three ways to ask for them against each other."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qlazy.simulator import Cnot, Diagonal, Hermitian, PauliRotation, Probabilities, Unitary, pauli
from qlazy.simulator.kernels import layout
from qlazy.simulator.rotations import RotationCircuit, quaternion

WIRES = 3
OBSERVABLES = (pauli("ZX", 0, 2), Hermitian(np.array([[1.0, 0.5j], [-0.5j, 0.2]]), (1,)), Probabilities((2,)))
HADAMARD = np.array([[1, 1], [1, -1]]) / 2**0.5


@st.composite
def operations(draw):
    wires = tuple(draw(st.permutations(range(WIRES))))
    kind = draw(st.integers(0, 4))
    if kind == 0:
        return Cnot(*wires[:2])
    if kind == 1:
        return Unitary(wires[:1], HADAMARD.astype(complex))
    if kind == 2:
        return Diagonal(wires[:2], np.exp(1j * np.arange(4)))
    word = draw(st.text("XYZ", min_size=1, max_size=2))
    controls = wires[len(word) :][: draw(st.integers(0, 1))]
    return PauliRotation(word, wires[: len(word)], controls=controls, sampled=draw(st.booleans()))


def angles(circuit, samples, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=circuit.num_shared), rng.normal(size=(samples, circuit.num_sampled))


@given(st.lists(operations(), min_size=1, max_size=10), st.sampled_from([1, 7, 8, 9, 20]))
def test_derivatives_against_central_differences(sequence, samples):
    circuit = RotationCircuit(WIRES, sequence, OBSERVABLES)
    shared, sampled = angles(circuit, samples)
    values, found = circuit.sweep(shared, sampled)
    np.testing.assert_allclose(values, circuit.values(shared, sampled), rtol=0, atol=1e-13)
    h = 1e-5
    for k in range(circuit.num_shared):
        step = h * np.eye(circuit.num_shared)[k]
        difference = circuit.values(shared + step, sampled) - circuit.values(shared - step, sampled)
        np.testing.assert_allclose(found.shared[..., k], difference / (2 * h), rtol=0, atol=1e-8)
    for k in range(circuit.num_sampled):
        step = h * np.eye(circuit.num_sampled)[k]
        difference = circuit.values(shared, sampled + step) - circuit.values(shared, sampled - step)
        np.testing.assert_allclose(found.sampled[..., k], difference / (2 * h), rtol=0, atol=1e-8)


@given(st.lists(operations(), min_size=1, max_size=8), st.integers(0, 12), st.sampled_from([1, 2, 3]))
def test_a_weighted_sweep_is_the_contraction_of_the_full_one(sequence, samples, threads):
    circuit = RotationCircuit(WIRES, sequence, OBSERVABLES)
    shared, sampled = angles(circuit, samples)
    weights = np.random.default_rng(1).normal(size=(samples, circuit.num_outputs))
    _, full = circuit.sweep(shared, sampled, threads)
    found = circuit.weighted(weights, shared, sampled, threads)
    np.testing.assert_allclose(found.shared, np.einsum("nc,nca->a", weights, full.shared), rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        found.sampled, np.einsum("nc,nca->na", weights, full.sampled), rtol=0, atol=1e-12
    )


@given(st.lists(operations(), min_size=1, max_size=10), st.sampled_from([0, 1, 2, 7, 20]))
def test_results_do_not_depend_on_how_many_samples_run_side_by_side(sequence, samples):
    circuit = RotationCircuit(WIRES, sequence, OBSERVABLES)
    shared, sampled = angles(circuit, samples)
    weights = np.random.default_rng(1).normal(size=(samples, circuit.num_outputs))

    def everything():
        values, found = circuit.sweep(shared, sampled, 2)
        return values, *found, *circuit.weighted(weights, shared, sampled, 2)

    wide = everything()
    with patch.object(layout, "HUGE", WIRES):
        narrow = everything()
    for a, b in zip(wide, narrow, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-15 * max(samples, 1))


def test_samples_of_a_large_circuit_do_not_depend_on_their_number():
    layer = [PauliRotation(letter, (q,)) for q in range(12) for letter in "YZ"]
    ring = [Cnot(q, (q + 1) % 12) for q in range(12)]
    sequence = [PauliRotation("Y", (q,), sampled=True) for q in range(12)] + 2 * (layer + ring)
    circuit = RotationCircuit(12, sequence, [pauli("Z", 0)])
    shared, sampled = angles(circuit, 9)
    values, found = circuit.sweep(shared, sampled)
    alone, found_alone = circuit.sweep(shared, sampled[3:4])  # narrow, where all of them are wide
    np.testing.assert_array_equal(alone, values[3:4])
    np.testing.assert_array_equal(found_alone.shared, found.shared[3:4])
    np.testing.assert_array_equal(found_alone.sampled, found.sampled[3:4])


def test_float32_stays_float32_and_agrees():
    sequence = [PauliRotation("Y", (0,), sampled=True), PauliRotation("X", (0,)), Cnot(0, 2)]
    circuit = RotationCircuit(WIRES, sequence, OBSERVABLES)
    shared, sampled = angles(circuit, 9)
    values, found = circuit.sweep(shared.astype(np.float32), sampled.astype(np.float32))
    assert values.dtype == found.shared.dtype == found.sampled.dtype == np.float32
    np.testing.assert_allclose(values, circuit.values(shared, sampled), rtol=0, atol=1e-6)


def test_angles_outside_the_light_cone_have_derivative_zero():
    sequence = [PauliRotation("Y", (0,)), PauliRotation("Y", (1,)), PauliRotation("Z", (0,))]
    circuit = RotationCircuit(2, sequence, [pauli("Z", 0)])
    _, found = circuit.sweep(np.array([0.3, 0.4, 0.5]), np.empty((1, 0)))
    np.testing.assert_allclose(
        found.shared[0, 0], [-np.sin(0.3), 0.0, 0.0], rtol=0, atol=1e-15
    )  # f = cos(0.3)


@given(st.floats(-7, 7), st.sampled_from([0.0, 1.3, np.pi]))
def test_quaternions_stand_for_their_unitaries(angle, phase):
    axis = np.array([0.6, 0.0, 0.8])
    paulis = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
    unitary = np.cos(angle / 2) * np.eye(2) - 1j * np.sin(angle / 2) * np.tensordot(axis, paulis, 1)
    w, *vector = quaternion(np.exp(1j * phase) * unitary)
    back = w * np.eye(2) - 1j * np.tensordot(vector, paulis, 1)
    assert abs(abs(np.trace(back.conj().T @ unitary)) - 2) < 1e-12


def test_shapes_are_checked():
    circuit = RotationCircuit(1, [PauliRotation("Y", (0,))], [pauli("Z", 0)])
    with pytest.raises(ValueError, match=r"`shared` must have shape \(1,\)"):
        circuit.values(np.zeros(2), np.empty((1, 0)))
    with pytest.raises(ValueError, match=r"`sampled` must have shape \(n, 0\)"):
        circuit.values(np.zeros(1), np.empty((1, 3)))
    with pytest.raises(ValueError, match=r"`weights` must have shape \(1, 1\)"):
        circuit.weighted(np.zeros((2, 1)), np.zeros(1), np.empty((1, 0)))
    with pytest.raises(ValueError, match="`threads` must be at least 1"):
        circuit.values(np.zeros(1), np.empty((1, 0)), 0)

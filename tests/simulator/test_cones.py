"""Light cones against the whole circuit, and against what may be said of them by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qlazy.simulator import (
    Cnot,
    ConeCircuit,
    Diagonal,
    Flip,
    Hermitian,
    Operation,
    PauliRotation,
    PauliSum,
    PauliWord,
    Probabilities,
    RotationCircuit,
    Swap,
    Unitary,
    by_cones,
    find_cones,
)
from tests.simulator.circuits import CZ, HADAMARD, Case, cases, layered, make_case, pauli


def brickwork(wires: int, depth: int, observables: Any, samples: int = 3) -> Case:
    """RY of inputs, then layers of RY and of CZ on every second pair."""
    operations: list[Operation] = [PauliRotation("Y", (wire,), sampled=True) for wire in range(wires)]
    for layer in range(depth):
        operations += [PauliRotation("Y", (wire,)) for wire in range(wires)]
        operations += [Diagonal((wire, wire + 1), CZ) for wire in range(layer % 2, wires - 1, 2)]
    return make_case(np.random.default_rng(3), wires, operations, observables, samples)


def x(wire: int) -> PauliRotation:
    return PauliRotation("X", (wire,))


def y(wire: int) -> PauliRotation:
    return PauliRotation("Y", (wire,))


def in_cones(case: Case) -> ConeCircuit:
    return ConeCircuit(case.operations, find_cones(case.wires, case.operations, case.observables))


def assert_same(case: Case, circuit: Any, tolerance: float = 1e-12) -> None:
    whole = case.circuit()
    values, found = circuit.sweep(case.shared, case.sampled)
    expected, derivatives = whole.sweep(case.shared, case.sampled)
    np.testing.assert_allclose(values, expected, rtol=0, atol=tolerance)
    np.testing.assert_allclose(circuit.values(case.shared, case.sampled), expected, rtol=0, atol=tolerance)
    weights = np.random.default_rng(5).normal(size=expected.shape)
    pairs = zip(
        (*found, *circuit.weighted(weights, case.shared, case.sampled)),
        (*derivatives, *whole.weighted(weights, case.shared, case.sampled)),
        strict=True,
    )
    for ours, theirs in pairs:
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance)


@given(cases(max_wires=6))
def test_cones_give_what_the_whole_circuit_gives(case: Case) -> None:
    # Derivatives that are not wanted may be zero in one and not in the other.
    case.operations = tuple(
        replace(operation, wanted=True) if isinstance(operation, PauliRotation) else operation
        for operation in case.operations
    )
    largest = np.abs(case.circuit().values(case.shared, case.sampled)).max()
    assert_same(case, in_cones(case), 1e-12 * max(largest, 10))


@given(st.integers(3, 9), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_local_sums_on_brickwork(wires: int, depth: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    words = [
        PauliWord(float(rng.normal()), "".join(rng.choice(list("IXYZ"), 2)), (wire, wire + 1))
        for wire in rng.integers(0, wires - 1, 6).tolist()
    ]
    observables = [PauliSum(tuple(words)), pauli("Z", 0), Probabilities((1, 2)), pauli("X", wires - 1)]
    case = brickwork(wires, depth, observables)
    assert_same(case, in_cones(case), 1e-11)
    order = in_cones(case).unshared[1]
    angles = np.concatenate([np.tile(case.shared, (3, 1)), case.sampled], axis=1)[:, order]
    unshared = in_cones(case).unshared[0].values(case.shared[:0], angles)
    np.testing.assert_allclose(unshared, case.circuit().values(case.shared, case.sampled), atol=1e-11)


@pytest.mark.parametrize(
    ("operations", "observable", "wires", "kept"),
    [
        ([x(0), x(1)], pauli("Z", 0), (0,), (0,)),
        ([x(0), Diagonal((0, 1), CZ)], pauli("Z", 0), (0,), (0,)),  # what is diagonal drops out
        ([x(1), Diagonal((0, 1), CZ), x(0)], pauli("Z", 0), (0, 1), (0, 1, 2)),
        ([x(0), x(1), Cnot(0, 1)], pauli("Z", 1), (0, 1), (0, 1, 2)),
        ([x(0), x(1), Cnot(0, 1)], pauli("Z", 0), (0,), (0,)),
        ([x(0), x(1), Cnot(0, 1)], pauli("X", 1), (1,), ()),
        ([y(2), Swap(1, 2)], pauli("Z", 1), (1, 2), (0, 1)),
        ([y(0), PauliRotation("ZZ", (0, 1)), Flip(0)], pauli("Z", 0), (0,), (0, 2)),
        (
            [y(0), PauliRotation("ZZ", (0, 1))],
            pauli("XX", 0, 1),
            (0, 1),
            (0,),
        ),  # words commute, letters do not
        ([y(1), PauliRotation("X", (0,), controls=(1,))], pauli("Z", 0), (0, 1), (0, 1)),
        ([Unitary((1,), HADAMARD, (0,))], pauli("Z", 0), (0,), ()),
        ([Unitary((1,), HADAMARD, (0,))], pauli("Z", 1), (0, 1), (0,)),
        ([y(0), y(1)], Probabilities((0, 1)), (0, 1), (0, 1)),
        ([y(0), Diagonal((0,), np.array([1, 1j]))], Hermitian(HADAMARD, (0,)), (0,), (0, 1)),
    ],
)
def test_cones_by_hand(operations: Any, observable: Any, wires: Any, kept: Any) -> None:
    cones = find_cones(4, operations, [observable])
    assert [(piece.cone.wires, piece.cone.operations) for piece in cones.pieces] == [(wires, kept)]


def test_a_cone_that_reaches_every_wire_takes_all_earlier_operations() -> None:
    operations = [y(0), Cnot(0, 1), y(0), Cnot(1, 0), x(1)]
    [piece] = find_cones(2, operations, [pauli("Z", 0)]).pieces
    assert piece.cone.wires == (0, 1)
    assert piece.cone.operations == (0, 1, 2, 3)


@pytest.mark.parametrize(
    "case", [layered(6, 3, 2, [pauli("Z", 0)]), layered(13, 5, 2, [pauli("Z", 3), pauli("X", 1)])]
)
def test_circuits_of_full_width_are_one_plan(case: Case) -> None:
    circuit = by_cones(case.wires, case.operations, case.observables)
    assert isinstance(circuit, RotationCircuit)
    assert find_cones(case.wires, case.operations, case.observables).width == case.wires
    for ours, theirs in zip(
        circuit.sweep(case.shared, case.sampled)[1],
        case.circuit().sweep(case.shared, case.sampled)[1],
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_wide_circuits_are_run_by_their_cones() -> None:
    case = brickwork(16, 3, [pauli("Z", 8), pauli("Z", 2), pauli("ZZ", 14, 15)])
    circuit = by_cones(case.wires, case.operations, case.observables)
    assert isinstance(circuit, ConeCircuit)
    assert circuit.cones.width <= 6
    assert_same(case, circuit)
    _, found = circuit.sweep(case.shared, case.sampled)
    touched = {number % 16 for number in np.flatnonzero(found.shared[:, 0].any(axis=0))}
    assert touched <= set(circuit.cones.wires(0))
    outside = [number for number in range(48) if number % 16 not in circuit.cones.wires(0)]
    assert not found.shared[:, 0, outside].any()  # exactly


def test_groups_that_are_alike_are_one_circuit() -> None:
    wires = 200
    words = tuple(PauliWord(0.1 * wire + 1, "Z", (wire,)) for wire in range(wires))
    case = brickwork(wires, 2, [PauliSum((*words, PauliWord(3.0, "", ())))])
    circuit = by_cones(case.wires, case.operations, case.observables)
    assert isinstance(circuit, ConeCircuit)
    assert len(circuit._families) < 8
    single = [
        by_cones(case.wires, case.operations, [PauliSum((word,))]).values(case.shared, case.sampled)
        for word in words
    ]
    expected = 3.0 + np.concatenate(single, axis=1).sum(axis=1)
    np.testing.assert_allclose(circuit.values(case.shared, case.sampled)[:, 0], expected, rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("samples", [0, 1, 5])
def test_dtype_and_samples_are_kept(dtype: Any, samples: int) -> None:
    case = brickwork(12, 2, [pauli("Z", 4), pauli("Z", 9)])
    circuit = in_cones(case)
    shared, sampled = case.shared.astype(dtype), np.zeros((samples, 12), dtype)
    weights = np.ones((samples, 2), dtype)
    values, found = circuit.sweep(shared, sampled)
    assert values.shape == (samples, 2)
    assert (found.shared.shape, found.sampled.shape) == ((samples, 2, 24), (samples, 2, 12))
    weighted = circuit.weighted(weights, shared, sampled)
    assert {array.dtype for array in (values, *found, *weighted)} == {np.dtype(dtype)}
    np.testing.assert_allclose(weighted.shared, found.shared.sum((0, 1)), atol=1e-5)


def test_threads_do_not_change_results() -> None:
    case = brickwork(14, 3, [pauli("Z", wire) for wire in range(14)], samples=40)
    circuit = in_cones(case)
    for one, two in zip(
        circuit.sweep(case.shared, case.sampled, 1)[1],
        circuit.sweep(case.shared, case.sampled, 2)[1],
        strict=True,
    ):
        np.testing.assert_array_equal(one, two)


def test_cones_say_what_they_are() -> None:
    case = brickwork(
        30, 3, [pauli("Z", 3), PauliSum((PauliWord(2.0, "X", (9,)), PauliWord(1.0, "Z", (20,))))]
    )
    cones = find_cones(case.wires, case.operations, case.observables)
    assert cones.wires(0) == cones.pieces[0].cone.wires
    assert cones.wires(1) == tuple(sorted({*cones.pieces[1].cone.wires, *cones.pieces[2].cone.wires}))
    assert cones.width == max(len(piece.cone.wires) for piece in cones.pieces)
    assert "2 outputs on 30 wires" in str(cones)
    assert "output 1, X9: " in str(cones)
    assert repr(cones).startswith("Cones(wires=30, outputs=2, pieces=3, width=")


def test_a_cone_too_wide_for_any_state_is_given_up() -> None:
    operations = [*(x(wire) for wire in range(100)), *(Cnot(wire, wire + 1) for wire in range(99))]
    [piece] = find_cones(101, operations, [pauli("Z", 99)]).pieces
    assert not piece.cone.is_complete
    assert "more than 64 wires" in str(piece)

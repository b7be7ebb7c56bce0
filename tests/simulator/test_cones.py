"""Light cones against the whole circuit, and against what may be said of them by hand."""

from __future__ import annotations

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
    largest = 1 + max(np.abs(np.asarray(case.circuit().values(case.shared, case.sampled))).max(), 1)
    circuit = in_cones(case)
    wanted = [not rotation.wanted for _, rotation, _ in case.rotations()]
    if any(wanted):  # derivatives that are not wanted may be zero in one and not in the other
        np.testing.assert_allclose(
            circuit.values(case.shared, case.sampled), case.circuit().values(case.shared, case.sampled),
            rtol=0, atol=1e-12 * largest,
        )  # fmt: skip
    else:
        assert_same(case, circuit, 1e-12 * largest)


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

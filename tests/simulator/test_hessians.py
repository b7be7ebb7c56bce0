"""Hessians by all angles, against exact shifts of first derivatives, which are held to dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qlazy.simulator import RotationCircuit
from qlazy.simulator.cones.circuit import hessian_rows
from qlazy.simulator.hessians import hessians
from tests.simulator.circuits import Case, cases, layered, pauli
from tests.simulator.test_cones import in_cones
from tests.simulator.test_tangents import SHIFTS, arguments


def by_shifts(circuit: RotationCircuit, weights: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """(n, T, T): gradients at shifted angles, one angle after another."""
    none, rows = np.empty(0, angles.dtype), []
    for number in range(angles.shape[1]):
        total = np.zeros(angles.shape)
        for shift, weight in SHIFTS:
            shifted = angles.copy()
            shifted[:, number] += shift
            total += weight * circuit.weighted(weights, none, shifted).sampled
        rows.append(total)
    return np.stack(rows, axis=1) if rows else np.empty((len(angles), 0, 0))


@settings(max_examples=100, deadline=None)
@given(cases(sizes=(0, 1, 3, 5, 20)), st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_hessians_are_those_of_exact_shifts(case: Case, seed: int, threads: int) -> None:
    """Of few samples, whose lanes are directions, and many; zero for angles whose derivatives are not wanted."""
    circuit, (weights, _, angles, _) = arguments(case, seed)
    found = hessians(circuit, weights, angles, threads)
    wanted = np.array([rotation.wanted for _, rotation, _ in case.rotations()], bool)
    exact = by_shifts(circuit, weights, angles) * wanted[:, None] * wanted
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-10)
    np.testing.assert_array_equal(found, found.transpose(0, 2, 1))
    np.testing.assert_array_equal(found, hessians(circuit, weights, angles))


@settings(max_examples=40, deadline=None)
@given(cases(sizes=(1, 3)), st.integers(0, 2**32 - 1))
def test_light_cones_have_the_same(case: Case, seed: int) -> None:
    circuit, (weights, _, angles, _) = arguments(case, seed)
    found = hessian_rows(in_cones(case).unshared[0], weights, angles)
    np.testing.assert_allclose(found, hessian_rows(circuit, weights, angles), rtol=0, atol=1e-11)


def test_single_precision_stays() -> None:
    circuit, (weights, _, angles, _) = arguments(layered(3, 2, 5, (pauli("ZX", 0, 2),)), 0)
    single = hessians(circuit, weights.astype(np.float32), angles.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, hessians(circuit, weights, angles), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["angles", "weights"])
def test_what_does_not_fit_is_named(name: str) -> None:
    circuit, (weights, _, angles, _) = arguments(layered(2, 1, 3, (pauli("Z", 0),)), 0)
    named = {"weights": weights, "angles": angles}
    named[name] = named[name][:, :0]
    with pytest.raises(ValueError, match=f"`{name}` must have shape"):
        hessians(circuit, **named)

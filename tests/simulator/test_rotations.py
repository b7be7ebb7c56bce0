"""Values and derivatives by angle against dense matrices, for random circuits over everything the simulator knows."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qlazy.simulator import PauliRotation, Probabilities, RotationCircuit
from qlazy.simulator.kernels import layout
from tests.simulator import dense
from tests.simulator.circuits import Case, cases, layered, pauli

seeds = st.integers(0, 2**32 - 1)
BATCHES = (0, 1, 2, 7, 8, 9, 20)


def everything(case: Case, seed: int = 1, threads: int = 1, dtype: Any = np.float64) -> dict[str, np.ndarray]:
    """What all three ways to ask give."""
    circuit, angles = case.circuit(), (case.shared.astype(dtype), case.sampled.astype(dtype))
    weights = np.random.default_rng(seed).normal(size=(len(case.sampled), circuit.num_outputs)).astype(dtype)
    values, derivatives = circuit.sweep(*angles, threads)
    weighted = circuit.weighted(weights, *angles, threads)
    return {
        "values": values,
        "alone": circuit.values(*angles, threads),
        "weights": weights,
        **derivatives._asdict(),
        **{f"weighted {name}": found for name, found in weighted._asdict().items()},
    }


def assert_derivatives(case: Case, found: dict[str, np.ndarray], sample: int, every: int = 1) -> None:
    """Of wanted angles, against dense matrices."""
    for index, rotation, number in case.rotations()[::every]:
        if rotation.wanted:
            exact = dense.derivative(case.wires, case.operations, case.at(sample), case.observables, index)
            column = found["sampled" if rotation.sampled else "shared"][sample, :, number]
            np.testing.assert_allclose(column, exact, rtol=0, atol=1e-11)


@settings(max_examples=150, deadline=None)
@given(cases())
def test_values_and_derivatives_are_those_of_dense_matrices(case: Case) -> None:
    found = everything(case)
    for sample in range(len(case.sampled)):
        exact = dense.values(case.wires, case.operations, case.at(sample), case.observables)
        np.testing.assert_allclose(found["values"][sample], exact, rtol=0, atol=1e-12)
        assert_derivatives(case, found, sample)


@settings(max_examples=80, deadline=None)
@given(cases(sizes=BATCHES), seeds, st.sampled_from([1, 2, 3]))
def test_a_weighted_sweep_is_the_contraction_of_the_full_one(case: Case, seed: int, threads: int) -> None:
    found = everything(case, seed, threads)
    np.testing.assert_array_equal(found["alone"], found["values"])
    for name, sums in (("shared", "nc,nca->a"), ("sampled", "nc,nca->na")):
        contracted = np.einsum(sums, found["weights"], found[name])
        np.testing.assert_allclose(found[f"weighted {name}"], contracted, rtol=0, atol=1e-11)


@settings(max_examples=40, deadline=None)
@given(cases())
def test_float32_stays_float32_and_agrees(case: Case) -> None:
    single, double = everything(case, dtype=np.float32), everything(case)
    scale = max(1.0, float(np.abs(double["values"]).max()))
    for name, exact in double.items():
        assert single[name].dtype == np.float32
        np.testing.assert_allclose(single[name], exact, rtol=0, atol=3e-4 * scale)


@settings(max_examples=60, deadline=None)
@given(cases(sizes=BATCHES))
def test_results_do_not_depend_on_how_many_samples_run_side_by_side(case: Case) -> None:
    wide = everything(case)
    with patch.object(layout, "HUGE", 1):
        narrow = everything(case)
    for name, array in wide.items():
        np.testing.assert_allclose(array, narrow[name], rtol=0, atol=2e-14 * max(len(case.sampled), 1))


@settings(max_examples=40, deadline=None)
@given(cases())
def test_shared_angles_may_be_sampled_ones(case: Case) -> None:
    circuit, found = case.circuit(), everything(case)
    unshared, places = circuit.unshared
    angles = np.concatenate([np.tile(case.shared, (len(case.sampled), 1)), case.sampled], 1)[:, places]
    values, derivatives = unshared.sweep(np.empty(0), angles)
    np.testing.assert_allclose(values, found["values"], rtol=0, atol=1e-12)
    together = np.concatenate([found["shared"], found["sampled"]], 2)
    np.testing.assert_allclose(derivatives.sampled, together[:, :, places], rtol=0, atol=1e-11)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_results_do_not_depend_on_the_number_of_threads(dtype: Any) -> None:
    case = layered(4, 2, 133, (pauli("Z", 0), pauli("XX", 1, 2), Probabilities((0, 3))))
    one, two = (everything(case, threads=threads, dtype=dtype) for threads in (1, 2))
    for name, array in one.items():
        np.testing.assert_array_equal(array, two[name])


@pytest.mark.parametrize("samples", [0, 1, 7, 8, 9, 15, 16, 17, 40])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_sample_does_not_see_its_neighbours(samples: int, dtype: Any) -> None:
    case = layered(3, 2, 40, (pauli("Z", 0), pauli("Y", 1)))
    whole = everything(case, dtype=dtype)
    case.sampled = case.sampled[:samples]
    part = everything(case, dtype=dtype)
    for name in ("values", "alone", "shared", "sampled", "weighted sampled"):
        np.testing.assert_array_equal(part[name], whole[name][:samples])


def test_samples_of_a_large_circuit_do_not_depend_on_their_number() -> None:
    case = layered(12, 2, 9, [pauli("Z", 0)])
    whole = everything(case)
    case.sampled = case.sampled[3:4]
    alone = everything(case)  # narrow, where all of them are wide
    for name in ("values", "shared", "sampled"):
        np.testing.assert_array_equal(alone[name], whole[name][3:4])


def test_the_gradient_of_no_samples_is_zero() -> None:
    found = everything(layered(3, 1, 0, (pauli("Z", 0),)))
    assert found["values"].shape == (0, 1)
    assert found["weighted sampled"].shape == (0, 3)
    np.testing.assert_array_equal(found["weighted shared"], np.zeros(6))


def test_a_gradient_over_many_samples() -> None:
    found = everything(layered(2, 1, 9000, (pauli("Z", 0),)))
    exact = np.tensordot(found["weights"][:, 0], found["shared"][:, 0], 1)
    np.testing.assert_allclose(found["weighted shared"], exact, rtol=0, atol=1e-9)


def test_many_outputs_go_back_in_groups() -> None:
    """32 outcome probabilities, more than go back together."""
    case = layered(5, 1, 2, (Probabilities((4, 2, 0, 1, 3)),))
    found = everything(case)
    np.testing.assert_allclose(found["values"].sum(axis=1), 1, rtol=0, atol=1e-12)
    assert_derivatives(case, found, 1, every=3)


def test_nan_passes_through() -> None:
    case = layered(3, 2, 9, (pauli("Z", 0),))
    case.sampled[4, 0] = np.nan
    found = everything(case)
    others = [0, 1, 2, 3, 5, 6, 7, 8]
    for name in ("values", "alone", "shared", "sampled"):
        matters = (found[name][others] != 0).all(0)  # not what lies outside the light cone
        np.testing.assert_array_equal(np.isnan(found[name][4]), matters)
        assert matters.any()
        assert not np.isnan(found[name][others]).any()


def test_without_sampled_angles_all_samples_are_alike() -> None:
    case = layered(3, 2, 5, (pauli("Z", 0), pauli("Z", 1)), sampled=False)
    found = everything(case, threads=2)
    assert found["values"].shape == (5, 2)
    assert_derivatives(case, found, 4)
    assert (found["shared"] == found["shared"][0]).all()


def test_angles_outside_the_light_cone_have_derivative_zero() -> None:
    sequence = [PauliRotation("Y", (0,)), PauliRotation("Y", (1,)), PauliRotation("Z", (0,))]
    circuit = RotationCircuit(2, sequence, [pauli("Z", 0)])
    _, found = circuit.sweep(np.array([0.3, 0.4, 0.5]), np.empty((1, 0)))
    exact = [-np.sin(0.3), 0.0, 0.0]  # f = cos(0.3)
    np.testing.assert_allclose(found.shared[0, 0], exact, rtol=0, atol=1e-15)


def test_shapes_are_checked() -> None:
    circuit = RotationCircuit(1, [PauliRotation("Y", (0,))], [pauli("Z", 0)])
    with pytest.raises(ValueError, match=r"`shared` must have shape \(1,\)"):
        circuit.values(np.zeros(2), np.empty((1, 0)))
    with pytest.raises(ValueError, match=r"`sampled` must have shape \(n, 0\)"):
        circuit.values(np.zeros(1), np.empty((1, 3)))
    with pytest.raises(ValueError, match=r"`weights` must have shape \(1, 1\)"):
        circuit.weighted(np.zeros((2, 1)), np.zeros(1), np.empty((1, 0)))
    with pytest.raises(ValueError, match="`threads` must be at least 1"):
        circuit.values(np.zeros(1), np.empty((1, 0)), 0)

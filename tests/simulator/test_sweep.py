"""Values and cotangents against dense matrices, for random circuits over everything the simulator knows."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qlazy.simulator import (
    Cnot,
    PauliRotation,
    Plan,
    Probabilities,
    compile_plan,
    fuse_operands,
    pauli,
    sweep,
    sweep_weighted,
    values,
)
from qlazy.simulator.kernels import layout
from tests.simulator import dense
from tests.simulator.circuits import Case, cases, directions, make_case, rebuilt

seeds = st.integers(0, 2**32 - 1)


def prepared(case: Case) -> tuple[Plan, list[np.ndarray]]:
    plan = compile_plan(case.wires, case.operations, case.observables)
    return plan, fuse_operands(plan, case.operations, case.operands)


def layered(wires: int, layers: int, samples: int, observables: Any, sampled: bool = True) -> Case:
    operations: list[Any] = [PauliRotation("Y", (q,), sampled=sampled) for q in range(wires)]
    for _ in range(layers):
        operations += [PauliRotation(letter, (q,)) for q in range(wires) for letter in "YZ"]
        operations += [Cnot(q, (q + 1) % wires) for q in range(wires)]
    return make_case(np.random.default_rng(7), wires, operations, observables, samples)


@settings(max_examples=150, deadline=None)
@given(cases(), seeds)
def test_values_and_derivatives_are_those_of_dense_matrices(case: Case, seed: int) -> None:
    rng = np.random.default_rng(seed)
    plan, stacks = prepared(case)
    found, cotangents = sweep(plan, stacks)
    for sample in range(case.samples):
        row = min(sample, len(found) - 1)
        expected = dense.values(case.wires, case.operations, case.at(sample), case.observables)
        np.testing.assert_allclose(found[row], expected, atol=1e-12)
        for direction in directions(rng, case, sample):
            exact = dense.derivative(
                case.wires, case.operations, case.at(sample), case.observables, direction
            )
            np.testing.assert_allclose(rebuilt(case, plan, cotangents, sample, direction), exact, atol=1e-11)


@settings(max_examples=40, deadline=None)
@given(cases())
def test_values_alone_are_those_of_the_sweep(case: Case) -> None:
    plan, stacks = prepared(case)
    np.testing.assert_array_equal(values(plan, stacks), sweep(plan, stacks)[0])


@settings(max_examples=60, deadline=None)
@given(cases(), seeds)
def test_weighted_sweep_contracts_the_full_sweep(case: Case, seed: int) -> None:
    plan, stacks = prepared(case)
    found, cotangents = sweep(plan, stacks)
    weights = np.random.default_rng(seed).normal(size=found.shape)
    weighted_values, weighted = sweep_weighted(plan, stacks, weights)
    np.testing.assert_array_equal(weighted_values, found)
    for family, full, reduced in zip(plan.families, cotangents, weighted, strict=True):
        summed = "nc,nc...->n..." if family.sampled else "nc,nc...->..."
        np.testing.assert_allclose(reduced, np.einsum(summed, weights, full), atol=1e-11)


@settings(max_examples=40, deadline=None)
@given(cases())
def test_float32_agrees_to_its_precision(case: Case) -> None:
    plan, stacks = prepared(case)
    found, cotangents = sweep(plan, stacks, dtype=np.float32)
    expected, exact = sweep(plan, stacks)
    assert found.dtype == np.float32
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(found, expected, atol=2e-5 * scale)
    for single, double in zip(cotangents, exact, strict=True):
        assert single.dtype == (np.complex64 if np.iscomplexobj(double) else np.float32)
        np.testing.assert_allclose(single, double, atol=1e-4 * scale)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_results_do_not_depend_on_the_number_of_threads(dtype: Any) -> None:
    plan, stacks = prepared(layered(4, 2, 133, (pauli("Z", 0), pauli("XX", 1, 2), Probabilities((0, 3)))))
    weights = np.random.default_rng(3).normal(size=(133, 6))
    one = (*sweep(plan, stacks, dtype=dtype), *sweep_weighted(plan, stacks, weights, dtype=dtype))
    two = (
        *sweep(plan, stacks, dtype=dtype, threads=2),
        *sweep_weighted(plan, stacks, weights, dtype=dtype, threads=2),
    )
    for first, second in zip(one, two, strict=True):
        for a, b in zip(first, second, strict=True):
            np.testing.assert_array_equal(a, b)


@settings(max_examples=50, deadline=None)
@given(cases())
def test_results_do_not_depend_on_how_many_samples_run_side_by_side(case: Case) -> None:
    plan, stacks = prepared(case)
    wide = sweep(plan, stacks)
    with patch.object(layout, "HUGE", 1):
        narrow = sweep(plan, stacks)
    for first, second in zip((wide[0], *wide[1]), (narrow[0], *narrow[1]), strict=True):
        np.testing.assert_allclose(first, second, rtol=0, atol=1e-14)


@pytest.mark.parametrize("samples", [0, 1, 7, 8, 9, 15, 16, 17, 40])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_sample_does_not_see_its_neighbours(samples: int, dtype: Any) -> None:
    whole = layered(3, 2, 40, (pauli("Z", 0), pauli("Y", 1)))
    plan, stacks = prepared(whole)
    found, cotangents = sweep(plan, stacks, dtype=dtype)
    part = [s[:, :samples] if family.sampled else s for s, family in zip(stacks, plan.families, strict=True)]
    part_found, part_cotangents = sweep(plan, part, dtype=dtype)
    np.testing.assert_array_equal(part_found, found[:samples])
    for short, long in zip(part_cotangents, cotangents, strict=True):
        np.testing.assert_array_equal(short, long[:samples])


def test_the_gradient_of_no_samples_is_zero() -> None:
    plan, stacks = prepared(layered(3, 1, 0, (pauli("Z", 0),)))
    found, cotangents = sweep_weighted(plan, stacks, np.zeros((0, 1)))
    assert found.shape == (0, 1)
    for family, cotangent in zip(plan.families, cotangents, strict=True):
        assert len(cotangent) == (0 if family.sampled else len(family.wanted))
        assert not cotangent.any()


def test_a_gradient_over_many_samples_is_reduced_in_pieces() -> None:
    plan, stacks = prepared(layered(2, 1, 9000, (pauli("Z", 0),)))
    weights = np.random.default_rng(1).normal(size=(9000, 1))
    _, full = sweep(plan, stacks)
    _, reduced = sweep_weighted(plan, stacks, weights)
    for family, whole, part in zip(plan.families, full, reduced, strict=True):
        expected = (
            weights[..., None] * whole[:, 0]
            if family.sampled
            else np.tensordot(weights[:, 0], whole[:, 0], 1)
        )
        np.testing.assert_allclose(part, expected, atol=1e-9)


def test_many_outputs_go_back_in_groups() -> None:
    """32 outcome probabilities, more than go back together, against dense matrices."""
    case = layered(5, 1, 2, (Probabilities((4, 2, 0, 1, 3)),))
    plan, stacks = prepared(case)
    found, cotangents = sweep(plan, stacks)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)
    for direction in directions(np.random.default_rng(0), case, 1)[::3]:
        exact = dense.derivative(5, case.operations, case.at(1), case.observables, direction)
        np.testing.assert_allclose(rebuilt(case, plan, cotangents, 1, direction), exact, atol=1e-12)


def test_nan_passes_through() -> None:
    case = layered(3, 2, 9, (pauli("Z", 0),))
    case.operands[0][4] = np.nan
    plan, stacks = prepared(case)
    found, cotangents = sweep(plan, stacks)
    assert np.isnan(found[4]).all()
    assert all(np.isnan(cotangent[4]).all() for cotangent in cotangents)
    assert not np.isnan(found[[0, 1, 2, 3, 5, 6, 7, 8]]).any()


def test_without_sampled_operands_there_is_one_row() -> None:
    plan, stacks = prepared(layered(3, 2, 1, (pauli("Z", 0), pauli("Z", 1)), sampled=False))
    found, cotangents = sweep(plan, stacks, threads=2)
    assert found.shape == (1, 2)
    assert all(len(cotangent) == 1 for cotangent in cotangents)

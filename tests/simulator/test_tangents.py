"""Second derivatives along directions, against exact shifts of first derivatives, which are held to dense matrices."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qlazy.simulator import PauliRotation, RotationCircuit
from qlazy.simulator.tangents import Moved, moved
from tests.simulator.circuits import Case, cases, layered, pauli

# Of functions of period 4 pi with frequencies 1/2 and 1: every rotation, with controls or without.
SHIFTS = [
    (sign * shift, sign * weight)
    for shift, weight in ((np.pi / 2, (2**0.5 + 1) / 2**2.5), (3 * np.pi / 2, (1 - 2**0.5) / 2**2.5))
    for sign in (1.0, -1.0)
]


def arguments(
    case: Case, seed: int, moved_angles: float = 1.0, dtype: Any = np.float64
) -> tuple[RotationCircuit, tuple[np.ndarray, ...]]:
    """The circuit with every angle sampled; weights, their tangents, angles, and theirs."""
    circuit, places = case.circuit().unshared
    shared = np.tile(case.shared, (len(case.sampled), 1))
    angles = np.concatenate([shared, case.sampled], 1)[:, places]
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(2, len(angles), circuit.num_outputs))
    tangents = rng.normal(size=angles.shape) * (rng.uniform(size=angles.shape) < moved_angles)
    found = *weights, angles, tangents
    return circuit, tuple(array.astype(dtype) for array in found)


def by_shifts(circuit: RotationCircuit, weights, weight_tangents, angles, tangents) -> Moved:
    none = np.empty(0, angles.dtype)
    jacobian = circuit.sweep(none, angles)[1].sampled
    gradients = circuit.weighted(weight_tangents, none, angles).sampled
    for number in range(angles.shape[1]):
        for shift, weight in SHIFTS:
            shifted = angles.copy()
            shifted[:, number] += shift
            found = circuit.weighted(weights, none, shifted).sampled
            gradients = gradients + weight * tangents[:, number, None] * found
    return Moved(np.einsum("nca,na->nc", jacobian, tangents), gradients)


def all_wanted(case: Case) -> Case:
    operations = [replace(o, wanted=True) if isinstance(o, PauliRotation) else o for o in case.operations]
    return replace(case, operations=tuple(operations))


@settings(max_examples=200, deadline=None)
@given(cases(sizes=(1, 3, 20)), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.1, 0.4, 1.0]))
def test_second_derivatives_are_those_of_exact_shifts(case: Case, seed: int, share: float) -> None:
    """Along directions in which all angles move, few, or none; those whose derivatives are not wanted move too."""
    circuit, given_ = arguments(case, seed, share)
    found, exact = moved(circuit, *given_), by_shifts(arguments(all_wanted(case), seed)[0], *given_)
    np.testing.assert_allclose(found.outputs, exact.outputs, rtol=0, atol=1e-10)
    columns = np.array([rotation.wanted for _, rotation, _ in case.rotations()], bool)
    np.testing.assert_allclose(found.gradients[:, columns], exact.gradients[:, columns], rtol=0, atol=1e-10)


def test_each_angle_alone() -> None:
    """Directions of single angles, beside each other and one by one: gates of a pair move one at a time."""
    case = layered(4, 2, 1, (pauli("Z", 0), pauli("XY", 1, 2)))
    circuit, (weights, along, angles, _) = arguments(case, 0)
    units = np.eye(angles.shape[1])
    many = [np.repeat(array, len(units), axis=0) for array in (weights, along, angles)]
    found, exact = moved(circuit, *many, units), by_shifts(circuit, *many, units)
    alone = [moved(circuit, weights, along, angles, unit[None]) for unit in units]
    for part, expected in enumerate(exact):
        np.testing.assert_allclose(found[part], expected, rtol=0, atol=1e-12)
        np.testing.assert_allclose(np.concatenate([a[part] for a in alone]), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["angles", "tangents", "weights", "weight_tangents"])
def test_what_does_not_fit_is_named(name: str) -> None:
    circuit, given_ = arguments(layered(2, 1, 3, (pauli("Z", 0),)), 0)
    named = dict(zip(("weights", "weight_tangents", "angles", "tangents"), given_, strict=True))
    named[name] = named[name][:2]
    if name == "angles":  # they say how many samples there are
        named[name] = given_[2][:, :2]
    with pytest.raises(ValueError, match=f"`{name}` must have shape"):
        moved(circuit, **named)

"""Counted operations of circuits: the arithmetic of the kernels, closed forms, and what is run once counted once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qlazy.simulator import (
    Cnot,
    ConeCircuit,
    Diagonal,
    Operation,
    PauliRotation,
    PauliSum,
    PauliWord,
    RotationCircuit,
    Unitary,
    find_cones,
)
from qlazy.simulator.compiling import flops
from qlazy.simulator.kernels import one_qubit
from tests.simulator.circuits import CZ

APPLY, READ = 14, 12  # of one amplitude: a gate on one state, and the three cotangents of a gate


def z_of_all(wires: int) -> PauliSum:
    return PauliSum(tuple(PauliWord(1.0, "Z", (wire,)) for wire in range(wires)))


def layer(wires: int, **how: Any) -> list[Operation]:
    """A gate on each wire that is about no one axis: what follows commutes with none."""
    return [PauliRotation(letter, (wire,), **how) for wire in range(wires) for letter in "XZX"]


def drawn_unitary(seed: int) -> Any:
    normal = np.random.default_rng(seed).normal(size=(2, 4, 4))
    return np.linalg.qr(normal[0] + 1j * normal[1])[0]


def chain(wires: int) -> list[Operation]:
    return [Cnot(wire, wire + 1) for wire in range(wires - 1)]


@dataclass
class Counted:
    """A number that counts what is done with it and others of the same tally."""

    tally: list[int]

    def _done(self, _: Any) -> Counted:
        self.tally[0] += 1
        return self

    __add__ = __sub__ = __mul__ = _done

    def __neg__(self) -> Counted:  # a sign goes with the sum that it stands in
        return self


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([(one_qubit.rotated, 4)], flops.ONE_QUBIT),
        ([(one_qubit.bloch, 4), (one_qubit.summed, None)], flops.COTANGENT),
        ([(one_qubit.multiplied, 2)], flops.PHASE),
    ],
)
def test_the_counts_are_those_of_the_kernels(steps: list[tuple[Any, int | None]], expected: int) -> None:
    tally = [0]
    number = Counted(tally)
    for function, pairs in steps:
        plain = getattr(function, "py_func", function)
        plain(*[(number, number)] * pairs if pairs else [(number,) * 3] * 2)
    assert tally[0] == expected


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 5))
def test_layers_of_rotations_between_chains_of_cnots(wires: int, layers: int, samples: int) -> None:
    operations = layer(wires, sampled=True)
    for _ in range(layers - 1):
        operations += [*chain(wires), *layer(wires)]
    circuit = RotationCircuit(wires, operations, (z_of_all(wires),))
    first, others = wires, wires * (layers - 1) if wires > 1 else 0  # of one wire all rotations are one
    expected = 2**wires * (others * (3 * APPLY + READ) + first * READ)
    assert circuit.gradient_flops(samples) == samples * expected


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 6), st.integers(0, 10**6))
def test_fixed_gates_on_two_qubits(wires: int, seed: int) -> None:
    both = [Unitary((0, 1), drawn_unitary(seed)), *layer(wires), Diagonal((0, 1), CZ)]
    found = RotationCircuit(wires, [*layer(wires), *both, *layer(wires)], (z_of_all(wires),))
    rotations = 4 * (
        3 * APPLY + READ
    )  # before and after the diagonal, on the two wires; those of another are one
    dense, phases = 3 * flops.ELEMENT * 4, 3 * flops.PHASE / 4
    assert found.gradient_flops(1) == 2**wires * (rotations + dense + phases + wires * READ)


def test_what_comes_before_the_first_that_is_wanted_is_not_undone() -> None:
    before, after = (Unitary((0, 1), drawn_unitary(seed)) for seed in (0, 1))
    operations = [before, PauliRotation("X", (0,)), after]
    dense, turn, read = 4 * flops.ELEMENT * 4, 4 * APPLY, 4 * READ
    found = [RotationCircuit(2, operations[:count], (z_of_all(2),)).gradient_flops(1) for count in (1, 2, 3)]
    assert found == [dense, dense + turn + read, 2 * dense + turn + read + 2 * dense]


def test_samples_that_are_all_alike_are_run_once() -> None:
    alike, apart = (RotationCircuit(2, layer(2, sampled=s), (z_of_all(2),)) for s in (False, True))
    assert [alike.gradient_flops(samples) for samples in (0, 1, 9)] == [0, 96, 96]
    assert [apart.gradient_flops(samples) for samples in (0, 1, 9)] == [0, 96, 9 * 96]


@pytest.mark.parametrize("sampled", [False, True])
def test_cones_count_what_each_of_them_runs(sampled: bool) -> None:
    blocks = [(0, 1), (2, 3), (4, 5)]
    operations: list[Operation] = []
    for a, b in blocks:
        ends = [PauliRotation("X", (wire,), sampled=sampled) for wire in (a, b)]
        operations += [*ends, Cnot(a, b), *(PauliRotation("X", (wire,)) for wire in (a, b))]
    observables = tuple(PauliSum((PauliWord(1.0, "Z", (a,)), PauliWord(0.5, "Z", (b,)))) for a, b in blocks)
    whole = ConeCircuit(operations, find_cones(6, operations, observables))
    alone = RotationCircuit(2, [*layer(2, sampled=True), *chain(2), *layer(2)], (z_of_all(2),))
    assert whole.gradient_flops(5) == 3 * alone.gradient_flops(5 if sampled else 1)

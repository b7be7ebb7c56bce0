"""What compiling takes out of a circuit, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qlazy.simulator import (
    Cnot,
    Diagonal,
    Flip,
    Hermitian,
    Operation,
    PauliRotation,
    PauliSum,
    PauliWord,
    Probabilities,
    Projector,
    Swap,
    Unitary,
)
from qlazy.simulator.compiling.gates import FIXED, SAMPLED, quaternion
from qlazy.simulator.compiling.instructions import Pass
from qlazy.simulator.compiling.plan import Plan, compile_plan
from tests.simulator.circuits import CZ, HADAMARD, T, pauli
from tests.simulator.dense import LETTERS


def x(wire: int, **data: Any) -> PauliRotation:
    return PauliRotation("X", (wire,), **data)


def z(wire: int, **data: Any) -> PauliRotation:
    return PauliRotation("Z", (wire,), **data)


def members(plan: Plan) -> list[tuple[Any, ...]]:
    """What each gate is made of: numbers of shared angles, a star before those of sampled ones, or "fixed"."""
    names = [
        "fixed" if source == FIXED else f"*{number}" if source == SAMPLED else int(number)
        for source, number in plan.gates.factors
    ]
    return [
        tuple(names[member["first"] : member["first"] + member["count"]]) for member in plan.gates.members
    ]


def unitary(quaternion: Any) -> np.ndarray:
    return quaternion[0] * np.eye(2) - 1j * sum(
        q * LETTERS[letter] for q, letter in zip(quaternion[1:], "XYZ", strict=True)
    )


def assert_equal_up_to_phase(first: np.ndarray, second: np.ndarray) -> None:
    assert abs(abs(np.trace(first.conj().T @ second)) - 2) < 1e-12


def ring(wires: int) -> list[Operation]:
    return [Cnot(wire, (wire + 1) % wires) for wire in range(wires)]


def test_cnot_swap_and_flip_cost_nothing() -> None:
    plan = compile_plan(3, [Cnot(0, 1), Swap(1, 2), Flip(0), Cnot(2, 0)], [pauli("ZZZ", 0, 1, 2)])
    assert members(plan) == []
    assert len(plan.program) == 0


def test_the_first_layer_is_a_product_state() -> None:
    plan = compile_plan(3, [x(q, wanted=False) for q in range(3)] + ring(3), [pauli("Z", 1)])
    assert len(plan.program) == 0
    assert plan.cotangent_rows == 0


def test_gates_on_one_wire_between_entanglers_are_one() -> None:
    operations = [x(0), Cnot(0, 1), z(0), x(0, sampled=True), z(0), Unitary((0,), HADAMARD), Cnot(0, 1)]
    plan = compile_plan(2, operations, [pauli("XY", 0, 1)])
    assert members(plan) == [(0,), (1, "*0", 2, "fixed")]


def test_gates_fuse_across_what_commutes_with_them() -> None:
    operations = [x(0), x(1), Cnot(0, 1), Cnot(0, 1), PauliRotation("ZZ", (1, 2)), x(0)]
    assert (0, 3) in members(compile_plan(3, operations, [pauli("ZX", 0, 1)]))


def test_fixed_neighbours_are_folded() -> None:
    hadamard, t = Unitary((0,), HADAMARD), Diagonal((0,), T)
    operations = [hadamard, t, z(0), x(0, angle=0.7), hadamard, Cnot(0, 1), hadamard, Cnot(1, 0)]
    plan = compile_plan(2, operations, [pauli("ZX", 0, 1)])
    found = members(plan)
    assert found[0] == ("fixed", 0, "fixed")
    turn = np.cos(0.35) * np.eye(2) - 1j * np.sin(0.35) * LETTERS["X"]
    assert_equal_up_to_phase(unitary(plan.gates.vectors[0]), np.diag(T) @ HADAMARD)
    assert_equal_up_to_phase(unitary(plan.gates.vectors[2]), HADAMARD @ turn)


@given(st.floats(-7, 7), st.sampled_from([0.0, 1.3, np.pi]))
def test_quaternions_stand_for_their_unitaries(angle: float, phase: float) -> None:
    axis = 0.6 * LETTERS["X"] + 0.48 * LETTERS["Y"] + 0.64 * LETTERS["Z"]
    turn = np.cos(angle / 2) * np.eye(2) - 1j * np.sin(angle / 2) * axis
    assert_equal_up_to_phase(unitary(quaternion(np.exp(1j * phase) * turn)), turn)


@pytest.mark.parametrize(
    ("operations", "observable", "kept"),
    [
        ([x(0), x(1)], pauli("Z", 0), {0}),
        ([x(0), z(0)], pauli("Z", 0), {0}),
        ([z(0), x(0)], pauli("X", 0), {0}),
        ([x(0), x(1), Cnot(0, 1), z(1)], pauli("Z", 1), {0, 1}),
        ([x(0), PauliRotation("ZZ", (0, 1)), x(1)], pauli("Z", 0), {0}),
        # The ring takes Z_0 to a word without wire 0.
        ([x(0), x(1), x(2), *ring(3)], pauli("Z", 0), {1, 2}),
        ([x(0), x(1)], PauliSum((PauliWord(1.0, "", ()),)), set()),
        ([x(0), z(0), x(1)], Hermitian(HADAMARD, (0,)), {0, 1}),
    ],
)
def test_gates_outside_the_light_cone_are_dropped(operations: Any, observable: Any, kept: set[int]) -> None:
    plan = compile_plan(3, operations, [observable])
    assert {factor for member in members(plan) for factor in member} == kept


def test_commuting_one_qubit_gates_share_passes() -> None:
    operations: list[Operation] = []
    for _ in range(3):
        operations += [gate for q in range(4) for gate in (x(q), z(q))] + ring(4)
    plan = compile_plan(4, operations, [Hermitian(np.diag(range(16)) + np.eye(16)[::-1], (0, 1, 2, 3))])
    assert set(plan.program["kind"]) == {Pass.TWO}
    assert len(plan.program) == 4  # two layers of four fused gates; the first layer is a product state


def test_neighbouring_fixed_diagonals_are_one_pass() -> None:
    operations = [x(q) for q in range(4)] + [Diagonal((q, (q + 1) % 4), CZ) for q in range(4)]
    plan = compile_plan(4, operations, [pauli("X", 0)])
    assert list(plan.program["kind"]) == [Pass.TABLE]


def test_the_way_back_ends_where_nothing_is_wanted() -> None:
    early = [x(0, wanted=False), Cnot(0, 1), x(0, wanted=False), Cnot(1, 0)]
    plan = compile_plan(2, [*early, z(0), x(1)], [pauli("XX", 0, 1), pauli("ZZ", 0, 1)])
    assert plan.stop == 1
    wanted = [member["cotangent"] >= 0 for member in plan.gates.members]
    assert [made for made, flag in zip(members(plan), wanted, strict=True) if flag] == [(2,), (3,)]


def test_controlled_rotations_of_any_weight_are_one_or_two_passes() -> None:
    for word, passes in (("X", 1), ("Y", 1), ("Z", 1), ("ZZ", 1), ("XY", 1), ("XX", 1), ("XZ", 2), ("YY", 2)):
        rotation = PauliRotation(word, tuple(range(len(word))), controls=(2,))
        plan = compile_plan(3, [rotation], [Hermitian(np.eye(8) + np.eye(8)[::-1], (0, 1, 2))])
        assert list(plan.program["kind"]) == [Pass.ONE] * passes


def test_an_angle_that_is_not_wanted_beside_one_that_is_takes_part_in_its_gate() -> None:
    plan = compile_plan(1, [x(0, wanted=False), z(0), x(0)], [pauli("Z", 0)])
    assert members(plan) == [(0, 1, 2)]
    assert plan.cotangent_rows == 3


ONE = pauli("Z", 0)


@pytest.mark.parametrize(
    ("wires", "operations", "observables", "message"),
    [
        (0, [], [ONE], "`num_wires` must be at least 1, but is 0"),
        (2, [], [], "`observables` must name at least one"),
        (2, [Cnot(0, 2)], [ONE], r"`operations\[0\].wires` must lie in 0..1, but is \(0, 2\)"),
        (2, [Flip(0), Swap(1, 1)], [ONE], r"`operations\[1\].wires` must be distinct"),
        (2, [Unitary((0,), HADAMARD, (0,))], [ONE], r"`operations\[0\].wires` must be distinct"),
        (2, [Unitary((0,), HADAMARD, (1,), (2,))], [ONE], "control_values` must be 0 or 1"),
        (2, [PauliRotation("XQ", (0, 1))], [ONE], "word` must consist of the letters I, X, Y, Z, but is XQ"),
        (2, [PauliRotation("X", (0, 1))], [ONE], "word` must have one letter for each wire"),
        (2, [PauliRotation("XY", (0,))], [ONE], "word` must have one letter for each wire"),
        (2, [PauliRotation("I", (0,), controls=(1,))], [ONE], "word` must contain X, Y or Z"),
        (2, [Unitary((0,), np.ones((2, 2)))], [ONE], r"`operations\[0\].matrix` must be unitary"),
        (2, [Unitary((0,), np.eye(4))], [ONE], r"must have shape \(2, 2\), but is \(4, 4\)"),
        (2, [x(0, angle=0.1, sampled=True)], [ONE], "sampled` must be False for a fixed angle"),
        (2, [Diagonal((0,), 2 * T)], [ONE], r"`operations\[0\].phases` must be unitary, but is off by 3"),
        (2, [Diagonal((0, 1), T)], [ONE], r"phases` must have shape \(4,\), but is \(2,\)"),
        (7, [Unitary((0, 1, 2, 3, 4, 5), np.eye(64))], [ONE], "wires` must be 1 to 5 wires"),
        (2, [], [pauli("Z", 3)], r"`observables\[0\].wires` must lie in 0..1"),
        (2, [], [Projector((0, 2), (0, 1))], r"`observables\[0\].bits` must be 0 or 1 for each of \(0, 1\)"),
        (2, [], [Hermitian(np.eye(2), (0, 1))], r"matrix` must have shape \(4, 4\), but is \(2, 2\)"),
        (2, [], [ONE, Hermitian(np.eye(2) * 1j, (0,))], r"`observables\[1\].matrix` must be Hermitian"),
        (2, [], [Probabilities(())], "wires` must name at least one wire"),
    ],
)
def test_structures_that_do_not_fit_are_refused(
    wires: int, operations: Any, observables: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        compile_plan(wires, operations, observables)

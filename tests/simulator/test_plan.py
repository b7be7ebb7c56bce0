"""What compiling takes out of a circuit, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qlazy.simulator import (
    Cnot,
    Diagonal,
    Flip,
    Hermitian,
    Kind,
    Operation,
    PauliRotation,
    PauliSum,
    PauliWord,
    Probabilities,
    Projector,
    Swap,
    Unitary,
    compile_plan,
    fuse_operands,
    pauli,
    sweep,
    sweep_weighted,
    values,
)
from qlazy.simulator.compiling.instructions import Pass
from tests.simulator.circuits import CZ, HADAMARD, T


def x(wire: int, **data: Any) -> PauliRotation:
    return PauliRotation("X", (wire,), **data)


def z(wire: int, **data: Any) -> PauliRotation:
    return PauliRotation("Z", (wire,), **data)


def ring(wires: int) -> list[Operation]:
    return [Cnot(wire, (wire + 1) % wires) for wire in range(wires)]


def test_cnot_swap_and_flip_cost_nothing() -> None:
    plan = compile_plan(3, [Cnot(0, 1), Swap(1, 2), Flip(0), Cnot(2, 0)], [pauli("ZZZ", 0, 1, 2)])
    assert plan.families == ()
    assert len(plan.program) == 0


def test_the_first_layer_is_a_product_state() -> None:
    plan = compile_plan(3, [x(q, wanted=False) for q in range(3)] + ring(3), [pauli("Z", 1)])
    assert len(plan.program) == 0
    assert not plan.wanted


def test_gates_on_one_wire_between_entanglers_are_one() -> None:
    operations = [x(0), Cnot(0, 1), z(0), x(0), Unitary((0,)), Cnot(0, 1)]
    plan = compile_plan(2, operations, [pauli("XY", 0, 1)])
    [family] = plan.families
    assert family.members == ((0,), (2, 3, 4))


def test_gates_fuse_across_what_commutes_with_them() -> None:
    operations = [x(0), x(1), Cnot(0, 1), Cnot(0, 1), PauliRotation("ZZ", (1, 2)), x(0)]
    [fused, _] = compile_plan(3, operations, [pauli("ZX", 0, 1)]).families
    assert (0, 5) in fused.members


def test_fixed_neighbours_are_folded_and_fixed_gates_need_no_operand() -> None:
    hadamard, t = Unitary((0,), HADAMARD), Diagonal((0,), T)
    operations = [hadamard, t, z(0), hadamard, Cnot(0, 1), Unitary((1,), HADAMARD), Cnot(1, 0)]
    [family] = compile_plan(2, operations, [pauli("ZX", 0, 1)]).families
    [(first, index, last)] = family.members
    np.testing.assert_allclose(first, np.diag(T) @ HADAMARD)
    assert index == 2
    np.testing.assert_allclose(last, HADAMARD)


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
    found = {factor for family in plan.families for member in family.members for factor in member}
    assert found == kept


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
    [family] = plan.families
    assert [family.members[position] for position in family.wanted] == [(4,), (5,)]


def test_controlled_rotations_of_any_weight_are_one_or_two_passes() -> None:
    for word, passes in (("X", 1), ("Y", 1), ("Z", 1), ("ZZ", 1), ("XY", 1), ("XX", 1), ("XZ", 2), ("YY", 2)):
        rotation = PauliRotation(word, tuple(range(len(word))), controls=(2,))
        plan = compile_plan(3, [rotation], [Hermitian(np.eye(8) + np.eye(8)[::-1], (0, 1, 2))])
        assert list(plan.program["kind"]) == [Pass.ONE] * passes


def test_families_are_ordered_by_kind_and_arrival() -> None:
    operations = [
        *(Unitary((0, 1)), Diagonal((0, 1)), PauliRotation("XX", (0, 1)), x(0)),
        *(Unitary((1, 2), sampled=True), x(1, sampled=True), x(2)),
    ]
    plan = compile_plan(3, operations, [Hermitian(np.diag(range(8)) + np.eye(8)[::-1], (0, 1, 2))])
    assert [(family.kind, family.sampled) for family in plan.families] == [
        *((Kind.FUSED, False), (Kind.FUSED, True), (Kind.ROTATION, False)),
        *((Kind.DIAGONAL, False), (Kind.DENSE, False), (Kind.DENSE, True)),
    ]


ONE = pauli("Z", 0)


@pytest.mark.parametrize(
    ("wires", "operations", "observables", "message"),
    [
        (0, [], [ONE], "`num_wires` must be at least 1, but is 0"),
        (2, [], [], "`observables` must name at least one"),
        (2, [Cnot(0, 2)], [ONE], r"`operations\[0\].wires` must lie in 0..1, but is \(0, 2\)"),
        (2, [Flip(0), Swap(1, 1)], [ONE], r"`operations\[1\].wires` must be distinct"),
        (2, [Unitary((0,), controls=(0,))], [ONE], r"`operations\[0\].wires` must be distinct"),
        (2, [Unitary((0,), controls=(1,), control_values=(2,))], [ONE], "control_values` must be 0 or 1"),
        (2, [PauliRotation("XQ", (0, 1))], [ONE], "word` must consist of the letters I, X, Y, Z, but is XQ"),
        (2, [PauliRotation("X", (0, 1))], [ONE], "word` must have one letter for each wire"),
        (2, [PauliRotation("I", (0,), controls=(1,))], [ONE], "word` must contain X, Y or Z"),
        (2, [Unitary((0,), np.ones((2, 2)))], [ONE], r"`operations\[0\].matrix` must be unitary"),
        (2, [Unitary((0,), np.eye(4))], [ONE], r"must have shape \(2, 2\), but is \(4, 4\)"),
        (2, [Diagonal((0,), T, sampled=True)], [ONE], "sampled` must be False for a fixed operand"),
        (7, [Unitary((0, 1, 2, 3, 4, 5))], [ONE], "wires` must be 1 to 5 wires"),
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


def test_operands_that_do_not_fit_are_refused() -> None:
    operations = [x(0), Cnot(0, 1), x(0, sampled=True), x(1, sampled=True), PauliRotation("XX", (0, 1))]
    plan = compile_plan(2, operations, [pauli("Z", 0), pauli("Y", 1)])
    angles = {0: 0.1, 2: np.zeros(3), 3: np.zeros(3), 4: 0.2}
    stacks = fuse_operands(plan, operations, angles)
    with pytest.raises(
        ValueError, match=r"`operands` must have one stack for each of the 3 families, but is 2"
    ):
        values(plan, stacks[:2])
    with pytest.raises(
        ValueError, match=r"`operands\[1\]` must have shape \(2, n, 2, 2\), but is \(2, 3, 2\)"
    ):
        sweep(plan, [stacks[0], stacks[1][..., 0], stacks[2]])
    with pytest.raises(ValueError, match=r"`weights` must have shape \(3, 2\), but is \(3, 1\)"):
        sweep_weighted(plan, stacks, np.zeros((3, 1)))
    with pytest.raises(ValueError, match="`threads` must be at least 1, but is 0"):
        values(plan, stacks, threads=0)
    with pytest.raises(ValueError, match="`dtype` must be float32 or float64"):
        values(plan, stacks, dtype=np.float16)
    with pytest.raises(ValueError, match=r"`operands` must hold the operand of operations\[4\]"):
        fuse_operands(plan, operations, {0: 0.1, 2: np.zeros(3), 3: np.zeros(3)})
    with pytest.raises(ValueError, match=r"`operands\[2\]` must have shape \(n\)"):
        fuse_operands(plan, operations, angles | {2: 0.1})
    with pytest.raises(ValueError, match="`operands` must have one number of samples"):
        fuse_operands(plan, operations, angles | {2: np.zeros(4)})

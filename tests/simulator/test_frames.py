"""GF(2) frames against explicit permutations and Pauli matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qlazy.simulator.compiling.frames import Frame, Pauli, coset, parity
from tests.simulator.dense import word_matrix

WIRES = 4
wires = st.integers(0, WIRES - 1)
pairs = st.permutations(range(WIRES)).map(lambda order: tuple(order[:2]))
free_gates = st.lists(
    st.one_of(
        st.tuples(st.just("cnot"), pairs),
        st.tuples(st.just("swap"), pairs),
        st.tuples(st.just("invert"), wires),
    ),
    max_size=12,
)
words = st.text("IXYZ", min_size=WIRES, max_size=WIRES)


def moved(gates: Any) -> Frame:
    frame = Frame(WIRES)
    for name, argument in gates:
        getattr(frame, name)(*(argument if isinstance(argument, tuple) else (argument,)))
    return frame


def logical_index(frame: Frame, row: int) -> int:
    """The computational basis state a row stands for, wire 0 most significant."""
    bits = [parity(row & label.read) ^ label.offset for label in frame.labels]
    return int("".join(map(str, bits)), 2)


def row_matrix(pauli: Pauli) -> np.ndarray:
    matrix = np.zeros((2**WIRES, 2**WIRES), dtype=complex)
    for row in range(2**WIRES):
        matrix[row ^ pauli.flip, row] = pauli.phase * (-1) ** parity(row & pauli.read)
    return matrix


@given(free_gates)
def test_flipping_one_wire_changes_the_reading_of_that_wire_alone(gates: Any) -> None:
    labels = moved(gates).labels
    for i, flipped in enumerate(labels):
        for j, read in enumerate(labels):
            assert parity(flipped.flip & read.read) == (i == j)


@given(free_gates)
def test_free_gates_act_on_basis_states_as_they_should(gates: Any) -> None:
    frame = moved(gates)
    for row in range(2**WIRES):
        bits = [row >> wire & 1 for wire in range(WIRES)]
        for name, argument in gates:
            match name, argument:
                case "cnot", (control, target):
                    bits[target] ^= bits[control]
                case "swap", (first, second):
                    bits[first], bits[second] = bits[second], bits[first]
                case "invert", wire:
                    bits[wire] ^= 1
        assert logical_index(frame, row) == int("".join(map(str, bits)), 2)


@given(free_gates, words)
def test_pauli_words_in_rows_are_pauli_matrices(gates: Any, word: str) -> None:
    frame = moved(gates)
    order = [logical_index(frame, row) for row in range(2**WIRES)]
    dense = word_matrix(WIRES, word, tuple(range(WIRES)))[np.ix_(order, order)]
    np.testing.assert_array_equal(row_matrix(frame.pauli(word, range(WIRES))), dense)


@given(free_gates, words, words)
def test_commuting_is_that_of_matrices(gates: Any, first: str, second: str) -> None:
    frame = moved(gates)
    p, q = frame.pauli(first, range(WIRES)), frame.pauli(second, range(WIRES))
    a, b = row_matrix(p), row_matrix(q)
    assert p.commutes(q) == bool(np.allclose(a @ b, b @ a))


@given(free_gates, st.lists(st.integers(0, 1), max_size=WIRES))
def test_cosets_hold_all_solutions_in_the_order_of_their_steps(gates: Any, values: list[int]) -> None:
    labels = moved(gates).labels
    conditions = [(label.read, value) for label, value in zip(labels, values, strict=False)]
    found = coset(WIRES, conditions)
    solutions = [
        row for row in range(2**WIRES) if all(parity(row & mask) == value for mask, value in conditions)
    ]
    assert sorted(found.rows()) == solutions
    row, steps = found.start, found.steps()
    for number, expected in enumerate(found.rows(), start=1):
        assert row == expected
        row ^= steps[(number & -number).bit_length() - 1]

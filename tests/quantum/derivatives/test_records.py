"""Programs as guarded steps: the cubes of paths, and what the steps do, held to the program itself."""

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qlazy.quantum.corpus import load_program, program_from_qasm
from qlazy.quantum.derivatives.records import Record, conflict, guards, simplified, straighten

RECORDS = 4
TWICE = 2 * [(1, 1, 0, 1), (1, 1, 1, 0), (1, 1, 0, 0)]
paths = st.fixed_dictionaries({r: st.integers(0, 1) for r in range(RECORDS)})


def inside(path, cubes):
    return any(all(path[record] == value for record, value in cube.items()) for cube in cubes)


def every_path():
    return [dict(enumerate(bits)) for bits in itertools.product((0, 1), repeat=RECORDS)]


@given(st.lists(paths, max_size=8))
@example([dict(enumerate(bits)) for bits in TWICE])
def test_simplified_cubes_hold_the_same_paths(chosen):
    found = simplified(chosen)
    assert len(found) <= len({tuple(path.items()) for path in chosen})
    for path in every_path():
        assert inside(path, found) == (path in chosen)


@given(st.lists(paths, min_size=1, max_size=6), st.lists(paths, max_size=6))
def test_guards_tell_the_chosen_from_the_others(chosen, others):
    others = [path for path in others if path not in chosen]
    found = guards(chosen, others)
    assert all(inside(path, found) for path in chosen)
    assert not any(inside(path, found) for path in others)
    assert all(conflict(a, b) for a, b in itertools.combinations(found, 2))


def test_rounds_of_a_loop_have_records_of_their_own():
    straight = straighten(load_program("repeat_until_success", rounds=3))
    records = [step for step in straight.steps if isinstance(step.operation, Record)]
    assert [step.operation.number for step in records] == [0, 1, 2]
    assert [step.where for step in records] == [({},), ({0: 1},), ({0: 1, 1: 1},)]
    assert [ending.where for ending in straight.endings] == [({},)]


def test_a_correction_is_guarded_by_its_own_record_only():
    straight = straighten(load_program("teleportation"))
    corrections = [(step.operation.name, step.where) for step in straight.steps[-2:]]
    assert corrections == [("x", ({1: 1},)), ("z", ({0: 1},))]


def test_discarded_runs_have_no_ending():
    text = 'include "stdgates.inc"; pragma qlazy.loops discard\nqubit q; bit c; h q; c = measure q;'
    program = program_from_qasm(f"{text}\n@qlazy.bound 2\nwhile (c) {{ h q; c = measure q; }}")
    straight = straighten(program)
    assert [ending.where for ending in straight.endings] == [simplified([{0: 0}, {0: 1, 1: 0}])]


@pytest.mark.parametrize("n", [2, 4, 8])
def test_parities_take_few_guards(n):
    """A correction by the parity of k results needs 2^(k-1) cubes, and no more."""
    steps = straighten(load_program("adaptive_ghz", n=n)).steps
    flips = [step for step in steps if getattr(step.operation, "name", "") == "x" and step.where != ({},)]
    assert [len(step.where) for step in flips] == [2**k for k in range(n - 1)]

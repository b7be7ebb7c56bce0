"""Programs as text: what is printed is read back as the same program."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qlazy.base.errors import UnsupportedModelError
from qlazy.quantum.backends.programs import lowered_program
from qlazy.quantum.corpus import load_program, names, program_from_qasm, program_names
from qlazy.quantum.program.printing import to_qasm
from qlazy.quantum.program.program import Gate, PauliSum, Program
from tests.quantum.programs import programs


def assert_same(first, second):
    for field in ("qubits", "weights", "data", "operations", "observables", "loops"):
        assert getattr(first, field) == getattr(second, field), field
    assert list(first.weights) == list(second.weights)
    assert list(first.data) == list(second.data)


@pytest.mark.parametrize("name", [*names(), *program_names()])
def test_the_corpus(name):
    program = load_program(name)
    assert_same(program_from_qasm(to_qasm(program)), program)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(programs(), st.sampled_from(["exit", "discard"]))
def test_random_programs(text, loops):
    # A local that no gate and no condition reads may be folded away when the text is read again: from then on the
    # text stands still, and what it computes never changes.
    program = replace(program_from_qasm(text), loops=loops)
    again = program_from_qasm(to_qasm(program))
    assert_same(program_from_qasm(to_qasm(again)), again)
    params, x = torch.tensor([0.3, -0.8], dtype=torch.float64), torch.tensor([[0.7]], dtype=torch.float64)
    found, expected = (lowered_program(p).outputs(params, x) for p in (again, program))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_constant_matrices_keep_their_phase_under_controls(seed):
    random = np.random.default_rng(seed)
    matrix, _ = np.linalg.qr(random.normal(size=(2, 2)) + 1j * random.normal(size=(2, 2)))
    frozen = tuple(tuple(map(complex, row)) for row in matrix)
    gates = (Gate("h", (), (0,)), Gate("unitary", (), (1,), (0,), (seed % 2,), frozen), Gate("h", (), (0,)))
    program = Program("matrix", ("q[0]", "q[1]"), {}, {}, gates, (PauliSum.z(0), PauliSum.z(1)))
    again = program_from_qasm(to_qasm(program))
    empty = torch.zeros(0, dtype=torch.float64), torch.zeros(1, 0, dtype=torch.float64)
    found, expected = (lowered_program(p).outputs(*empty) for p in (again, program))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_names_that_are_none_of_the_language_are_replaced():
    program = Program("wires", ("0", "wire a"), {}, {}, (Gate("h", (), (1,)),), (PauliSum.z(1),))
    assert "qubit[2] q;" in to_qasm(program)
    assert "h q[1];" in to_qasm(program)


def test_a_matrix_on_two_qubits_has_no_text():
    identity = tuple(tuple(complex(i == j) for j in range(4)) for i in range(4))
    gate = Gate("unitary", (), (0, 1), matrix=identity)
    program = Program("two", ("q[0]", "q[1]"), {}, {}, (gate,), (PauliSum.z(0),))
    with pytest.raises(UnsupportedModelError, match="`gate` must act on one qubit to have a text"):
        to_qasm(program)

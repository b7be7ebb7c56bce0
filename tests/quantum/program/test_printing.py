"""Programs as text: what is printed is read back as the same program."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qlazy.quantum.backends.programs import lowered_program
from qlazy.quantum.corpus import load_program, names, program_from_qasm, program_names
from qlazy.quantum.program.printing import RESERVED, spoken, spoken_names, to_qasm
from qlazy.quantum.program.program import Gate, PauliSum, Program
from tests import oracle
from tests.quantum.programs import programs


def assert_same(first, second):
    for field in ("qubits", "weights", "data", "operations", "observables", "loops"):
        assert getattr(first, field) == getattr(second, field), field
    assert list(first.weights) == list(second.weights)
    assert list(first.data) == list(second.data)


@pytest.mark.parametrize("name", [*names(), *program_names()])
def test_the_corpus(name):
    program = load_program(name)
    assert_same(program_from_qasm(to_qasm(program)), spoken(program))


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


@pytest.mark.parametrize("seed", range(6))
def test_a_matrix_on_several_qubits_is_printed_as_controlled_ones(seed):
    """Held to the matrix itself, controls included: a phase under a control counts."""
    random = np.random.default_rng(seed)
    n = 2 + seed % 2
    matrix, _ = np.linalg.qr(random.normal(size=(2**n, 2**n)) + 1j * random.normal(size=(2**n, 2**n)))
    frozen = tuple(tuple(map(complex, row)) for row in matrix)
    wires = tuple(map(int, random.permutation(n + 1)))
    gate = Gate("unitary", (), wires[1:], wires[:1], (seed % 2,), frozen)
    names = tuple(f"q[{wire}]" for wire in range(n + 1))
    program = Program("matrix", names, {}, {}, (gate,), (PauliSum.z(0),))
    again = program_from_qasm(to_qasm(program))
    assert oracle.equal_up_to_phase(oracle.unitary(again, []), oracle.unitary(program, [])) < 1e-12


@pytest.mark.parametrize("call", ["pow(0.5) @ swap q[0], q[1]", "ctrl @ pow(0.3) @ swap q[2], q[0], q[1]"])
def test_fractional_powers_of_gates_on_two_qubits_have_a_text(call):
    program = program_from_qasm(f'OPENQASM 3.0; include "stdgates.inc"; qubit[3] q; h q; {call};')
    again = program_from_qasm(to_qasm(program))
    assert oracle.equal_up_to_phase(oracle.unitary(again, []), oracle.unitary(program, [])) < 1e-12


@pytest.mark.parametrize(
    "chosen",
    ["c", "c[0:1]", "c[1:2]", "c[{0, 2}]", "c[{2, 0}]", "c[0:2:2]", "c[2:-1:0]", "c[-1:-1]", "c[1:1]"],
)
def test_selected_bits_as_one_number(chosen):
    text = f"""OPENQASM 3.0; include "stdgates.inc"; qubit[4] q; bit[3] c; h q[0]; ry(0.4) q[1]; rx(1.3) q[2];
    c = measure q[0:2]; if ({chosen} == 1) {{ x q[3]; }} if ({chosen} > 1) {{ ry(0.3) q[3]; }}"""
    program = program_from_qasm(text)
    again = program_from_qasm(to_qasm(program))
    assert_same(program_from_qasm(to_qasm(again)), again)
    empty = torch.zeros(0, dtype=torch.float64), torch.zeros(1, 0, dtype=torch.float64)
    found, expected = (lowered_program(p).outputs(*empty) for p in (again, program))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)


def test_bits_and_variables_that_are_words_of_the_language_are_renamed_everywhere():
    text = """OPENQASM 3.0;
include "stdgates.inc";
input float[64] t; input array[float[64], 2] s; input float t_;
@qlazy.data
input float[64] x;
qubit[2] h; bit[2] p; int[8] z = 1; float[64] y = t;
pragma qlazy.observable Z h[0] X h[1]
ry(t * s[1] + x) h[0]; rx(t_) h[1]; p = measure h;
if (p == 2) { z = 3; y = 2 * t; } else { reset h[0]; }
if (p[0]) { ry(z * y) h[1]; rx(t * p[1]) h[0]; } if (p[0:1] != 3) { x h[1]; }
@qlazy.bound 2
while (p[0] == 0) { ry(s[0]) h[0]; p[0] = measure h[0]; }
"""
    program = program_from_qasm(text)
    names = spoken_names(program)
    assert names == {"t": "t__", "s": "s_", "x": "x_", "p": "p_", "z": "z_", "y": "y_", "h": "h_"}
    again = program_from_qasm(to_qasm(program))
    declared = {name.partition("[")[0] for name in (*again.qubits, *(v.name for v in again.variables))}
    assert not (declared | again.weights.keys() | again.data.keys()) & RESERVED
    assert to_qasm(again).splitlines() == [
        line for line in to_qasm(program).splitlines() if not line.startswith("// Renamed")
    ]
    params, x = (
        torch.tensor([0.3, -0.8, 1.1, 0.5], dtype=torch.float64),
        torch.tensor([[0.7]], dtype=torch.float64),
    )
    found, expected = (lowered_program(p).outputs(params, x) for p in (again, program))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)

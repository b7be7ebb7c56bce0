"""What is valid OpenQASM and was once refused: casts that narrow, `~`, time without effect, version 2."""

import numpy as np
import pytest
import torch
from qiskit import qasm2
from qiskit.quantum_info import SparsePauliOp, Statevector

import qlazy
from qlazy.quantum.corpus import program_from_qasm

HEAD = 'OPENQASM 3.0; include "stdgates.inc"; input float w; qubit[4] q; rx(w) q[3]; '
BITS = "bit[2] s; x q[1]; s[0] = measure q[0]; s[1] = measure q[1]; "  # the integer 2, known at run time only


def outputs(text, observable="Z q[2]", angle=0.3):
    circuit = qlazy.from_qasm(text, observables=[observable])
    return float(circuit(torch.tensor([angle], dtype=torch.float64), torch.zeros(1, 0, dtype=torch.float64)))


CONDITIONS = [
    ("int[2](2)", "int[2](s)", -2),
    ("uint[1](2)", "uint[1](s)", 0),
    ("int[3](2 + 4)", "int[3](s + 4)", -2),
    ("uint[3](-2)", "uint[3](-s)", 6),
    ("int[8](2 * 100)", "int[8](s * 100)", -56),
    ("~uint[2](2)", "~uint[2](s)", 1),
    ("~uint[4](2)", "~uint[4](s)", 13),
    ("~(2 + 3)", "~(s + 3)", -6),
    ("~~(2 + 3)", "~~(s + 3)", 5),
    ("~int[4](2)", "~int[4](s)", -3),
]


@pytest.mark.parametrize(("known", "measured", "value"), CONDITIONS)
def test_casts_keep_the_low_bits_while_reading_and_at_run_time(known, measured, value):
    for expression in (known, measured):
        for compared, flipped in ((value, True), (value + 1, False)):
            text = HEAD + BITS + f"if ({expression} == {compared}) {{ x q[2]; }}"
            assert outputs(text) == pytest.approx(-1.0 if flipped else 1.0), (expression, compared)


@pytest.mark.parametrize(
    ("change", "value"), [("+= 3", 1), ("-= 3", 3), ("*= 3", 2), ("= k + 7", 1), ("= ~k", 1)]
)
def test_unsigned_integers_count_modulo_their_width(change, value):
    for start in ("2", "s"):
        text = HEAD + BITS + f"uint[2] k = {start}; k {change}; if (k == {value}) {{ x q[2]; }}"
        assert outputs(text) == pytest.approx(-1.0), start


@pytest.mark.parametrize(
    "timed",
    [
        "delay[10ns] q[0];",
        "delay[10ns] q;",
        "box { x q[2]; x q[2]; }",
        "box[100ns] { delay[1us] q[1]; barrier q; }",
        "duration d = 10ns; delay[d] q[0], q[1];",
        "const duration d = 1dt; delay[2 * d] q[0];",
        "x[10ns] q[2]; x q[2];",
        "gate wait a { delay[3ns] a; } wait q[2];",
    ],
)
def test_time_has_no_effect(timed):
    plain = program_from_qasm(HEAD + "rx(0.4) q[2];")
    assert outputs(HEAD + "rx(0.4) q[2]; " + timed) == pytest.approx(np.cos(0.4))
    assert plain.num_qubits == 4


def test_a_box_has_its_gates():
    assert outputs(HEAD + "box { rx(0.4) q[2]; rx(0.5) q[2]; }") == pytest.approx(np.cos(0.9))


VERSION_2 = [
    "rx(0.3) q[0]; cu1(0.7) q[0],q[1]; h q[1];",
    "ry(0.3) q[0]; cu3(0.7,0.2,-0.4) q[0],q[1]; h q[0];",
    "h q; rzz(0.9) q[0],q[2]; ry(0.2) q[0]; h q[2];",
    "ry(0.4) q[1]; rxx(0.9) q[1],q[2];",
    "u(0.3,0.2,0.1) q[0]; u2(0.1,0.2) q[1]; sxdg q[2]; csx q[0],q[2];",
    "h q[0]; h q[1]; ry(0.4) q[2]; c3x q[0],q[1],q[2],q[3]; CX q[0],q[1]; U(0.1,0.2,0.3) q[2];",
]


@pytest.mark.parametrize("body", VERSION_2)
def test_version_2_is_read_as_qiskit_reads_it(body):
    text = f'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[4];\ncreg c[4];\n{body}'
    state = Statevector(qasm2.loads(text, custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS))
    # an input of no effect, so that the program has a weight
    program = text.replace("qreg", "input float w;\nqreg")
    for wire in range(4):
        for letter in "XYZ":
            operator = SparsePauliOp.from_sparse_list([(letter, [wire], 1.0)], 4)
            expected = state.expectation_value(operator).real
            assert outputs(program + " id q[3]; rz(w) q[3]; rz(-w) q[3];", f"{letter} q[{wire}]") == (
                pytest.approx(expected, abs=1e-12)
            )


def test_a_program_of_version_2_may_bring_its_own_gates():
    text = 'OPENQASM 2.0; include "qelib1.inc"; input float w; qreg q[1]; gate sxdg a { rx(0.2) a; } '
    assert outputs(text + "sxdg q[0]; rx(w) q[0];", "Z q[0]") == pytest.approx(np.cos(0.5))


def test_a_power_of_version_2_is_no_exclusive_or():
    text = 'OPENQASM 2.0; include "qelib1.inc"; input float w; qreg q[1]; rx(2^3) q[0]; rz(w) q[0];'
    assert outputs(text, "Z q[0]") == pytest.approx(np.cos(8))


@pytest.mark.parametrize("text", [None, b"OPENQASM 3.0;", 3, ["qubit q;"], pytest])
def test_a_text_is_a_str(text):
    with pytest.raises(TypeError, match="`text` must be a str of OpenQASM"):
        qlazy.from_qasm(text)


@pytest.mark.parametrize("name", [None, 3, b"circuit", ["a"], pytest])
def test_a_circuit_is_loaded_by_name_or_path(name):
    with pytest.raises(TypeError, match="`name_or_path` must be the name"):
        qlazy.load_circuit(name)


def test_a_text_is_not_loaded_by_name():
    with pytest.raises(ValueError, match="read by `from_qasm`"):
        qlazy.load_circuit("OPENQASM 3.0; qubit q;")


def test_a_long_observable_means_what_its_terms_mean():
    terms = [f"{0.25 + k} {'XYZ'[k % 3]} q[{k % 4}]" for k in range(300)]
    observable = program_from_qasm(HEAD, observables=[" + ".join(terms)]).observables[0]
    expected = {}
    for k in range(300):
        expected[k % 4, "XYZ"[k % 3]] = expected.get((k % 4, "XYZ"[k % 3]), 0.0) + 0.25 + k
    assert {term.factors[0]: term.coefficient for term in observable.terms} == pytest.approx(expected)

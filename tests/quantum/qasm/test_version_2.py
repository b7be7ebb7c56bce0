"""OpenQASM 2: texts of the kinds that public sets of benchmarks hold, against qiskit's reader and simulator."""

import numpy as np
import pytest
import torch

import qlazy
from qlazy.quantum.corpus import program_from_qasm
from tests import oracle

qiskit = pytest.importorskip("qiskit")

from qiskit import qasm2  # noqa: E402
from qiskit.quantum_info import Operator, SparsePauliOp, Statevector  # noqa: E402

HEAD = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'


def qft(n):
    """The Fourier transform, phases as fractions of pi."""
    lines = []
    for target in range(n):
        lines.append(f"h q[{target}];")
        lines += [f"cu1(pi/{2 ** (k - target)}) q[{k}],q[{target}];" for k in range(target + 1, n)]
    return " ".join(lines)


def ising(n, steps):
    step = "".join(f"rzz(2*0.15) q[{k}],q[{k + 1}];" for k in range(n - 1)) + f"rx(1/{steps}) q;"
    return "h q;" + steps * step


MAJORITY = """gate majority a,b,c { cx c,b; cx c,a; ccx a,b,c; }
gate unmaj a,b,c { ccx a,b,c; cx c,a; cx a,b; }
"""
LONG = "\n".join(f"rx({k}/7) q[{k % 3}];\nu3(1/3,-{k}/5,2^-1) q[{(k + 1) % 3}];\ncx q[{k % 3}],q[{(k + 1) % 3}];"
                 for k in range(150))  # fmt: skip

TEXTS = {
    "adder": MAJORITY + "qreg cin[1]; qreg a[2]; qreg b[2]; qreg cout[1]; x a[0]; h b; ry(0.4) cin[0];"
    "majority cin[0],b[0],a[0]; majority a[0],b[1],a[1]; cx a[1],cout[0]; unmaj a[0],b[1],a[1];"
    "unmaj cin[0],b[0],a[0];",
    "qft": "qreg q[4]; rx(0.3) q; x q[0];" + qft(4),
    "qft with swaps": "qreg q[4]; ry(1/3) q[2]; x q[1];" + qft(4) + "swap q[0],q[3]; swap q[1],q[2];",
    "ghz": "qreg q[5]; h q[0]; cx q[0],q[1]; cx q[1],q[2]; cx q[2],q[3]; cx q[3],q[4]; rx(0.3) q[4];",
    "cat state by own gate": "gate grow a,b { cx a,b; } qreg q[3]; h q[0]; grow q[0],q[1]; grow q[1],q[2]; ry(1) q;",
    "w state": "gate cG(t) a,b { ry(-t/2) b; cz a,b; ry(t/2) b; } qreg q[3]; x q[2];"
    "cG(1.9106332362490184) q[2],q[1]; cx q[1],q[2]; cG(pi/2) q[1],q[0]; cx q[0],q[1]; h q[1];",
    "grover": "qreg q[3]; h q; h q[2]; ccx q[0],q[1],q[2]; h q[2]; h q; x q; h q[2]; ccx q[0],q[1],q[2]; h q[2];"
    "x q; h q; ry(0.2) q[1];",
    "deutsch jozsa": "qreg q[4]; x q[3]; h q; barrier q; cx q[0],q[3]; cx q[2],q[3]; h q[0]; h q[1]; h q[2];",
    "bernstein vazirani": "qreg q[4]; x q[3]; h q; cx q[1],q[3]; cx q[2],q[3]; barrier q[0],q[1]; h q; s q[3];",
    "simon": "qreg q[4]; h q[0]; h q[1]; cx q[0],q[2]; cx q[0],q[3]; cx q[1],q[2]; cx q[1],q[3]; h q[0]; h q[1];",
    "ising": "qreg q[4];" + ising(4, 3),
    "ising of cx": "qreg q[3]; h q; cx q[0],q[1]; u1(-3*pi/8) q[1]; cx q[0],q[1]; u3(1/4*pi,-pi/2,pi/2) q;",
    "vqe ansatz": "qreg q[4]; ry(0.1) q[0]; ry(-0.2) q[1]; ry(3e-1) q[2]; ry(.4) q[3]; cx q[0],q[1]; cx q[1],q[2];"
    "cx q[2],q[3]; rz(5.) q[0]; rz(-1/2) q[1]; ry(+0.7) q;",
    "qaoa": "qreg q[4]; h q; rzz(0.7) q[0],q[1]; rzz(0.7) q[1],q[2]; rzz(0.7) q[2],q[3]; rzz(0.7) q[3],q[0];"
    "rx(2*0.35) q;",
    "unitary coupled cluster": "qreg q[4]; x q[0]; x q[1]; h q[0]; rx(pi/2) q[3]; cx q[0],q[1]; cx q[1],q[2];"
    "cx q[2],q[3]; rz(0.23) q[3]; cx q[2],q[3]; cx q[1],q[2]; cx q[0],q[1]; h q[0]; rx(-pi/2) q[3];",
    "swap test": "qreg q[3]; ry(0.4) q[1]; ry(1.1) q[2]; h q[0]; cswap q[0],q[1],q[2]; h q[0];",
    "toffoli of parts": "qreg q[3]; h q; h q[2]; cx q[1],q[2]; tdg q[2]; cx q[0],q[2]; t q[2]; cx q[1],q[2]; tdg q[2];"
    "cx q[0],q[2]; t q[1]; t q[2]; h q[2]; cx q[0],q[1]; t q[0]; tdg q[1]; cx q[0],q[1]; ry(0.3) q;",
    "phase estimation": "qreg q[4]; x q[3]; h q[0]; h q[1]; h q[2]; cu1(3*pi/4) q[0],q[3]; cu1(3*pi/2) q[1],q[3];"
    "cu1(3*pi) q[2],q[3]; h q[2]; cu1(-pi/2) q[1],q[2]; h q[1]; cu1(-pi/4) q[0],q[2]; cu1(-pi/2) q[0],q[1]; h q[0];",
    "state preparation": "qreg q[2]; u(0.3,0.2,0.1) q[0]; u2(0.1,0.2) q[1]; cu3(0.7,0.2,-0.4) q[0],q[1];",
    "quantum volume": "qreg q[2]; u3(0.66,0.1,-2.2) q[0]; u3(2.1,-0.4,1.3) q[1]; cx q[1],q[0]; u1(0.4) q[0];"
    "u3(1.5,0,0) q[1]; cx q[0],q[1]; u3(0.2,0,0) q[1]; cx q[1],q[0]; u2(0,pi) q;",
    "error correction": "qreg q[3]; qreg syn[2]; ry(0.8) q[0]; cx q[0],q[1]; cx q[0],q[2]; x q[1]; cx q[0],syn[0];"
    "cx q[1],syn[0]; cx q[1],syn[1]; cx q[2],syn[1]; ccx syn[0],syn[1],q[1];",
    "fredkin": "qreg q[3]; x q[0]; ry(0.9) q[1]; cx q[2],q[1]; ccx q[0],q[1],q[2]; cx q[2],q[1]; h q[0];",
    "linear solver": "qreg q[3]; h q[0]; h q[1]; cu3(-pi/2,-pi/2,pi/2) q[1],q[2]; crz(0.5) q[0],q[2]; ch q[1],q[0];"
    "ry(0.4) q[2]; cy q[2],q[0]; cz q[0],q[1];",
    "neural net": "qreg q[3]; h q; u1(2.0*0.3) q[0]; u1(2.0*(pi-0.3)*(pi-0.7)) q[1]; cx q[0],q[1]; crx(0.3) q[1],q[2];"
    "cry(0.6) q[2],q[0]; rxx(0.9) q[0],q[2];",
    "hamiltonian simulation": "gate ex(t) a,b { h a; h b; rzz(2*t) a,b; h a; h b; } qreg q[3]; ex(1/8) q[0],q[1];"
    "ex(1/8) q[1],q[2]; rz(sqrt(2)/3) q; ex(sin(pi/6)) q[0],q[2];",
    "functions": "qreg q[2]; rx(cos(1)*tan(0.2)) q[0]; ry(exp(-1/2)) q[1]; rz(ln(3)) q[0]; rx(-2^2) q[0];"
    "ry(2^3^2/99) q[1];",
    "words of version 3": "gate let(angle) bit,box { cu1(angle/2) bit,box; } qreg in[2]; qreg ctrl[1]; h in; h ctrl;"
    "let(1) in[0],ctrl[0]; x in; rx(1/3) ctrl;",
    "no library": "qreg q[2]; U(1/2,0,pi/3) q[0]; CX q[0],q[1]; U(0.3,1,2) q;",
    "own gates of library names": "gate own(t) a { rx(t) a; } gate iswap a,b { s a; s b; h a; cx a,b; cx b,a; h b; }"
    "qreg q[2]; own(1/2) q[0]; iswap q[0],q[1]; own(0.2) q[0];",
    "multiplier": "qreg a[2]; qreg b[1]; qreg r[2]; h a; h b; ccx a[0],b[0],r[0]; ccx a[1],b[0],r[1]; rx(0.3) r;",
    "relative phases": "qreg q[4]; h q; rccx q[0],q[1],q[2]; rc3x q[0],q[1],q[2],q[3]; ry(0.3) q;",
    "many controls": "qreg q[5]; h q; ry(0.3) q; c3x q[0],q[1],q[2],q[3]; c3sqrtx q[0],q[1],q[2],q[4];"
    "c4x q[1],q[2],q[3],q[4],q[0]; csx q[0],q[1];",
    "long": "qreg q[3];\n" + LONG,
}  # fmt: skip


def whole(name, body):
    return "OPENQASM 2.0;\n" + body if name == "no library" else HEAD + body


def theirs(text):
    return qasm2.loads(text, custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS)


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_means_what_it_means_to_qiskit(name):
    text = whole(name, TEXTS[name])
    circuit = theirs(text)
    program = program_from_qasm(text)
    found = oracle.unitary(program)
    assert oracle.equal_up_to_phase(found, Operator(circuit.reverse_bits()).data) < 1e-12
    # and outputs, through the circuit a user gets
    state, n = Statevector(circuit), circuit.num_qubits
    words = [(letter, wire) for letter in "XYZ" for wire in range(n)]
    observables = [f"{letter} {program.qubits[wire]}" for letter, wire in words]
    operators = [SparsePauliOp.from_sparse_list([(letter, [wire], 1.0)], n) for letter, wire in words]
    ours = qlazy.from_qasm(text, observables=observables)
    outputs = ours(torch.zeros(0, dtype=torch.float64), torch.zeros(1, 0, dtype=torch.float64))
    expected = [state.expectation_value(operator).real for operator in operators]
    np.testing.assert_allclose(outputs[0].numpy(), expected, atol=1e-12)


def test_there_are_thirty_texts():
    assert len(TEXTS) >= 30


GATES = [
    "u3(.3,.4,.5)",
    "u2(.3,.4)",
    "u1(.3)",
    "u0(1)",
    "u(.3,.4,.5)",
    "p(.3)",
    "id",
    "x",
    "y",
    "z",
    "h",
    "s",
    "sdg",
    "t",
    "tdg",
    "rx(.3)",
    "ry(.3)",
    "rz(.3)",
    "sx",
    "sxdg",
    "cx",
    "cz",
    "cy",
    "swap",
    "ch",
    "ccx",
    "cswap",
    "crx(.3)",
    "cry(.3)",
    "crz(.3)",
    "cu1(.3)",
    "cp(.3)",
    "cu3(.3,.4,.5)",
    "csx",
    "cu(.3,.4,.5,.6)",
    "rxx(.3)",
    "rzz(.3)",
    "rccx",
    "rc3x",
    "c3x",
    "c3sqrtx",
    "c4x",
    "U(.3,.4,.5)",
    "CX",
]


@pytest.mark.parametrize("call", GATES)
def test_every_gate_of_the_library_has_its_matrix(call):
    name = call.partition("(")[0]
    count = (
        {"c4x": 5} | dict.fromkeys(("rc3x", "c3x", "c3sqrtx"), 4) | dict.fromkeys(("ccx", "cswap", "rccx"), 3)
    )
    two = [
        "cx",
        "cz",
        "cy",
        "swap",
        "ch",
        "crx",
        "cry",
        "crz",
        "cu1",
        "cp",
        "cu3",
        "csx",
        "cu",
        "rxx",
        "rzz",
        "CX",
    ]
    width = count.get(name, 2 if name in two else 1)
    text = f"{HEAD}qreg q[{width}]; {call} {','.join(f'q[{k}]' for k in range(width))};"
    found = oracle.unitary(program_from_qasm(text))
    assert oracle.equal_up_to_phase(found, Operator(theirs(text).reverse_bits()).data) < 1e-12


MEASURED = {
    "teleportation": (
        "qreg q[3]; creg a[1]; creg b[1]; ry(0.7) q[0]; h q[1]; cx q[1],q[2]; cx q[0],q[1]; h q[0];"
        "measure q[0] -> a[0]; measure q[1] -> b[0]; if(b==1) x q[2]; if(a==1) z q[2];",
        "Z q[2]", np.cos(0.7)),
    "counting in a register": (
        "qreg q[3]; creg c[2]; ry(0.7) q[0]; ry(1.1) q[1]; measure q[0] -> c[0]; measure q[1] -> c[1];"
        "if(c==2) x q[2];", "Z q[2]", 1 - 2 * np.cos(0.35) ** 2 * np.sin(0.55) ** 2),
    "reset": ("qreg q[1]; ry(0.7) q[0]; reset q[0]; ry(0.2) q[0];", "Z q[0]", np.cos(0.2)),
    "whole registers": ("qreg q[2]; creg c[2]; ry(0.7) q; measure q -> c; if(c==3) x q[0];", "Z q[0]",
                        np.cos(0.7) + 2 * np.sin(0.35) ** 4),
    "named by a word of version 3": ("qreg q[2]; creg out[1]; creg let[1]; ry(0.7) q[0]; measure q[0] -> let[0];"
                                     "if(let==1) x q[1];", "Z q[1]", np.cos(0.7)),
}  # fmt: skip


@pytest.mark.parametrize("name", MEASURED)
def test_measured_texts_against_closed_forms(name):
    body, observable, expected = MEASURED[name]
    circuit = qlazy.from_qasm(HEAD + body, observables=[observable])
    found = circuit(torch.zeros(0, dtype=torch.float64), torch.zeros(1, 0, dtype=torch.float64))
    assert found.item() == pytest.approx(expected, abs=1e-12)


def test_angles_of_named_gates_become_a_weight():
    text = HEAD + (
        "gate block(t) a { rx(t/2) a; } qreg q[2]; rx(pi/2) q[0]; ry(0.1) q[0]; rz(0.2) q[1]; ry(0.3) q; block(1) q[1];"
    )
    fixed = qlazy.from_qasm(text)
    x = torch.zeros(1, 0, dtype=torch.float64)
    some = qlazy.from_qasm(text, weights=["ry", "rz"])
    every = qlazy.from_qasm(text, weights="all")
    assert {name: b.stop - b.start for name, b in some.blocks.items()} == {"w": 3}
    assert every.num_params == 5
    expected = fixed(torch.zeros(0, dtype=torch.float64), x)
    torch.testing.assert_close(some(torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64), x), expected)
    at = torch.tensor([np.pi / 2, 0.1, 0.2, 0.3, 1.0], dtype=torch.float64)
    torch.testing.assert_close(every(at, x), expected)
    # <Z q[0]> = cos(rx) cos(ry + ry')
    slope = every.jacobian(at + 0.2, x)[0, 0]
    bent = -np.sin(np.pi / 2 + 0.2) * np.cos(0.8)
    torch.testing.assert_close(slope[0].item(), bent)
    assert slope[2].item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("body", "arguments", "message"),
    [
        ("opaque magic(a) q; qreg q[1];", {}, r"3:1: an opaque gate has no definition"),
        ("qreg q[1]; opaque magic q;", {}, r"3:12: an opaque gate has no definition"),
        ("qreg q[1]; rx(1/0) q[0];", {}, r"3:15"),
        ("qreg q[1]; foo q[0];", {}, r"3:12: unknown gate `foo`"),
        ("qreg q[1]; ry(1) q[0]; x q[0];", {"weights": ["x"]}, r"those called with angles are ry"),
        ("qreg q[1]; ry(1) q[0];", {"weights": ["rx"]}, r"`weights` must name gates with angles"),
        ("qreg q[1]; x q[0];", {"weights": "all"}, r"none has angles"),
        ("qreg w[1]; ry(1) w[0];", {"weights": "all"}, r"`w` is declared twice"),
    ],
)  # fmt: skip
def test_what_is_refused(body, arguments, message):
    with pytest.raises(qlazy.QasmError, match=message):
        qlazy.from_qasm(HEAD + body, **arguments)


def test_weights_are_for_version_2_and_named_in_a_list():
    with pytest.raises(qlazy.QasmError, match="`weights` is for OpenQASM 2"):
        qlazy.from_qasm('OPENQASM 3.0; include "stdgates.inc"; qubit q; ry(0.1) q;', weights="all")
    with pytest.raises(TypeError, match="`weights` must be a list of texts"):
        qlazy.from_qasm(HEAD + "qreg q[1]; ry(1) q[0];", weights="ry")


def test_the_library_is_named_where_it_is_missing():
    with pytest.raises(qlazy.QasmError, match=r'unknown gate `x`; write include "qelib1.inc"'):
        qlazy.from_qasm("OPENQASM 2.0; qreg q[1]; x q[0];")


def test_an_included_file_and_a_loaded_one_are_of_version_2_too(tmp_path):
    (tmp_path / "own.inc").write_text("gate half a { rx(1/2) a; }")
    (tmp_path / "x.qasm").write_text(HEAD + 'include "own.inc"; qreg q[1]; half q[0];')
    circuit = qlazy.load_circuit(tmp_path / "x.qasm")
    outputs = circuit(torch.zeros(0, dtype=torch.float64), torch.zeros(1, 0, dtype=torch.float64))
    assert outputs.item() == pytest.approx(np.cos(0.5), abs=1e-12)

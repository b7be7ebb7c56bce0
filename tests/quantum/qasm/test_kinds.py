"""The kinds of program that the language was made for, each read and run right, or refused in words with its place.

Adders, phase estimation, codes, teleportation, repeat-until-success, time, calibrations: short texts of our own, with
expectation values in closed form.
"""

import math

import pytest
import torch

import qlazy
from qlazy.quantum.corpus import program_from_qasm
from qlazy.quantum.program.printing import to_qasm

HEAD = 'OPENQASM 3.0; include "stdgates.inc";\n'


def values(text, observables=()):
    circuit = qlazy.from_qasm(HEAD + text, observables=observables)
    return circuit(torch.zeros(0, dtype=torch.float64), torch.zeros(1, 0, dtype=torch.float64))[0].tolist()


ADDER = """
gate carry a, b, c { cx c, b; cx c, a; ccx a, b, c; }
gate back a, b, c { ccx a, b, c; cx c, a; cx a, b; }
qubit[1] first; qubit[2] a; qubit[2] b; qubit[1] last; bit[3] sum;
uint[2] left = 3; uint[2] right = 2;
reset first; reset a; reset b; reset last;
for uint i in [0:1] { if (bool(left[i])) x a[i]; if (bool(right[i])) x b[i]; }
carry first[0], b[0], a[0]; carry a[0], b[1], a[1]; cx a[1], last[0];
back a[0], b[1], a[1]; back first[0], b[0], a[0];
measure b[0:1] -> sum[0:1]; measure last[0] -> sum[2];
"""
# The Fourier transform of |5>, taken back with measured corrections: 5 again, its highest bit measured first.
SEMICLASSICAL = """
qubit[3] q; bit[3] c; reset q; h q; rz(2 * pi * 5 / 2.0) q[0]; rz(2 * pi * 5 / 4.0) q[1]; rz(2 * pi * 5 / 8.0) q[2];
h q[0]; c[0] = measure q[0];
if (int[4](c) == 1) { rz(-pi / 2) q[1]; }
h q[1]; c[1] = measure q[1];
if (int[4](c) == 1) { rz(-pi / 4) q[2]; }
if (int[4](c) == 2) { rz(-pi / 2) q[2]; }
if (int[4](c) == 3) { rz(-3 * pi / 4) q[2]; }
h q[2]; c[2] = measure q[2];
"""
SEMICLASSICAL_BITS = """
qubit[2] q; bit c0; bit c1; reset q; h q; rz(3 * pi) q[0]; rz(3 * pi / 2) q[1];
h q[0]; measure q[0] -> c0; if (c0) rz(-pi / 2) q[1]; h q[1]; measure q[1] -> c1;
"""
CODE = """
def syndrome(qubit[3] d, qubit[2] a) -> bit[2] {
  bit[2] s; cx d[0], a[0]; cx d[1], a[0]; cx d[1], a[1]; cx d[2], a[1]; measure a -> s; return s;
}
qubit[3] q; qubit[2] a; bit[2] s; reset q; reset a; x q[FAULT]; barrier q; s = syndrome(q, a);
if (int[3](s) == 1) x q[0]; if (int[3](s) == 2) x q[2]; if (int[3](s) == 3) x q[1];
"""
TELEPORT = """
qubit[3] q; bit c0; bit c1; gate after r { } reset q; U(0.3, 0.2, 0.1) q[0]; h q[1]; cx q[1], q[2]; barrier q;
cx q[0], q[1]; h q[0]; c0 = measure q[0]; c1 = measure q[1]; if (c0 == 1) z q[2]; if (c1 == 1) { x q[2]; } after q[2];
"""
CHAIN = """
const uint pairs = 3; qubit[2 * pairs + 1] q; bit[2] f;
def bell(qubit[2] p) { reset p; h p[0]; cx p[0], p[1]; }
def joint(qubit a, qubit b) -> bit[2] { bit[2] r; cx a, b; h a; r[0] = measure a; r[1] = measure b; return r; }
let from = q[2 * pairs]; U(0.3, 0.2, 0.1) from; let first = q[0:1]; bell(first);
f = joint(from, first[0]); if (f[0] == 1) z first[1]; if (f[1] == 1) x first[1];
for uint i in [1:pairs - 1] {
  let pair = q[2 * i:2 * i + 1]; bell(pair); f = joint(q[2 * i - 1], pair[0]);
  if (f[0] == 1) z pair[1]; if (f[1] == 1) x pair[1];
}
"""
# Each round succeeds with probability 5/8; ten rounds leave (3/8)^10.
UNTIL_SUCCESS = """
def attempt(qubit[2] a, qubit p) -> bit[2] {
  bit[2] b; reset a; h a; ccx a[0], a[1], p; s p; ccx a[0], a[1], p; z p; h a; measure a -> b; return b;
}
qubit p; qubit[2] a; bit[2] flags = "11"; reset p; h p;
BOUND
while (int[3](flags) != 0) { flags = attempt(a, p); }
rz(pi - arccos(3.0 / 5)) p; h p;
"""
SHOTS = """
const int[32] n = 2; qubit[n] q; def trial(qubit[n] r) { for uint i in [0:n - 1] { ry(0.1 * (i + 1)) r[i]; } }
def count(bit[n] which, qubit[n] r) -> uint[32] {
  uint[32] found = 0; bit b;
  for uint i in [1:2] {
    b = 0; reset r; trial(r); for uint j in [0:n - 1] { if (which[j]) { b = measure r[j]; } } found += uint[32](b);
  }
  return found;
}
uint[32] k = count("01", q); if (k == 2) { x q[1]; }
"""
P = math.sin(0.05) ** 2  # of 1 in one shot of q[0] turned by 0.1
TIMED = """
duration stride = 1us; const int points = 3; int[32] ones = 0;
for int p in [0:points - 1] { for int i in [1:2] { bit c; reset $0; x $0; delay[p * stride] $0; c = measure $0; } }
"""
READ = {
    "adder": (ADDER, ["Z b[0]", "Z b[1]", "Z last[0]"], [-1, 1, -1]),  # 3 + 2 = 0b101
    "fourier": (
        "qubit[3] q; x q[0]; x q[2]; barrier q; h q[0]; cphase(pi / 2) q[1], q[0]; h q[1]; cphase(pi / 4) q[2], q[0]; "
        "cphase(pi / 2) q[2], q[1]; h q[2];",
        ["X q[0]", "Y q[0]", "X q[1]", "Y q[1]", "X q[2]"],
        [math.cos(1.25 * math.pi), math.sin(1.25 * math.pi), 0, 1, -1],
    ),
    "fourier back": (SEMICLASSICAL, [], [-1, 1, -1]),
    "fourier back, bit by bit": (SEMICLASSICAL_BITS, [], [-1, -1]),
    "code, no fault": (CODE.replace("x q[FAULT];", ""), ["Z q[0]", "Z q[1]", "Z q[2]"], [1, 1, 1]),
    **{
        f"code, fault {k}": (CODE.replace("FAULT", str(k)), ["Z q[0]", "Z q[1]", "Z q[2]"], [1, 1, 1])
        for k in range(3)
    },
    "teleport": (TELEPORT, ["Z q[2]", "X q[2]"], [math.cos(0.3), math.sin(0.3) * math.cos(0.2)]),
    "teleport along pairs": (
        CHAIN,
        ["Z q[5]", "Y q[5]"],
        [math.cos(0.3), math.sin(0.3) * math.sin(0.2)],
    ),
    "until success": (UNTIL_SUCCESS.replace("BOUND", "@qlazy.bound 10"), ["Z p"], [1]),
    "process tomography": (
        "gate pre r { } gate post r { } qubit q; bit c; reset q; pre q; barrier q; h q; barrier q; post q;",
        ["X q"],
        [1],
    ),
    "benchmarking": (
        "qubit[2] q; reset q; h q[0]; barrier q; cz q[0], q[1]; s q[0]; barrier q; cz q[0], q[1]; s q[0]; z q[0]; "
        "h q[0];",
        [],
        [1, 1],
    ),
    "own controlled phase": (
        "gate mine(θ) a, b { U(0, 0, θ / 2) a; cx a, b; U(0, 0, -θ / 2) b; cx a, b; U(0, 0, θ / 2) b; } "
        "qubit[2] q; x q[0]; h q[1]; mine(π / 2) q[0], q[1];",
        ["X q[1]", "Y q[1]"],
        [0, 1],
    ),
    "shots counted": (SHOTS, ["Z q[1]"], [math.cos(0.2) * (1 - P * P) - math.cos(0.2) * P * P]),
    "alignment": (
        "stretch g; qubit[3] q; barrier q; cx q[0], q[1]; delay[g] q[2]; U(pi / 4, 0, pi / 2) q[2]; delay[2 * g] q[2];",
        [],
        [1, 1, math.cos(math.pi / 4)],
    ),
    "decoupling": (
        "stretch a; duration s = 0.5 * durationof({x $0;}); "
        "box { delay[a] $0; x $0; delay[a - s] $0; x $0; ry(0.3) $1; cx $0, $1; }",
        [],
        [1, math.cos(0.3)],
    ),
    "relaxation": (TIMED, [], [-1]),
    "sums of arrays": (
        "def total(readonly array[float[64], #dim = 1] v) -> float[64] "
        "{ float[64] s = 0.0; for uint i in [0:sizeof(v) - 1] { s += v[i]; } return s; } "
        "array[float[64], 3] a = {0.1, 0.2, 0.4}; qubit q; rx(total(a)) q;",
        [],
        [math.cos(0.7)],
    ),
    "branches on what is known": (
        "qubit[2] q; int k = 1; if (k > 0) { x q[0]; } else { x q[1]; }",
        [],
        [-1, 1],
    ),
}


@pytest.mark.parametrize("name", READ)
def test_read_and_run(name):
    text, observables, expected = READ[name]
    assert values(text, observables) == pytest.approx(
        expected, abs=2e-4 if name == "until success" else 1e-12
    )


# `^` marks the place; the statement stands on line 2.
REFUSED = {
    "votes": (
        "^extern vote(bit[3]) -> bit; qubit[3] q;",
        "what they return is not in the text; write a `def`",
    ),
    "parameters from outside": ("^extern parameter(uint[32]) -> angle[32]; qubit q;", "external functions"),
    "calibrated gates": ("x $0; ^defcal x $0 { play(drive($0)); }", "by which pulses a machine makes a gate"),
    "grammar of calibrations": ('^defcalgrammar "openpulse"; qubit q;', "calibrations are not supported"),
    "blocks of calibrations": ("^cal { } qubit q;", "calibrations are not supported"),
    "loops without a bound": (
        "qubit q; bit b; ^while (b == 0) { h q; b = measure q; }",
        "write `@qlazy.bound 18`",
    ),
    "bits in an angle": ("qubit q; angle[3] c = 0; ^c[0] = measure q;", "`c` is not declared as `bit`"),
    "outputs": (
        "^output float[64] energy; qubit q;",
        "name what to return with `pragma qlazy.observable Z q[0]`",
    ),
    "inputs that are no angles": ("^input uint[4] paddle; qubit q;", "must be float or angle"),
    "arrays that subroutines change": (
        "qubit q; def f(mutable array[int, 2] a) { a[0] = 1; } array[int, 2] b; ^f(b);",
        "handed over as `readonly array`",
    ),
    "parts of arrays": (
        "qubit q; array[int, 3] a = {1, 2, 3}; array[int, 2] b = a[^0:1];",
        "one element at a time",
    ),
    "no qubits": ("array[int, 3] a = {1, 2, 3};", "declares no qubits"),
    "a gate of the library again": (
        "gate ^cphase(t) a, b { } qubit q;",
        "defined twice: it is in the library",
    ),
    "gates of version 2": (
        "qubit[2] q; ^rzz(0.3) q[0], q[1];",
        "stdgates.inc lacks it, so that a program defines it",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_words(name):
    before, mark, after = REFUSED[name][0].partition("^")
    with pytest.raises(qlazy.QasmError) as caught:
        program_from_qasm(HEAD + (before + after if mark else before))
    error = caught.value
    assert REFUSED[name][1] in error.message
    if mark and "f(b)" not in after:  # where an argument is refused, the argument is shown
        assert (error.line, error.column) == (2, len(before) + 1)


@pytest.mark.parametrize("gate", ["u", "csx", "rzz", "rxx", "iswap", "r"])
def test_gates_beyond_the_library_come_with_a_definition_that_is_right(gate):
    """What the message tells one to write is read, and means what qiskit means by it."""
    library = pytest.importorskip("qiskit.circuit.library")
    from tests import oracle

    theirs = {
        "u": "UGate",
        "csx": "CSXGate",
        "rzz": "RZZGate",
        "rxx": "RXXGate",
        "iswap": "iSwapGate",
        "r": "RGate",
    }
    angles = {"u": [0.3, 0.5, 0.7], "rzz": [0.3], "rxx": [0.3], "r": [0.3, 0.5]}.get(gate, [])
    made = getattr(library, theirs[gate])(*angles)
    shown = f"({', '.join(map(str, angles))})" if angles else ""
    call = f"{gate}{shown} {', '.join(f'q[{k}]' for k in range(made.num_qubits))};"
    with pytest.raises(qlazy.QasmError) as caught:
        program_from_qasm(f"{HEAD}qubit[2] q; {call}")
    definition = caught.value.message.split("`")[-2]
    program = program_from_qasm(f"{HEAD}{definition} qubit[{made.num_qubits}] q; {call}")
    order = made.to_matrix() if made.num_qubits == 1 else oracle.SWAP @ made.to_matrix() @ oracle.SWAP
    assert oracle.equal_up_to_phase(oracle.unitary(program), order) < 1e-12


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("const uint[4] u = 5; if (u[0]) { x q; }", -1),
        ("const uint[4] u = 5; if (u[1]) { x q; }", 1),
        ("uint[4] u = 5; if (u[-2] == 1) { x q; }", -1),
        ("int[4] u = -1; if (u[3]) { x q; }", -1),
        ("uint u = 4; bit b = u[2]; if (b) { x q; }", -1),
        ("x q; bit b = measure q; uint[2] u = 2; if (b) { u = 1; } if (u[0]) { x q; }", 1),
        ("x q; bit b = measure q; uint[2] u = 2; if (b) { u = 1; } if (u[1]) { x q; }", -1),
    ],
)
def test_bits_of_integers(text, value):
    assert values("qubit q; " + text) == [value]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("uint[4] u = 5; bit c = u[4];", "from -4 to 3"),
        ("float u = 5; bit c = u[0];", "an index into a number"),
        ("uint[4] u = 5; bit c = u[0:1];", "one bit can be read at a time"),
        ("uint[4] u = 5; bit c = u[0][1];", "an index into a number"),
    ],
)
def test_bits_of_integers_refused(text, words):
    with pytest.raises(qlazy.QasmError, match=words):
        program_from_qasm(HEAD + "qubit q; " + text)


PHYSICAL = [
    ("x $3; ry(0.3) $1;", ("$1", "$3"), [math.cos(0.3), -1]),
    ("x $10; cx $10, $9;", ("$9", "$10"), [-1, -1]),
    ("x $007; x $7; ry(0.3) $7;", ("$7",), [math.cos(0.3)]),
    ("def f(qubit a) { x a; x $2; } f($0);", ("$0", "$2"), [-1, -1]),
    ("bit c; x $0; c = measure $0; if (c) { ry(0.2) $5; } reset $0;", ("$0", "$5"), [1, math.cos(0.2)]),
    ("x $1;\ny $0;\nx $1;\ny $0; barrier $0, $1; let a = $1;\nry(0.4) a;", ("$0", "$1"), [1, math.cos(0.4)]),
    (
        "gate g a, b { cx a, b; } x $4; ctrl @ ry(0.4) $4, $0; g $0, $2; g $0, $2;",
        ("$0", "$2", "$4"),
        [math.cos(0.4), 1, -1],
    ),
]


@pytest.mark.parametrize(("text", "names", "expected"), PHYSICAL)
def test_physical_qubits(text, names, expected):
    """A wire for each that is named, in the order of their numbers; written back under their names."""
    assert program_from_qasm(HEAD + text).qubits == names
    assert values(text) == pytest.approx(expected)
    again = to_qasm(program_from_qasm(HEAD + text))
    assert "qubit" not in again
    assert program_from_qasm(again).qubits == names
    assert values(again[again.index(";\n", 20) + 2 :]) == pytest.approx(expected)
    assert values(text, [f"2 Z {names[0]}"]) == pytest.approx([2 * expected[0]])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("qubit q; x $0;", "physical qubits, such as `\\$0`, or registers, not both"),
        ("gate g a { x $0; } x $0;", "acts on its own qubits, not on the physical qubit `\\$0`"),
        ("cx $0, $00;", "acts on `\\$0` twice"),
        ("cx $0;", "2 qubit operands are needed"),
        ("x $0; $0 = 3;", "not expected here"),
    ],
)
def test_physical_qubits_refused(text, words):
    with pytest.raises(qlazy.QasmError, match=words):
        program_from_qasm(HEAD + text)
    with pytest.raises(qlazy.QasmError, match="no physical qubit `\\$3`"):
        program_from_qasm(HEAD + "x $0;", observables=["Z $3"])


def test_sxdg_is_there_until_a_program_defines_its_own():
    assert values("qubit q; sxdg q;", ["Y q"]) == pytest.approx([1])
    assert values("gate sxdg a { ry(0.3) a; } qubit q; sxdg q;") == pytest.approx([math.cos(0.3)])
    assert values(
        "qubit[2] q; h q[0]; ctrl @ sx q[0], q[1]; ctrl @ sxdg q[0], q[1];", ["X q[0]"]
    ) == pytest.approx([1])
    with pytest.raises(qlazy.QasmError, match="defined twice"):
        program_from_qasm(HEAD + "gate sxdg a { } gate sxdg a { } qubit q;")

"""What statements mean: programs against gates written out by hand, or against the oracle's matrix."""

import math

import numpy as np
import pytest

from qlazy.base.errors import IgnoredPragmaWarning
from qlazy.quantum.corpus import load_program, program_from_qasm
from qlazy.quantum.qasm import QasmError
from tests import oracle

HEADER = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'


def read(body, **options):
    return program_from_qasm(HEADER + body, **options)


def gates(body, **options):
    return [str(gate) for gate in read(body, **options).operations]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("qubit[3] q; h q;", "h 0;h 1;h 2"),
        ("qubit a; qubit[2] b; x b; x a;", "x 1;x 2;x 0"),
        ("qubit[2] a; qubit[2] b; cx a, b;", "ctrl @ x 0, 2;ctrl @ x 1, 3"),
        ("qubit a; qubit[2] b; cx a, b;", "ctrl @ x 0, 1;ctrl @ x 0, 2"),
        ("qubit a; qubit[2] b; cx b, a;", "ctrl @ x 1, 0;ctrl @ x 2, 0"),
        ("qreg q[2]; x q;", "x 0;x 1"),
        ("qubit[1] a; qubit b; cx a, b;", "ctrl @ x 0, 1"),
        ("qubit[5] q; x q[1:3];", "x 1;x 2;x 3"),
        ("qubit[5] q; x q[0:2:4];", "x 0;x 2;x 4"),
        ("qubit[5] q; x q[3:-1:1];", "x 3;x 2;x 1"),
        ("qubit[5] q; x q[-2:-1];", "x 3;x 4"),
        ("qubit[5] q; x q[:1];", "x 0;x 1"),
        ("qubit[3] q; x q[:];", "x 0;x 1;x 2"),
        ("qubit[3] q; x q[2:-1:0];", "x 2;x 1;x 0"),
        ("qubit[5] q; x q[{4, 0, -2}];", "x 4;x 0;x 3"),
        ("qubit[5] q; x q[-1];", "x 4"),
        ("qubit[5] q; x q[1:4][{0, 2}];", "x 1;x 3"),
        ("qubit[4] q; let a = q[1:2]; x a; y a[1];", "x 1;x 2;y 2"),
        ("qubit[2] a; qubit[2] b; let c = b ++ a[0]; x c; y c[2];", "x 2;x 3;x 0;y 0"),
        ("qubit[4] a; let b = a[{3, 1}] ++ a[0:0] ++ a[2]; x b;", "x 3;x 1;x 0;x 2"),
        ("qubit[3] q; ctrl @ x q[0:1], q[2];", "ctrl @ x 0, 2;ctrl @ x 1, 2"),
    ],
)
def test_registers(body, expected):
    assert gates(body) == expected.split(";")


@pytest.mark.parametrize(
    ("loop", "indices"),
    [
        ("int i in [0:3]", [0, 1, 2, 3]),
        ("int i in [3:-1:1]", [3, 2, 1]),
        ("int i in [0:2:4]", [0, 2, 4]),
        ("int i in [0:2:5]", [0, 2, 4]),
        ("int i in [1:0]", []),
        ("uint[8] i in {4, 0, 2}", [4, 0, 2]),
        ("int i in [n - 5 : n - 4]", [0, 1]),
        ("int i in list", [3, 1]),
    ],
)
def test_loops_are_inclusive(loop, indices):
    body = f"const int n = 5; array[int[32], 2] list = {{3, 1}}; qubit[5] q; for {loop} {{ x q[i]; }}"
    assert gates(body) == [f"x {i}" for i in indices]


def test_a_loop_over_reals_and_over_an_input():
    assert gates("qubit q; for float f in {0.5, 2} rx(f) q;") == ["rx(0.5) 0", "rx(2.0) 0"]
    body = "input array[float[64], 2] w; qubit q; for float f in w { rx(2 * f) q; }"
    assert gates(body) == ["rx(2.0 * w[0]) 0", "rx(2.0 * w[1]) 0"]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("7 / 2 * 1.0", None),
        ("7.0 / 2", 3.5),
        ("int(7 / 2) * 1.0", 3.0),
        ("-int(7 / 2)", -3.0),
        ("int(-7 / 2)", -3.0),
        ("-7 % 3", -1.0),
        ("7 % -3", 1.0),
        ("mod(-7, 3)", -1.0),
        ("7.5 % 2", 1.5),
        ("2 ** 3 ** 2", 512.0),
        ("-2 ** 2", -4.0),
        ("2.0 ** -1", 0.5),
        ("(-1) ** 1000001", -1.0),
        ("1 << 4 | 1", 17.0),
        ("6 & 3 ^ 1", 3.0),
        ("-3 * -2", 6.0),
        ("pi / 2", math.pi / 2),
        ("π + τ + ℇ", 3 * math.pi + math.e),
        ("tau - euler", math.tau - math.e),
        ("sin(0.3) + cos(0.3)", math.sin(0.3) + math.cos(0.3)),
        ("tan(0.3) * arctan(0.3)", math.tan(0.3) * math.atan(0.3)),
        ("arcsin(0.3) - arccos(0.3)", math.asin(0.3) - math.acos(0.3)),
        ("exp(1) * log(3) / sqrt(2)", math.e * math.log(3) / math.sqrt(2)),
        ("floor(-0.5) + ceiling(1.2)", 1.0),
        ("popcount(7)", 3.0),
        ("float(3) / 2", 1.5),
        ("0x1F + 0b11 + 0o7 + 1_0", 51.0),
        ("1.5e-1", 0.15),
    ],
)
def test_constant_arithmetic(expression, value):
    if value is None:
        with pytest.raises(ValueError, match="divides integers and would be 3"):
            gates(f"qubit q; rx({expression}) q;")
        return
    (gate,) = read(f"qubit q; rx({expression}) q;").operations
    assert gate.angles[0].value == pytest.approx(value, rel=1e-15)


def test_integers_divide_towards_zero_where_an_integer_is_wanted():
    body = "const int n = 7; const int half = n / 2; int less = -n / 2; qubit[n] q; "
    body += "x q[half]; x q[less + n]; x q[n/3];"
    assert gates(body) == ["x 3", "x 4", "x 2"]


def test_angles_of_inputs_are_symbolic():
    body = """
    input float[64] a; input angle b; input array[float[64], 2, 3] w;
    gate g(s, t) u, v { rx(s * t) u; ry(-t) v; cx u, v; }
    qubit[2] q;
    g(2 * a, sin(b)) q[0], q[1];
    rz(w[1, 2] / 3 + w[-1][0]) q[1];
    inv @ g(w[0, 0], pi) q[1], q[0];
    """
    program = read(body)
    assert [str(gate) for gate in program.operations] == [
        "rx(2.0 * a * sin(b)) 0",
        "ry(-sin(b)) 1",
        "ctrl @ x 0, 1",
        "rz(w[1, 2] / 3.0 + w[1, 0]) 1",
        "ctrl @ x 1, 0",
        "ry(3.141592653589793) 0",
        "rx(-(w[0, 0] * 3.141592653589793)) 1",
    ]
    assert program.weights == {"a": (), "b": (), "w": (2, 3)}
    assert (program.num_params, program.num_features) == (8, 0)


@pytest.mark.parametrize("value", ["pi / 3", "1.0", "-0.1"])
def test_angles_that_their_width_would_round_are_refused(value):
    for body in (f"angle[4] a = {value}; rx(a) q;", f"rx(float(angle[4]({value}))) q;"):
        with pytest.raises(QasmError, match="holds multiples of 2\\*pi/16 and would round"):
            read(f"input float w; qubit q; rx(w) q; {body}")


@pytest.mark.parametrize(
    "text", ["angle[4] a = 3 * pi / 8", "angle[32] a = pi / 3", "angle a = pi / 3", "angle[4] a = w"]
)
def test_angles_that_their_width_holds_are_read(text):
    read(f"input float w; qubit q; rx(w) q; {text}; rx(a) q;")


def test_data_and_weights_keep_their_declared_order():
    body = """
    input float b;
    @qlazy.data
    input array[float[32], 2] z;
    input angle[16] a;
    @other.annotation text
    @qlazy.data
    input float y;
    qubit q; rx(a + b + y + z[0]) q;
    """
    program = read(body)
    assert list(program.weights.items()) == [("b", ()), ("a", ())]
    assert list(program.data.items()) == [("z", (2,)), ("y", ())]
    assert list(read(body, data=("b",)).data) == ["b", "z", "y"]


def test_a_gate_and_an_input_may_share_a_name():
    assert gates("input array[float[64], 1] x; qubit q; rx(x[0]) q; x q;") == ["rx(x[0]) 0", "x 0"]


def test_variables_assignments_and_scopes():
    body = """
    input float w;
    qubit[4] q;
    int k = 1;
    float angle_so_far = 0;
    array[float[64], 2, 2] table = {{1, 2}, {3, 4}};
    table[1, 0] += w;
    for int i in [0:2] {
      int k = 2 * i;
      angle_so_far += k;
      if (i == 1) { k += 1; } else if (i > 1) { k -= 1; }
      x q[k];
    }
    k *= 3;
    x q[k];
    rx(angle_so_far) q[0];
    ry(table[1, 0] * table[0, 1]) q[0];
    { int k = 0; x q[k]; }
    """
    assert gates(body) == ["x 0", "x 3", "x 3", "x 3", "rx(6.0) 0", "ry((3.0 + w) * 2.0) 0", "x 0"]


def test_conditions_on_constants():
    body = "const int n = 3; const bool b = n > 2 && !(n == 4); qubit q; "
    body += "if (b) x q; else y q; if (n % 2 == 0) z q;"
    assert gates(body) == ["x 0"]


def test_sizes_are_set_and_what_depends_on_them_follows():
    body = (
        "const int n = 2; const uint m = 1; const int twice = 2 * n; const float f = 1; qubit[twice + m] q;"
    )
    assert read(body).sizes == {"n": 2, "m": 1}
    assert read(body, n=4, m=np.int64(3)).num_qubits == 11
    assert read(body, n=4, m=3).sizes == {"n": 4, "m": 3}


def test_gates_in_gates_loops_in_gates_and_constants_in_gates():
    body = """
    const int rounds = 2;
    gate a(t) p, q { for int i in [1:rounds] { rx(t / i) p; } barrier p, q; }
    gate b(t) p, q { a(t + 1.0) q, p; ctrl @ U(0, 0, t) p, q; }
    qubit[2] r; b(2) r[0], r[1];
    """
    assert gates(body) == ["rx(3.0) 1", "rx(1.5) 1", "ctrl @ p(2.0) 0, 1"]


def test_gates_over_u_alone_without_the_library():
    text = "gate h a { U(π/2, 0, π) a; gphase(-π/4); }"
    text += "gate cx a, b { ctrl @ U(π, 0, π) a, b; ctrl @ gphase(-π/2) a; }"
    program = program_from_qasm(text + "qubit[2] q; h q[0]; cx q[0], q[1];")
    bell = np.array([1, 0, 0, 1]) / math.sqrt(2)
    np.testing.assert_allclose(oracle.unitary(program)[:, 0], bell, atol=1e-15)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("ctrl(2) @ x q[0], q[1], q[2];", ([0, 1], [1, 1])),
        ("negctrl(2) @ x q[0], q[1], q[2];", ([0, 1], [0, 0])),
        ("ctrl @ negctrl @ x q[0], q[1], q[2];", ([0, 1], [1, 0])),
        ("negctrl @ ctrl @ x q[1], q[0], q[2];", ([1, 0], [0, 1])),
        ("inv @ ctrl @ pow(3) @ negctrl @ x q[0], q[1], q[2];", ([0, 1], [1, 0])),
    ],
)
def test_modifiers_stack(call, expected):
    controls, values = expected
    matrix = oracle.embed(oracle.X, [2], 3, controls, values)
    np.testing.assert_allclose(oracle.unitary(read("qubit[3] q;" + call)), matrix, atol=1e-13)


@pytest.mark.parametrize("values", [(1,), (0,), (1, 1), (0, 1), (1, 0), (0, 0)])
def test_controlled_global_phase(values):
    """e^{0.3i} on the one basis state where the controls have their values, and nothing elsewhere."""
    modifiers = "".join("ctrl @ " if value else "negctrl @ " for value in values)
    operands = ", ".join(f"q[{k}]" for k in range(len(values)))
    program = read(f"input float g; qubit[{len(values)}] q; {modifiers} gphase(g) {operands};")
    diagonal = np.ones(2 ** len(values), dtype=complex)
    diagonal[int("".join(map(str, values)), 2)] = np.exp(0.3j)
    np.testing.assert_allclose(oracle.unitary(program, [0.3]), np.diag(diagonal), atol=1e-15)


def test_global_phase_of_a_program_is_kept():
    program = read("qubit q; gphase(pi / 3); rz(0) q;")
    np.testing.assert_allclose(oracle.unitary(program), np.exp(1j * np.pi / 3) * np.eye(2), atol=1e-15)


def test_powers_of_user_gates():
    body = "gate g p, q { h p; cx p, q; t q; } qubit[3] q; {} g q[1], q[0];"
    once = oracle.unitary(read(body.replace("{}", "")))
    half = oracle.unitary(read(body.replace("{}", "pow(0.5) @")))
    np.testing.assert_allclose(half @ half, once, atol=1e-12)
    np.testing.assert_allclose(
        oracle.unitary(read(body.replace("{}", "pow(-3) @"))), np.linalg.inv(once @ once @ once)
    )


def test_includes_are_relative_to_their_file(tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "gates.inc").write_text('include "more.inc"; gate double(t) q { turn(2 * t) q; }')
    (tmp_path / "lib" / "more.inc").write_text('include "stdgates.inc"; gate turn(t) q { rx(t) q; }')
    main = tmp_path / "main.qasm"
    main.write_text('OPENQASM 3;\ninclude "lib/gates.inc";\nconst int n = 1;\nqubit[n] q; double(0.5) q;')
    program = load_program(main, n=2)
    assert [str(gate) for gate in program.operations] == ["rx(1.0) 0", "rx(1.0) 1"]
    assert (program.name, program.path, program.sizes) == ("main", str(main), {"n": 2})


def test_what_other_tools_say_is_left_alone():
    body = "pragma vendor.noise 0.1\n#pragma other\n@vendor.hint 3\nqubit[2] q;\n"
    body += "barrier q; barrier q[0], q[1]; barrier;"
    with pytest.warns(IgnoredPragmaWarning):
        assert gates(body + "x q[0]; // comment\n/* and\nanother */") == ["x 0"]


def test_line_ends_and_byte_order_marks():
    assert (
        len(program_from_qasm("\ufeffOPENQASM 3;\r\nqubit q;\r\nU(0.1,\r 0.2, 0.3) q;\r\n").operations) == 1
    )


def test_the_default_outputs_are_z_of_every_qubit():
    program = read("qubit[2] a; qubit b; x a[1];")
    np.testing.assert_allclose(oracle.outputs(program), [1, -1, 1], atol=1e-15)
    assert program.qubits == ("a[0]", "a[1]", "b")


@pytest.mark.parametrize("comment", ["/* a ^ b */", "/* a\n ^ b */", "// ^", "/* // */ // ^"])
def test_a_caret_in_a_comment_of_version_2_is_no_power(comment):
    text = f'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[1];\n{comment}\nry(0.3) q[0];\n'
    assert program_from_qasm(text).num_qubits == 1
    squared = program_from_qasm(text.replace("0.3", "0.3^/* ^ */2"))
    np.testing.assert_allclose(oracle.outputs(squared), [np.cos(0.09)], atol=1e-15)

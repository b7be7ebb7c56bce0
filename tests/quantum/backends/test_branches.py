"""Programs that measure, branch and loop, against an independent interpreter of their text."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import qlazy
from qlazy.quantum.corpus import program_from_qasm
from tests import interpreter

HEADER = """OPENQASM 3.0;
include "stdgates.inc";
qubit[3] q;
input float a;
input float b;
@qlazy.data
input float x0;
"""
PARAMS, ROW = (0.7, -1.3), 0.4
OBSERVABLES = ("Z q[0]", "X q[1]", "Y q[2]", "Z q[0] X q[1] Z q[2]")
LETTERS = ({0: "Z"}, {1: "X"}, {2: "Y"}, {0: "Z", 1: "X", 2: "Z"})
START = "ry(a) q[0]; rx(0.9) q[1]; ry(b) q[2]; cx q[0], q[1]; crx(a*b) q[1], q[2]; rz(x0) q[2]; h q[2];\n"


def circuit(body, loops="exit"):
    pragma = f"pragma qlazy.loops {loops}\n"
    return qlazy.from_qasm(HEADER + pragma + body, observables=OBSERVABLES)


def expected(body, params=PARAMS, row=ROW, loops="exit"):
    inputs = {"a": params[0], "b": params[1], "x0": row}
    return interpreter.outputs(HEADER + body, inputs, LETTERS, loops)[0]


def found(model, params=PARAMS, row=ROW):
    return model(
        torch.tensor(params, dtype=torch.float64), torch.tensor([[row]], dtype=torch.float64)
    ).numpy()[0]


def check(body, loops="exit"):
    """Outputs and the Jacobian, the latter against central differences of fourth order of the interpreter."""
    model = circuit(body, loops)
    np.testing.assert_allclose(found(model), expected(body, loops=loops), rtol=0, atol=1e-12)
    step, columns = 1e-3, []
    for shift in step * np.eye(2):
        near, far = (
            expected(body, np.array(PARAMS) + k * shift, loops=loops)
            - expected(body, np.array(PARAMS) - k * shift, loops=loops)
            for k in (1, 2)
        )
        columns.append((8 * near - far) / (12 * step))
    jacobian = model.jacobian(
        torch.tensor(PARAMS, dtype=torch.float64), torch.tensor([[ROW]], dtype=torch.float64)
    )[0]
    np.testing.assert_allclose(jacobian.numpy(), np.array(columns).T, rtol=0, atol=1e-9)


PROGRAMS = {
    "a bit in every form of measurement": """bit c = measure q[0]; bit d; d = measure q[1]; bit[2] e;
        measure q[1:2] -> e; measure q[2]; if (c) rx(b) q[1]; if (d == e[0]) ry(a) q[0]; rx(a * e[1]) q[2];""",
    "a register as an integer, its first bit the lowest": """bit[2] c = measure q[0:1]; if (c == 1) rx(a) q[2];
        if (c > 1) ry(b) q[2]; if (c != 3) rz(a) q[0]; if (c < 2 && !c[0]) rx(b) q[1];""",
    "a bit string has its last digit in bit 0": """bit[2] c = measure q[0:1]; if (c == "01") rx(a) q[2];
        if (c == "10") ry(b) q[2]; bit[3] d = "110"; if (d[0]) x q[0]; if (d[1]) rx(a) q[1];""",
    "if without else, else without a brace, nested": """bit c = measure q[0]; bit d = measure q[1];
        if (c) { if (d) rx(a) q[2]; else ry(b) q[2]; } else if (d) rz(a) q[2]; h q[2];""",
    "reset keeps what is entangled mixed": "reset q[0]; ry(b) q[0]; cx q[0], q[2]; reset q[1]; rx(a) q[1];",
    "a ranged loop is inclusive at both ends": """for int i in [0:2] {
        rx(a * i) q[i]; bit c = measure q[i]; if (c) ry(b) q[i]; }""",
    "assignment in a branch": """int k = 1; bit c = measure q[0]; if (c) { k = 3; } else { k += 4; }
        rx(a * k) q[1]; if (k == 5) ry(b) q[2];""",
    "a real local assigned in a branch": """float t = a; bit c = measure q[0]; if (c) { t = 2 * t + b; t *= 0.5; }
        rx(t) q[1]; ry(sin(t) * b) q[2];""",
    "break": "for int i in [0:2] { bit c = measure q[i]; if (c) break; rx(a) q[(i + 1) % 3]; } ry(b) q[0];",
    "break out of the inner loop only": """for int j in [0:1] { for int i in [0:2] { rx(b) q[i];
        bit c = measure q[i]; if (c) { ry(a) q[0]; break; } h q[i]; } rx(a) q[1]; }""",
    "continue": "for int i in [0:2] { bit c = measure q[i]; if (c) { continue; } rx(a) q[i]; ry(b) q[0]; } h q[1];",
    "end": "bit c = measure q[0]; rx(a) q[1]; if (c) { ry(b) q[1]; end; } rx(b) q[2]; ry(a) q[0];",
    "end in a loop": "for int i in [0:2] { bit c = measure q[i]; if (c) { if (i > 0) end; } rx(a) q[2]; } h q[0];",
    "a switch of two cases": """bit c = measure q[0]; switch (c) { case 0 { rx(a) q[1]; } case 1 { ry(b) q[1]; } }""",
    "a switch on a register": """bit[2] c = measure q[0:1]; switch (c) { case 0, 3 { rx(a) q[2]; }
        case 1 { ry(b) q[2]; } default { rz(a) q[2]; h q[2]; } }""",
    "an assignment in a switch in a switch": """bit[2] c = measure q[0:1]; int k = 1;
        switch (c) { case 0 { rx(a) q[0]; } case 1, 2 {
        switch (c) { case 1 { k = 2; } default { k += 4; } } } } rx(a * k) q[2];""",
    "a counted loop": """bit c = 1; int k = 0; while (c && k < 4) { rx(a) q[0]; c = measure q[0]; k += 1; }
        ry(b * k) q[1];""",
    "a bounded loop": """bit c = 1;
        @qlazy.bound 5
        while (c) { ry(a) q[0]; cx q[0], q[1]; c = measure q[1]; rx(b) q[2]; }""",
    "a loop with break, continue and an inner loop": """bit c = 1; int k = 0;
        @qlazy.bound 4
        while (c) { k += 1; for int i in [0:1] { rx(a) q[i]; c = measure q[i]; if (!c) break; }
          if (k == 2) { continue; } ry(b) q[2]; bit d = measure q[2]; if (d) { break; } h q[2]; } rx(a * k) q[1];""",
    "a subroutine with a measured return": """def f(qubit t, float s) -> bit { rx(s) t; return measure t; }
        bit c = f(q[0], a); if (f(q[1], 2 * b)) rx(a) q[2]; if (c) ry(b) q[2];""",
    "a subroutine that returns early": """def f(qubit t, bit e, float s) -> int { bit d = measure t;
        if (d && e) { return 2; } rx(s) t; if (d) return 3; return 5; }
        bit e = measure q[2]; int k = f(q[0], e, b); rx(a * k) q[1];""",
    "a subroutine called twice does not share its locals": """def f(qubit t) -> bit { bit d; d = measure t;
        if (d) { rx(a0) t; } return d; }""".replace("rx(a0)", "rx(0.3)")
    + "bit c = f(q[0]); bit d = f(q[1]); rx(a * c) q[2]; ry(b * d) q[2];",
    "bits shifted and combined": """bit[3] c = measure q; bit[3] d = c << 1; d ^= c; if (d & 5 == 5) rx(a) q[0];
        if (~c == 3) ry(b) q[1]; c = c >> 1; rx(a * c[0]) q[2]; d[0:1] = c[1:2]; if (d[1]) h q[0];""",
    "booleans and integers": """bit[2] c = measure q[0:1]; bool s = c[0] == c[1]; int k = 2 * c[0] - c[1];
        uint[4] u = uint[4](c); if (s || k < 0) rx(a) q[2]; if (u / 2 == 1 && u % 2 == 0) ry(b) q[2];
        rz(a * k / 2.0) q[2]; h q[2];""",
    "an array assigned in a branch": """array[float[64], 2] t = {0.3, 1.1}; bit c = measure q[0];
        if (c) { t[1] = a * b; } rx(t[1]) q[1]; ry(t[0] * b) q[2];""",
    "a barrier and comments": "bit c = measure q[0]; // if (c) x q[1];\nbarrier q; /* end; */ if (c) rx(a) q[1];",
    "the same bit measured again": "bit c = measure q[0]; if (c) rx(a) q[1]; c = measure q[1]; if (c) ry(b) q[2];",
    "bits that begin at zero": "bit[2] c; if (c == 0) rx(a) q[0]; c[1] = measure q[0]; if (c == 2) ry(b) q[1];",
    "shadowed names": "int k = 1; bit c = measure q[0]; if (c) { int k = 2; rx(a * k) q[1]; } rx(b * k) q[1];",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name):
    check(START + PROGRAMS[name])


@pytest.mark.parametrize("bound", [0, 1, 2, 5])
@pytest.mark.parametrize("loops", ["exit", "discard"])
def test_both_meanings_of_a_loop(bound, loops):
    check(
        f"{START}bit c = 1;\n@qlazy.bound {bound}\nwhile (c) {{ ry(a) q[0]; c = measure q[0]; rx(b) q[2]; }}",
        loops,
    )


GATES = st.sampled_from([
    "rx(a) {0};", "ry(b * x0) {0};", "h {0};", "cx {0}, {1};", "crz(a + b) {0}, {1};", "x {0};", "rz(a) {0};",
    "rx(a * k) {0};", "ry(b * c[1]) {0};", "rx(t) {1};",
])  # fmt: skip
CLASSICAL = st.sampled_from([
    "k = 2;", "k += 1;", "c[0] = measure {0};", "c[1] = measure {1};", "c = measure q[0:1];", "reset {0};",
    "t = t + b;", "t = 0.5 * a;", "c = c << 1;", "k = c + 1;", "measure {0};",
])  # fmt: skip
CONDITIONS = st.sampled_from(
    ["c[0]", "!c[1]", "c == 2", "k > 1", "c[0] && k == 1", "c < k", "(c[0] ^ c[1]) == 1"]
)


@st.composite
def statements(draw, depth=2, in_loop=False):
    kinds = (
        ["gate", "gate", "classical"] + (["if", "switch", "for", "while"] * (depth > 0)) + ["jump"] * in_loop
    )
    lines = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(kinds))
        first, second = draw(st.permutations(["q[0]", "q[1]", "q[2]"]))[:2]
        inner = statements(depth - 1, in_loop)
        looped = statements(depth - 1, True)
        match kind:
            case "gate":
                lines.append(draw(GATES).format(first, second))
            case "classical":
                lines.append(draw(CLASSICAL).format(first, second))
            case "if":
                otherwise = f" else {{ {draw(inner)} }}" if draw(st.booleans()) else ""
                lines.append(f"if ({draw(CONDITIONS)}) {{ {draw(inner)} }}{otherwise}")
            case "switch":
                lines.append(f"switch (c) {{ case 0 {{ {draw(inner)} }} case 1, 2 {{ {draw(inner)} }} }}")
            case "for":
                lines.append(f"for int i in [0:1] {{ {draw(looped)} }}")
            case "while":
                lines.append(
                    f"\n@qlazy.bound {draw(st.integers(1, 2))}\nwhile ({draw(CONDITIONS)}) {{ {draw(looped)} }}"
                )
            case "jump":
                word = draw(st.sampled_from(["break", "continue", "end"]))
                lines.append(f"if ({draw(CONDITIONS)}) {{ {word}; }}")
    return " ".join(lines)


@settings(max_examples=30)
@given(statements(), st.sampled_from(["exit", "discard"]))
def test_random_programs(body, loops):
    body = f"{START}bit[2] c; int k = 1; float t = a;\n{body}"
    assume(body.count("measure") + body.count("reset") <= 6)  # the interpreter runs every record apart
    check(body, loops)


def test_vectors_and_densities_agree():
    from qlazy.simulator.branching.mixtures import Densities, Vectors

    model = circuit(START + PROGRAMS["a bounded loop"])
    params, x = (
        torch.tensor(PARAMS, dtype=torch.float64),
        torch.tensor([[0.4], [1.0], [-2.0]], dtype=torch.float64),
    )
    engine = model._chosen.choice(params, x).backend.circuit.for_params
    results = []
    for kind in (Vectors, Densities):
        engine._states = kind(3)
        results.append((model(params, x), model.jacobian(params, x)))
    for first, second in zip(*results, strict=True):
        torch.testing.assert_close(first, second, rtol=0, atol=1e-13)


def test_a_branch_of_little_probability_counts():
    """Vectors are dropped where they change nothing: one of 1e-7 in probability changes outputs and derivatives."""
    body = "ry(0.001 * a) q[0]; bit c = measure q[0]; if (c) { ry(b) q[1]; rx(a) q[2]; }"
    assert abs(expected(body)[1]) > 1e-8
    check(body)


def test_a_loop_of_many_rounds_costs_one_track():
    body = (
        "bit c = 1;\n@qlazy.bound 18\nwhile (c) { ry(a) q[0]; cx q[0], q[1]; c = measure q[1]; reset q[1]; }"
    )
    program = program_from_qasm(HEADER + START + body)
    from qlazy.quantum.backends.unrolling import unroll

    skeleton = unroll(program.operations, 3).skeleton
    assert len(skeleton.final) == 1
    assert max(map(len, (i.tracks for i in skeleton.instructions if hasattr(i, "tracks")))) == 1


def test_last_measurements_leave_a_circuit_of_gates():
    model = qlazy.from_qasm(HEADER + START + "bit[3] c; c = measure q;")
    assert model.backend == "adjoint"
    assert (
        qlazy.from_qasm(HEADER + START + "bit[3] c; c = measure q;", observables=("X q[0]",)).backend
        == "branches"
    )


def test_probabilities_of_records_add_up():
    for body, loops in itertools.product((PROGRAMS["break"], PROGRAMS["continue"]), ("exit", "discard")):
        inputs = {"a": 0.7, "b": -1.3, "x0": 0.4}
        assert interpreter.outputs(HEADER + START + body, inputs, LETTERS, loops)[1] == pytest.approx(1)

"""Plain gate lines are read as the parser reads them: the same trees, spans included, and the same refusals."""

import importlib
from dataclasses import fields, is_dataclass

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qlazy.quantum.qasm import QasmError, Source
from qlazy.quantum.qasm.parse.plain import plain_gates

parse = importlib.import_module("qlazy.quantum.qasm.parse")
HEAD = 'OPENQASM 3.0;\ninclude "stdgates.inc";\ninput float w;\nqubit[4] q;\n'


def shown(part):
    """A tree as nested tuples, with the place of every node."""
    if is_dataclass(part):
        return type(part).__name__, tuple(
            (field.name, shown(getattr(part, field.name))) for field in fields(part)
        )
    return tuple(map(shown, part)) if isinstance(part, list) else part


def quickly(source):
    return parse._quickly(source, parse.without_comments(source.text))


def found(read, source):
    try:
        return shown(read(source).statements)
    except QasmError as error:
        return error.line, error.column, error.message


def check(text):
    """With and without the short cut; how many gates it took."""
    source = Source(text)
    assert found(quickly, source) == found(lambda s: parse._whole(s, s.text), source)
    return len(plain_gates(source.text, parse.without_comments(source.text))[0])


@pytest.mark.parametrize(
    "line",
    [
        "x q[0];",
        "  x  q[0] ;  ",
        "cx q[0],q[1]; cx q[1] , q[2];",
        "rz(pi / 2) q[3];",
        "rz(-w * 2.5e-3 + (1 - .5) / 3.) q[3];",
        "u3(1e3, -(w), a[2]) _gate_q_0;",
        "rz(--w) q; rx(1--2) q; rx(-(1 + 2) * -3) q;",
        "rx((((1)))) q[0];",
        "cx $0, $12;",
        "\tx\tq[0];",
        "g() q[0];",
        "x q[0]; // x q[1];",
        "x q[0]; /* y */ y q[1]; /* z */",
        "rx(1,) q[0];",
    ],
)
def test_plain_lines(line):
    text = f"{HEAD}{line}\n{line}\nreset q;\n"
    assert check(text) == 2 * line.partition("//")[0].replace("/* z */", "").count(";")


@pytest.mark.parametrize(
    "line",
    [
        "qubit r;",
        "measure q[0];",
        "barrier q;",
        "x in;",
        "true q;",
        "rx(sin(w)) q[0];",
        "rx(2 ** 3) q[0];",
        "rx(0.5im) q[0];",
        "rx(0.5 im) q[0];",
        "rx(0.5j) q[0];",
        "rx(1_000) q[0];",
        "rx(0x1f) q[0];",
        "rx(float(1)) q[0];",
        "rx(1 2) q[0];",
        "rx(+1) q[0];",
        "rx(1 +) q[0];",
        "rx(1 ++ 2) q[0];",
        "rx((1, 2)) q[0];",
        "rx(a[w]) q[0];",
        "rx(a[1][2]) q[0];",
        "rx(,) q[0];",
        "ctrl @ x q[0], q[1];",
        "x[10ns] q[0];",
        "x q[0:1];",
        "x q[-1];",
        "x q[{0, 1}];",
        "xq[0];",
        "x;",
        "x q[0]",
        "x q[0], ;",
        "π q[0];",
        "x q[0]; reset q;",
        "@foo\nx q[0];",
        "@foo bar;\nx q[0];",
        "pragma foo;",
        "pragma foo;\nctrl @ x q[0], q[1];",
        "if (w) \nx q[0];",
        "for int i in {0, 1}\nx q[0];",
        "if (true) {\n reset q; ctrl @ x q[0], q[1];\n}",
        "gate g a {\nh a; ctrl @ \nx a; }",
        "if (true) {\nx q[0];\nx q[1];\n}",
        'include "a}b.inc"; if (true) {\nreset q;\nx q[1];\n}',
        "/*\nx q[0];\n*/",
        "bit c; c =\nx q[0];",
        "defcal x $0 {\nx q[0]; }",
        "cal {\nx q[0]; }",
    ],
)
def test_what_is_left_to_the_parser(line):
    assert check(f"{HEAD}{line}\nreset q;\n") == 0


@pytest.mark.parametrize(
    "text",
    [
        "x q[0];\ny q[0];\nOPENQASM 3.0;\n",
        "/* */ x q[0]; /*\n*/ y q[0]; /*\n*/ reset q;",
        "reset q; // ;\nx q[0]; /* a */ // b\ny q[1];\nif (true) { z q[2];\nx q[1];\n}\nx q[2];\nx q[3]",
        "pragma a /*\nreset q;\nx q[0];\n// */\ny q[0];\n",
        "@a /*\nreset q;\nx q[0];\n// */\ny q[0];\n",
        "reset q;\nx q[0];\nx q[0]; }\n",
        "reset q;\nx q[0];\n\n\nx q[100000000000000000000000];\ny q[0];\n",
        "reset q;\r\nx q[0];\r\ny q[1];\r\nz z z;",
    ],
)
def test_texts(text):
    check(text)


def test_long_texts_take_the_short_cut(monkeypatch):
    text = HEAD + "x q[0];\n" * 1000 + "y q[1]; z q[2]\n"
    monkeypatch.setattr(parse, "_whole", lambda source, rest: parse.ast.Program([rest.count("x q")]))
    monkeypatch.setattr(parse, "_place", lambda node: (1, 0) if isinstance(node, int) else (2, 0))
    tree = parse.parse(Source(text))
    assert tree.statements[0] == 0
    assert len(tree.statements) == 1001


ATOMS = st.sampled_from(["pi", "w", "a[1]", "2", "0.5", "1e-3", ".5", "3.", "sin(w)", "q"])
SUMS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", " - ", "*", " / ", "**", "--"]), inner).map("".join),
        inner.map("({})".format),
        inner.map("-{}".format),
    ),
    max_leaves=5,
)
QUBITS = st.sampled_from(["q", "q[0]", "qreg_2[13]", "$1", "q[-1]"])
LINES = st.one_of(
    st.tuples(st.sampled_from(["rx", "foo", "measure", "inv @ rz"]), SUMS, QUBITS).map(
        lambda p: f"{p[0]}({p[1]}) {p[2]};"
    ),
    st.tuples(st.sampled_from(["x", "reset", "bit", "@a", "pragma x"]), QUBITS).map(
        lambda p: f"{p[0]} {p[1]};"
    ),
    st.sampled_from(["if (true) {", "}", "", "// x q;", "/*", "*/", "if (true)", "cx q[0], q[1]; x q[2];"]),
)


@settings(max_examples=150)
@given(st.lists(LINES, max_size=12))
@example(["x q;", "if (true) {", "reset q;", "x q;", "}", "x q;"])
def test_random_texts(lines):
    check(HEAD + "\n".join(lines))

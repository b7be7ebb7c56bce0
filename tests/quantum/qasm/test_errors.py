"""Refusals: a text outside the language is a QasmError at the right place, and never another exception."""

import pathlib
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import qlazy
from qlazy.quantum.corpus import folder, load_program, program_from_qasm
from qlazy.quantum.qasm import QasmError

HEADER = 'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[3] q;\ninput float w;\n'


def refusal(text, **options):
    with pytest.raises(QasmError) as caught:
        program_from_qasm(text, **options)
    return caught.value


# The statement stands on line 5. `^` marks where the error is; it is taken out before reading.
REFUSALS = [
    ("def f(qubit a) { x a; } ^f q[0];", "`f` is a subroutine, not a gate: call it as `f(...);`"),
    ("gate g a { x a; } ^g(q[0]);", "`g` is a gate, not a subroutine: call it as `g q[0];`"),
    ("^c = measure q[0];", "undeclared name `c`"),
    ("bit c; ^c = measure q;", "3 qubits are measured into 1 bits"),
    ("bit[2] c; ^c = measure q;", "3 qubits are measured into 2 bits"),
    ("int k; ^k = measure q[0];", "a measurement gives bits, but `k` is not declared as `bit`"),
    ("^int k = measure q[0];", "declare `k` as `bit`"),
    ("bit c = measure q[0]; x q[^c];", "c is known at run time only"),
    ("bit c = measure q[0]; int k = 2; if (c) { k = 1; } x q[^k];", "k is known at run time only"),
    ("bit c = measure q[0]; const int k = ^c;", "the constant `k` cannot depend on a measurement"),
    ("bit c = measure q[0]; ^pow(c) @ x q[1];", "the exponent of pow must be a constant"),
    ("bit c = measure q[0]; if (c && ^w > 0) x q[1];", "a comparison cannot depend on an input"),
    ("bit c = measure q[0]; float t = w; if (c) { t = 1; } ^if (t > 0) x q[1];", "cannot depend on an input"),
    ("bit c = measure q[0]; float t = w; if (c) { t = 1; } if (^t) x q[1];", "must be a bool or an integer"),
    ("bit c; bit d = measure q[0]; ^c = 2;", "2 does not fit into 1 bit"),
    ('bit[2] c; c = ^"101";', "a bit string of 2 bits is needed, but this has 3"),
    ("h q[0]; bit c = measure q[0]; int[3] k = 3; ^k += c;", "4 does not fit into int[3]"),
    (
        "h q[0]; bit c = measure q[0]; int k; if (c) { k = 1; } ^rx(k) q[1];",
        "`k` is used before it has a value",
    ),
    ("h q[0]; bit c = measure q[0]; ^rx(w / c) q[1];", "division by zero"),
    ("h q[0]; bit c = measure q[0]; ^int k = 1 / c;", "has no value"),
    ("h q[0]; bit c = measure q[0]; rx(^c / 2) q[1];", "divides integers at run time"),
    ("bit c = measure q[0]; rx(^c == 1) q[1];", "an angle is needed, but this is a bool"),
    ("bit c = measure q[0]; rx(^floor(c)) q[1];", ""),
    ("bit c; ^while (c == 0) { h q[0]; c = measure q[0]; }", "are not bounded: write `@qlazy.bound 18`"),
    ("bit c; int k = 0; ^while (!c && k < 3) { k -= 1; c = measure q[0]; }", "are not bounded"),
    ("bit c; int k = 0; ^while (!c && k < 3) { c = measure q[0]; if (c) { k += 1; } }", "are not bounded"),
    ("^while (true) { x q[0]; }", "more than 200,000 steps"),
    ("^while (true) { }", "more than 200,000 steps"),
    ("^switch (1) { case 1 { x q[0]; } case 1 { x q[1]; } }", "the same case twice"),
    ("^switch (0.5) { case 1 { x q[0]; } }", ""),
    ("def f(qubit a) { ^f(a); } f(q[0]);", "subroutines and loops are inside one another"),
    ("def f(qubit a) { x a; } ^bit c = f(q[0]);", ""),
    ("def f(qubit a) -> bit { x a; } if (^f(q[0])) x q[0];", "`f` does not return a value"),
    ("def f(qubit a) { rx(^w) a; } f(q[0]);", "`w` is an input"),
    ("def f(qubit a) { x a; } f(^q);", "`a` takes one qubit, but this is 3"),
    ("def f(qubit a) { x a; } ^f(q[0], q[1]);", "`f` takes 1 arguments, but is given 2"),
    ("def f(qubit a) -> bit { return measure a; } ^while (f(q[0])) { }", ""),
    ("^@qlazy.bound\nwhile (true) { }", "needs a number"),
    ("^pragma qlazy.loops forever", "qlazy.loops is exit or discard"),
    ("^extern f(int) -> int;", "external functions"),
    ('^defcalgrammar "openpulse";', "calibrations"),
    ("^output float o;", "outputs are not supported"),
    ("^input int k;", "must be float or angle"),
    ("^input array[uint[8], 2] k;", "must be float or angle"),
    ("^input bit k;", "must be float or angle"),
    ("^complex[float] c;", "the type complex is not supported"),
    ("^1 + 1;", "no effect"),
    ("rx(^v) q[0];", "undeclared name `v`"),
    ("x ^r[0];", "undeclared name `r`"),
    ("^foo q[0];", "unknown gate `foo`"),
    ("x q[^3];", "the index 3 is out of range: it must be from -3 to 2"),
    ("x q[^-4];", "the index -4 is out of range"),
    ("x q[^w];", "a constant integer is needed, but this depends on an input"),
    ("x q[^0.5];", "this is the float 0.5"),
    ("x ^q[0, 1];", "a register has one index"),
    ("x ^q[{0, 0}];", "names a qubit twice"),
    ("x ^q[2:1];", "the selection is empty"),
    ("x q[0:^5];", "out of range"),
    ("x q[^0:0:2];", "the step of a range must not be 0"),
    ("^cx q[0], q[0];", "a gate acts on `q[0]` twice"),
    ("^cx q, q[1];", "a gate acts on `q[1]` twice"),
    ("^cx q[0:1], q;", "registers of different lengths (2, 3)"),
    ("^x q[0], q[1];", "1 qubit operands are needed, but 2 are given"),
    ("^ctrl @ x q[0];", "2 qubit operands (1 of them controls) are needed, but 1 are given"),
    ("^rx q[0];", "`rx` takes 1 angles, but is given 0"),
    ("^h(0.1) q[0];", "`h` takes 0 angles, but is given 1"),
    ("^gphase(0.1) q[0];", "0 qubit operands are needed, but 1 are given"),
    ("rx(^q) q[0];", "a number is needed, but this is a register"),
    ("x ^w;", "a qubit or register is needed, but this is a number"),
    ("rx(^1/0) q[0];", "division by zero"),
    ("rx(^1.0/0) q[0];", "division by zero"),
    ("rx(^w/0) q[0];", "division by zero"),
    ("rx(^1/2) q[0];", "divides integers and would be 0; write 1.0/2"),
    ("^pow(1/2) @ x q[0];", ""),
    ("rx(^sqrt(-1)) q[0];", "not a finite real number"),
    ("rx(^(-1.0) ** 0.5) q[0];", "is not real"),
    ("rx(^10.0 ** 400) q[0];", "not a finite"),
    ("rx(^1e400) q[0];", "not finite"),
    ("rx(^2 ** -1) q[0];", "is no integer; write 2.0 ** -1"),
    ("rx(^2 ** 100000000000) q[0];", "does not fit into 64 bits"),
    ("rx(^9223372036854775807 + 1) q[0];", "does not fit into 64 bits"),
    ("rx(^1 << 100) q[0];", "a shift must be by 0 to 63"),
    ("rx(^sin(1, 2)) q[0];", "sin takes 1 argument, but is given 2"),
    ("rx(^sinh(1)) q[0];", "unknown function `sinh`"),
    ("rx(^floor(w)) q[0];", "has no useful derivative"),
    ("rx(^true) q[0];", "an angle is needed, but this is a bool"),
    ("rx(^2im) q[0];", "a complex number cannot be used here"),
    ('rx(^"0110") q[0];', "a bit string cannot be used here"),
    ("rx(^pow(2, 3)) q[0];", "write a power as `a ** b`"),
    ("if (^w > 0) x q[0];", "cannot depend on an input"),
    ("if (^w) x q[0];", "a condition cannot depend on an input"),
    ("^pow(w) @ x q[0];", "the exponent of pow must be a constant, but is w"),
    ("^pow(0.5) @ U(w, 0.1, 0.2) q[0];", "the power 0.5 of a product of gates"),
    ("^pow(1000000) @ U(w, 0.1, 0.2) q[0];", "the power unrolls to more than 100,000 gates"),
    ("^ctrl(0) @ x q[0];", "at least one control, but n is 0"),
    ("^let a = r;", ""),
    ("let a = ^q ++ q[0];", "names a qubit twice"),
    ("const int k = ^w;", "the constant `k` cannot depend on an input"),
    ("const int k = ^0.5;", "the float 0.5 is not an int"),
    ("const uint k = ^-1;", "-1 does not fit into uint"),
    ("int[4] k = ^8;", "8 does not fit into int[4]"),
    ("^int[65] k;", "must be from 1 to 64 bits"),
    ("int ^q = 1;", "`q` is declared twice"),
    ("float ^pi = 3;", "`pi` is built in"),
    ("gate ^x a { h a; }", "the gate `x` is defined twice"),
    ("gate ^U a { h a; }", "the gate `U` is defined twice"),
    ("gate g(a, ^a) b { x b; }", "`a` is declared twice in the gate `g`"),
    ("gate g(a) ^a { h a; }", "`a` is declared twice in the gate `g`"),
    ("gate g a { ^g a; } g q[0];", "the gate `g` calls itself"),
    ("gate g a { ^f a; } gate f a { x a; } g q[0];", "unknown gate `f`"),
    ("gate g(t) a { rx(t * ^s) a; }", "undeclared name `s`"),
    ("gate g(t) a { for int i in [0:1] { rx(t * i) a; } cx a, ^b; }", "undeclared name `b`"),
    ("^@qlazy.bound 3\nfor int i in [0:1] { x q[i]; }", "@qlazy.bound stands before a while loop"),
    ("gate g a { rx(^w) a; } g q[0];", "`w` is an input"),
    ("gate g a { cx a, ^q[0]; } g q[1];", "`q` is a register"),
    ("gate g a { x ^a[0]; } g q[1];", "a single qubit cannot be indexed"),
    ("int k = 1; gate g a { rx(^k) a; } g q[1];", "`k` is a variable"),
    ("^w = 1;", "`w` is an input and cannot be assigned to"),
    ("const int k = 1; ^k = 2;", "`k` is a constant and cannot be assigned to"),
    ("float f; rx(^f) q[0];", "`f` is used before it has a value"),
    ("array[float[64], 2] a; rx(^a[0]) q[0];", "used before it has a value"),
    ("array[int[8], 2] a = ^{1, 2, 3};", "2 values are needed, but 3 are given"),
    ("array[float[64], 2] a = {1, 2}; rx(^a) q[0];", "a number is needed, but this is an array"),
    ("array[float[64], 2] a = {1, 2}; rx(^a[2]) q[0];", "out of range"),
    ("array[float[64], 2] a = {1, 2}; rx(^a[0, 0]) q[0];", "too many indices"),
    ("array[float[64], 2] a = {1, 2}; ^a = 3;", "assign to one element at a time"),
    ("input array[float[64], ^1000000] v;", "at most 100,000 elements"),
    ("^qubit[0] r;", "at least one qubit"),
    ("^qubit[20000] r;", "at most 10,000 qubits"),
    ("for int i in ^[0:] { x q[0]; }", ""),
    ("for int i in [^0:0:3] { x q[0]; }", "the step of a range must not be 0"),
    ("for int i in ^q { x q[0]; }", "a loop runs over a range"),
    ("^for int i in {0.5} { x q[0]; }", "the float 0.5 is not an int"),
    ("^for int i in [0:100000000] { }", "more than 200,000 steps"),
    ("for int i in [0:1000000] { ^x q; }", "more than 100,000 gates"),
    ('^include "missing.inc";', "stdgates.inc and qelib1.inc alone"),
    ('^include "stdgates.inc";', "is defined twice"),
    ("^@qlazy.data\nfloat f = 1;", "@qlazy.data stands before an input"),
    ("^@qlazy.weight\ninput float f;", "unknown annotation @qlazy.weight"),
    ("^pragma qlazy.output Z q[0]", "unknown pragma `qlazy.output"),
    ("^pragma qlazy.require 1 > 2", "the program requires 1 > 2"),
    ("x q[0]^", "the text ends in the middle of a statement"),
    ("x q[0^;", "`;` is not expected here"),
    ("x q[0]; ^}", "`}` is not expected here"),
    ("qubit ^3;", "`3` is not expected here"),
    ("x q[0]; ^\\", "no token of OpenQASM starts with"),
    ("for ^i in [0:1] { x q[i]; }", "`i` is not expected here"),
    ("^opaque g a;", ""),
]


@pytest.mark.parametrize(("marked", "message"), REFUSALS)
def test_refusals_show_the_place(marked, message):
    before, _, after = marked.partition("^")
    error = refusal(HEADER + before + after)
    assert message in error.message
    if message:
        assert error.line == 5
        assert error.column == len(before) + 1
        shown, caret = str(error).splitlines()[1:]
        assert shown == "    " + (before + after).split("\n")[0]
        assert caret == " " * (4 + len(before)) + "^"


def test_the_message_is_one_glance():
    error = refusal("OPENQASM 3.0;\n\tqubit q;\n\trx(alpha) q;")
    assert error.line == 3
    error = refusal('include "stdgates.inc";\n\tqubit q;\n\trx(alpha) q;')
    assert str(error) == "<text>:3:5: undeclared name `alpha`\n    \trx(alpha) q;\n    \t   ^"


def test_a_missing_library_is_said():
    assert 'write include "stdgates.inc"' in refusal("qubit q; rx(1) q;").message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "declares no qubits"),
        ("OPENQASM 3.0;", "declares no qubits"),
        ("OPENQASM 1.0; qreg q[1];", "the text is OpenQASM 1.0"),
        ("OPENQASM 3.0; qubit q;\0", "NUL"),
        ("qubit q;" + "/" * 2_000_000, "at most 1,000,000 characters"),
        ("qubit q; int i = " + "(" * 10_000 + "1" + ")" * 10_000 + ";", "brackets must nest at most"),
        ("qubit q; int i = " + "-" * 10_000 + "1;", "operators may follow each other"),
        ("qubit q; int i = 1" + " ** 1" * 5_000 + ";", ""),
        ("qubit q; int i = 1" + " + 1" * 3_000 + ";", ""),
        ("qubit q; if (false) {}" + " else if (false) {}" * 3_000, ""),
        ("{" * 300 + "qubit q;" + "}" * 300, "brackets must nest at most"),
    ],
)
def test_odd_texts_are_refused_in_time(text, message):
    start = time.monotonic()
    error = refusal(text)
    assert message in error.message
    assert time.monotonic() - start < 20


def test_programs_that_grow_without_bound_are_refused():
    doubling = "gate g0 a {}" + "".join(f"gate g{k + 1} a {{ g{k} a; g{k} a; }}" for k in range(60))
    assert "steps" in refusal(doubling + "qubit q; g60 q;").message
    growing = "input float w; qubit q; float f = w; for int i in [0:100] { f = f + f; } U(f, 0, 0) q;"
    assert "at most 10,000 terms" in refusal(growing).message
    chain = "input float w; qubit q; float f = w; for int i in [0:1000] { f = sin(f); } U(f, 0, 0) q;"
    assert "nested at most" in refusal(chain).message
    deep = "gate g0 a {}" + "".join(f"gate g{k + 1} a {{ g{k} a; }}" for k in range(500))
    assert "nested too deeply" in refusal(deep + "qubit q; g500 q;").message


def test_files_that_are_no_programs(tmp_path):
    path = tmp_path / "odd.qasm"
    for content, message in [
        (b"\x89PNG\r\n\x1a\n\0\0", "is not UTF-8"),
        (b"OPENQASM 3.0;\nqubit \xff;", "byte 0xff is not UTF-8"),
        (b"qubit q;\n\0", "NUL"),
        (b"", "declares no qubits"),
        (b"//" + b"x" * 5_000_000, "characters"),
    ]:
        path.write_bytes(content)
        with pytest.raises(QasmError) as caught:
            load_program(path)
        assert message in caught.value.message
        assert caught.value.file == str(path)
    for missing in (tmp_path / "none.qasm", tmp_path):
        with pytest.raises(QasmError, match="cannot be read"):
            load_program(missing)


SECRET = "gate g a {}\nsecret words here;\n"


@pytest.mark.parametrize("how", ["absolute", "above", "link", "nested"])
def test_a_file_elsewhere_is_not_read(how, tmp_path):
    """Refused unread: its lines would stand in the error otherwise."""
    home, other = tmp_path / "home", tmp_path / "other"
    for place in (home, other):
        place.mkdir()
    (other / "a.inc").write_text(SECRET)
    if how == "link":
        (home / "a.inc").symlink_to(other / "a.inc")
    (home / "nested.inc").write_text('include "../other/a.inc";')
    name = {
        "absolute": str(other / "a.inc"),
        "above": "../other/a.inc",
        "link": "a.inc",
        "nested": "nested.inc",
    }[how]
    text = f'include "{name}"; qubit q; g q;'
    (home / "main.qasm").write_text(text)
    for read_it in (
        lambda: load_program(home / "main.qasm"),
        lambda: program_from_qasm(text, include_from=home),
    ):
        with pytest.raises(QasmError, match="is outside of") as caught:
            read_it()
        assert "secret" not in str(caught.value)
    (other / "a.inc").write_text("gate g a {}")
    assert load_program(home / "main.qasm", include_from=[other]).qubits == ("q",)


def test_a_text_includes_from_the_folders_given_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.inc").write_text("gate g a {}")
    text = 'include "a.inc"; qubit q; g q;'
    with pytest.raises(QasmError, match="`include_from`"):
        program_from_qasm(text)
    assert program_from_qasm(text, include_from=tmp_path).qubits == ("q",)
    with pytest.raises(ValueError, match="name folders that are there"):
        program_from_qasm(text, include_from=tmp_path / "none")
    with pytest.raises(TypeError, match="`include_from` must be a folder"):
        program_from_qasm(text, include_from=3)


def test_errors_in_included_files_name_them(tmp_path):
    (tmp_path / "a.inc").write_text("gate g a {\n  rx(b) a;\n}\n")
    (tmp_path / "main.qasm").write_text('include "stdgates.inc";\ninclude "a.inc";\nqubit q;\ng q;\n')
    with pytest.raises(QasmError) as caught:
        load_program(tmp_path / "main.qasm")
    assert (caught.value.file, caught.value.line, caught.value.column) == (str(tmp_path / "a.inc"), 2, 6)
    (tmp_path / "a.inc").write_text(f'include "{"a" * 5000}";')
    with pytest.raises(QasmError, match="there is no file"):
        load_program(tmp_path / "main.qasm")
    (tmp_path / "a.inc").write_text('include "a.inc";')
    with pytest.raises(QasmError, match="includes itself"):
        load_program(tmp_path / "main.qasm")


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"m": 2}, "`m` is no size of the program and cannot be set; its sizes are n, layers"),
        ({"twice": 2}, "`twice` is computed in the program and cannot be set; its sizes are n, layers"),
        ({"n": 2.0}, "`n` must be an integer from 0 to 1,000,000, but is 2.0"),
        ({"n": True}, "but is True"),
        ({"n": -1}, "but is -1"),
        ({"n": 10**9}, "but is 1000000000"),
        ({"n": 0}, "at least one qubit"),
    ],
)
def test_sizes(sizes, message):
    text = "const int n = 2; const int layers = 1; const int twice = 2 * n; qubit[n] q;"
    assert message in refusal(text, **sizes).message


def test_unknown_data():
    assert "the inputs are w" in refusal("input float w; qubit q;", data=("x",)).message


def truncations():
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder().glob("*.qasm"))]
    return st.sampled_from(texts).flatmap(
        lambda text: st.tuples(
            st.just(text), st.integers(0, len(text) - 1), st.integers(0, 12), st.text(max_size=3)
        )
    )


@pytest.mark.filterwarnings("ignore::qlazy.base.errors.IgnoredPragmaWarning")
@settings(max_examples=120)
@given(truncations())
@example(("qubit q;", 8, 0, "\udcff"))
def test_damaged_texts_are_read_or_refused(damage):
    """Cut out and put in at random places: a program or a QasmError, nothing else."""
    text, start, length, inserted = damage
    places = []
    for damaged in (text[:start], text[:start] + inserted + text[start + length :]):
        try:
            program_from_qasm(damaged)
        except QasmError as error:
            places.append((error.line, error.column))
    assert all(line >= 1 and column >= 1 for line, column in places)


@pytest.mark.parametrize("given", [pathlib.Path("circuit.qasm"), b"OPENQASM 3.0;", None, 3])
def test_what_is_no_text_is_refused_with_the_remedy(given):
    for reads in (program_from_qasm, qlazy.from_qasm):
        with pytest.raises(
            TypeError, match="`text` must be a str of OpenQASM; a file is read by `load_circuit`"
        ):
            reads(given)

"""The text of observables, against the sums they stand for."""

import math

import pytest

from qlazy.quantum.corpus import program_from_qasm
from qlazy.quantum.qasm import QasmError

HEADER = "const int n = 3; const float g = 0.5; input float w; qubit[n] q; qubit a; let r = q[1:2];\n"


def terms(text, **sizes):
    (observable,) = program_from_qasm(HEADER, observables=text, **sizes).observables
    return {"".join(f"{p}{w}" for w, p in term.factors): term.coefficient for term in observable.terms}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Z q[0]", {"Z0": 1}),
        ("-Z a", {"Z3": -1}),
        ("+X q[-1]", {"X2": 1}),
        ("0.5 Z q[0] Z q[1] - X q[2]", {"Z0Z1": 0.5, "X2": -1}),
        ("2*Z q[1]*Y q[0]", {"Y0Z1": 2}),
        ("g ** 2 * Y r[0] + 1.5 * I q[0]", {"Y1": 0.25, "": 1.5}),
        ("-(n - 1) / 4.0 X q[n - 1]", {"X2": -0.5}),
        ("1e-1 Z q[0] + 1E+1 X q[0] - .5 Y q[0]", {"Z0": 0.1, "X0": 10, "Y0": -0.5}),
        ("2 * -3 Z q[0]", {"Z0": -6}),
        ("I q[0]", {"": 1}),
        ("Z q[0] + Z q[0]", {"Z0": 2}),
        ("0.5 (I a - Z a)", {"": 0.5, "Z3": -0.5}),
        ("2 (Z a - 3 (X a + Y a))", {"Z3": 2, "X3": -6, "Y3": -6}),
        ("sum(k in [0:n-1]) Z q[k]", {"Z0": 1, "Z1": 1, "Z2": 1}),
        ("sum(k in [0:n-1]) 1/sqrt(n) Z q[k]", {f"Z{k}": 1 / math.sqrt(3) for k in range(3)}),
        ("-0.5 sum(k in {0, 2}) k X q[k] + Y a", {"X0": 0, "X2": -1, "Y3": 1}),
        ("sum(k in [2:-1:1]) Z q[k] Z q[(k + 1) % n]", {"Z0Z2": 1, "Z1Z2": 1}),
        ("sum(k in [0:1]) sum(l in [k+1:2]) Z q[k] Z q[l]", {"Z0Z1": 1, "Z0Z2": 1, "Z1Z2": 1}),
        ("sum(k in [0:1]) (Z q[k] - (k + 1) X q[k]) + Z a", {"Z0": 1, "X0": -1, "Z1": 1, "X1": -2, "Z3": 1}),
        ("sum(c in {0.5, 2}) c Z a", {"Z3": 2.5}),
    ],
)
def test_sums(text, expected):
    assert terms(text) == pytest.approx(expected)


def test_sums_follow_the_sizes():
    assert terms("sum(k in [0:n-1]) Z q[k]", n=5) == {f"Z{k}": 1 for k in range(5)}


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 1, "an observable is needed"),
        ("0.5", 1, "needs a Pauli"),
        ("Z", 1, "needs a Pauli"),
        ("Z q", 3, "one qubit is needed here, but this is a register"),
        ("Z q[3]", 5, "out of range"),
        ("Z z[0]", 3, "undeclared name `z`"),
        ("Z q[0] X q[0]", 8, "two Paulis on `q[0]`"),
        ("Z q[0] 2", 8, "a Pauli with its qubit is needed"),
        ("Z q[0] +", 8, "missing after this"),
        ("Z q[0] + + X q[0]", 10, "not expected"),
        ("w Z q[0]", 1, "must be a constant"),
        ("1/2 Z q[0]", 1, "divides integers"),
        ("k Z q[0]", 1, "undeclared name `k`"),
        ("(Z q[0]", 1, "never closed"),
        ("2 (Z q[0]) X a", 12, "nothing may follow"),
        ("sum(k in [0:2])", 15, "missing after this"),
        ("sum(k) Z q[k]", 1, "a sum is written"),
        ("sum(k in q) Z q[k]", 10, "a loop runs over"),
        ("sum(k in [0:2) Z q[k]", None, ""),
        ("true Z q[0]", 1, "is a bool"),
        ("sum(k in [1:0]) Z q[k]", 1, "at least one term"),
        ("1e308 (1e308 Z q[0])", 1, "be finite"),
        ("1 +* 2 Z q[0]", 1, "needs a Pauli"),
        ("0.5 $ Z q[0]", None, ""),
        ("Z q[0] ; X a", 8, "a Pauli with its qubit"),
        ("Q q[0]", 1, "needs a Pauli"),
        ("XY q[0]", 1, "needs a Pauli"),
        ("1e400 Z q[0]", 1, "not finite"),
        ("sum(k in [0:9999999]) Z a", 1, "at most 10,000 terms"),
        ("(" * 200 + "Z a" + ")" * 200, None, "deep"),
    ],
)
def test_refusals_show_the_place(text, column, message):
    with pytest.raises(QasmError) as caught:
        terms(text)
    assert message in caught.value.message
    assert caught.value.file == "<observable>"
    if column is not None:
        assert caught.value.column == column


def test_a_pragma_is_an_output_and_an_argument_replaces_it():
    text = "pragma qlazy.observable Z q[0]\npragma qlazy.observable X q[0] - Y q[0]\nqubit[2] q;"
    assert program_from_qasm(text).num_outputs == 2
    assert program_from_qasm(text, observables=("Z q[1]",)).num_outputs == 1


def test_a_pragma_that_is_wrong_is_shown_in_its_line():
    with pytest.raises(QasmError) as caught:
        program_from_qasm("OPENQASM 3.0;\n  pragma  qlazy.observable Z q[7]\nqubit[2] q;")
    assert (caught.value.line, caught.value.column) == (2, 32)
    assert str(caught.value).splitlines()[1:] == ["      pragma  qlazy.observable Z q[7]", " " * 35 + "^"]

"""Pragmas and annotations: ours are read, near misses refused with the right spelling, others warned of or refused."""

import warnings

import pytest

from qlazy import QasmError
from qlazy.base.errors import IgnoredPragmaWarning
from qlazy.quantum.corpus import program_from_qasm

TEXT = 'OPENQASM 3.0; include "stdgates.inc";\ninput float t; qubit[2] q;\n{}\nrx(t) q[0];'


@pytest.mark.parametrize(
    "pragma",
    [
        "pragma qlazy observable Z q[0]",
        "pragma qlazy_observable Z q[0]",
        "pragma qlazy-observable Z q[0]",
        "pragma qlazy:observable Z q[0]",
        "#pragma qlazy observable Z q[0]",
        "pragma qlazyobservable Z q[0]",
        "pragma qlazy.observables Z q[0]",
        "pragma qlazy.obervable Z q[0]",
        "pragma Qlazy.Observable Z q[0]",
        "pragma qlazi.observable Z q[0]",
        "pragma observable Z q[0]",
    ],
)
def test_near_misses_of_observable(pragma):
    """Passed over, they would bring back the default outputs."""
    with pytest.raises(QasmError, match=r"write `pragma qlazy\.observable") as caught:
        program_from_qasm(TEXT.format(pragma))
    assert caught.value.line == 3


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("pragma qlazy_loops discard", "qlazy.loops"),
        ("pragma qlazy.loop discard", "qlazy.loops"),
        ("pragma qlazy require 1 > 0", "qlazy.require"),
        ("pragma qlazy.requires 1 > 0", "qlazy.require"),
        ("pragma qlazy.what", "qlazy.observable"),
        ("@qlazy_data\ninput float x;", "@qlazy.data"),
        ("@qlazy data\ninput float x;", "@qlazy.data"),
        ("@qlazy.dat\ninput float x;", "@qlazy.data"),
        ("@data\ninput float x;", "@qlazy.data"),
        ("bit c; c = measure q[1];\n@qlazy_bound 3\nwhile (c) { x q[1]; c = measure q[1]; }", "@qlazy.bound"),
        ("bit c; c = measure q[1];\n@bound 3\nwhile (c) { x q[1]; c = measure q[1]; }", "@qlazy.bound"),
    ],
)
def test_near_misses_of_the_others(wrong, right):
    with pytest.raises(QasmError, match=right.replace(".", r"\.")):
        program_from_qasm(TEXT.format(wrong))


@pytest.mark.parametrize(
    ("pragma", "remedy"),
    [
        ("#pragma braket unitary([[0, 1], [1, 0]]) q[0]", "write the gates"),
        ("pragma braket unitary([[1, 0], [0, 1j]]) q[0]", "write the gates"),
        ("#pragma braket noise depolarizing(0.1) q[0]", "backend='device'"),
        ("#pragma braket noise bit_flip(0.1) q[0]", "backend='device'"),
        ("#pragma braket result expectation z(q[0])", "pragma qlazy.observable"),
        ("#pragma braket result state_vector", "pragma qlazy.observable"),
    ],
)
def test_what_acts_elsewhere_is_refused(pragma, remedy):
    with pytest.raises(QasmError, match="changes what the program does") as caught:
        program_from_qasm(TEXT.format(pragma))
    assert remedy in str(caught.value)


@pytest.mark.parametrize(
    "pragma", ["#pragma braket verbatim", "pragma user alice", "pragma ibm.target heron"]
)
def test_what_is_passed_over_is_said(pragma):
    with pytest.warns(IgnoredPragmaWarning, match=":3:1: the pragma"):
        program_from_qasm(TEXT.format(pragma))


def test_annotations_of_other_tools_change_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        program_from_qasm(TEXT.format("@reversible\n@route 3\ninput float x;"))

"""Loops bounded by a counter: as many rounds as the language says, or a request for a bound, never fewer.

The oracle is the loop itself in Python, and <Z> = cos(n t) after n rounds of ry(t).
"""

import math

import pytest
import torch

from qlazy import QasmError, from_qasm

T = 0.7
HEAD = 'OPENQASM 3.0; include "stdgates.inc"; input float t; qubit[2] q; bit c; x q[0]; c = measure q[0];\n'


def value(text):
    model = from_qasm(HEAD + text, observables=["Z q[1]"])
    return model(torch.tensor([T], dtype=torch.float64), torch.zeros(1, 0, dtype=torch.float64)).item()


@pytest.mark.parametrize(
    ("text", "rounds"),
    [
        ("int k = 0; while (c && k < 6) { ry(t) q[1]; k += 1; }", 6),
        ("int k = 0; while (c && k <= 6) { ry(t) q[1]; k = k + 2; }", 4),
        ("int k = 9; while (k > 1 && c) { ry(t) q[1]; k -= 3; }", 3),
        ("int k = 0; while (6 > k && c) { ry(t) q[1]; k = 1 + k; }", 6),
        ("const int s = 2; int k = 0; while (c && k < 6) { ry(t) q[1]; k += s; }", 3),
        ("int s = 2; int k = 0; while (c && k < 2 * s + 1) { ry(t) q[1]; k += s; }", 3),
        ("int[4] k = 0; while (c && k < 7) { ry(t) q[1]; k += 1; }", 7),
        ("uint[3] k = 0; while (c && k < 7) { ry(t) q[1]; k += 1; }", 7),
    ],
)
def test_counted(text, rounds):
    assert value(text) == pytest.approx(math.cos(rounds * T), abs=1e-12)


CHANGED = [
    ("the step is changed", "int s = 2; int k = 0; ", "while (c && k < 6) { ry(t) q[1]; s = 1; k += s; }", 6),
    (
        "the step is changed before",
        "int s = 2; int k = 0; ",
        "while (c && k < 6) { s = 1; ry(t) q[1]; k += s; }",
        6,
    ),
    (
        "the step is hidden",
        "int s = 1; int k = 0; ",
        "while (c && k < 6) { ry(t) q[1]; int s = 2; k += s; }",
        3,
    ),
    (
        "the step is a constant hidden",
        "int s = 1; int k = 0; ",
        "while (c && k < 6) { const int s = 2; ry(t) q[1]; k += s; }",
        3,
    ),
    (
        "the step is an element",
        "array[int, 2] s = {2, 1}; int k = 0; ",
        "while (c && k < 6) { ry(t) q[1]; k += s[0]; s[0] = 1; }",
        5,
    ),
    (
        "the step is a sum",
        "int s = 2; int k = 0; ",
        "while (c && k < 6) { ry(t) q[1]; s -= 1; k += s + 1; }",
        None,
    ),
    (
        "the limit is changed",
        "int n = 6; int k = 0; ",
        "while (c && k < n) { ry(t) q[1]; n = 5; k += 1; }",
        5,
    ),
    (
        "the limit is an element",
        "array[int, 1] n = {6}; int k = 0; ",
        "while (c && k < n[0]) { ry(t) q[1]; n[0] = 5; k += 1; }",
        5,
    ),
    (
        "the limit is changed in a branch",
        "int n = 6; int k = 0; ",
        "while (c && k < n) { if (c) { n = 5; } ry(t) q[1]; k += 1; }",
        5,
    ),
    ("the counter is hidden", "int k = 0; ", "while (c && k < 6) { ry(t) q[1]; int k = 3; k += 1; }", None),
    (
        "the counter is hidden by a loop",
        "int k = 0; ",
        "while (c && k < 6) { for int k in [0:1] { ry(t) q[1]; } k += 1; }",
        12,
    ),
    ("the counter is set", "int k = 0; ", "while (c && k < 6) { ry(t) q[1]; k = 1; }", None),
    (
        "the counter moves in a branch",
        "int k = 0; ",
        "while (c && k < 6) { ry(t) q[1]; if (c) { k += 1; } }",
        6,
    ),
    ("the counter moves twice", "int k = 0; ", "while (c && k < 6) { ry(t) q[1]; k += 1; k += 1; }", 3),
    ("the counter moves away", "int k = 0; ", "while (c && k < 6) { ry(t) q[1]; k -= 1; }", None),
    ("the counter cannot get there", "int[3] k = 0; ", "while (c && k < 6) { ry(t) q[1]; k += 1; }", None),
    ("the counter steps over", "uint[2] k = 0; ", "while (c && k < 3) { ry(t) q[1]; k += 2; }", None),
    ("the step is nothing", "int s = 0; int k = 0; ", "while (c && k < 6) { ry(t) q[1]; k += s; }", None),
    (
        "a round may be cut short",
        "int k = 0; ",
        "while (c && k < 6) { ry(t) q[1]; if (c) { continue; } k += 1; }",
        None,
    ),
]


@pytest.mark.parametrize(
    ("start", "loop", "rounds"), [pytest.param(*rest, id=name) for name, *rest in CHANGED]
)
def test_what_the_body_changes_is_no_bound(start, loop, rounds):
    with pytest.raises(QasmError, match="the rounds of this loop are not bounded"):
        value(start + loop)
    if rounds is not None:
        assert value(f"{start}\n@qlazy.bound 20\n{loop}") == pytest.approx(math.cos(rounds * T), abs=1e-12)

"""Circuits too large for memory are refused before anything is allocated; the estimate is no less than the use."""

from __future__ import annotations

import tracemalloc
from contextlib import contextmanager

import pennylane as qml
import pytest
import torch

import qlazy
from qlazy.simulator.branching import circuit as branching

HEADER = """OPENQASM 3.0;
include "stdgates.inc";
input float t;
@qlazy.data
input float y;
"""


@contextmanager
def traced():
    """Holds the most bytes allocated inside the block."""
    tracemalloc.start()
    most = []
    try:
        yield most
        most.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


def text(num_qubits, body=""):
    chain = f"for int i in [0:{num_qubits - 2}] {{ cx q[i], q[i + 1]; }}\n"
    return HEADER + f"qubit[{num_qubits}] q;\nry(t) q[0]; rx(y) q[0];\n" + chain + body


def qnode(num_wires, device):
    @qml.qnode(device)
    def circuit(inputs, t):
        qml.RY(t, 0)
        qml.RX(inputs[..., 0], 0)
        for wire in range(num_wires - 1):
            qml.CNOT([wire, wire + 1])
        return qml.expval(qml.Z(num_wires - 1))

    return qlazy.Circuit(circuit, {"t": 1})


@pytest.mark.parametrize("num_qubits", [25, 30, 1_100, 9_000])
@pytest.mark.parametrize("body", ["rx(t) q;\n", "bit c = measure q[0]; if (c) { x q[1]; }\n"])
def test_wide_programs_are_refused_by_name(num_qubits, body):
    with pytest.raises(
        qlazy.UnsupportedModelError, match=f"`program` must have at most 24 .* {num_qubits:,}"
    ):
        qlazy.from_qasm(text(num_qubits, body))


@pytest.mark.parametrize("num_wires", [25, 1_100, 9_000])
@pytest.mark.parametrize("named", [True, False], ids=["wires", "no wires"])
def test_wide_qnodes_are_refused_by_name(num_wires, named):
    model = qnode(num_wires, qml.device("default.qubit", wires=num_wires if named else None))
    with pytest.raises(qlazy.UnsupportedModelError, match=f"`qnode` must have at most 24 .* {num_wires:,}"):
        model(torch.zeros(1, dtype=torch.float64), torch.zeros(2, 1, dtype=torch.float64))


def test_a_branch_on_many_qubits_is_refused_before_its_tables_are_made():
    with traced() as most, pytest.raises(qlazy.UnsupportedModelError, match=r"at most 4 GiB.*about \d.* GiB"):
        qlazy.from_qasm(text(22, "bit c = measure q[0]; if (c) { x q[1]; }\n"))
    assert most[0] < 2**24


LATE = "bit[4] c = measure q[0:3];\n" + "".join(f"if (c[{k}]) {{ ry(t) q[{4 + k}]; }}\n" for k in range(4))
"""Four bits read after others were measured: sixteen tracks."""
DENSE = "for int k in [0:9] { ry(t) q[0]; bit c = measure q[0]; if (c) { ry(t) q[1]; } reset q[0]; }\n"
ROTATED = "".join(f"ry(t + {k}) q[{k}];\n" for k in range(10))
PROGRAMS = {"vectors": (10, ROTATED + LATE), "densities": (5, DENSE)}


@pytest.mark.parametrize("kind", PROGRAMS)
def test_the_estimate_is_no_less_than_what_derivatives_take(kind, monkeypatch):
    num_qubits, body = PROGRAMS[kind]
    params, x = torch.full((1,), 0.7, dtype=torch.float64), torch.full((1, 1), 0.3, dtype=torch.float64)
    monkeypatch.setattr(branching, "WORKING_SET", 1)
    model = qlazy.from_qasm(text(num_qubits, body))
    model.jacobian(params, x)  # compiled
    with traced() as most:
        expected = model.jacobian(params, x)
    monkeypatch.setattr(branching, "MAX_STATE", most[0])
    with pytest.raises(qlazy.UnsupportedModelError, match=r"GiB a sample.*, but is about .* GiB"):
        qlazy.from_qasm(text(num_qubits, body)).jacobian(params, x)
    monkeypatch.setattr(branching, "MAX_STATE", 4 * most[0])
    torch.testing.assert_close(qlazy.from_qasm(text(num_qubits, body)).jacobian(params, x), expected)


def test_values_run_where_all_derivatives_at_once_do_not_fit(monkeypatch):
    params, x = torch.full((1,), 0.7, dtype=torch.float64), torch.full((1, 1), 0.3, dtype=torch.float64)
    model = qlazy.from_qasm(text(10, ROTATED + LATE))
    expected, jacobian = model(params, x), model.jacobian(params, x)
    monkeypatch.setattr(branching, "MAX_STATE", 3_500_000)
    model = qlazy.from_qasm(text(10, ROTATED + LATE))
    torch.testing.assert_close(model(params, x), expected, rtol=0, atol=0)
    with pytest.raises(qlazy.UnsupportedModelError, match="for the derivatives of 10 outputs, all at once"):
        model.jacobian(params, x)
    params.requires_grad_()
    gradient = torch.autograd.grad(model(params, x).sum(), params)[0]
    torch.testing.assert_close(gradient, jacobian.sum((0, 1)))


@pytest.mark.parametrize(
    "registers",
    [
        "qubit[1_000_000] q;",
        "qubit[ 20001 ] q;",
        "qreg q[20001];",
        "qubit[20000] a;\nqubit[5] b;",
        "\nqubit[90000] q;",
    ],
)
def test_wide_registers_are_refused_before_the_text_is_parsed(registers, monkeypatch, tmp_path):
    def parsed(*_):
        raise AssertionError("it is parsed")

    monkeypatch.setattr("qlazy.quantum.qasm.parse", parsed)
    program = HEADER + registers.replace("_", "")
    path = tmp_path / "wide.qasm"
    path.write_text(program)
    for make in (lambda: qlazy.from_qasm(program), lambda: qlazy.load_circuit(path)):
        with pytest.raises(qlazy.UnsupportedModelError, match="`program` must have at most 20,000 wires"):
            make()
    with pytest.raises(AssertionError, match="it is parsed"):
        qlazy.from_qasm(HEADER + "qubit[20000] q;")


def test_registers_in_comments_and_arguments_do_not_count():
    body = "// qubit[90000] q;\n/* ; qubit[90000] r; */ def f(qubit[90000] r) { }\nqubit[2] q; ry(t) q[0]; rx(y) q[0];"
    assert qlazy.from_qasm(HEADER + body).program.num_qubits == 2

"""Programs without weights are read, printed, run and drawn; what differentiates refuses them."""

from __future__ import annotations

import math

import pytest
import torch

import qlazy
from qlazy.commands import main as cli
from qlazy.quantum.program.printing import to_qasm

HEADER = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'
ROWS = torch.tensor([[0.3], [1.2], [-0.8]], dtype=torch.float64)
NONE = torch.zeros(0, dtype=torch.float64)
# The observable is Z q[1]: of a constant rotation, of one by the data, and of a measured bit.
PROGRAMS = {
    "gates": ("qubit[2] q; ry(0.3) q[0]; cx q[0], q[1];", ROWS[:, :0], [math.cos(0.3)] * 3),
    "data": ("@qlazy.data\ninput float y;\nqubit[2] q; ry(y) q[1];", ROWS, ROWS[:, 0].cos().tolist()),
    "branches": (
        "qubit[2] q; bit c; ry(0.3) q[0]; c = measure q[0]; if (c) { x q[1]; }", ROWS[:, :0], [math.cos(0.3)] * 3
    ),
}  # fmt: skip


@pytest.fixture(params=PROGRAMS)
def case(request):
    body, x, expected = PROGRAMS[request.param]
    return (
        qlazy.from_qasm(HEADER + body, observables=("Z q[1]",)),
        x,
        torch.tensor(expected, dtype=torch.float64),
    )


def test_it_runs(case):
    circuit, x, expected = case
    assert circuit.num_params == 0
    assert circuit.init(torch.Generator()).shape == (0,)
    torch.testing.assert_close(circuit(NONE, x)[:, 0], expected, rtol=0, atol=1e-12)


def test_it_is_printed_and_read_back(case):
    circuit, x, expected = case
    again = qlazy.from_qasm(to_qasm(circuit.program))
    torch.testing.assert_close(again(NONE, x)[:, 0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_is_drawn(name, tmp_path, capsys):
    path = tmp_path / "circuit.qasm"
    path.write_text(HEADER + PROGRAMS[name][0])
    assert cli.main(["circuits", str(path)]) == cli.OK
    assert "weights: none" in capsys.readouterr().out


DIFFERENTIATED = {
    "jacobian": lambda circuit, x: circuit.jacobian(NONE, x),
    "jvp": lambda circuit, x: circuit.jvp(NONE, x, NONE),
    "vjp": lambda circuit, x: circuit.vjp(NONE, x, torch.ones(3, 2, dtype=torch.float64)),
    "gram": lambda circuit, x: circuit.gram(NONE, x),
    "kernel": lambda circuit, x: qlazy.tangent_kernel(circuit, NONE, x),
    "train": lambda circuit, x: qlazy.train(circuit, NONE, (x, circuit(NONE, x)), steps=1),
    "linearized": lambda circuit, x: qlazy.Linearized(circuit, NONE),
}


@pytest.mark.parametrize("what", DIFFERENTIATED)
def test_what_differentiates_refuses_it(what, case):
    circuit, x, _ = case
    with pytest.raises(
        qlazy.UnsupportedModelError, match="`model` must have a parameter to be differentiated"
    ):
        DIFFERENTIATED[what](circuit, x)


def test_a_qnode_without_weights_is_refused_as_before():
    import pennylane as qml

    @qml.qnode(qml.device("default.qubit", wires=1))
    def circuit(inputs):
        qml.RX(inputs[..., 0], 0)
        return qml.expval(qml.Z(0))

    with pytest.raises(ValueError, match="`weight_shapes` must name at least one weight"):
        qlazy.Circuit(circuit, {})

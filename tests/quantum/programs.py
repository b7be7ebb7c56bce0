"""Random programs over the whole of the language's control, for Hypothesis, and the states of circuits."""

import numpy as np
import pennylane as qml
from hypothesis import strategies as st

from qlazy.quantum.pennylane.qnodes import apply_gate

HEADER = """
include "stdgates.inc";
pragma qlazy.observable Z q[0]
pragma qlazy.observable 0.5 X q[0] Y q[1] - 0.3 Z q[1]
input float a;
input float b;
@qlazy.data
input float x;
qubit[2] q;
bit[2] c;
float t = 0.3;
int k = 1;
h q[0];
ry(b) q[1];
"""
GATES = st.sampled_from(
    [
        "rx(a) {0};",
        "ry(b * x) {0};",
        "h {0};",
        "cx {0}, {1};",
        "crz(a + b) {0}, {1};",
        "rz(2*a + b*b) {0};",
        "p(sin(a)) {0};",
        "cp(a * b) {0}, {1};",
        "negctrl @ rx(a) {0}, {1};",
        "U(a, b, a * x) {0};",
        "ctrl @ U(b, a, 0.2) {0}, {1};",
        "rx(a * k) {0};",
        "ry(b * c[1]) {0};",
        "rx(t) {1};",
        "ry(t * a) {0};",
        "gphase(a);",
        "swap {0}, {1};",
    ]
)
CLASSICAL = st.sampled_from(
    [
        "k += 1;",
        "c[0] = measure {0};",
        "c[1] = measure {1};",
        "c = measure q;",
        "reset {0};",
        "t = t + b;",
        "t = 0.5 * a * t;",
        "measure {0};",
    ]
)
CONDITIONS = st.sampled_from(["c[0]", "!c[1]", "c == 2", "k > 1", "c[0] && k == 1", "(c[0] ^ c[1]) == 1"])


@st.composite
def bodies(draw, depth=2):
    kinds = ["gate", "gate", "classical"] + ["if", "if", "while"] * (depth > 0)
    lines = []
    for _ in range(draw(st.integers(1, 3))):
        first, second = draw(st.permutations(["q[0]", "q[1]"]))
        match draw(st.sampled_from(kinds)):
            case "gate":
                lines.append(draw(GATES).format(first, second))
            case "classical":
                lines.append(draw(CLASSICAL).format(first, second))
            case "if":
                otherwise = f" else {{ {draw(bodies(depth - 1))} }}" if draw(st.booleans()) else ""
                lines.append(f"if ({draw(CONDITIONS)}) {{ {draw(bodies(depth - 1))} }}{otherwise}")
            case "while":
                bound = draw(st.integers(1, 3))
                lines.append(
                    f"\n@qlazy.bound {bound}\nwhile ({draw(CONDITIONS)}) {{ {draw(bodies(depth - 1))} }}"
                )
    return " ".join(lines)


@st.composite
def programs(draw):
    """Texts that measure at least once, so that their conditions may go either way."""
    return HEADER + "c[0] = measure q[0]; rx(a) q[0];\n" + draw(bodies()) + "\nry(a) q[1];"


def states(program, angles):
    """Final states of default.qubit, gate by gate, by another route than the adjoint simulator's."""
    rows = []
    for row in angles:
        gates = [gate for gate in program.operations if gate.name not in ("id", "gphase")]
        phases = [gate for gate in program.operations if gate.name == "gphase" and not gate.controls]

        def circuit(gates=gates, row=row, program=program):
            for gate in gates:
                apply_gate(gate, {next(iter(program.weights)): row})
            return qml.state()

        state = qml.QNode(circuit, qml.device("default.qubit", wires=program.num_qubits))()
        phase = sum(float(gate.angles[0].evaluate({next(iter(program.weights)): row})) for gate in phases)
        rows.append(np.exp(1j * phase) * np.asarray(state))
    return np.stack(rows)

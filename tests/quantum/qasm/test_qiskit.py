"""The reader against an independent one, qiskit's importer: written, random and exported programs.

Unitaries are compared up to the global phase, where qiskit's U departs from the specification. Its qubits
count from the least significant bit, so its circuits are reversed first.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qlazy import QasmError
from qlazy.quantum.corpus import program_from_qasm
from qlazy.quantum.program.expression import Input
from qlazy.quantum.program.printing import to_qasm
from qlazy.quantum.program.program import Gate, PauliSum, Program
from qlazy.quantum.qasm.gates.standard import STANDARD
from tests import oracle
from tests.quantum.qasm.test_standard import EXPECTED, NUM_ANGLES

qiskit = pytest.importorskip("qiskit")
pytest.importorskip("qiskit_qasm3_import")

from qiskit import QuantumCircuit, qasm3  # noqa: E402
from qiskit.circuit import Parameter, ParameterVector  # noqa: E402
from qiskit.quantum_info import Operator  # noqa: E402

# qiskit warns of its own importer.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

HEADER = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'


def theirs(circuit, values=()):
    bound = circuit.assign_parameters(dict(values)) if values else circuit
    return Operator(bound.reverse_bits()).data


def check(text, values=None):
    """`text` means the same unitary here and there, its inputs bound to `values` by name."""
    program = program_from_qasm(text)
    circuit = qasm3.loads(text)
    values = values or {}
    params = [values[name] for name in program.weights]
    bound = {parameter: values[parameter.name] for parameter in circuit.parameters}
    ours = oracle.unitary(program, params)
    assert oracle.equal_up_to_phase(ours, theirs(circuit, bound)) < 1e-10


@pytest.mark.parametrize(
    "body",
    [
        "qubit[3] q; h q; cx q[0], q[1:2]; rz(pi / 3) q[-1];",
        "qubit[2] a; qubit[2] b; h a; cx a, b; ry(0.3) b[{1, 0}];",
        "qubit a; qubit[3] b; x a; cry(0.7) a, b; swap b[0], b[2];",
        "qubit[4] q; h q; let r = q[0:2:3] ++ q[1:1]; t r; ccx r[0], r[1], r[2];",
        "gate g(a, b) s, t { rx(a / 2) s; cp(b) s, t; U(a, b, -a) t; } qubit[2] q; g(0.4, 1.1) q[1], q[0];",
        "gate g(a) s { rx(a) s; h s; } qubit[3] q; h q; ctrl @ g(0.4) q[0], q[1]; inv @ g(1.0) q[2];",
        "qubit[3] q; h q; ctrl @ inv @ rx(0.3) q[0], q[2]; negctrl @ ctrl @ x q[0], q[1], q[2];",
        "qubit[3] q; h q; ctrl(2) @ ry(0.3) q[2], q[0], q[1]; negctrl(2) @ z q[0], q[1], q[2];",
        "qubit q; pow(2) @ sx q; pow(-1) @ t q;",
        "qubit[2] q; h q; gphase(0.3); ctrl @ rz(0.7) q[0], q[1];",
    ],
)
def test_programs(body):
    check(HEADER + body)


def test_inputs():
    body = "input float[64] a; input angle[32] b; qubit[2] q;"
    body += "h q; rx(2 * a - b / 3) q[0]; crz(a * a + b) q[0], q[1];"
    check(HEADER + body, {"a": 0.37, "b": 1.21})


NAMES = sorted(STANDARD)


@st.composite
def calls(draw, num_qubits=3):
    """One call of a gate of the library, its angles constants, inputs, or sums and products of both."""
    name = draw(st.sampled_from(NAMES))
    width = int(np.log2(len(EXPECTED[name])))
    atoms = st.one_of(st.sampled_from(["a", "b", "pi"]), st.floats(-3, 3).map(lambda v: f"{v:.3f}"))
    sums = st.tuples(atoms, st.sampled_from("+-*"), atoms).map(lambda parts: f"({' '.join(parts)})")
    angles = [draw(st.one_of(atoms, sums)) for _ in range(NUM_ANGLES.get(name, 0))]
    modifiers = draw(st.sampled_from(["", "", "inv @ "]))
    wires = draw(st.permutations(range(num_qubits)))[:width]
    shown = f"({', '.join(angles)})" if angles else ""
    return f"{modifiers}{name}{shown} {', '.join(f'q[{wire}]' for wire in wires)};"


@settings(max_examples=60)
@given(st.lists(calls(), min_size=1, max_size=8), st.floats(-3, 3), st.floats(-3, 3))
def test_random_programs(statements, a, b):
    text = HEADER + "input float[64] a;\ninput float[64] b;\nqubit[3] q;\n" + "\n".join(statements)
    # A parameter that no gate uses is not one of qiskit's.
    check(text, {"a": a, "b": b})


def exported(circuit):
    """The export of a circuit, and its value here and there at random parameters."""
    program = program_from_qasm(qasm3.dumps(circuit))
    draws = np.random.default_rng(0).normal(size=circuit.num_parameters)
    values = dict(zip(circuit.parameters, draws, strict=True))
    named = {parameter.name.replace("[", "_").replace("]", "_"): value for parameter, value in values.items()}
    lookup = {name.strip("_"): value for name, value in named.items()}
    params = [lookup[name.strip("_")] for name in program.weights]
    assert oracle.equal_up_to_phase(oracle.unitary(program, params), theirs(circuit, values)) < 1e-10


def test_exports_of_single_parameters():
    a, b = Parameter("a"), Parameter("b")
    circuit = QuantumCircuit(3)
    circuit.rx(a, 0)
    circuit.cry(2 * a + b, 0, 1)
    circuit.rzz(a * b, 1, 2)
    circuit.rxx(b, 0, 2)
    circuit.u(a, b, 0.3, 1)
    circuit.barrier()
    circuit.append(QuantumCircuit(2, name="block").to_gate(), [0, 2])
    circuit.iswap(0, 1)
    circuit.sxdg(2)
    exported(circuit)


def test_exports_of_vectors_and_library_circuits():
    theta = ParameterVector("t", 4)
    circuit = QuantumCircuit(2)
    circuit.ry(theta[0], 0)
    circuit.rz(theta[1].sin() - 1, 1)
    circuit.cx(0, 1)
    circuit.p(theta[2] ** 2, 1)
    circuit.crx(-theta[3], 1, 0)
    exported(circuit)
    exported(qiskit.circuit.library.real_amplitudes(3, reps=2))
    exported(qiskit.circuit.library.zz_feature_map(3, reps=1))
    exported(qiskit.circuit.library.efficient_su2(2, reps=1).decompose())


@pytest.mark.parametrize(
    "amplitudes",
    [
        [0.5, 0.5j, -0.5, 0.5],
        [0.6, 0.64 + 0.48j],
        [1j, 0],
        [0, -1j],
        [0.5, 0.5, -0.5, 0.5],
        [3**-0.5, 0, 1j * 3**-0.5, -(3**-0.5)],
        [1e-3j, 1],
    ],
)
def test_exports_of_prepared_states(amplitudes):
    """The amplitudes that stand beside the gates, in Python's writing, have no effect; the gates prepare them."""
    from qiskit.circuit.library import StatePreparation

    amplitudes = np.array(amplitudes) / np.linalg.norm(amplitudes)
    width = int(np.log2(len(amplitudes)))
    inner = QuantumCircuit(width, name="inner")
    inner.append(StatePreparation(amplitudes), range(width))
    circuit = QuantumCircuit(width)
    circuit.append(inner.to_gate(), range(width))
    program = program_from_qasm(qasm3.dumps(circuit))
    assert oracle.equal_up_to_phase(oracle.unitary(program)[:, :1], theirs(circuit)[:, :1]) < 1e-8
    exported(circuit)


def test_a_complex_number_where_an_angle_counts_is_refused():
    text = "gate g(a, b) r { rx(a) r; } qubit q; "
    program_from_qasm(HEADER + text + "g(0.5, 1 - 0.5j) q; g(0.5, -2im) q;")
    for call in ("g(0.5j, 0) q;", "g(1 + 0.5j, 0) q;", "rx(0.5j) q;", "rx(1im) q;"):
        with pytest.raises(QasmError, match="complex number"):
            program_from_qasm(HEADER + text + call)


def test_exports_on_physical_qubits():
    a = Parameter("a")
    circuit = QuantumCircuit(2, 1)
    circuit.ry(a, 0)
    circuit.cx(0, 1)
    circuit.sxdg(1)
    placed = qiskit.transpile(
        circuit, coupling_map=[[0, 1], [1, 2]], initial_layout=[2, 1], basis_gates=["rz", "sx", "sxdg", "cx"]
    )
    text = qasm3.dumps(placed)
    assert "$2" in text
    program = program_from_qasm(text)
    assert program.qubits == ("$1", "$2")
    # the wire that nothing acts on is not among ours
    ours = np.kron(np.eye(2), oracle.unitary(program, [0.7]))
    assert oracle.equal_up_to_phase(ours, theirs(placed, {a: 0.7})) < 1e-10


def without_pragmas(text):
    """qiskit's importer takes none."""
    return "\n".join(line for line in text.split("\n") if not line.startswith("pragma"))


MODIFIERS = (
    "",
    "ctrl @ ",
    "negctrl @ ",
    "ctrl(2) @ ",
    "inv @ ",
    "ctrl @ inv @ ",
    "pow(2) @ ",
    "ctrl @ pow(0.5) @ ",
)


@pytest.mark.parametrize("modifier", MODIFIERS)
@pytest.mark.parametrize("name", [*NAMES, "U"])
def test_what_is_emitted_means_the_same_to_qiskit(name, modifier):
    """Every gate of the language, with constant and with trained angles, under every modifier, between other gates.

    Phases under a control count: an H on the controls before and after shows them.
    """
    width = 1 if name == "U" else int(np.log2(len(EXPECTED[name])))
    count = 3 if name == "U" else NUM_ANGLES.get(name, 0)
    controls = {"ctrl @": 1, "negctr": 1, "ctrl(2": 2}.get(modifier[:6], 0)
    for angles in (["0.3", "1.1", "-0.7", "0.4"], ["w", "2 * w", "-w", "w + 1"]):
        if "0.5" in modifier and angles[0] == "w" and count:
            continue  # a fractional power of what depends on an input is refused
        shown = f"({', '.join(angles[:count])})" if count else ""
        wires = ", ".join(f"q[{wire}]" for wire in range(controls + width))
        text = (
            f"{HEADER}input float[64] w; qubit[5] q; rx(w) q[4]; h q; {modifier}{name}{shown} {wires}; h q;"
        )
        program = program_from_qasm(text)
        circuit = qasm3.loads(without_pragmas(to_qasm(program)))
        values = dict.fromkeys(circuit.parameters, 0.37)
        ours = oracle.unitary(program, [0.37])
        assert oracle.equal_up_to_phase(ours, theirs(circuit, values)) < 1e-10


@pytest.mark.parametrize("word", ["t", "s", "x", "h", "p", "id", "U", "pi", "tau", "input", "gate", "sin"])
def test_names_that_are_words_of_the_language_are_renamed(word):
    """Qubits, bits, weights and data of such names: qiskit takes the text, and it means the same."""
    ry, rz = Gate("ry", (Input(word) * Input("a", 1, (2,)),), (0,)), Gate("rz", (Input("a", 0, (2,)),), (1,))
    gates = (Gate("h", (), (1,)), ry, rz, Gate("x", (), (1,), (0,), (1,)), Gate("rx", (Input(word),), (1,)))
    for qubits in (("q[0]", "q[1]"), ("y[0]", "y[1]"), ("cz", "tdg")):
        program = Program("names", qubits, {word: ()}, {"a": (2,)}, gates, (PauliSum.z(0), PauliSum.z(1)))
        text = to_qasm(program)
        assert f"{word} to {word}_" in text
        again = program_from_qasm(text)
        assert list(again.weights) == [f"{word}_"]
        np.testing.assert_allclose(
            oracle.unitary(again, [0.7], [0.4, -1.3]), oracle.unitary(program, [0.7], [0.4, -1.3]), atol=1e-12
        )
        # qiskit knows neither pragmas nor annotations nor arrays
        lines = text.replace("input array[float[64], 2] a;", "input float[64] a0; input float[64] a1;")
        lines = lines.replace("a[0]", "a0").replace("a[1]", "a1").splitlines()
        circuit = qasm3.loads("\n".join(line for line in lines if not line.startswith(("pragma", "@"))))
        flat = {f"{word}_": 0.7, "a0": 0.4, "a1": -1.3}
        found = theirs(circuit, {parameter: flat[parameter.name] for parameter in circuit.parameters})
        assert oracle.equal_up_to_phase(oracle.unitary(program, [0.7], [0.4, -1.3]), found) < 1e-10

"""Circuits of Qiskit against its own matrices and simulator: gates, library, parameters, order, control flow."""

import numpy as np
import pytest
import torch

import qlazy
from tests import oracle

qiskit = pytest.importorskip("qiskit")

from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, qasm3  # noqa: E402
from qiskit.circuit import Gate, Measure, Parameter, ParameterVector, library  # noqa: E402
from qiskit.circuit.library.standard_gates import get_standard_gate_name_mapping  # noqa: E402
from qiskit.circuit.random import random_circuit  # noqa: E402
from qiskit.quantum_info import (  # noqa: E402
    Operator,
    Pauli,
    SparsePauliOp,
    Statevector,
    random_clifford,
    random_unitary,
)  # fmt: skip

# what Qiskit says of its own old classes
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",
    "ignore::PendingDeprecationWarning",
    "ignore:splu converted",
    "ignore:spsolve is",
)

NO_ROWS = torch.zeros(1, 0, dtype=torch.float64)
STANDARD = {
    name: gate
    for name, gate in get_standard_gate_name_mapping().items()
    if name not in ("delay", "measure", "reset", "global_phase")
}


@pytest.mark.parametrize("name", STANDARD)
def test_every_standard_gate_has_its_matrix(name):
    gate = STANDARD[name]
    values = np.linspace(0.3, 1.1, len(gate.params))
    parameters = [Parameter(f"a{k}") for k in range(len(values))]
    circuit = QuantumCircuit(gate.num_qubits)
    circuit.append(type(gate)(*parameters) if parameters else gate, range(gate.num_qubits))
    program = qlazy.from_qiskit(circuit).program
    bound = circuit.assign_parameters(dict(zip(parameters, values, strict=True)))
    expected = Operator(bound.reverse_bits()).data
    assert oracle.equal_up_to_phase(oracle.unitary(program, values), expected) < 1e-12


def _of(gate, width=None):
    circuit = QuantumCircuit(gate.num_qubits if width is None else width)
    circuit.h(range(circuit.num_qubits))
    circuit.append(gate, range(gate.num_qubits))
    return circuit


HAMILTONIAN = SparsePauliOp(["ZZI", "IZZ", "XII", "IXI"], [0.5, -0.3, 0.7, 0.2])
LIBRARY = {
    "real amplitudes": lambda: library.real_amplitudes(3, reps=2),
    "real amplitudes, circular": lambda: library.real_amplitudes(4, entanglement="circular", reps=1),
    "real amplitudes, pairwise": lambda: library.real_amplitudes(4, entanglement="pairwise", reps=1),
    "real amplitudes, sca": lambda: library.real_amplitudes(3, entanglement="sca", reps=2),
    "real amplitudes, class": lambda: library.RealAmplitudes(3, reps=1),
    "efficient su2": lambda: library.efficient_su2(3, reps=1),
    "efficient su2, full": lambda: library.efficient_su2(3, entanglement="full", reps=1),
    "efficient su2, class": lambda: library.EfficientSU2(2, reps=1),
    "n local": lambda: library.n_local(3, ["ry", "rz"], "cz", reps=1),
    "n local, parametrised": lambda: library.n_local(3, "rx", "crx", "linear", reps=2),
    "excitation preserving": lambda: library.excitation_preserving(3, reps=1),
    "pauli two design": lambda: library.pauli_two_design(3, reps=2, seed=1),
    "z feature map": lambda: library.z_feature_map(3, reps=2),
    "zz feature map": lambda: library.zz_feature_map(3, reps=1),
    "zz feature map, class": lambda: library.ZZFeatureMap(2, reps=1),
    "pauli feature map": lambda: library.pauli_feature_map(3, reps=1, paulis=["Z", "YY"]),
    "qaoa": lambda: library.qaoa_ansatz(SparsePauliOp(["ZZI", "IZZ"], [1.0, 0.5]), reps=2),
    "qaoa, class": lambda: library.QAOAAnsatz(SparsePauliOp(["ZZ", "ZI"], [1.0, 0.5])),
    "hamiltonian variational": lambda: library.hamiltonian_variational_ansatz(HAMILTONIAN, reps=1),
    "evolved operators": lambda: library.evolved_operator_ansatz([Pauli("ZZ"), Pauli("XI")], reps=2),
    "iqp": lambda: library.iqp([[6, 5, 3], [5, 4, 5], [3, 5, 1]]),
    "random iqp": lambda: library.random_iqp(3, seed=3),
    "fourier checking": lambda: library.fourier_checking([1, -1, -1, -1], [1, 1, -1, -1]),
    "hidden linear function": lambda: library.hidden_linear_function([[1, 1, 0], [1, 0, 1], [0, 1, 1]]),
    "phase estimation": lambda: library.phase_estimation(2, _of(library.TGate())),
    "grover operator": lambda: library.grover_operator(_of(library.ZGate(), 2)),
    "quantum volume": lambda: library.quantum_volume(3, 2, seed=2),
    "unitary overlap": lambda: library.unitary_overlap(
        library.real_amplitudes(2, reps=1), library.z_feature_map(2, reps=1)
    ),
    "fourier transform": lambda: _of(library.QFTGate(4)),
    "fourier transform, class": lambda: library.QFT(3, inverse=True),
    "and": lambda: _of(library.AndGate(2, [1, -1])),
    "or": lambda: _of(library.OrGate(2, [1, -1])),
    "exclusive or": lambda: _of(library.BitwiseXorGate(3, 5)),
    "inner product": lambda: _of(library.InnerProductGate(2)),
    "diagonal": lambda: _of(library.DiagonalGate([1, 1j, -1, -1j])),
    "permutation": lambda: _of(library.PermutationGate([2, 0, 1])),
    "many controls and targets": lambda: _of(library.MCMTGate(library.YGate(), 2, 1)),
    "controlled phase": lambda: _of(library.MCPhaseGate(0.3, 3)),
    "controlled x": lambda: _of(library.MCXGate(4)),
    "controlled x, open": lambda: _of(library.MCXGate(3, ctrl_state=2)),
    "controlled u": lambda: _of(library.UGate(0.1, 0.2, 0.3).control(2)),
    "controlled rotation": lambda: _of(library.RYGate(Parameter("t")).control(1, ctrl_state=0)),
    "modular adder": lambda: _of(library.ModularAdderGate(2)),
    "half adder": lambda: _of(library.HalfAdderGate(2)),
    "full adder": lambda: _of(library.FullAdderGate(2)),
    "multiplier": lambda: _of(library.MultiplierGate(1)),
    "linear pauli rotations": lambda: _of(library.LinearPauliRotationsGate(2, 0.3, 0.2)),
    "integer comparator": lambda: _of(library.IntegerComparatorGate(2, 2)),
    "piecewise rotations": lambda: _of(
        library.PiecewiseLinearPauliRotationsGate(2, [0, 2], [0.3, 0.1], [0.2, 0.4])
    ),
    "clifford": lambda: _of(random_clifford(2, seed=5).to_instruction()),
    "uniformly controlled rx": lambda: _of(library.UCRXGate([0.1, 0.2, 0.3, 0.4])),
    "uniformly controlled rz": lambda: _of(library.UCRZGate([0.1, -0.2])),
    "isometry": lambda: _of(library.Isometry(np.eye(4)[:, :2], 0, 0)),
    "prepared state": lambda: _of(library.StatePreparation([0.5, 0.5j, -0.5, 0.5])),
    "unitary of one": lambda: _of(library.UnitaryGate(random_unitary(2, seed=1))),
    "unitary of two": lambda: _of(library.UnitaryGate(random_unitary(4, seed=2))),
    "unitary of three": lambda: _of(library.UnitaryGate(random_unitary(8, seed=3))),
    "hamiltonian": lambda: _of(library.HamiltonianGate(np.array([[1, 0.3], [0.3, -1]]), 0.7)),
    "pauli word": lambda: _of(library.PauliGate("XYZ")),
    # as a product formula: Statevector would take the exponential of the whole
    "evolution": lambda: _of(library.PauliEvolutionGate(HAMILTONIAN, time=0.3)).decompose("PauliEvolution"),
    "evolution by a parameter": lambda: _of(library.PauliEvolutionGate(Pauli("XYZ"), time=Parameter("t"))),
    "linear function": lambda: _of(library.LinearFunction([[1, 1], [0, 1]])),
    "graph state": lambda: _of(library.GraphStateGate([[0, 1, 1], [1, 0, 0], [1, 0, 0]])),
    "molmer sorensen": lambda: _of(library.MSGate(2, 0.3)),
    **{f"random {k}": lambda k=k: random_circuit(3, 4, max_operands=3, seed=k) for k in range(4)},
}


def test_there_are_sixty_circuits_of_the_library():
    assert len([name for name in LIBRARY if not name.startswith("random ")]) >= 60


def _theirs(circuit, values, operators):
    state = Statevector(circuit.assign_parameters(values))
    return np.array([state.expectation_value(operator).real for operator in operators])


@pytest.mark.parametrize("name", LIBRARY)
def test_a_circuit_of_the_library_has_qiskits_outputs_and_jacobian(name):
    circuit = LIBRARY[name]()
    n = circuit.num_qubits
    letters = [(letter, wire) for letter in "XZ" for wire in range(n)]
    operators = [SparsePauliOp.from_sparse_list([(letter, [wire], 1.0)], n) for letter, wire in letters]
    ours = qlazy.from_qiskit(circuit, observables=operators)
    assert ours.num_params == circuit.num_parameters
    at = np.random.default_rng(0).uniform(0, 2, circuit.num_parameters)
    params = torch.from_numpy(at)
    np.testing.assert_allclose(ours(params, NO_ROWS)[0].numpy(), _theirs(circuit, at, operators), atol=1e-9)
    if len(at):  # along one direction, by a rule of order six
        direction = np.random.default_rng(1).normal(size=len(at))
        step, weights = 0.004, {1: 0.75, 2: -0.15, 3: 1 / 60}
        slope = sum(
            weight / step * sign * _theirs(circuit, at + sign * k * step * direction, operators)
            for k, weight in weights.items()
            for sign in (1, -1)
        )
        found = ours.jvp(params, NO_ROWS, torch.from_numpy(direction))[0].numpy()
        np.testing.assert_allclose(found, slope, atol=1e-8)


def test_parameters_stand_in_qiskits_order_and_data_in_the_order_given():
    theta, a = ParameterVector("θ", 12), Parameter("a b")
    x, gamma = ParameterVector("x", 3), Parameter("gamma")
    circuit = QuantumCircuit(3)
    circuit.rx(theta[10], 0)
    circuit.ry(theta[2] * a, 1)
    circuit.rz(x[0] ** 2 + gamma, 1)
    circuit.h(1)
    circuit.ry(x[2].sin() - theta[11], 2)
    operators = [SparsePauliOp(["XIZ", "IZI", "III"], [0.5, -2.0, 1.5]), Pauli("ZII"), Pauli("IIZ")]
    ours = qlazy.from_qiskit(circuit, observables=operators, data=["gamma", x])
    assert {name: block.stop - block.start for name, block in ours.blocks.items()} == {"a_b": 1, "θ": 3}
    rows = np.random.default_rng(0).normal(size=(2, 4))
    at = np.random.default_rng(1).normal(size=4)
    found = ours(torch.from_numpy(at), torch.from_numpy(rows)).numpy()
    weights = [p for p in circuit.parameters if p not in {*x, gamma}]
    for row, outputs in zip(rows, found, strict=True):
        values = dict(zip(weights, at, strict=True)) | {gamma: row[0], x[0]: row[1], x[2]: row[3]}
        np.testing.assert_allclose(outputs, _theirs(circuit, values, operators), atol=1e-12)
    alone = qlazy.from_qiskit(circuit, data=x)
    assert alone.program.num_features == 3
    assert alone.num_params == 5


def test_qubit_0_is_the_first_output_and_the_rightmost_letter():
    circuit = QuantumCircuit(QuantumRegister(2, "a"), QuantumRegister(1, "b"))
    circuit.x(0)
    circuit.ry(0.4, 2)
    empty = torch.zeros(0, dtype=torch.float64)
    outputs = qlazy.from_qiskit(circuit)(empty, NO_ROWS)[0].tolist()
    assert outputs == pytest.approx([-1, 1, np.cos(0.4)])
    named = qlazy.from_qiskit(circuit, observables="Z b[0]")(empty, NO_ROWS)
    worded = qlazy.from_qiskit(circuit, observables=Pauli("ZII"))(empty, NO_ROWS)
    assert named.item() == pytest.approx(worded.item())


def test_overlapping_registers_and_placed_circuits_become_one_register():
    register = QuantumRegister(2, "a")
    circuit = QuantumCircuit(register, QuantumRegister(bits=[register[1]], name="again"))
    circuit.ry(Parameter("t"), register[1])
    assert qlazy.from_qiskit(circuit).program.qubits == ("q[0]", "q[1]")
    plain = QuantumCircuit(2)
    plain.ry(Parameter("t"), 0)
    plain.cx(0, 1)
    placed = qiskit.transpile(
        plain, coupling_map=[[0, 1], [1, 2]], initial_layout=[2, 1], optimization_level=0
    )
    ours = qlazy.from_qiskit(placed, observables=[Pauli("IIZ"), Pauli("IZI"), Pauli("ZII")])
    outputs = ours(torch.tensor([0.7], dtype=torch.float64), NO_ROWS)[0].tolist()
    assert outputs == pytest.approx([1, np.cos(0.7), np.cos(0.7)])


def _teleported():
    circuit = QuantumCircuit(QuantumRegister(3, "q"), ClassicalRegister(1, "a"), ClassicalRegister(1, "b"))
    circuit.ry(Parameter("t"), 0)
    circuit.h(1)
    circuit.cx(1, 2)
    circuit.cx(0, 1)
    circuit.h(0)
    circuit.measure(0, 0)
    circuit.measure(1, 1)
    with circuit.if_test((circuit.cregs[1], 1)):
        circuit.x(2)
    with circuit.if_test((circuit.cregs[0], 1)):
        circuit.z(2)
    return circuit


def _switched():
    circuit = QuantumCircuit(3, 2)
    circuit.ry(Parameter("t"), [0, 1])
    circuit.measure([0, 1], [0, 1])
    with circuit.switch(circuit.cregs[0]) as case:
        with case(0):
            circuit.x(2)
        with case(1, 2):
            circuit.ry(0.3, 2)
        with case(case.DEFAULT):
            circuit.h(2)
    return circuit


def _looped():
    circuit = QuantumCircuit(3)
    with circuit.for_loop(range(3)):
        circuit.ry(Parameter("t"), 2)
    return circuit


@pytest.mark.parametrize(
    ("make", "closed"),
    [
        (_teleported, np.cos),
        (_switched, lambda t: -(np.cos(t / 2) ** 4) + 2 * (np.sin(t) / 2) ** 2 * np.cos(0.3)),
        (_looped, lambda t: np.cos(3 * t)),
    ],
)
def test_control_flow_against_closed_forms(make, closed):
    ours = qlazy.from_qiskit(make(), observables=["Z q[2]"])
    outputs = ours(torch.tensor([0.7], dtype=torch.float64), NO_ROWS)
    assert outputs.item() == pytest.approx(closed(0.7), abs=1e-12)
    slope = ours.jacobian(torch.tensor([0.7], dtype=torch.float64), NO_ROWS).item()
    assert slope == pytest.approx((closed(0.7 + 1e-6) - closed(0.7 - 1e-6)) / 2e-6, abs=1e-8)


def test_names_of_the_language_and_twins_are_told_apart():
    circuit = QuantumCircuit(1)
    for name in ("gamma", "pi", "rx", "a b", "a-b", "1st"):
        circuit.ry(Parameter(name), 0)
    ours = qlazy.from_qiskit(circuit)
    assert len(ours.blocks) == 6
    at = torch.arange(1.0, 7.0, dtype=torch.float64) / 10
    assert ours(at, NO_ROWS).item() == pytest.approx(np.cos(2.1))


def _unknown():
    circuit = QuantumCircuit(1)
    circuit.append(Gate("mystery", 1, []), [0])
    return circuit


def _sampled():
    circuit = QuantumCircuit(1, 1)
    circuit.append(Measure(), [0], [0])
    with circuit.while_loop((circuit.clbits[0], 1)):
        circuit.measure(0, 0)
    return circuit


A = Parameter("a")
ONE = QuantumCircuit(1)
ONE.rx(A, 0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: qlazy.from_qiskit("OPENQASM 3.0;"), TypeError, "be a qiskit.QuantumCircuit, but is str"),
        (lambda: qlazy.from_qiskit(QuantumCircuit()), ValueError, "`circuit` must have a qubit"),
        (lambda: qlazy.from_qiskit(ONE, data=["b"]), ValueError, "name parameters of the circuit, which are a"),
        (lambda: qlazy.from_qiskit(ONE, data=["a", A]), ValueError, "`data` must name each once"),
        (lambda: qlazy.from_qiskit(ONE, data=[3]), TypeError, "`data` must name Parameters"),
        (lambda: qlazy.from_qiskit(ONE, observables=[Pauli("ZZ")]), ValueError, "act on the circuit's 1 qubits"),
        (lambda: qlazy.from_qiskit(ONE, observables=[3]), TypeError, "`observables` must be texts"),
        (lambda: qlazy.from_qiskit(ONE, observables=SparsePauliOp(["Z"], [1j])), ValueError, "real coefficients"),
        (lambda: qlazy.from_qiskit(ONE, observables="Z r[0]"), qlazy.QasmError, "r"),
        (lambda: qlazy.from_qiskit(_unknown()), qlazy.UnsupportedModelError, "mystery"),
        (lambda: qlazy.from_qiskit(_of(library.WeightedSumGate(2))), qlazy.UnsupportedModelError, "WeightedSum"),
        (lambda: qlazy.from_qiskit(_sampled()), qlazy.QasmError, "while"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Cannot synthesize")
def test_what_does_not_qualify_is_refused_by_name(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_qiskits_own_text_is_what_is_read():
    """Without the exporter between them both readings agree, so that nothing is lost on the way."""
    circuit = library.efficient_su2(2, reps=1)
    text = qasm3.dumps(circuit)
    at = torch.rand(8, dtype=torch.float64)
    direct, by_text = qlazy.from_qiskit(circuit), qlazy.from_qasm(text)
    torch.testing.assert_close(direct(at, NO_ROWS), by_text(at, NO_ROWS))


PARTS = ParameterVector("x", 3), ParameterVector("w", 12), Parameter("u")


def of_parts():
    """A feature map of a vector and a number, and an ansatz of a vector with more than ten elements."""
    x, w, u = PARTS
    feature_map, ansatz = QuantumCircuit(2), QuantumCircuit(2)
    for k, angle in enumerate((*x, u)):
        feature_map.rx(angle * (1 + k), k % 2)
    for k, angle in enumerate(w):
        ansatz.ry(angle, k % 2)
        ansatz.cx(0, 1)
    return feature_map, feature_map.compose(ansatz)


@pytest.mark.parametrize("convert", [lambda given: given, list, tuple])
def test_data_may_be_the_parameters_of_a_feature_map(convert):
    feature_map, circuit = of_parts()
    model = qlazy.from_qiskit(circuit, data=convert(feature_map.parameters))
    named = qlazy.from_qiskit(circuit, data=["u", "x"])
    params, x = model.init(0), torch.rand(3, 4, dtype=torch.float64)
    assert model.blocks == {"w": slice(0, 12)}
    torch.testing.assert_close(model(params, x), named(params, x), rtol=0, atol=0)


@pytest.mark.parametrize("chosen", [[0], [0, 2], [2, 1, 0], [1, 2, 0], [0, 1, 2, 0]])
def test_a_part_of_a_vector_is_no_data(chosen):
    with pytest.raises(ValueError, match="`data` must hold all elements of a ParameterVector .*'x'"):
        qlazy.from_qiskit(of_parts()[1], data=[PARTS[0][k] for k in chosen])


def test_a_circuit_among_models_is_told_the_way_in():
    with pytest.raises(TypeError, match=r"`models\['theirs'\]` must go through qlazy.from_qiskit"):
        qlazy.compare({"theirs": of_parts()[1]}, qlazy.load_data("moons", train=10, test=10))

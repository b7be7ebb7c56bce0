"""Circuits of Cirq against its own matrices and simulator."""

from __future__ import annotations

import inspect
import itertools

import numpy as np
import pytest
import torch

import qlazy
from qlazy import UnsupportedModelError
from tests import oracle
from tests.quantum.interop.circuits import odd_answers, run_example, slopes

cirq = pytest.importorskip("cirq")
sympy = pytest.importorskip("sympy")

Q, Q6 = cirq.LineQubit.range(4), cirq.LineQubit.range(6)
MATRIX = cirq.testing.random_unitary(4, random_state=0)
GATES = {
    "XPow": (cirq.XPowGate, {"exponent": 0.3, "global_shift": 0.2}),
    "YPow": (cirq.YPowGate, {"exponent": 0.3}),
    "ZPow": (cirq.ZPowGate, {"exponent": 0.3, "global_shift": -0.5}),
    "HPow": (cirq.HPowGate, {"exponent": 0.3}),
    "CXPow": (cirq.CXPowGate, {"exponent": 0.3, "global_shift": 0.1}),
    "CZPow": (cirq.CZPowGate, {"exponent": 0.3}),
    "CYPow": (cirq.CYPowGate, {"exponent": 0.3}),
    "CNotPow": (cirq.CNotPowGate, {"exponent": 0.3}),
    "CCXPow": (cirq.CCXPowGate, {"exponent": 0.3}),
    "CCNotPow": (cirq.CCNotPowGate, {"exponent": 0.3}),
    "CCZPow": (cirq.CCZPowGate, {"exponent": 0.3}),
    "CCYPow": (cirq.CCYPowGate, {"exponent": 0.3}),
    "SwapPow": (cirq.SwapPowGate, {"exponent": 0.3}),
    "ISwapPow": (cirq.ISwapPowGate, {"exponent": 0.3}),
    "XXPow": (cirq.XXPowGate, {"exponent": 0.3}),
    "YYPow": (cirq.YYPowGate, {"exponent": 0.3}),
    "ZZPow": (cirq.ZZPowGate, {"exponent": 0.3, "global_shift": -0.5}),
    "PhasedXPow": (cirq.PhasedXPowGate, {"phase_exponent": 0.2, "exponent": 0.3}),
    "PhasedXZ": (cirq.PhasedXZGate, {"x_exponent": 0.2, "z_exponent": 0.3, "axis_phase_exponent": 0.4}),
    "PhasedISwapPow": (cirq.PhasedISwapPowGate, {"phase_exponent": 0.2, "exponent": 0.3}),
    "FSim": (cirq.FSimGate, {"theta": 0.2, "phi": 0.3}),
    "PhasedFSim": (cirq.PhasedFSimGate, {"theta": 0.2, "zeta": 0.3, "chi": 0.4, "gamma": 0.5, "phi": 0.6}),
    "Rx": (cirq.Rx, {"rads": 0.3}),
    "Ry": (cirq.Ry, {"rads": 0.3}),
    "Rz": (cirq.Rz, {"rads": 0.3}),
    "MS": (lambda rads: cirq.ms(rads), {"rads": 0.3}),
    "controlled": (lambda a: cirq.ControlledGate(cirq.Y**a, control_values=[0]), {"a": 0.3}),
    "controlled swap": (lambda a: cirq.ControlledGate(cirq.SWAP**a), {"a": 0.3}),
    "controlled twice": (lambda a: cirq.ControlledGate(cirq.XX**a, 2, control_values=[1, 0]), {"a": 0.3}),
    "controlled by a sum": (
        lambda a: cirq.ControlledGate(cirq.X**a, 2, control_values=cirq.SumOfProducts([[0, 1], [1, 0]])), {"a": 0.3}
    ),
    "ThreeQubitDiagonal": (
        lambda a: cirq.ThreeQubitDiagonalGate([0, a, 0.1, 0.2, 0.3, 0.4, 0.5, -a]), {"a": 0.3}
    ),
    "TwoQubitDiagonal": (lambda a: cirq.TwoQubitDiagonalGate([0, a, 0.1, -a]), {"a": 0.3}),
    "Diagonal": (lambda: cirq.DiagonalGate([0, 0.3, 0.1, -0.3]), {}),
    "Parallel": (lambda a: cirq.ParallelGate(cirq.X**a, 2), {"a": 0.3}),
    "PauliStringPhasor": (
        lambda a: cirq.PauliStringPhasorGate(cirq.DensePauliString("XYZ"), exponent_neg=a), {"a": 0.3}
    ),
    "Identity": (lambda: cirq.IdentityGate(2), {}),
    "X": (lambda: cirq.X, {}),
    "CNOT": (lambda: cirq.CNOT, {}),
    "CSwap": (cirq.CSwapGate, {}),
    "CXSWAP": (lambda: cirq.CXSWAP, {}),
    "CZSWAP": (lambda: cirq.CZSWAP, {}),
    "Matrix": (lambda: cirq.MatrixGate(MATRIX), {}),
    "DensePauliString": (lambda: cirq.DensePauliString("XYZI"), {}),
    "MutableDensePauliString": (lambda: cirq.MutableDensePauliString("XYZ"), {}),
    "Clifford": (lambda: cirq.CliffordGate.from_op_list([cirq.H(Q[0]), cirq.CNOT(*Q[:2])], Q[:2]), {}),
    "SingleQubitClifford": (lambda: cirq.SingleQubitCliffordGate.X_sqrt, {}),
    "PhaseGradient": (lambda: cirq.PhaseGradientGate(num_qubits=3, exponent=0.3), {}),
    "QuantumFourierTransform": (lambda: cirq.QuantumFourierTransformGate(4), {}),
    "QubitPermutation": (lambda: cirq.QubitPermutationGate([2, 0, 1]), {}),
    "PauliInteraction": (lambda: cirq.PauliInteractionGate(cirq.X, True, cirq.Y, False, exponent=0.3), {}),
    "BooleanHamiltonian": (lambda: cirq.BooleanHamiltonianGate(["a", "b"], ["a & b"], 0.3), {}),
    "UniformSuperposition": (lambda: cirq.UniformSuperpositionGate(3, 2), {}),
    "GlobalPhase": (lambda: cirq.GlobalPhaseGate(1j).controlled(), {}),
    "Wait": (lambda: cirq.WaitGate(cirq.Duration(nanos=3)), {}),
}  # fmt: skip
MADE_OF_NONE = {"EigenGate", "Gate", "Pauli", "ControlledGate", "BaseDensePauliString", "ArithmeticGate"}
"""Of which there are no instances without more, and those that stand above by other names."""
REFUSED = {
    "MeasurementGate", "PauliMeasurementGate", "RandomGateChannel", "ResetChannel", "StatePreparationChannel",
    "AmplitudeDampingChannel", "AsymmetricDepolarizingChannel", "BitFlipChannel", "DepolarizingChannel",
    "GeneralizedAmplitudeDampingChannel", "KrausChannel", "MixedUnitaryChannel", "PhaseDampingChannel",
    "PhaseFlipChannel",
}  # fmt: skip
"""Noise, and what measures."""


def symbolic(options):
    """A symbol for each number that Cirq takes one for."""
    return {key: value if key == "global_shift" else sympy.Symbol(key) for key, value in options.items()}


def test_the_table_names_every_gate_of_cirq() -> None:
    kinds = {n for n, v in vars(cirq).items() if inspect.isclass(v) and issubclass(v, cirq.Gate)}
    assert kinds - {name + "Gate" for name in GATES} - set(GATES) == MADE_OF_NONE | REFUSED


@pytest.mark.parametrize("name", GATES)
def test_every_gate_has_its_matrix(name) -> None:
    """With numbers, and with a symbol for each number."""
    make, options = GATES[name]
    numbers = make(**options)
    qubits = Q[: cirq.num_qubits(numbers)]
    expected = cirq.unitary(numbers)
    for gate in (numbers, make(**symbolic(options))):
        circuit = cirq.Circuit(cirq.I.on_each(*qubits), gate.on(*qubits))
        program = qlazy.from_cirq(circuit).program
        values = [options[key] for key in program.weights]
        assert oracle.equal_up_to_phase(oracle.unitary(program, values), expected) < 1e-12


@pytest.mark.parametrize("name", [n for n in GATES if len(GATES[n][1]) and n != "controlled twice"])
def test_phases_count_under_a_control(name) -> None:
    make, options = GATES[name]
    numbers = make(**options)
    qubits = Q[: cirq.num_qubits(numbers)]
    if len(qubits) > 3:
        pytest.skip("four qubits and a control")
    symbols = make(**symbolic(options))
    control = cirq.NamedQubit("a")  # sorted before the others
    circuit = cirq.Circuit(symbols.on(*qubits).controlled_by(control))
    program = qlazy.from_cirq(circuit).program
    order = sorted(circuit.all_qubits())
    expected = cirq.Circuit(numbers.on(*qubits).controlled_by(control)).unitary(qubit_order=order)
    found = oracle.unitary(program, [options[key] for key in program.weights])
    assert oracle.equal_up_to_phase(found, expected) < 1e-12


def drawn(seed: int) -> cirq.Circuit:
    """Three to four qubits and about fifteen gates of all kinds, some with numbers and some with expressions."""
    rng = np.random.default_rng(seed)
    symbols = sympy.symbols("u v w x")
    qubits = [cirq.GridQubit(0, n) for n in range(3 + seed % 2)]
    operations = [cirq.H.on_each(*qubits)]
    names = [n for n in GATES if cirq.num_qubits(GATES[n][0](**GATES[n][1])) <= 3 and n != "GlobalPhase"]
    for _ in range(15):
        make, options = GATES[str(rng.choice(names))]
        given = {}
        for key in [key for key in options if key != "global_shift"]:
            first, second = rng.choice(4, 2, replace=False)
            shapes = [
                0.3 * rng.normal(),
                symbols[first],
                0.5 * symbols[first] + 0.2,
                symbols[first] * symbols[second],
                symbols[first] / 2 - symbols[second] / 3,
                sympy.sin(symbols[first]) ** 2,
            ]
            given[key] = shapes[rng.integers(len(shapes))]
        gate = make(**options | given)
        places = rng.choice(len(qubits), cirq.num_qubits(gate), replace=False)
        operations.append(gate.on(*(qubits[place] for place in places)))
    operations += [(cirq.X ** symbols[k]).on(qubits[k % 3]) for k in range(4)]
    return cirq.Circuit(operations)


@pytest.mark.parametrize("seed", range(20))
def test_drawn_circuits_give_outputs_and_slopes_of_cirq(seed) -> None:
    circuit = drawn(seed)
    qubits = sorted(circuit.all_qubits())
    words = [cirq.Z(qubits[0]) * cirq.X(qubits[1]), 0.5 * cirq.Y(qubits[2]) - 2.0 * cirq.Z(qubits[1])]
    model = qlazy.from_cirq(circuit, observables=[*words, "X q[0]"], data=["x"])
    names = list(model.program.weights)
    point = np.random.default_rng(seed).uniform(-0.6, 0.6, len(names) + 1)

    def outputs(values):
        resolver = dict(zip([*names, "x"], values, strict=True))
        state = cirq.resolve_parameters(circuit, resolver).final_state_vector(
            qubit_order=qubits, dtype=np.complex128
        )
        index = {qubit: n for n, qubit in enumerate(qubits)}
        sums = [cirq.PauliSum.wrap(word) for word in [*words, cirq.X(qubits[0])]]
        return np.array(
            [one.expectation_from_state_vector(state, index, check_preconditions=False).real for one in sums]
        )

    params, x = torch.from_numpy(point[:-1]), torch.from_numpy(point[-1:]).unsqueeze(0)
    np.testing.assert_allclose(model(params, x)[0], outputs(point), atol=1e-9)
    np.testing.assert_allclose(model.jacobian(params, x)[0], slopes(outputs, point)[:, :-1], atol=1e-9)


def test_the_order_of_symbols_and_of_data() -> None:
    b, a, t, theta = sympy.symbols("b a turn theta[0]")
    circuit = cirq.Circuit(cirq.rx(t + b)(Q[0]), cirq.ry(a)(Q[0]), cirq.rz(b * a)(Q[1]), cirq.ry(theta)(Q[1]))
    assert list(qlazy.from_cirq(circuit).program.weights) == ["b", "turn", "a", "theta_0_"]
    model = qlazy.from_cirq(circuit, data=[a, "turn"])
    assert list(model.program.weights) == ["b", "theta_0_"]
    assert list(model.program.data) == ["a", "turn"]
    assert qlazy.from_qasm(qlazy.quantum.program.printing.to_qasm(model.program)).num_params == 2


def test_measurements_at_the_end_and_wide_circuits() -> None:
    qubits = cirq.LineQubit.range(40)
    a = sympy.Symbol("a")
    circuit = cirq.Circuit(
        [cirq.rx(a)(q) for q in qubits],
        [cirq.CZ(*pair) for pair in itertools.pairwise(qubits)],
    )
    circuit += cirq.measure(*qubits, key="m")
    model = qlazy.from_cirq(circuit)
    params = torch.tensor([0.4], dtype=torch.float64)
    outputs = model(params, torch.zeros(1, 0, dtype=torch.float64))
    np.testing.assert_allclose(outputs[0], np.full(40, np.cos(0.4)), atol=1e-12)


@pytest.mark.parametrize(
    ("operations", "words"),
    [
        (lambda: [cirq.depolarize(0.1)(Q[0])], "one with `depolarize"),
        (lambda: [cirq.reset(Q[0])], "one with `reset"),
        (lambda: [cirq.measure(Q[0], key="m"), cirq.X(Q[0])], "measure at its end alone"),
        (
            lambda: [cirq.measure(Q[0], key="m"), cirq.X(Q[1]).with_classical_controls("m")],
            "measure at its end alone|unitary gates",
        ),
        (lambda: [cirq.rx(sympy.Symbol("a") ** sympy.I)(Q[0])], "have real angles"),
        (lambda: [cirq.rx(sympy.gamma(sympy.Symbol("a")))(Q[0])], "angles made by arithmetic"),
        (lambda: [cirq.MatrixGate(cirq.testing.random_unitary(64, random_state=0))(*Q6)], "one with"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_named(operations, words) -> None:
    with pytest.raises(UnsupportedModelError, match=words):
        qlazy.from_cirq(cirq.Circuit(operations()))


def test_wrong_arguments_are_named() -> None:
    circuit = cirq.Circuit(cirq.rx(sympy.Symbol("a"))(Q[0]))
    with pytest.raises(ValueError, match="`data` must name symbols of the circuit, which are a, but is 'b'"):
        qlazy.from_cirq(circuit, data=["b"])
    with pytest.raises(ValueError, match="`observables` must have real coefficients"):
        qlazy.from_cirq(circuit, observables=[1j * cirq.Z(Q[0])])
    with pytest.raises(ValueError, match="`observables` must act on the circuit's qubits"):
        qlazy.from_cirq(circuit, observables=[cirq.Z(Q[1])])
    with pytest.raises(TypeError, match="`circuit` must be a cirq.Circuit"):
        qlazy.from_cirq(3)
    for call in (lambda: qlazy.Circuit(circuit, {}), lambda: qlazy.check(circuit, qlazy.load_data("iris"))):
        with pytest.raises(TypeError, match=r"must go through qlazy.from_cirq, but is a Circuit of cirq"):
            call()


def test_odd_values_and_the_example_of_the_docs() -> None:
    assert odd_answers(qlazy.from_cirq, cirq.Circuit(cirq.rx(sympy.Symbol("angle"))(Q[0]))) == []
    run_example("from_cirq")

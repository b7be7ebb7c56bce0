"""Circuits of Amazon Braket against its own matrices and local simulator."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch

import qlazy
from qlazy import UnsupportedModelError
from tests import oracle
from tests.quantum.interop.circuits import odd_answers, run_example, slopes

pytest.importorskip("braket.circuits")

from braket.circuits import Circuit, FreeParameter, Gate, Instruction, Noise, Observable
from braket.devices import LocalSimulator

MATRIX = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))[0].astype(complex)
KINDS = {name: kind for name, kind in vars(Gate).items() if inspect.isclass(kind) and issubclass(kind, Gate)}
ARGUMENTS = {
    name: [p for p in inspect.signature(kind.__init__).parameters if p.startswith("angle")]
    for name, kind in KINDS.items()
}
GATES = sorted(set(KINDS) - {"PulseGate", "Unitary", "GPhase"})


def test_gates_are_looked_up() -> None:
    assert len(GATES) > 35


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize("controls", [0, 1, 2])
def test_every_gate_has_its_matrix(name, controls) -> None:
    """With numbers and with FreeParameters, alone and under controls by 0 and 1, where phases count."""
    kind, arguments = KINDS[name], ARGUMENTS[name]
    count = kind.fixed_qubit_count()
    if count + controls > 4:
        pytest.skip("more than four qubits")
    values = np.linspace(0.3, 0.9, len(arguments))
    state = [0, 1][:controls]
    for given in (values.tolist(), [FreeParameter(f"a{n}") for n in range(len(arguments))]):
        options = {"control": range(controls), "control_state": state} if controls else {}
        circuit = Circuit()
        for qubit in range(controls + count):
            circuit.i(qubit)
        circuit.add_instruction(Instruction(kind(*given), range(controls, controls + count), **options))
        program = qlazy.from_braket(circuit).program
        matrix = kind(*values).to_matrix()
        whole = oracle.embed(
            matrix, range(controls, controls + count), controls + count, range(controls), state
        )
        used = [values[int(symbol[1:])] for symbol in program.weights]
        found = oracle.unitary(program, used)
        assert oracle.equal_up_to_phase(found, whole) < 1e-12


@pytest.mark.parametrize("power", [-1, 2, 0.5, -0.3])
def test_powers_and_matrices(power) -> None:
    for name in ("X", "H", "S", "Swap", "CCNot"):
        kind = KINDS[name]
        count = kind.fixed_qubit_count()
        circuit = Circuit().add_instruction(Instruction(kind(), range(count), power=power))
        values, vectors = np.linalg.eig(kind().to_matrix())
        values = np.where(np.isclose(values, -1), np.exp(1j * np.pi), values)
        expected = vectors @ np.diag(values**power) @ np.linalg.inv(vectors)
        found = oracle.unitary(qlazy.from_braket(circuit).program)
        assert oracle.equal_up_to_phase(found, expected) < 1e-12
    circuit = Circuit().unitary(matrix=MATRIX, targets=[2, 0, 1])
    expected = oracle.embed(MATRIX, [2, 0, 1], 3)
    assert oracle.equal_up_to_phase(oracle.unitary(qlazy.from_braket(circuit).program), expected) < 1e-12


def test_a_phase_counts_under_a_control() -> None:
    gamma = FreeParameter("gamma")
    for given in (0.7, gamma):
        circuit = Circuit().i(0).gphase(given, control=0)
        program = qlazy.from_braket(circuit).program
        found = oracle.unitary(program, [0.7] if given is gamma else [])
        assert oracle.equal_up_to_phase(found, np.diag([1, np.exp(0.7j)])) < 1e-12


SYMBOLS = {name: FreeParameter(name) for name in ("u", "v", "w", "x")}


def drawn(seed: int, values: dict) -> Circuit:
    """Three to four qubits and about fifteen gates of all kinds, some with numbers and some with expressions.

    With numbers in place of FreeParameters it is the same circuit bound to them: Braket's own ``make_bound_circuit``
    loses controls.
    """
    rng = np.random.default_rng(seed)
    symbols = [values[name] for name in SYMBOLS]
    qubits = range(3 + seed % 2)
    circuit = Circuit()
    for qubit in qubits:
        circuit.h(qubit)
    for _ in range(15):
        name = str(rng.choice(GATES))
        given = []
        for _ in ARGUMENTS[name]:
            first, second = (symbols[k] for k in rng.choice(4, 2, replace=False))
            shapes = [0.3 * rng.normal(), first, 0.5 * first + 0.2, first * second, first / 2 - second / 3]
            given.append(shapes[rng.integers(len(shapes))])
        gate = KINDS[name](*given)
        places = [int(place) for place in rng.choice(len(qubits), gate.qubit_count, replace=False)]
        rest = [qubit for qubit in qubits if qubit not in places]
        options = (
            {"control": rest[:1], "control_state": [int(rng.integers(2))]}
            if rest and rng.random() < 0.3
            else {}
        )
        circuit.add_instruction(Instruction(gate, places, **options))
    for k, symbol in enumerate(symbols):
        circuit.rx(k % 3, symbol * 1.5)
    return circuit


@pytest.mark.parametrize("seed", range(20))
def test_drawn_circuits_give_outputs_and_slopes_of_braket(seed) -> None:
    circuit = drawn(seed, SYMBOLS)
    n = circuit.qubit_count
    words = [Observable.Z(0) @ Observable.X(1), 0.5 * Observable.Y(2) - 2.0 * Observable.Z(1), "X q[0]"]
    model = qlazy.from_braket(circuit, observables=words, data=["x"])
    names = [name.rstrip("_") for name in model.program.weights]
    matrices = [oracle.observable_matrix(one, n) for one in model.program.observables]
    expected = [
        oracle.product({0: "Z", 1: "X"}, n),
        0.5 * oracle.product({2: "Y"}, n) - 2 * oracle.product({1: "Z"}, n),
        oracle.product({0: "X"}, n),
    ]
    np.testing.assert_allclose(matrices, expected)
    device = LocalSimulator("braket_sv")

    def outputs(values):
        bound = drawn(
            seed, dict.fromkeys(SYMBOLS, 0.0) | dict(zip([*names, "x"], values.tolist(), strict=True))
        )
        state = device.run(bound.state_vector(), shots=0).result().values[0]
        return np.array([np.vdot(state, matrix @ state).real for matrix in expected])

    point = np.random.default_rng(seed).uniform(-0.6, 0.6, len(names) + 1)
    params, x = torch.from_numpy(point[:-1]), torch.from_numpy(point[-1:]).unsqueeze(0)
    np.testing.assert_allclose(model(params, x)[0], outputs(point), atol=1e-9)
    np.testing.assert_allclose(model.jacobian(params, x)[0], slopes(outputs, point)[:, :-1], atol=1e-9)


def test_result_types_are_the_outputs_where_none_are_given() -> None:
    a = FreeParameter("a")
    circuit = Circuit().rx(0, a).cnot(0, 3).expectation(Observable.Z() @ Observable.Z(), [0, 3])
    circuit.expectation(2.0 * Observable.Z(3))
    model = qlazy.from_braket(circuit)
    outputs = model(torch.tensor([0.4], dtype=torch.float64), torch.zeros(1, 0, dtype=torch.float64))
    np.testing.assert_allclose(outputs[0], [1, 2 * np.cos(0.4)], atol=1e-12)
    measured = Circuit().rx(0, a).cnot(0, 3).measure([0, 3])
    assert qlazy.from_braket(measured).program.num_outputs == 2


def test_the_order_of_parameters_and_of_data() -> None:
    one, two, three = (FreeParameter(name) for name in ("zeta", "alpha", "turn"))
    circuit = Circuit().rx(0, one + two).ry(0, three).rz(0, one)
    assert list(qlazy.from_braket(circuit).program.weights) == ["alpha", "zeta", "turn"]
    model = qlazy.from_braket(circuit, data=[three, "alpha"])
    assert (list(model.program.weights), list(model.program.data)) == (["zeta"], ["turn", "alpha"])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Circuit().h(0).add_instruction(Instruction(Noise.BitFlip(0.1), 0)), "one with `BitFlip`"),
        (lambda: Circuit().rx(0, FreeParameter("a"), power=0.5), "no powers of gates with FreeParameters"),
    ],
)
def test_what_is_not_read_is_named(make, words) -> None:
    with pytest.raises(UnsupportedModelError, match=words):
        qlazy.from_braket(make())


def test_wrong_arguments_are_named() -> None:
    circuit = Circuit().rx(0, FreeParameter("a"))
    with pytest.raises(ValueError, match="`data` must name symbols of the circuit, which are a, but is 'c'"):
        qlazy.from_braket(circuit, data=["c"])
    with pytest.raises(ValueError, match="`observables` must name their targets"):
        qlazy.from_braket(circuit, observables=[Observable.Z()])
    with pytest.raises(
        ValueError, match="`observables` must be made of X, Y, Z and I on qubits of the circuit"
    ):
        qlazy.from_braket(circuit, observables=[Observable.Z(5)])
    with pytest.raises(ValueError, match="`observables` must be made of X, Y, Z and I"):
        qlazy.from_braket(circuit, observables=[Observable.H(0)])
    with pytest.raises(TypeError, match="`circuit` must be a braket.circuits.Circuit"):
        qlazy.from_braket(3)
    for call in (lambda: qlazy.Circuit(circuit, {}), lambda: qlazy.check(circuit, qlazy.load_data("iris"))):
        with pytest.raises(TypeError, match=r"must go through qlazy.from_braket, but is a Circuit of braket"):
            call()


def test_odd_values_and_the_example_of_the_docs() -> None:
    assert odd_answers(qlazy.from_braket, Circuit().rx(0, FreeParameter("turn"))) == []
    run_example("from_braket")

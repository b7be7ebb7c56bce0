"""Circuits of pytket against its own matrices and statevectors."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

import qlazy
from qlazy import UnsupportedModelError
from tests import oracle
from tests.quantum.interop.circuits import odd_answers, run_example, slopes

pytket = pytest.importorskip("pytket")
sympy = pytest.importorskip("sympy")

from pytket import Circuit, Qubit  # noqa: E402
from pytket.circuit import (  # noqa: E402
    CircBox,
    ExpBox,
    Op,
    OpType,
    PauliExpBox,
    QControlBox,
    StatePreparationBox,
    Unitary1qBox,
    Unitary2qBox,
    Unitary3qBox,
)
from pytket.pauli import Pauli, QubitPauliString  # noqa: E402
from pytket.utils import QubitPauliOperator  # noqa: E402


def _gates() -> dict[str, tuple[int, int]]:
    """Every type of operation that is a gate, by name: how many angles it takes, and on how many qubits."""
    found = {}
    for name in OpType.__members__:
        for angles, size in itertools.product(range(4), range(1, 4)):
            try:
                matrix = made(name, [0.3 + 0.1 * n for n in range(angles)], size).get_unitary()
            except Exception:  # no gate, or of other numbers of angles and qubits
                continue
            if len(matrix) == 2**size:
                found[name] = angles, size  # where a gate has a choice, on the most
    return found


def made(name: str, values: list, size: int) -> Op:
    circuit = Circuit(size)
    circuit.add_gate(OpType.__members__[name], values, range(size))
    return circuit.get_commands()[0].op


GATES = _gates()
CHOSEN_WIDTH = ("CnRx", "CnRy", "CnRz", "CnX", "CnY", "CnZ", "NPhasedX", "PhaseGadget")


def test_gates_are_looked_up() -> None:
    assert len(GATES) > 50
    assert {name for name in CHOSEN_WIDTH if hasattr(OpType, name)} <= set(GATES)  # older ones have fewer


def of(name: str, values: list) -> tuple[Op, int]:
    size = GATES[name][1]
    return made(name, values, size), size


@pytest.mark.parametrize("name", GATES)
def test_every_gate_has_its_matrix(name) -> None:
    """With numbers, and with a symbol for each angle."""
    count = GATES[name][0]
    values = [0.3 + 0.2 * n for n in range(count)]
    expected = of(name, values)[0].get_unitary()
    for given in (values, [sympy.Symbol(f"a{n}") for n in range(count)]):
        operation, size = of(name, given)
        circuit = Circuit(size)
        circuit.add_gate(operation, range(size))
        program = qlazy.from_pytket(circuit).program
        used = [values[int(symbol[1:])] for symbol in program.weights]
        assert oracle.equal_up_to_phase(oracle.unitary(program, used), expected) < 1e-12


def boxes() -> dict[str, tuple[object, int]]:
    a = sympy.Symbol("a")
    inner = Circuit(2).H(0).CX(0, 1).Ry(a, 1)
    matrix = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))[0]
    return {
        "circuit": (CircBox(inner), 2),
        "controlled": (QControlBox(CircBox(inner), 1), 3),
        "pauli": (PauliExpBox([Pauli.X, Pauli.Y, Pauli.Z], a), 3),
        "exponential": (ExpBox(np.diag([1.0, 2.0, 0.5, -1.0]), 0.3), 2),
        "one": (Unitary1qBox(np.array([[0, 1j], [1, 0]])), 1),
        "two": (Unitary2qBox(np.kron(np.array([[0.6, 0.8], [0.8, -0.6]]), np.eye(2))), 2),
        "three": (Unitary3qBox(matrix), 3),
        "state": (StatePreparationBox(np.array([0.6, 0.0, 0.8j, 0.0])), 2),
    }


@pytest.mark.parametrize("name", boxes())
def test_boxes_are_what_they_are_made_of(name) -> None:
    box, size = boxes()[name]
    circuit = Circuit(size)
    circuit.add_gate(box, range(size))
    program = qlazy.from_pytket(circuit).program
    bound = circuit.copy()
    bound.symbol_substitution({sympy.Symbol("a"): 0.37})
    found = oracle.unitary(program, [0.37] * program.num_params)
    assert oracle.equal_up_to_phase(found, bound.get_unitary()) < 1e-12


def drawn(seed: int) -> Circuit:
    """Three to four qubits and about fifteen gates of all kinds, some with numbers and some with expressions."""
    rng = np.random.default_rng(seed)
    symbols = sympy.symbols("u v w x")
    circuit = Circuit(3 + seed % 2)
    for qubit in range(circuit.n_qubits):
        circuit.H(qubit)
    for _ in range(15):
        name = str(rng.choice(list(GATES)))
        given = []
        for _ in range(GATES[name][0]):
            first, second = (symbols[k] for k in rng.choice(4, 2, replace=False))
            shapes = [0.3 * rng.normal(), first, 0.5 * first + 0.2, first * second, first / 2 - second / 3]
            given.append(shapes[rng.integers(len(shapes))])
        operation, size = of(name, given)
        circuit.add_gate(
            operation, [int(place) for place in rng.choice(circuit.n_qubits, size, replace=False)]
        )
    for k, symbol in enumerate(symbols):
        circuit.Rx(symbol, k % 3)
    return circuit


@pytest.mark.parametrize("seed", range(20))
def test_drawn_circuits_give_outputs_and_slopes_of_pytket(seed) -> None:
    circuit = drawn(seed)
    n = circuit.n_qubits
    words = [
        QubitPauliString({Qubit(0): Pauli.Z, Qubit(1): Pauli.X}),
        QubitPauliOperator(
            {QubitPauliString(Qubit(2), Pauli.Y): 0.5, QubitPauliString(Qubit(1), Pauli.Z): -2.0}
        ),
        "X q[0]",
    ]
    model = qlazy.from_pytket(circuit, observables=words, data=["x"])
    names = [name.rstrip("_") for name in model.program.weights]
    expected = [
        oracle.product({0: "Z", 1: "X"}, n),
        0.5 * oracle.product({2: "Y"}, n) - 2 * oracle.product({1: "Z"}, n),
        oracle.product({0: "X"}, n),
    ]

    def outputs(values):
        bound = circuit.copy()
        bound.symbol_substitution(dict(zip(map(sympy.Symbol, [*names, "x"]), values.tolist(), strict=True)))
        state = bound.get_statevector()
        return np.array([np.vdot(state, matrix @ state).real for matrix in expected])

    point = np.random.default_rng(seed).uniform(-0.4, 0.4, len(names) + 1)
    params, x = torch.from_numpy(point[:-1]), torch.from_numpy(point[-1:]).unsqueeze(0)
    np.testing.assert_allclose(model(params, x)[0], outputs(point), atol=1e-9)
    np.testing.assert_allclose(model.jacobian(params, x)[0], slopes(outputs, point)[:, :-1], atol=1e-9)


def test_a_permutation_that_is_not_written_counts() -> None:
    from pytket.passes import CliffordSimp

    circuit = Circuit(3).Rx(0.3, 0).Ry(0.4, 1).CX(0, 1).CX(1, 0).CX(0, 1).Rz(0.2, 2).H(2)
    CliffordSimp(allow_swaps=True).apply(circuit)
    assert any(key != value for key, value in circuit.implicit_qubit_permutation().items())
    model = qlazy.from_pytket(circuit, observables=["Z q[0]", "Z q[1]", "X q[0] Z q[1]"])
    state = circuit.get_statevector()
    expected = [
        np.vdot(state, oracle.product(word, 3) @ state).real
        for word in ({0: "Z"}, {1: "Z"}, {0: "X", 1: "Z"})
    ]
    found = model(torch.zeros(0, dtype=torch.float64), torch.zeros(1, 0, dtype=torch.float64))
    np.testing.assert_allclose(found[0], expected, atol=1e-12)


def test_the_order_of_symbols_and_measurements_at_the_end() -> None:
    b, a, turn = sympy.symbols("b a turn")
    circuit = Circuit(2, 2).Rx(turn + b, 0).Ry(a, 1).CX(0, 1).Rz(b, 1).measure_all()
    assert list(qlazy.from_pytket(circuit).program.weights) == ["b", "turn", "a"]
    model = qlazy.from_pytket(circuit, data=[a, "turn"])
    assert (list(model.program.weights), list(model.program.data)) == (["b"], ["a", "turn"])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Circuit(1).H(0).Reset(0), "one with `Reset`"),
        (lambda: Circuit(1, 1).H(0).Measure(0, 0).X(0), "after a measurement"),
        (lambda: Circuit(2, 1).Measure(0, 0).X(1, condition_bits=[0], condition_value=1), "be made of gates"),
    ],
)
def test_what_is_not_read_is_named(make, words) -> None:
    with pytest.raises(UnsupportedModelError, match=words):
        qlazy.from_pytket(make())


def test_wrong_arguments_are_named() -> None:
    circuit = Circuit(1).Rx(sympy.Symbol("a"), 0)
    with pytest.raises(ValueError, match="`data` must name symbols of the circuit, which are a, but is 'b'"):
        qlazy.from_pytket(circuit, data=["b"])
    with pytest.raises(ValueError, match="`observables` must act on the circuit's qubits"):
        qlazy.from_pytket(circuit, observables=[QubitPauliString(Qubit(3), Pauli.Z)])
    with pytest.raises(TypeError, match="`circuit` must be a pytket.Circuit"):
        qlazy.from_pytket(3)
    for call in (lambda: qlazy.Circuit(circuit, {}), lambda: qlazy.check(circuit, qlazy.load_data("iris"))):
        with pytest.raises(TypeError, match=r"must go through qlazy.from_pytket, but is a Circuit of pytket"):
            call()


def test_odd_values_and_the_example_of_the_docs() -> None:
    assert odd_answers(qlazy.from_pytket, Circuit(1).Rx(sympy.Symbol("angle"), 0)) == []
    run_example("from_pytket")

"""Circuits of pytket."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qlazy.base.errors import UnsupportedModelError, refuse, require
from qlazy.quantum.circuit import BackendName, Circuit
from qlazy.quantum.interop.circuits.angles import Symbols
from qlazy.quantum.interop.circuits.building import Builder, data_names, observables_of, pauli_sum, several
from qlazy.quantum.interop.kinds import require_circuit
from qlazy.quantum.program.program import PauliSum
from qlazy.simulator.operations import MAX_DENSE_WIRES

if TYPE_CHECKING:
    import pytket

ROTATIONS = {
    "Rx": "X", "Ry": "Y", "Rz": "Z", "XXPhase": "XX", "YYPhase": "YY", "ZZPhase": "ZZ",
}  # fmt: skip
"""Gates exp(-i pi/2 a P) of one parameter a, in half turns."""


def from_pytket(
    circuit: pytket.Circuit,
    *,
    observables: Sequence[Any] = (),
    data: Sequence[Any] = (),
    backend: BackendName = "auto",
    cutoff: float = 0.0,
    max_weight: int | None = None,
) -> Circuit:
    """A circuit from a ``pytket.Circuit`` of gates and boxes, with measurements at its end alone.

    ``params`` are the symbols of SymPy in the order of their first use, by name within one angle, without those of
    ``data``: names or symbols, whose values are the columns of ``x`` in the order given. As in pytket an angle counts
    half turns: ``Rx(a)`` turns by pi a.

    ``observables`` are outputs, each a word such as "Z q[1]", q[k] being the k-th of ``circuit.qubits``, or pytket's
    ``QubitPauliString`` or ``QubitPauliOperator``; with none, the outputs are Z of every qubit. An implicit permutation
    of wires counts: it is where pytket says that a qubit has gone.

    Gates without symbols are their matrices, rotations by a symbol themselves, all others what pytket rebases them to.

    Raises TypeError for what is no circuit, ValueError for names in
    ``data`` that the circuit lacks and for observables that are none, and UnsupportedModelError, which names the
    operation, for resets, classical operations and measurements on the way.
    """
    require_circuit(circuit, "qlazy.from_pytket", "a pytket.Circuit")
    require(circuit.n_qubits, "circuit", "have a qubit", "without one")
    wires = {qubit: n for n, qubit in enumerate(circuit.qubits)}
    builder = Builder(Symbols(data_names(data)))
    _add_all(circuit, wires, builder)
    moved = circuit.implicit_qubit_permutation()
    ends = {qubit: wires[moved[qubit]] for qubit in wires}
    given = several(observables) or [f"Z q[{n}]" for n in range(len(wires))]
    outputs = observables_of([_observable(one, wires) for one in given], len(wires))
    program = builder.program(
        "pytket", len(wires), [_moved(one, [ends[q] for q in circuit.qubits]) for one in outputs]
    )
    return Circuit.from_program(program, backend=backend, cutoff=cutoff, max_weight=max_weight)


def _add_all(circuit: Any, wires: Mapping[Any, int], builder: Builder) -> None:
    from pytket.circuit import OpType
    from pytket.passes import DecomposeBoxes

    plain = circuit.copy()
    DecomposeBoxes().apply(plain)
    measured: set[int] = set()
    for command in plain.get_commands():
        places = [wires[qubit] for qubit in command.qubits]
        if command.op.type == OpType.Measure:
            measured.update(places)
        elif command.op.type not in (OpType.Barrier, OpType.noop, OpType.Phase):
            after = measured & {*places}
            must = "measure at its end alone"
            require(
                not after, "circuit", must, f"one with `{command}` after a measurement", UnsupportedModelError
            )
            require(
                not command.bits,
                "circuit",
                "be made of gates",
                f"one with `{command}`",
                UnsupportedModelError,
            )
            _add(command.op, places, builder)


def _add(operation: Any, wires: list[int], builder: Builder) -> None:
    from pytket.circuit import OpType

    name = operation.type.name
    if not operation.free_symbols() and len(wires) <= MAX_DENSE_WIRES:
        try:
            matrix = operation.get_unitary()
        except RuntimeError:
            refuse("circuit", "be made of gates", f"one with `{name}`", UnsupportedModelError)
        builder.matrix(matrix, wires, name)
    elif name in ROTATIONS:
        builder.rotation(ROTATIONS[name], builder.symbols.expression(operation.params[0]) * math.pi, wires)
    elif operation.type == OpType.TK1:  # Rz(a) Rx(b) Rz(c), the last first
        for letter, turn in zip("ZXZ", reversed(operation.params), strict=True):
            builder.rotation(letter, builder.symbols.expression(turn) * math.pi, wires)
    else:
        for part, places in _rebased(operation, len(wires)):
            _add(part, [wires[place] for place in places], builder)


def _rebased(operation: Any, num_qubits: int) -> list[tuple[Any, list[int]]]:
    """The operation as rotations about X and Z and CX, up to a phase that nobody sees."""
    from pytket import Circuit
    from pytket.circuit import OpType
    from pytket.passes import AutoRebase

    alone = Circuit(num_qubits)
    alone.add_gate(operation, range(num_qubits))
    # Symbols go through unlike those of the circuit's other gates: nothing is merged but within this one.
    AutoRebase({OpType.CX, OpType.Rz, OpType.Rx}).apply(alone)
    parts = [(command.op, [qubit.index[0] for qubit in command.qubits]) for command in alone.get_commands()]
    is_same = [part.type for part, _ in parts] == [operation.type]
    require(not is_same, "circuit", "be made of gates", f"one with `{operation}`", UnsupportedModelError)
    return parts


def _observable(given: Any, wires: Mapping[Any, int]) -> str | PauliSum:
    from pytket.pauli import QubitPauliString
    from pytket.utils import QubitPauliOperator

    if isinstance(given, str):
        return given
    must = "be texts such as 'Z q[0]', or QubitPauliString or QubitPauliOperator of pytket"
    kinds = QubitPauliString, QubitPauliOperator
    require(isinstance(given, kinds), "observables", must, type(given).__name__, TypeError)
    words = {given: 1.0} if isinstance(given, QubitPauliString) else given._dict
    terms = []
    for word, coefficient in words.items():
        strangers = [qubit for qubit in word.map if qubit not in wires]
        require(not strangers, "observables", "act on the circuit's qubits", f"on {strangers}")
        factors = [(wires[qubit], pauli.name) for qubit, pauli in word.map.items()]
        terms.append((complex(coefficient), factors))
    return pauli_sum(terms)


def _moved(observable: PauliSum, ends: Sequence[int]) -> PauliSum:
    """The observable on the wires where its qubits have gone."""
    terms = [
        (term.coefficient, [(ends[wire], letter) for wire, letter in term.factors])
        for term in observable.terms
    ]
    return pauli_sum(terms)

"""Circuits of Cirq."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from qlazy.base.errors import UnsupportedModelError, refuse, require
from qlazy.quantum.circuit import BackendName, Circuit
from qlazy.quantum.interop.circuits.angles import Symbols
from qlazy.quantum.interop.circuits.building import Builder, data_names, observables_of, pauli_sum, several
from qlazy.quantum.interop.kinds import require_circuit
from qlazy.quantum.program.program import PauliSum
from qlazy.simulator.operations import MAX_DENSE_WIRES

if TYPE_CHECKING:
    import cirq


def from_cirq(
    circuit: cirq.AbstractCircuit,
    *,
    observables: Sequence[Any] = (),
    data: Sequence[Any] = (),
    backend: BackendName = "auto",
    cutoff: float = 0.0,
    max_weight: int | None = None,
) -> Circuit:
    """A circuit from a ``cirq.Circuit`` of unitary gates, with measurements at its end alone.

    ``params`` are the symbols of SymPy in the order of their first use, by name within one angle, without those of
    ``data``: names or symbols, whose values are the columns of ``x`` in the order given. A symbol stands for what it
    stands for in Cirq: an exponent counts half turns, the argument of ``cirq.rx`` radians.

    ``observables`` are outputs, each a word such as "Z q[1]", q[k] being the k-th of the qubits as Cirq sorts them, or
    ``cirq.PauliString`` or ``cirq.PauliSum``; with none, the outputs are Z of every qubit.

    Gates without symbols are their matrices, powers of a gate by a symbol its eigenspaces, all others what Cirq
    decomposes them into.

    Raises TypeError for what is no circuit, ValueError for names in ``data``
    that the circuit lacks and for observables that are none, and UnsupportedModelError, which names the operation, for
    noise, measurements on the way, classical control and gates that have neither a matrix nor a decomposition.
    """
    require_circuit(circuit, "qlazy.from_cirq", "a cirq.Circuit")
    wires = {qubit: n for n, qubit in enumerate(sorted(circuit.all_qubits()))}
    require(wires, "circuit", "have a qubit", "without one")
    builder = Builder(Symbols(data_names(data)))
    must = "measure at its end alone"
    require(
        circuit.are_all_measurements_terminal(), "circuit", must, "one that goes on", UnsupportedModelError
    )
    for operation in circuit.all_operations():
        _add(operation, wires, builder)
    outputs = observables_of([_observable(one, wires) for one in several(observables)], len(wires))
    program = builder.program("cirq", len(wires), outputs)
    return Circuit.from_program(program, backend=backend, cutoff=cutoff, max_weight=max_weight)


def _add(operation: Any, wires: Mapping[Any, int], builder: Builder) -> None:
    import cirq

    operation = operation.untagged
    gate, qubits = operation.gate, [wires[qubit] for qubit in operation.qubits]
    if isinstance(gate, cirq.MeasurementGate | cirq.WaitGate | cirq.IdentityGate):
        return
    if isinstance(operation, cirq.ClassicallyControlledOperation):
        _refuse(operation)
    if isinstance(operation, cirq.ControlledOperation):
        controls = [wires[qubit] for qubit in operation.controls]
        for values in operation.control_values.expand():
            with builder.controlled(controls, values):
                _add(operation.sub_operation, wires, builder)
    elif isinstance(gate, cirq.ControlledGate):
        for values in gate.control_values.expand():
            count = gate.num_controls()
            with builder.controlled(qubits[:count], values):
                _add(gate.sub_gate.on(*operation.qubits[count:]), wires, builder)
    elif (matrix := _matrix(operation)) is not None:
        if qubits:
            builder.matrix(matrix, qubits, str(gate or operation))
        else:
            builder.phase(builder.symbols.expression(float(np.angle(matrix[0, 0]))))
    elif isinstance(gate, cirq.TwoQubitDiagonalGate | cirq.ThreeQubitDiagonalGate):
        # Cirq's decomposition of the second permutes qubits that are no neighbours, and its angles not with them.
        builder.diagonal([builder.symbols.expression(phase) for phase in gate.diag_angles_radians], qubits)
    elif (parts := _eigenspaces(gate)) is not None:
        builder.powers(parts, builder.symbols.expression(gate.exponent) * math.pi, qubits, str(gate))
    else:
        for part in _decomposed(operation):
            _add(part, wires, builder)


def _matrix(operation: Any) -> Any:
    """The matrix of an operation without symbols that is small enough; None for others."""
    import cirq

    if cirq.is_parameterized(operation) or len(operation.qubits) > MAX_DENSE_WIRES:
        return None
    matrix = cirq.unitary(operation, default=None)
    # Some gates keep symbols that Cirq does not count as such: their matrix holds expressions.
    return None if matrix is None or matrix.dtype.kind not in "fc" else matrix


def _eigenspaces(gate: Any) -> list[tuple[float, Any]] | None:
    """Pairs of e_k and P_k for a gate that is sum_k exp(i pi t e_k) P_k, t its exponent."""
    import cirq

    if not isinstance(gate, cirq.EigenGate):
        return None
    try:
        parts = [
            (float(number + gate.global_shift), projector) for number, projector in gate._eigen_components()
        ]
        return [(number, np.asarray(projector, dtype=complex)) for number, projector in parts]
    except TypeError:  # a symbol beside the exponent
        return None


def _decomposed(operation: Any) -> list[Any]:
    import cirq

    parts = cirq.decompose_once(operation, default=None)
    if parts is None or parts == [operation]:
        _refuse(operation)
    return list(parts)


def _refuse(operation: Any) -> NoReturn:
    must = "be made of unitary gates that have matrices or decompositions"
    refuse("circuit", must, f"one with `{operation}`", UnsupportedModelError)


def _observable(given: Any, wires: Mapping[Any, int]) -> str | PauliSum:
    import cirq

    if isinstance(given, str):
        return given
    must = "be texts such as 'Z q[0]', or PauliString or PauliSum of Cirq"
    if isinstance(given, cirq.SingleQubitPauliStringGateOperation):
        given = cirq.PauliString(given)
    require(
        isinstance(given, cirq.PauliString | cirq.PauliSum),
        "observables",
        must,
        type(given).__name__,
        TypeError,
    )
    words = [given] if isinstance(given, cirq.PauliString) else list(given)
    terms = []
    for word in words:
        strangers = [qubit for qubit in word.qubits if qubit not in wires]
        require(not strangers, "observables", "act on the circuit's qubits", f"on {strangers}")
        terms.append((word.coefficient, [(wires[qubit], str(pauli)) for qubit, pauli in word.items()]))
    return pauli_sum(terms)

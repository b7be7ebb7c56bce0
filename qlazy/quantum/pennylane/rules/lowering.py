"""PennyLane operators and measurements as what the simulator knows: Pauli rotations, fixed unitaries, observables.

Parametrised gates become Pauli rotations times a global phase; a controlled gate is the same list under
controls, the phase included. Any other operator is lowered through its own PennyLane decomposition.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pennylane as qml
from numpy.typing import NDArray
from pennylane.ops import Evolution, Exp

from qlazy.quantum.pennylane.rules.channels import transfer_of
from qlazy.quantum.pennylane.rules.matrices import one_qubit
from qlazy.quantum.pennylane.rules.preparations import is_basis_state, is_state, prepared_bits, prepared_state
from qlazy.quantum.pennylane.symbolic.elements import NotSymbolic
from qlazy.quantum.pennylane.symbolic.tensor import Symbolic
from qlazy.simulator.observables import Hermitian, Observable, PauliSum, PauliWord, Probabilities, Projector
from qlazy.simulator.operations import (
    MAX_DENSE_WIRES,
    Cnot,
    Diagonal,
    Flip,
    Operation,
    PauliRotation,
    Swap,
    Unitary,
)

Angle = Any  # a number or a scalar tensor, possibly one that is being traced
Index = Mapping[Any, int]

MAX_DEPTH = 20
MAX_POWER = 64


class NotLoweredError(Exception):
    """An operator, measurement or circuit that the simulator does not take; the message says which and why."""


class Lowered(NamedTuple):
    """An operation of the simulator, and its angle where that arrives at run time."""

    operation: Operation
    angle: Angle | None = None


class Rotations(NamedTuple):
    """exp(i phase) times exp(-i angle P / 2) for each (P, wires, angle), first applied first."""

    factors: tuple[tuple[str, tuple[Any, ...], Angle], ...]
    phase: Angle = 0.0

    def inverse(self) -> Rotations:
        factors = tuple((word, wires, -angle) for word, wires, angle in reversed(self.factors))
        return Rotations(factors, -self.phase)


def _one(word: str) -> Callable[[Any], Rotations]:
    return lambda op: Rotations(((word, tuple(op.wires), op.parameters[0]),))


def _phase_shift(op: Any) -> Rotations:
    angle = op.parameters[0]
    return Rotations((("Z", tuple(op.wires), angle),), angle / 2)


def _euler(op: Any) -> Rotations:
    wires, (phi, theta, omega) = tuple(op.wires), op.parameters
    return Rotations((("Z", wires, phi), ("Y", wires, theta), ("Z", wires, omega)))


def _u3(op: Any) -> Rotations:
    wires, (theta, phi, delta) = tuple(op.wires), op.parameters
    return Rotations((("Z", wires, delta), ("Y", wires, theta), ("Z", wires, phi)), (phi + delta) / 2)


def _u2(op: Any) -> Rotations:
    wires, (phi, delta) = tuple(op.wires), op.parameters
    return Rotations((("Z", wires, delta), ("Y", wires, np.pi / 2), ("Z", wires, phi)), (phi + delta) / 2)


def _ising_xy(op: Any) -> Rotations:
    wires, half = tuple(op.wires), op.parameters[0] / 2
    return Rotations((("XX", wires, -half), ("YY", wires, -half)))


def _pauli_rotation(op: Any) -> Rotations:
    word, angle = op.hyperparameters["pauli_word"], op.parameters[0]
    kept = [(letter, wire) for letter, wire in zip(word, op.wires, strict=True) if letter != "I"]
    if not kept:
        return Rotations((), -angle / 2)
    letters, wires = zip(*kept, strict=True)
    return Rotations((("".join(letters), wires, angle),))


def _multi_rz(op: Any) -> Rotations:
    return Rotations((("Z" * len(op.wires), tuple(op.wires), op.parameters[0]),))


ROTATIONS: dict[type, Callable[[Any], Rotations]] = {
    qml.RX: _one("X"),
    qml.RY: _one("Y"),
    qml.RZ: _one("Z"),
    qml.PhaseShift: _phase_shift,
    qml.U1: _phase_shift,
    qml.U2: _u2,
    qml.U3: _u3,
    qml.Rot: _euler,
    qml.IsingXX: _one("XX"),
    qml.IsingYY: _one("YY"),
    qml.IsingZZ: _one("ZZ"),
    qml.IsingXY: _ising_xy,
    qml.PauliRot: _pauli_rotation,
    qml.MultiRZ: _multi_rz,
    qml.GlobalPhase: lambda op: Rotations((), -op.parameters[0]),
}

FREE: dict[type, Callable[[tuple[int, ...]], Operation]] = {
    qml.CNOT: lambda wires: Cnot(*wires),
    qml.SWAP: lambda wires: Swap(*wires),
    qml.PauliX: lambda wires: Flip(*wires),
}

NOTHING = (qml.Identity, qml.Barrier, qml.Snapshot, qml.WireCut)


def lower_all(operators: Sequence[Any], index: Index, noise: bool = False) -> Iterator[Lowered]:
    """The operations of a circuit on |0...0>, with ``noise`` its channels on one wire among them."""
    touched: set[Any] = set()
    for op in operators:
        if noise and isinstance(op, qml.operation.Channel):
            yield Lowered(_channel(op, index))
            touched |= set(op.wires)
        else:
            yield from lower_after(touched, op, index)


def lower_after(touched: set[Any], op: Any, index: Index) -> Iterator[Lowered]:
    """The operations of an operator, where those on the wires ``touched``, to which its own are added, came before."""
    if not is_state(op):
        yield from lower(op, index)
    elif touched & set(op.wires):
        raise NotLoweredError(f"{op.name} of weights or inputs on wires that are in use")
    else:
        yield from itertools.starmap(Lowered, prepared_state(op, wires_of(op.wires, index)))
    touched |= set(op.wires)


def lower(op: Any, index: Index, depth: int = 0) -> Iterator[Lowered]:
    """The simulator's operations for a PennyLane operator; ``index`` numbers the wires.

    Raises NotLoweredError for a measurement, a channel, or an operator without a decomposition.
    """
    if isinstance(op, NOTHING):
        return
    if is_state(op) or is_state(getattr(op, "base", None)):
        raise NotLoweredError(f"{op.name} of weights or inputs within another gate")
    if type(op) in FREE:
        yield Lowered(FREE[type(op)](wires_of(op.wires, index)))
        return
    rotations = _rotations(op)
    if rotations is not None:
        yield from _controlled(*_without_controls(op), rotations, index)
    elif _is_fixed_gate(op) and len(op.wires) <= MAX_DENSE_WIRES and op.has_matrix:
        yield Lowered(_fixed(np.asarray(qml.matrix(op), dtype=complex), wires_of(op.wires, index)))
    elif is_basis_state(op):
        yield from itertools.starmap(Lowered, prepared_bits(op, wires_of(op.wires, index)))
    elif type(op) is qml.QubitUnitary and len(op.wires) == 1 and isinstance(op.data[0], Symbolic):
        yield from itertools.starmap(Lowered, one_qubit(op.data[0], index[op.wires[0]]))
    elif isinstance(op, Evolution | Exp) and (found := _evolution(op, index)):
        yield from found
    elif parts := _parts(op, depth):
        for part in parts:
            yield from lower(part, index, depth + 1)
    elif len(op.parameters) == 1 and op.has_generator and len(op.wires) <= MAX_DENSE_WIRES:
        generator = np.asarray(qml.matrix(op.generator(), wire_order=op.wires), dtype=complex)
        yield from _exponential(generator, op.parameters[0], wires_of(op.wires, index))
    elif is_constant(op) and len(op.wires) <= MAX_DENSE_WIRES and op.has_matrix:
        yield Lowered(_fixed(np.asarray(qml.matrix(op), dtype=complex), wires_of(op.wires, index)))
    else:
        raise NotLoweredError(f"{op.name} has no unitary decomposition")


def _channel(op: Any, index: Index) -> Operation:
    if any(isinstance(parameter, Symbolic) for parameter in op.data):
        raise NotLoweredError(f"{op.name} depends on weights or data")
    found = transfer_of(op, index[op.wires[0]]) if len(op.wires) == 1 else None
    if found is None:
        raise NotLoweredError(f"{op.name} mixes Pauli words, or acts on several wires")
    return found


def _rotations(op: Any) -> Rotations | None:
    """The rotations of a gate, of its base if it is controlled, reversed if it is an adjoint."""
    if isinstance(op, qml.ops.Controlled) and not isinstance(op, tuple(FREE)):
        return _rotations(op.base)
    if isinstance(op, qml.ops.Adjoint):
        base = None if isinstance(op.base, qml.ops.Controlled) else _rotations(op.base)
        return None if base is None else base.inverse()
    rule = ROTATIONS.get(type(op))
    return None if rule is None else rule(op)


def _without_controls(op: Any) -> tuple[tuple[Any, ...], tuple[int, ...]]:
    wires: tuple[Any, ...] = ()
    values: tuple[int, ...] = ()
    while isinstance(op, qml.ops.Controlled):
        wires += tuple(op.control_wires)
        values += tuple(int(value) for value in op.control_values)
        op = op.base
    return wires, values


def _controlled(
    controls: tuple[Any, ...], values: tuple[int, ...], rotations: Rotations, index: Index
) -> Iterator[Lowered]:
    numbers = wires_of(controls, index)
    for word, wires, angle in rotations.factors:
        operation = PauliRotation(
            word, wires_of(wires, index), controls=numbers, control_values=values or None
        )
        yield Lowered(operation, angle)
    if controls and not (is_number(rotations.phase) and rotations.phase == 0):
        yield from _phase_on(numbers, values, rotations.phase)


def _phase_on(controls: tuple[int, ...], values: tuple[int, ...], phase: Angle) -> Iterator[Lowered]:
    """exp(i phase) where all controls have their values: a phase shift of the last, controlled by the others."""
    *others, last = controls
    *other_values, value = values
    sign = 1 if value else -1
    yield Lowered(
        PauliRotation("Z", (last,), controls=tuple(others), control_values=tuple(other_values) or None),
        sign * phase,
    )
    if others:
        yield from _phase_on(tuple(others), tuple(other_values), phase / 2)


def _parts(op: Any, depth: int) -> list[Any]:
    if depth >= MAX_DEPTH:
        return []
    try:
        parts = list(op.decomposition()) if op.has_decomposition else []
    except (TypeError, NotSymbolic):  # arithmetic that has no formula, as in FermionicSWAP
        parts = []
    return parts or _repeated(op)


def _repeated(op: Any) -> list[Any]:
    """A whole power of a gate, for which PennyLane has no rule, as the gate so many times; nothing for others."""
    if isinstance(op, qml.ops.Controlled):
        values = list(op.control_values)
        return [qml.ctrl(part, op.control_wires, control_values=values) for part in _repeated(op.base)]
    power: Any = op.z if isinstance(op, qml.ops.Pow) else None
    if not isinstance(power, int) or abs(power) > MAX_POWER:
        return []
    repeated = [op.base if power > 0 else qml.adjoint(op.base)] * abs(power)
    return repeated or [qml.Identity(op.wires)]


def _evolution(op: Any, index: Index) -> list[Lowered]:
    """exp(-i t H) for a constant H whose words commute, or that has few wires; nothing for others."""
    time, words = _time(op), op.base.pauli_rep
    if time is None:
        return []
    if words is not None and all(map(is_number, words.values())) and commute(tuple(words)):
        return [
            Lowered(PauliRotation("".join(word.values()), wires_of(tuple(word), index)), 2 * _real(c) * time)
            for word, c in words.items()
            if len(word)
        ]
    if not is_constant(op.base) or len(op.wires) > MAX_DENSE_WIRES or not op.base.has_matrix:
        return []
    matrix = np.asarray(qml.matrix(op.base, wire_order=op.wires), dtype=complex)
    return list(_exponential(-matrix, time, wires_of(op.wires, index)))


def _time(op: Any) -> Angle | None:
    """t of exp(-i t H); None where an exponential of other numbers is no such evolution."""
    if isinstance(op, Evolution):
        return op.data[0]
    coefficient = op.coeff
    if is_number(coefficient):
        return None
    return None if qml.math.is_abstract(qml.math.real(coefficient)) else -qml.math.imag(coefficient)


def commute(words: Sequence[Any]) -> bool:
    """Whether words of Pauli letters, 64 at most, commute pair by pair."""
    return len(words) <= 64 and all(a.commutes_with(b) for n, a in enumerate(words) for b in words[:n])


def _real(coefficient: Any) -> float:
    number = complex(coefficient)
    if abs(number.imag) > 1e-12 * abs(number):
        raise NotLoweredError("an evolution under what is not Hermitian")
    return number.real


def _exponential(
    generator: NDArray[np.complex128], angle: Angle, wires: tuple[int, ...]
) -> Iterator[Lowered]:
    """exp(i angle G) in the eigenbasis of G, where it is a product of rotations about words of Z."""
    if not is_hermitian(generator):
        raise NotLoweredError("an evolution under what is not Hermitian")
    eigenvalues, vectors = np.linalg.eigh(generator)
    yield Lowered(_fixed(vectors.conj().T, wires))
    for word, coefficient in walsh(eigenvalues):
        yield Lowered(PauliRotation(word, wires), -2 * coefficient * angle)
    yield Lowered(_fixed(vectors, wires))


def is_hermitian(matrix: NDArray[np.complex128]) -> bool:
    """Whether a matrix is its own adjoint, to twelve digits of its largest entry."""
    off = np.abs(matrix - matrix.conj().T).max(initial=0.0)
    return bool(off <= 1e-12 * np.abs(matrix).max(initial=0.0))


def walsh(eigenvalues: NDArray[np.float64]) -> Iterator[tuple[str, float]]:
    """A diagonal as a sum of words of I and Z, the identity left out: it is a global phase."""
    signs = np.array([[1.0]])
    for _ in range(len(eigenvalues).bit_length() - 1):
        signs = np.kron(signs, [[1.0, 1.0], [1.0, -1.0]])
    coefficients = signs @ eigenvalues / len(eigenvalues)
    for index, coefficient in enumerate(coefficients):
        if index and abs(coefficient) > 1e-13:
            yield (
                "".join("IZ"[int(bit)] for bit in f"{index:0{len(eigenvalues).bit_length() - 1}b}"),
                coefficient,
            )


def _fixed(matrix: NDArray[np.complex128], wires: tuple[int, ...]) -> Operation:
    if np.array_equal(matrix, np.diag(np.diagonal(matrix))):
        return Diagonal(wires, np.diagonal(matrix).copy())
    return Unitary(wires, matrix)


def observables(measurements: Sequence[Any], index: Index) -> tuple[Observable, ...]:
    """The observables of PennyLane measurements, in order. Raises NotLoweredError for any but exact linear ones."""
    return tuple(observable(measurement, index) for measurement in measurements)


def observable(measurement: Any, index: Index) -> Observable:
    """The observable of a measurement of the final state. Raises NotLoweredError as `observables` does."""
    if measurement.mv is not None:
        raise NotLoweredError("an output of values measured on the way")
    if isinstance(measurement, qml.measurements.ProbabilityMP) and measurement.obs is None:
        return Probabilities(wires_of(measurement.wires or tuple(index), index))
    if not isinstance(measurement, qml.measurements.ExpectationMP) or measurement.obs is None:
        raise NotLoweredError(f"{type(measurement).__name__} is not an expectation value or a probability")
    measured = measurement.obs
    if isinstance(measured, qml.Projector) and measured.parameters[0].ndim == 1:
        bits = np.asarray(measured.parameters[0]).astype(int).tolist()
        if len(bits) == len(measured.wires):
            return Projector(tuple(bits), wires_of(measured.wires, index))
    if measured.pauli_rep is not None:
        return pauli_sum(measured.pauli_rep, index)
    if isinstance(measured, qml.SparseHamiltonian) and len(measured.wires) <= MAX_DENSE_WIRES:
        return Hermitian(measured.sparse_matrix().toarray(), wires_of(measured.wires, index))
    if measured.has_matrix and len(measured.wires) <= MAX_DENSE_WIRES and is_constant(measured):
        matrix = np.asarray(qml.matrix(measured), dtype=complex)
        return Hermitian(matrix, wires_of(measured.wires, index))
    raise NotLoweredError(f"{measured.name} is not a sum of Pauli words or a constant matrix on few wires")


def pauli_sum(words: Mapping[Any, Any], index: Index) -> PauliSum:
    if not all(map(is_number, words.values())):
        raise NotLoweredError("a coefficient of weights or inputs where it must be a constant")
    numbers = [complex(coefficient) for coefficient in words.values()]
    largest = max(map(abs, numbers), default=0.0)
    if any(abs(number.imag) > 1e-12 * largest for number in numbers):
        raise NotLoweredError("an observable is not Hermitian: a coefficient is complex")
    return PauliSum(
        tuple(
            PauliWord(number.real, "".join(word.values()), wires_of(tuple(word), index))
            for word, number in zip(words, numbers, strict=True)
        )
    )


def wires_of(wires: Iterable[Any], index: Index) -> tuple[int, ...]:
    return tuple(index[wire] for wire in wires)


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float, complex, np.number)) or (
        isinstance(value, np.ndarray) and value.ndim == 0
    )


def _is_fixed_gate(op: Any) -> bool:
    # One matrix is one pass over the state, where its decomposition is dozens of gates.
    return not op.parameters or (isinstance(op, qml.QubitUnitary) and is_constant(op))


def is_constant(op: Any) -> bool:
    return all(isinstance(p, np.ndarray) or is_number(p) for p in op.data)

"""Circuits of Amazon Braket."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from qlazy.base.errors import UnsupportedModelError, refuse, require
from qlazy.quantum.circuit import BackendName, Circuit
from qlazy.quantum.interop.circuits.angles import Symbols
from qlazy.quantum.interop.circuits.building import Builder, data_names, observables_of, pauli_sum, several
from qlazy.quantum.interop.kinds import require_circuit
from qlazy.quantum.program.expression import Constant, Expression
from qlazy.quantum.program.program import PauliSum

if TYPE_CHECKING:
    import braket.circuits

Rule = Callable[[Builder, list[int], list[Expression]], None]

X = np.array([[0, 1], [1, 0]], dtype=complex)


def from_braket(
    circuit: braket.circuits.Circuit,
    *,
    observables: Sequence[Any] = (),
    data: Sequence[Any] = (),
    backend: BackendName = "auto",
    cutoff: float = 0.0,
    max_weight: int | None = None,
) -> Circuit:
    """A circuit from a ``braket.circuits.Circuit`` of gates, with measurements at its end alone.

    ``params`` are the FreeParameters in the order of their first use, by name within one angle, without those of
    ``data``: names or FreeParameters, whose values are the columns of ``x``, in radians, in the order given.

    ``observables`` are outputs, each a word such as "Z q[1]", q[k] being the k-th of the qubits in ascending order, or
    an observable of Braket with its targets, ``Observable.X(0) @ Observable.Z(1)``. With none, the outputs are the
    expectation values among the circuit's result types, and if there are none, Z of every qubit.

    Raises TypeError for what is no circuit, ValueError for names in
    ``data`` that the circuit lacks and for observables that are none, and UnsupportedModelError, which names the
    instruction, for noise, pulses, measurements on the way, and powers of gates with FreeParameters.
    """
    require_circuit(circuit, "qlazy.from_braket", "a braket.circuits.Circuit")
    wires = {int(qubit): n for n, qubit in enumerate(sorted(circuit.qubits, key=int))}
    require(wires, "circuit", "have a qubit", "without one")
    builder = Builder(Symbols(data_names(data)))
    measured: set[int] = set()
    for instruction in circuit.instructions:
        _add(instruction, wires, builder, measured)
    given = [_observable(one, wires) for one in several(observables) or _expected(circuit)]
    program = builder.program("braket", len(wires), observables_of(given, len(wires)))
    return Circuit.from_program(program, backend=backend, cutoff=cutoff, max_weight=max_weight)


def _add(instruction: Any, wires: Mapping[int, int], builder: Builder, measured: set[int]) -> None:
    from braket.circuits import Gate
    from braket.circuits.measure import Measure

    operator = instruction.operator
    targets = [wires[int(qubit)] for qubit in instruction.target]
    if isinstance(operator, Measure):
        measured.update(targets)
        return
    controls = [wires[int(qubit)] for qubit in instruction.control]
    must = "measure at its end alone"
    again = measured & {*targets, *controls}
    require(
        not again, "circuit", must, f"one with `{operator.name}` after a measurement", UnsupportedModelError
    )
    if operator.name in ("Barrier", "Delay"):
        return
    known = isinstance(operator, Gate) and type(operator).to_matrix is not Gate.to_matrix
    require(known, "circuit", "be made of gates", f"one with `{operator.name}`", UnsupportedModelError)
    with builder.controlled(controls, [int(value) for value in instruction.control_state]):
        _add_gate(operator, float(instruction.power), targets, builder)


def _add_gate(gate: Any, power: float, targets: list[int], builder: Builder) -> None:
    parameters = list(getattr(gate, "parameters", ()))
    if gate.name == "GPhase":
        builder.phase(builder.symbols.expression(_plain(parameters[0])) * power)
        return
    if all(isinstance(value, int | float) for value in parameters):
        builder.matrix(_to_power(gate.to_matrix(), power), targets, gate.name)
        return
    require(
        power == 1, "circuit", "have no powers of gates with FreeParameters", f"one with {gate.name}^{power:g}",
        UnsupportedModelError,
    )  # fmt: skip
    if gate.name not in RULES:
        refuse(
            "circuit",
            "have FreeParameters in gates that are known",
            f"one with `{gate.name}`",
            UnsupportedModelError,
        )
    RULES[gate.name](builder, targets, [builder.symbols.expression(_plain(value)) for value in parameters])


def _plain(value: Any) -> Any:
    """A number, or an expression of SymPy."""
    return getattr(value, "expression", value)


def _to_power(matrix: Any, power: float) -> Any:
    """The power of a unitary matrix, by its eigenvalues, of phases above -pi up to pi."""
    if power == 1:
        return matrix
    if power == int(power):
        return np.linalg.matrix_power(matrix, int(power))
    from scipy.linalg import schur

    triangular, basis = schur(
        matrix, output="complex"
    )  # diagonal for a normal matrix, with orthonormal columns
    return basis @ np.diag(np.diag(triangular) ** power) @ basis.conj().T


def _expected(circuit: Any) -> list[Any]:
    """Observables of the circuit's result types that are expectation values."""
    from braket.circuits.result_types import Expectation

    return [_placed(found) for found in circuit.result_types if isinstance(found, Expectation)]


class _Placed:
    """An observable and its targets."""

    def __init__(self, observable: Any, targets: Sequence[int]) -> None:
        self.observable, self.targets = observable, targets


def _placed(result: Any) -> _Placed:
    must = "name their targets"
    targets = result.target or getattr(result.observable, "targets", None) or []
    require(targets, "observables", must, f"`{result.observable}` on every qubit")
    return _Placed(result.observable, [int(qubit) for qubit in targets])


def _observable(given: Any, wires: Mapping[int, int]) -> str | PauliSum:
    from braket.circuits import Observable

    if isinstance(given, str):
        return given
    if isinstance(given, Observable):
        targets = given.targets
        require(targets, "observables", "name their targets, as Observable.Z(0)", f"`{given}` without them")
        given = _Placed(given, [] if _is_sum(given) else [int(qubit) for qubit in targets or ()])
    must = "be texts such as 'Z q[0]', or observables of Braket with targets"
    require(isinstance(given, _Placed), "observables", must, type(given).__name__, TypeError)
    terms = list(given.observable.summands) if _is_sum(given.observable) else [given.observable]
    return pauli_sum(
        [_word(term, [] if _is_sum(given.observable) else given.targets, wires) for term in terms]
    )


def _is_sum(observable: Any) -> bool:
    return hasattr(observable, "summands")


def _word(term: Any, targets: Sequence[int], wires: Mapping[int, int]) -> tuple[float, list[tuple[int, str]]]:
    places = list(targets) or [int(qubit) for qubit in term.targets]
    factors = list(getattr(term, "factors", ())) or [term]
    must = "be made of X, Y, Z and I on qubits of the circuit"
    letters = [factor.name for factor in factors]
    fits = set(letters) <= {"X", "Y", "Z", "I"} and len(places) == len(letters) and set(places) <= set(wires)
    require(fits, "observables", must, f"{' @ '.join(letters)} on {places}")
    # Braket moves the coefficients of factors to the product.
    return float(term.coefficient), [
        (wires[place], letter) for place, letter in zip(places, letters, strict=True)
    ]


def _rotation(word: str, factor: float = 1.0) -> Rule:
    return lambda builder, wires, angles: builder.rotation(word, angles[0] * factor, wires)


def _phase_of(*states: int) -> Rule:
    """exp(i angle) on some of the states of the wires."""

    def rule(builder: Builder, wires: list[int], angles: list[Expression]) -> None:
        phases: list[Expression] = [Constant(0.0)] * 2 ** len(wires)
        for state in states:
            phases[state] = angles[0]
        builder.diagonal(phases, wires)

    return rule


def _xy(builder: Builder, wires: list[int], angles: list[Expression]) -> None:
    """exp(i angle/4 (XX + YY))."""
    for word in ("XX", "YY"):
        builder.rotation(word, angles[0] * -0.5, wires)


def _phased_swap(builder: Builder, wires: list[int], angles: list[Expression]) -> None:
    builder.gate("swap", wires)
    _phase_of(1, 2)(builder, wires, angles)


def _turned(
    builder: Builder, wires: list[int], phases: Sequence[Expression], inner: Callable[[], None]
) -> None:
    """Rz(phase) inner Rz(-phase) on each wire."""
    for wire, phase in zip(wires, phases, strict=True):
        builder.gate("rz", (wire,), -phase)
    inner()
    for wire, phase in zip(wires, phases, strict=True):
        builder.gate("rz", (wire,), phase)


def _gpi(builder: Builder, wires: list[int], angles: list[Expression]) -> None:
    _turned(builder, wires, angles, lambda: builder.matrix(X, wires, "GPi"))


def _gpi2(builder: Builder, wires: list[int], angles: list[Expression]) -> None:
    _turned(builder, wires, angles, lambda: builder.rotation("X", Constant(math.pi / 2), wires))


def _ms(builder: Builder, wires: list[int], angles: list[Expression]) -> None:
    _turned(builder, wires, angles[:2], lambda: builder.rotation("XX", angles[2], wires))


def _prx(builder: Builder, wires: list[int], angles: list[Expression]) -> None:
    _turned(builder, wires, angles[1:], lambda: builder.rotation("X", angles[0], wires))


def _u(builder: Builder, wires: list[int], angles: list[Expression]) -> None:
    theta, phi, lam = angles
    for letter, angle in (("Z", lam), ("Y", theta), ("Z", phi)):
        builder.rotation(letter, angle, wires)
    builder.phase((phi + lam) * 0.5)


RULES: dict[str, Rule] = {
    **{f"R{letter.lower()}": _rotation(letter) for letter in "XYZ"},
    **{2 * letter: _rotation(2 * letter) for letter in "XYZ"},
    "PhaseShift": _phase_of(1),
    "CPhaseShift": _phase_of(3),
    "CPhaseShift00": _phase_of(0),
    "CPhaseShift01": _phase_of(1),
    "CPhaseShift10": _phase_of(2),
    "XY": _xy,
    "PSwap": _phased_swap,
    "GPi": _gpi,
    "GPi2": _gpi2,
    "MS": _ms,
    "PRx": _prx,
    "U": _u,
}
"""What a gate with FreeParameters is made of, by its name in Braket."""

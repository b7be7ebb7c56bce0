"""The circuit as a value: registers, inputs, gates and observables, independent of the language it came from.

A `Program` is what every reader produces and every simulator takes. It is frozen, and checked when it is
built: each wire, control and input element that a gate or an observable names exists.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from qlazy.base.errors import require
from qlazy.quantum.program.classical import Variable, has_locals
from qlazy.quantum.program.expression import Expression
from qlazy.quantum.program.gates import SIGNATURES
from qlazy.quantum.program.statements import (
    UNITARY,
    Assign,
    Branch,
    Gate,
    Matrix,
    Measure,
    Reset,
    Statement,
    While,
    gates,
    variables,
    walk,
)

__all__ = [
    "UNITARY",
    "Assign",
    "Branch",
    "Gate",
    "Matrix",
    "Measure",
    "PauliSum",
    "PauliTerm",
    "Program",
    "Reset",
    "Semantics",
    "Shape",
    "Statement",
    "While",
    "check_observable",
]

Shape = tuple[int, ...]
Semantics = Literal["exit", "discard"]
"""What becomes of runs that are still in a bounded loop when its rounds are used up.

"exit": they go on behind the loop, as they would where a counter bounds it. "discard": they are lost, and so
are those that leave only after the last round: while^(T) of Zhu, Hung, Chakrabarti, Wu (PLDI 2020, arXiv
2004.01122), which runs the body at most T - 1 times.
"""


@dataclass(frozen=True)
class PauliTerm:
    """``coefficient`` times a product of Paulis.

    ``factors`` are pairs (wire, "X" | "Y" | "Z") with ascending wires; without any it is the identity.
    """

    coefficient: float
    factors: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class PauliSum:
    """One output of a program: the expectation value of a real sum of Pauli products."""

    terms: tuple[PauliTerm, ...]

    @staticmethod
    def z(wire: int) -> PauliSum:
        return PauliSum((PauliTerm(1.0, ((wire, "Z"),)),))

    @staticmethod
    def collect(terms: Iterable[PauliTerm]) -> PauliSum:
        """The sum of the terms, equal products put together, in order of first appearance."""
        total: dict[tuple[tuple[int, str], ...], float] = {}
        for term in terms:
            total[term.factors] = total.get(term.factors, 0.0) + term.coefficient
        return PauliSum(tuple(PauliTerm(value, factors) for factors, value in total.items()))


@dataclass(frozen=True, eq=False)
class Program:
    """A circuit with symbolic angles and real outputs, which may measure and branch while it runs.

    Parameters and features are flat vectors: the entries of ``weights`` (``data``) in declared order, each
    row-major. ``sizes`` are the integer constants that a caller may set, with the values they have here.
    ``loops`` says what its bounded loops mean.
    """

    name: str
    qubits: tuple[str, ...]
    weights: Mapping[str, Shape]
    data: Mapping[str, Shape]
    operations: tuple[Statement, ...]
    observables: tuple[PauliSum, ...]
    sizes: Mapping[str, int] = field(default_factory=dict)
    text: str = field(default="", repr=False)
    path: str | None = None
    header: str = field(default="", repr=False)
    loops: Semantics = "exit"

    def __post_init__(self) -> None:
        require(self.num_qubits > 0, "qubits", "name at least one qubit", self.qubits)
        require(len(self.observables) > 0, "observables", "be one or more", self.observables)
        both = self.weights.keys() & self.data.keys()
        require(not both, "data", "not share a name with the weights", sorted(both))
        counts = {name: math.prod(shape) for name, shape in (*self.weights.items(), *self.data.items())}
        require(self.loops in get_args(Semantics), "loops", f"be one of {get_args(Semantics)}", self.loops)
        for statement in walk(self.operations):
            _check_statement(statement, self.num_qubits, counts)
        for observable in self.observables:
            check_observable(observable, self.num_qubits)

    @property
    def num_qubits(self) -> int:
        return len(self.qubits)

    @property
    def num_params(self) -> int:
        return sum(math.prod(shape) for shape in self.weights.values())

    @property
    def num_features(self) -> int:
        return sum(math.prod(shape) for shape in self.data.values())

    @property
    def num_outputs(self) -> int:
        return len(self.observables)

    @property
    def angles(self) -> tuple[Expression, ...]:
        """Every angle of every gate, in the order of the text."""
        return tuple(angle for gate in gates(self.operations) for angle in gate.angles)

    @property
    def is_unitary(self) -> bool:
        """Whether it consists of gates alone, none of them dependent on a classical value."""
        return all(isinstance(s, Gate) and not any(map(has_locals, s.angles)) for s in self.operations)

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The classical variables, in the order in which they come up."""
        return variables(self.operations)

    def __str__(self) -> str:
        sizes = ", ".join(f"{name}={value}" for name, value in self.sizes.items())
        counts = (
            _count(self.num_qubits, "qubit"),
            _count(self.num_params, "parameter"),
            _count(self.num_features, "feature"),
            _count(self.num_outputs, "output"),
            _count(sum(1 for _ in gates(self.operations)), "gate"),
        )
        return f"{self.name}({sizes}): {', '.join(counts)}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _check_statement(statement: Statement, num_qubits: int, counts: Mapping[str, int]) -> None:
    match statement:
        case Gate():
            _check_gate(statement, num_qubits, counts)
        case Measure(wire) | Reset(wire):
            require(0 <= wire < num_qubits, f"{statement}", f"act on a wire below {num_qubits}", wire)
        case Assign(_, Expression() as value):
            _check_elements(f"{statement}", value, counts)
        case While():
            require(statement.bound >= 0, "bound", "be non-negative", statement.bound)


def _check_elements(name: str, expression: Expression, counts: Mapping[str, int]) -> None:
    for element, index in expression.elements:
        known = 0 <= index < counts.get(element, 0)
        require(known, name, "use declared inputs within their shapes", f"{element}, element {index}")


def _check_gate(gate: Gate, num_qubits: int, counts: Mapping[str, int]) -> None:
    if gate.name == UNITARY:
        rows = len(gate.matrix or ())
        require(rows == 2 ** len(gate.wires), f"matrix of {gate}", f"have {2 ** len(gate.wires)} rows", rows)
        require(not gate.angles, f"angles of {gate}", "be empty", gate.angles)
    else:
        require(gate.name in SIGNATURES, "gate", f"be one of {', '.join(SIGNATURES)}", gate.name)
        signature = SIGNATURES[gate.name]
        found = (len(gate.angles), len(gate.wires))
        expected = (signature.num_angles, signature.num_wires)
        require(found == expected, f"gate {gate}", f"have {expected} angles and wires", found)
    require(
        bool(gate.wires) or not gate.controls, f"gate {gate}", "have a wire to be controlled", gate.controls
    )
    paired = len(gate.controls) == len(gate.control_values) and set(gate.control_values) <= {0, 1}
    require(paired, f"control_values of {gate}", "be 0 or 1, one a control", gate.control_values)
    wires = gate.controls + gate.wires
    require(len(set(wires)) == len(wires), f"gate {gate}", "act on distinct wires", wires)
    require(
        all(0 <= w < num_qubits for w in wires), f"gate {gate}", f"act on wires below {num_qubits}", wires
    )
    for angle in gate.angles:
        _check_elements(f"gate {gate}", angle, counts)


def check_observable(observable: PauliSum, num_qubits: int) -> None:
    """Refuse a sum of Pauli products that is not an observable on ``num_qubits`` wires (ValueError)."""
    require(len(observable.terms) > 0, "observable", "have at least one term", observable)
    for term in observable.terms:
        require(math.isfinite(term.coefficient), "coefficient", "be finite", term.coefficient)
        wires = [wire for wire, _ in term.factors]
        require(wires == sorted(set(wires)), "factors", "be on ascending, distinct wires", wires)
        require(all(0 <= w < num_qubits for w in wires), "factors", f"be on wires below {num_qubits}", wires)
        letters = [letter for _, letter in term.factors]
        require(set(letters) <= {"X", "Y", "Z"}, "factors", "be X, Y or Z", letters)

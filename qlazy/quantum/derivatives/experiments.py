"""Derivative programs as experiments: OpenQASM 3 that simple machines run, and what its counts say.

A term is straightened: every measured result that anything depends on has its own record, and gates stand
under `if` on single bits. Behind it the observables are measured, those together that can be: a run gives for
each product of Paulis P with coefficient c

    weight(record) c (-1)^(sum of the bits of P),

whose mean is the share of the term. Paths that reach no site, and runs that a loop discards, have weight 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qlazy.quantum.derivatives.records import Cube, Record, Step, Straight, straighten
from qlazy.quantum.derivatives.tangents import fresh
from qlazy.quantum.derivatives.terms import Term, input_values
from qlazy.quantum.program.classical import resolve, variables_of
from qlazy.quantum.program.expression import (
    Binary,
    Call,
    Constant,
    Element,
    Expression,
    Input,
    Negative,
    apply_binary,
    call,
)
from qlazy.quantum.program.partial_derivative import ZERO
from qlazy.quantum.program.printing import (
    HEADER,
    RESERVED,
    declarations,
    gate_lines,
    indented,
    qubit_names,
    spoken,
)
from qlazy.quantum.program.program import Program
from qlazy.quantum.program.statements import Gate, Reset

Bits = NDArray[np.int64]
Names = Mapping[Element, Expression]
_TURNS = {"X": ("h",), "Y": ("sdg", "h"), "Z": ()}


class Reading(NamedTuple):
    """A product of Paulis in output ``output``: its coefficient, and the places of its bits among those read."""

    output: int
    coefficient: float
    bits: tuple[int, ...]


class Moments(NamedTuple):
    """The mean and the variance of the mean of one experiment, both (c,)."""

    mean: Tensor
    variance: Tensor


@final
@dataclass(frozen=True, eq=False)
class Experiment:
    """One program to be run: the steps of ``term``, then the bases of ``letters`` by wire, measured."""

    term: Term
    straight: Straight
    letters: Mapping[int, str]
    readings: tuple[Reading, ...]

    @property
    def num_records(self) -> int:
        return self.straight.num_records

    @property
    def num_bits(self) -> int:
        """The bits read at the end."""
        return len(self.letters)

    @property
    def rotations(self) -> Iterator[Gate]:
        """What turns each basis into that of Z."""
        return (Gate(name, (), (wire,)) for wire, letter in self.letters.items() for name in _TURNS[letter])

    @cached_property
    def weights(self) -> tuple[tuple[Expression, tuple[Cube, ...]], ...]:
        """The weight of each set of paths, a formula of inputs; that of all other paths is zero."""
        found = ((resolve(self.term.weight, ending.state), ending.where) for ending in self.straight.endings)
        return tuple((weight, where) for weight, where in found if weight != ZERO)

    def moments(self, records: Bits, bits: Bits, params: Tensor, row: Tensor) -> Moments:
        """What runs say: results (shots, records) and final bits (shots, bits), 0 and 1, at one row (d,)."""
        weight = self._weights_of(records, input_values(self.term.program, params, row))
        outputs = np.zeros((len(weight), self.term.program.num_outputs))
        for output, coefficient, places in self.readings:
            outputs[:, output] += coefficient * (1 - 2 * (bits[:, list(places)].sum(1) % 2))
        values = torch.as_tensor(weight[:, None] * outputs)
        return Moments(values.mean(0), values.var(0) / len(values))

    def _weights_of(self, records: Bits, values: Mapping[str, Tensor]) -> NDArray[np.float64]:
        total = np.zeros(len(records))
        for weight, where in self.weights:
            inside = np.zeros(len(records), dtype=bool)
            for cube in where:
                numbers, wanted = list(cube), list(cube.values())
                inside |= (records[:, numbers] == wanted).all(1)
            total[inside] = float(weight.evaluate(values))
        return total

    def from_counts(self, counts: Mapping[str, int], params: Tensor, row: Tensor) -> Moments:
        """`moments` from counts as qiskit gives them: `"out record"`, the last bit of a register first."""
        digits = [[int(digit) for digit in key.replace(" ", "")] for key in counts]
        shots = np.array(digits, dtype=np.int64).reshape(len(counts), -1)
        repeated = np.repeat(shots, list(counts.values()), axis=0)
        # registers are declared records first, and read from the right
        reverse = repeated[:, ::-1]
        return self.moments(
            reverse[:, : self.num_records],
            reverse[:, reverse.shape[1] - self.num_bits :],
            params,
            row,
        )

    def to_qasm(self, params: Tensor | None = None, row: Tensor | None = None) -> str:
        """OpenQASM 3 without loops or arithmetic on bits; with ``params`` and ``row``, without inputs either.

        Inputs are scalars, `theta_1_2` for theta[1, 2]. Some tools take no functions in angles: give them
        numbers.
        """
        program, qubits = self.term.program, qubit_names(spoken(self.term.program))
        names = _names(program, qubits) if params is None else _values(program, params, row)
        taken = {name.partition("[")[0] for name in qubits}
        record, out, unread = (fresh(name, taken) for name in ("record", "out", "unread"))
        text = _Text(qubits, record, unread, names)
        body = list(text.steps(self.straight.steps))
        has_unread = any(
            isinstance(s.operation, Record) and s.operation.number is None for s in self.straight.steps
        )
        bits = [*([f"bit[{self.num_records}] {record};"] if self.num_records else [])]
        bits += [f"bit[1] {unread};"] if has_unread else []
        bits += [f"bit[{self.num_bits}] {out};"] if self.num_bits else []
        lines = [
            *(f"// {line}" for line in self._comment(record, out, {} if params is not None else names)),
            *HEADER,
            "",
            *(f"input float[64] {name};" for name in names.values() if isinstance(name, Input)),
            *declarations("qubit", qubits),
            *bits,
            "",
            *body,
            *(line for gate in self.rotations for line in gate_lines(gate, qubits)),
            *(f"{out}[{place}] = measure {qubits[wire]};" for place, wire in enumerate(self.letters)),
        ]
        return "\n".join(lines) + "\n"

    def _comment(self, record: str, out: str, names: Names) -> Iterator[str]:
        yield self.term.program.name
        for weight, where in self.weights:
            for cube in where:
                place = " and ".join(f"{record}[{r}] = {v}" for r, v in cube.items())
                yield f"weight {_renamed(weight, names)}" + (f" where {place}" if place else "")
        for output, coefficient, places in self.readings:
            sign = " + ".join(f"{out}[{place}]" for place in places)
            yield f"output {output}: weight * {coefficient!r}" + (f" * (-1)^({sign})" if sign else "")


def experiments(term: Term) -> tuple[Experiment, ...]:
    """The experiments whose means add up to the share of ``term``: one for each set of bases it takes."""
    straight = straighten(term.program, variables_of(term.weight))
    settings: list[tuple[dict[int, str], list[tuple[int, float, tuple[int, ...]]]]] = []
    for output, observable in enumerate(term.program.observables):
        for product in observable.terms:
            letters = dict(product.factors)
            setting = next((s for s in settings if _together(s[0], letters)), None)
            if setting is None:
                settings.append(setting := ({}, []))
            setting[0].update(letters)
            setting[1].append((output, product.coefficient, tuple(letters)))
    return tuple(_experiment(term, straight, *setting) for setting in settings)


def _together(first: Mapping[int, str], second: Mapping[int, str]) -> bool:
    return all(first.get(wire, letter) == letter for wire, letter in second.items())


def _experiment(
    term: Term,
    straight: Straight,
    letters: Mapping[int, str],
    products: Sequence[tuple[int, float, tuple[int, ...]]],
) -> Experiment:
    ordered = dict(sorted(letters.items()))
    places = {wire: place for place, wire in enumerate(ordered)}
    readings = (Reading(o, c, tuple(places[wire] for wire in wires)) for o, c, wires in products)
    return Experiment(term, straight, ordered, tuple(readings))


@dataclass(frozen=True)
class _Text:
    """Steps as lines of OpenQASM 3."""

    qubits: Sequence[str]
    record: str
    unread: str
    names: Names

    def steps(self, steps: Sequence[Step]) -> Iterator[str]:
        for where, group in groupby(steps, lambda step: step.where):
            lines = [line for step in group for line in self._lines(step.operation)]
            for cube in where:
                yield from self._under(list(cube.items()), lines)

    def _under(self, conditions: Sequence[tuple[int, int]], lines: Sequence[str]) -> Iterator[str]:
        if not conditions:
            yield from lines
            return
        (number, value), *rest = conditions
        yield f"if ({'' if value else '!'}{self.record}[{number}]) {{"
        yield from indented(self._under(rest, lines))
        yield "}"

    def _lines(self, operation: Gate | Record | Reset) -> Iterator[str]:
        match operation:
            case Record(wire, None):
                yield f"{self.unread}[0] = measure {self.qubits[wire]};"
            case Record(wire, number):
                yield f"{self.record}[{number}] = measure {self.qubits[wire]};"
            case Reset(wire):
                yield f"reset {self.qubits[wire]};"
            case Gate():
                angles = tuple(_renamed(angle, self.names) for angle in operation.angles)
                yield from gate_lines(replace(operation, angles=angles), self.qubits)


def _names(program: Program, qubits: Sequence[str]) -> dict[Element, Expression]:
    """A scalar input for each element that the program uses."""
    from qlazy.quantum.program.statements import Assign, gates, walk

    angles = [angle for gate in gates(program.operations) for angle in gate.angles]
    angles += [
        s.value for s in walk(program.operations) if isinstance(s, Assign) and isinstance(s.value, Expression)
    ]
    used = frozenset().union(*(angle.elements for angle in angles))
    taken = {name.partition("[")[0] for name in qubits} | {"record", "out", "unread"} | RESERVED
    names: dict[Element, Expression] = {}
    for shapes in (program.weights, program.data):
        for name, shape in shapes.items():
            for index in range(int(torch.Size(shape).numel())):
                if (name, index) in used:
                    text = str(Input(name, index, shape)).replace(", ", "_").replace("[", "_").rstrip("]")
                    names[name, index] = Input(fresh(text, taken))
    return names


def _values(program: Program, params: Tensor, row: Tensor | None) -> dict[Element, Expression]:
    values = input_values(program, params, params.new_zeros(0) if row is None else row)
    return {(name, i): Constant(float(v)) for name, flat in values.items() for i, v in enumerate(flat)}


def _renamed(expression: Expression, names: Names) -> Expression:
    match expression:
        case Input(name, index):
            return names.get((name, index), expression)
        case Negative(operand):
            return -_renamed(operand, names)
        case Binary(symbol, left, right):
            return apply_binary(symbol, _renamed(left, names), _renamed(right, names))
        case Call(function, argument):
            return call(function, _renamed(argument, names))
    return expression

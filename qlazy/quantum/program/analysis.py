"""What can be said of a program without running it: occurrences, derivative programs, gates, depth.

Numbers are those of the worst path: a sequence adds up, a branch takes the larger of its two blocks, and a loop
takes all of its rounds. Occurrence counts OC_j are those of Zhu, Hung, Chakrabarti, Wu (PLDI 2020, arXiv
2004.01122), who prove that the derivative has at most so many programs: |#d_j| <= OC_j.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from qlazy.base.errors import refuse
from qlazy.quantum.derivatives.additive import additive
from qlazy.quantum.derivatives.elements import element_text, elements, find_element
from qlazy.quantum.derivatives.sites import normal_form
from qlazy.quantum.derivatives.tangents import tangents_of
from qlazy.quantum.program.classical import Variable
from qlazy.quantum.program.expression import Element
from qlazy.quantum.program.program import Program
from qlazy.quantum.program.statements import (
    Assign,
    Block,
    Branch,
    Gate,
    Measure,
    Reset,
    Statement,
    While,
    reads,
    writes,
)

MAX_DEPTH_STEPS = 2_000_000


@dataclass(frozen=True)
class Occurrences:
    """Of one parameter: on the worst path, and in derivative programs that do not abort."""

    parameter: str
    occurrences: int
    programs: int


@dataclass(frozen=True)
class Size:
    """Of a program, on its worst path; ``depth`` counts gates, measurements and resets one after another."""

    qubits: int
    gates: int
    measurements: int
    depth: int

    def __str__(self) -> str:
        counts = {"qubit": self.qubits, "gate": self.gates, "measurement": self.measurements}
        parts = (f"{number} {noun}{'' if number == 1 else 's'}" for noun, number in counts.items())
        return f"{', '.join(parts)}, depth {self.depth}"


def occurrences(program: Program, wrt: str | Element) -> Occurrences:
    """How often the program uses a parameter, and how many programs its derivative has.

    Gates of several frequencies count as the rotations that they are made of: a controlled rotation twice. How
    loops are meant (``program.loops``) changes the number of derivative programs, and not that of occurrences.
    """
    element = find_element(program, wrt)
    tangents = tangents_of(program.operations, element)
    block = normal_form(program.operations, tangents, split_controlled=True)
    count = _on_worst_path(block, tangents.reach)
    return Occurrences(element_text(program, element), count, additive(block, tangents, program.loops).count)


def all_occurrences(program: Program) -> tuple[Occurrences, ...]:
    """`occurrences` of every element of the weights, in the order of the flat parameters."""
    return tuple(occurrences(program, element) for element in elements(program))


def size_of(program: Program) -> Size:
    """Qubits, gates, measurements and depth."""
    return Size(
        program.num_qubits,
        _on_worst_path(program.operations, lambda gate: bool(gate.wires)),
        _count(program.operations, lambda statement: isinstance(statement, Measure)),
        _Depth().of(program.operations),
    )


def _on_worst_path(block: Iterable[Statement], counted: Callable[[Gate], bool]) -> int:
    return _count(block, lambda statement: isinstance(statement, Gate) and counted(statement))


def _count(block: Iterable[Statement], counted: Callable[[Statement], bool]) -> int:
    total = 0
    for statement in block:
        match statement:
            case Branch(_, then, otherwise):
                total += max(_count(then, counted), _count(otherwise, counted))
            case While(body=body, bound=bound):
                total += bound * _count(body, counted)
            case _:
                total += counted(statement)
    return total


class _Depth:
    """When each wire and variable is ready, in layers; what is conditional waits for its condition."""

    def __init__(self) -> None:
        self._steps = 0

    def of(self, block: Block) -> int:
        ready: dict[int | Variable, int] = defaultdict(int)
        self._run(block, ready, 0)
        return max((layer for key, layer in ready.items() if isinstance(key, int)), default=0)

    def _run(self, block: Block, ready: dict[int | Variable, int], start: int) -> None:
        for statement in block:
            self._steps += 1
            if self._steps > MAX_DEPTH_STEPS:
                refuse("program", f"take at most {MAX_DEPTH_STEPS:,} steps to lay out", "longer")
            self._place(statement, ready, start)

    def _place(self, statement: Statement, ready: dict[int | Variable, int], start: int) -> None:
        begin = max([start, *(ready[variable] for variable in reads(statement))])
        match statement:
            case Gate(wires=wires, controls=controls):
                self._layer((*wires, *controls), ready, begin)
            case Measure(wire) | Reset(wire):
                self._layer((wire,), ready, begin)
                if (target := writes(statement)) is not None:
                    ready[target] = ready[wire]
            case Assign(target):
                ready[target] = begin
            case Branch(_, then, otherwise):
                other = defaultdict(int, ready)
                self._run(then, ready, begin)
                self._run(otherwise, other, begin)
                for key, layer in other.items():
                    ready[key] = max(ready[key], layer)
            case While(condition=condition, body=body, bound=bound):
                for _ in range(bound):
                    begin = max([begin, *(ready[variable] for variable in condition.variables)])
                    self._run(body, ready, begin)

    def _layer(self, wires: tuple[int, ...], ready: dict[int | Variable, int], begin: int) -> None:
        if wires:
            layer = 1 + max([begin, *(ready[wire] for wire in wires)])
            ready.update(dict.fromkeys(wires, layer))

"""What a program consists of: gates, measurements, resets, and classical control over them.

A `Gate` alone makes a circuit; with the others a program measures while it runs, and goes on according to
what it found. Loops stay loops: what a `While` means is said by whoever runs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from qlazy.quantum.program.classical import Classical, Variable, variables_of
from qlazy.quantum.program.expression import Expression

Matrix = tuple[tuple[complex, ...], ...]
Place = tuple[int, int]  # line and column of the text, from 1 and from 0
UNITARY = "unitary"


@dataclass(frozen=True)
class Gate:
    """A base gate on ``wires``, applied where each of ``controls`` has its control value.

    ``name`` is one of `gates.SIGNATURES`, or "unitary" with a constant ``matrix`` (first wire most
    significant). A global phase has no wire and no control: a controlled one is written as `p` on one of its
    controls.
    """

    name: str
    angles: tuple[Expression, ...] = ()
    wires: tuple[int, ...] = ()
    controls: tuple[int, ...] = ()
    control_values: tuple[int, ...] = ()
    matrix: Matrix | None = None
    place: Place | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        modifiers = "".join("ctrl @ " if value else "negctrl @ " for value in self.control_values)
        angles = f"({', '.join(map(str, self.angles))})" if self.angles else ""
        wires = ", ".join(map(str, self.controls + self.wires))
        return f"{modifiers}{self.name}{angles} {wires}".rstrip()


@dataclass(frozen=True)
class Measure:
    """Measure ``wire`` in the Z basis into the bit ``target``; without one the result is forgotten."""

    wire: int
    target: Variable | None = None
    place: Place | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return f"measure {self.wire}" if self.target is None else f"{self.target} = measure {self.wire}"


@dataclass(frozen=True)
class Reset:
    """Put ``wire`` into |0>, whatever it was."""

    wire: int
    place: Place | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return f"reset {self.wire}"


@dataclass(frozen=True)
class Assign:
    """Give ``target`` a value: an expression of inputs and variables to a float, a classical one to others."""

    target: Variable
    value: Classical | Expression
    place: Place | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.target} = {self.value}"


@dataclass(frozen=True)
class Branch:
    """``then`` where ``condition`` is true, ``otherwise`` where it is not."""

    condition: Classical
    then: Block
    otherwise: Block = ()
    place: Place | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        text = f"if ({self.condition}) {{ {_text(self.then)} }}"
        return f"{text} else {{ {_text(self.otherwise)} }}" if self.otherwise else text


@dataclass(frozen=True)
class While:
    """``body`` again and again while ``condition`` is true, at most ``bound`` rounds.

    What has not left the loop after so many rounds goes on behind it (normal exit, the default), or, in the
    semantics of while^(T), is discarded: see `Semantics`.
    """

    condition: Classical
    body: Block
    bound: int
    place: Place | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return f"@qlazy.bound {self.bound} while ({self.condition}) {{ {_text(self.body)} }}"


Statement = Gate | Measure | Reset | Assign | Branch | While
Block = tuple[Statement, ...]


def _text(block: Block) -> str:
    return " ".join(f"{statement};" for statement in block)


def blocks_of(statement: Statement) -> tuple[Block, ...]:
    """The blocks inside a statement."""
    match statement:
        case Branch():
            return statement.then, statement.otherwise
        case While():
            return (statement.body,)
    return ()


def walk(block: Iterable[Statement]) -> Iterator[Statement]:
    """Every statement, each before those inside it, in the order of the text: loops are not unrolled."""
    for statement in block:
        yield statement
        for inner in blocks_of(statement):
            yield from walk(inner)


def gates(block: Iterable[Statement]) -> Iterator[Gate]:
    return (statement for statement in walk(block) if isinstance(statement, Gate))


def reads(statement: Statement) -> frozenset[Variable]:
    """The variables that a statement looks at itself, those inside it aside."""
    match statement:
        case Gate():
            return frozenset().union(*map(variables_of, statement.angles))
        case Assign(_, value):
            return variables_of(value) if isinstance(value, Expression) else value.variables
        case Branch() | While():
            return statement.condition.variables
    return frozenset()


def writes(statement: Statement) -> Variable | None:
    """The variable that a statement assigns to, if any."""
    return statement.target if isinstance(statement, Measure | Assign) else None


def variables(block: Iterable[Statement]) -> tuple[Variable, ...]:
    """Every variable, in the order in which they come up."""
    found: dict[Variable, None] = {}
    for statement in walk(block):
        for variable in sorted(reads(statement), key=lambda v: v.name):
            found.setdefault(variable)
        if (target := writes(statement)) is not None:
            found.setdefault(target)
    return tuple(found)

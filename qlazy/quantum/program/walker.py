"""Classical control carried out once, for all paths that a program can take, in step.

Conditions never depend on inputs, so this needs no parameter. A *path* is a classical state with what an emitter
keeps of it; variables are forgotten where nothing reads them any more, and paths whose states have become equal
merge: the rounds of a repeat-until-success loop cost one path, however many there are. What is done to qubits
goes to the emitter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, final

from qlazy.quantum.program.classical import (
    Classical,
    ClassicalError,
    Scalar,
    State,
    Variable,
    convert,
    resolve,
)
from qlazy.quantum.program.expression import Constant, Expression
from qlazy.quantum.program.liveness import Live, live_behind, read_by
from qlazy.quantum.program.program import Semantics
from qlazy.quantum.program.statements import (
    Assign,
    Block,
    Branch,
    Gate,
    Measure,
    Place,
    Reset,
    Statement,
    While,
)

MAX_PATHS = 4096
MAX_STEPS = 500_000
MAX_ROUNDS = 10_000


class WalkError(ValueError):
    """A program that has no meaning or is too large, and the place in its text."""

    def __init__(self, message: str, place: Place | None) -> None:
        super().__init__(message)
        self.place = place


@dataclass
class Path:
    """A classical state."""

    state: dict[str, Scalar | Expression]


P = TypeVar("P", bound=Path)


class Emitter(Protocol[P]):
    """What is done to qubits on ``paths``, while ``others`` are the paths that are elsewhere in the program."""

    def operate(self, gate: Gate, paths: list[P], others: Sequence[P]) -> None:
        """Apply ``gate``."""

    def measure(self, wire: int, target: str | None, paths: list[P], others: Sequence[P]) -> list[P]:
        """The paths behind a measurement, with the result in ``target``, or of no interest."""

    def reset(self, wire: int, paths: list[P], others: Sequence[P]) -> list[P]:
        """The paths behind a reset."""

    def merge(self, paths: list[P]) -> P:
        """One path in place of two or more whose states are equal."""

    def drop(self, paths: list[P]) -> None:
        """Discard runs on ``paths``."""


@final
class Walker(Generic[P]):
    """Carries out the blocks of one program. ``loops`` is how loops that reach their bound are meant."""

    def __init__(self, emitter: Emitter[P], loops: Semantics) -> None:
        self._emitter = emitter
        self._loops = loops
        self._steps = 0
        self._live: dict[tuple[int, Live], tuple[Block, tuple[Live, ...]]] = {}

    def run(self, block: Block, paths: list[P], live: Live, others: Sequence[P] = ()) -> list[P]:
        """The paths behind ``block``, where ``live`` are the variables that are read behind it.

        Raises WalkError where the program is too large, where a condition turns out to depend on an input, or
        where arithmetic on classical values fails.
        """
        for statement, behind in zip(block, self._live_behind(block, live), strict=True):
            if not paths:
                break
            self._count(len(paths), statement)
            try:
                paths = self._execute(statement, paths, behind, others)
            except ClassicalError as error:
                raise WalkError(str(error), statement.place) from None
            if len(paths) > MAX_PATHS:
                message = f"the program has more than {MAX_PATHS:,} classical states at a time"
                raise WalkError(message, statement.place)
        return paths

    def joined(self, paths: Iterable[P], live: Live) -> list[P]:
        """The paths with all but ``live`` forgotten, and equal ones merged."""
        names = {variable.name for variable in live}
        groups: dict[frozenset[Any], list[P]] = {}
        for path in paths:
            path.state = {name: value for name, value in path.state.items() if name in names}
            groups.setdefault(frozenset(path.state.items()), []).append(path)
        return [group[0] if len(group) == 1 else self._emitter.merge(group) for group in groups.values()]

    def _live_behind(self, block: Block, live: Live) -> tuple[Live, ...]:
        key = (id(block), live)
        if key not in self._live:  # the block is kept with it, so that its id stays its own
            self._live[key] = block, live_behind(block, live)
        return self._live[key][1]

    def _execute(self, statement: Statement, paths: list[P], live: Live, others: Sequence[P]) -> list[P]:
        match statement:
            case Gate():
                self._emitter.operate(statement, paths, others)
                return paths
            case Measure(wire, target):
                name = target.name if target is not None and target in live else None
                return self.joined(self._emitter.measure(wire, name, paths, others), live)
            case Reset(wire):
                return self._emitter.reset(wire, paths, others)
            case Assign(target, value):
                for path in paths:
                    path.state = {**path.state, target.name: _value(target, value, path.state)}
                return self.joined(paths, live)
            case Branch(condition, then, otherwise):
                yes, no = _split(condition, paths)
                after = self.run(then, yes, live, [*no, *others])
                return self.joined([*after, *self.run(otherwise, no, live, [*after, *others])], live)
            case While():
                return self._loop(statement, paths, live, others)

    def _loop(self, loop: While, paths: list[P], live: Live, others: Sequence[P]) -> list[P]:
        head = live | loop.condition.variables | read_by(loop.body)
        left: list[P] = []
        for done in range(loop.bound if self._loops == "exit" else loop.bound - 1):
            paths, leaving = _split(loop.condition, paths)
            left += leaving
            if not paths:
                break
            if done >= MAX_ROUNDS:
                raise WalkError(f"a loop may take at most {MAX_ROUNDS:,} rounds", loop.place)
            self._count(1, loop)
            paths = self.joined(self.run(loop.body, paths, head, [*left, *others]), head)
        if self._loops == "discard":  # those that stay in are followed no further
            paths, leaving = _split(loop.condition, paths) if loop.bound > 0 else (paths, [])
            left += leaving
            self._emitter.drop(paths)
            paths = []
        return self.joined([*left, *paths], live)

    def _count(self, number: int, statement: Statement) -> None:
        self._steps += number
        if self._steps > MAX_STEPS:
            message = f"the branches of the program take more than {MAX_STEPS:,} steps"
            raise WalkError(message, statement.place)


def by_angles(gate: Gate, paths: Iterable[P]) -> dict[tuple[Expression, ...], list[P]]:
    """The paths on which the angles of ``gate`` are the same formulas of inputs."""
    groups: dict[tuple[Expression, ...], list[P]] = {}
    for path in paths:
        angles = tuple(resolve(angle, path.state) for angle in gate.angles)
        groups.setdefault(angles, []).append(path)
    return groups


def _split(condition: Classical, paths: Iterable[P]) -> tuple[list[P], list[P]]:
    parts: tuple[list[P], list[P]] = [], []
    for path in paths:
        parts[0 if condition.evaluate(path.state) else 1].append(path)
    return parts


def _value(target: Variable, value: Classical | Expression, state: State) -> Scalar | Expression:
    if isinstance(value, Expression):
        found = resolve(value, state)
        return found.value if isinstance(found, Constant) else found
    return convert(value.evaluate(state), target.kind)

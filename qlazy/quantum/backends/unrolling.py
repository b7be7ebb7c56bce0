"""From a program with control flow to the skeleton of its branches.

The statements are carried out once for all classical states that can be, in step: a *track* is one such
state. Conditions never depend on inputs, so this needs no parameter. Variables are forgotten where nothing
reads them any more, and tracks that have become equal merge: the rounds of a repeat-until-success loop cost
one track, however many there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, final

from qlazy.quantum.backends.gates import gate_operations
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
from qlazy.quantum.program.liveness import live_behind, read_by
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
from qlazy.simulator.branching.skeleton import Apply, Drop, Instruction, Merge, Skeleton, Split
from qlazy.simulator.operations import Flip, Operation

MAX_TRACKS = 4096
MAX_INSTRUCTIONS = 500_000
MAX_ROUNDS = 10_000

Live = frozenset[Variable]
Key = tuple[Any, ...]


class UnrollingError(ValueError):
    """A program that has no meaning or is too large, and the place in its text."""

    def __init__(self, message: str, place: Place | None) -> None:
        super().__init__(message)
        self.place = place


class Unrolled(NamedTuple):
    """The skeleton, its distinct operations, and the formula of the angle of each, where it has one."""

    skeleton: Skeleton
    operations: tuple[Operation, ...]
    formulas: tuple[Expression | None, ...]


@dataclass
class _Track:
    """A classical state, and what is known of wires: those in |0> or |1> for certain."""

    number: int
    state: dict[str, Scalar | Expression] = field(default_factory=dict)
    known: dict[int, int] = field(default_factory=dict)


def unroll(statements: Sequence[Statement], num_wires: int, loops: Semantics = "exit") -> Unrolled:
    """The skeleton of a program's branches.

    Raises UnrollingError where it is too large, where a condition turns out to depend on an input, or where
    arithmetic on classical values fails.
    """
    return unroll_reading(frozenset(), statements, num_wires, loops)[0]


def unroll_reading(
    read: Live, statements: Sequence[Statement], num_wires: int, loops: Semantics = "exit"
) -> tuple[Unrolled, tuple[State, ...]]:
    """As `unroll`, with the values of the variables ``read`` in each final track; raises as it does."""
    unroller = _Unroller(loops)
    start = _Track(0, known=dict.fromkeys(range(num_wires), 0))
    final = unroller.run(tuple(statements), [start], read)
    skeleton = Skeleton(num_wires, tuple(unroller.instructions), tuple(track.number for track in final))
    unrolled = Unrolled(skeleton, tuple(unroller.operations), tuple(unroller.formulas))
    return unrolled, tuple(track.state for track in final)


@final
class _Unroller:
    def __init__(self, loops: Semantics) -> None:
        self.loops = loops
        self.instructions: list[Instruction] = []
        self.operations: list[Operation] = []
        self.formulas: list[Expression | None] = []
        self._numbers: dict[Key, list[int]] = {}
        self._next = 1
        self._size = 0
        self._live: dict[tuple[int, Live], tuple[Block, tuple[Live, ...]]] = {}

    def run(self, block: Block, tracks: list[_Track], live: Live) -> list[_Track]:
        """Carry out ``block`` on all tracks; ``live`` are the variables that are read behind it."""
        for statement, behind in zip(block, self._live_behind(block, live), strict=True):
            if not tracks:
                break
            self._count(len(tracks), statement)
            try:
                tracks = self._execute(statement, tracks, behind)
            except ClassicalError as error:
                raise UnrollingError(str(error), getattr(statement, "place", None)) from None
        return tracks

    def _live_behind(self, block: Block, live: Live) -> tuple[Live, ...]:
        key = (id(block), live)
        if key not in self._live:  # the block is kept with it, so that its id stays its own
            self._live[key] = block, live_behind(block, live)
        return self._live[key][1]

    def _execute(self, statement: Statement, tracks: list[_Track], live: Live) -> list[_Track]:
        match statement:
            case Gate():
                self._gate(statement, tracks)
            case Measure(wire, target):
                kept = target if target in live else None
                measured = [part for track in tracks for part in self._measure(track, wire, kept)]
                return self._joined(measured, live, statement)
            case Reset(wire):
                return [self._reset(track, wire) for track in tracks]
            case Assign(target, value):
                for track in tracks:
                    track.state[target.name] = _value(target, value, track)
                return self._joined(tracks, live, statement)
            case Branch(condition, then, otherwise):
                yes, no = _partition(condition, tracks)
                return self._joined(
                    [*self.run(then, yes, live), *self.run(otherwise, no, live)], live, statement
                )
            case While():
                return self._loop(statement, tracks, live)
        return tracks

    def _gate(self, gate: Gate, tracks: list[_Track]) -> None:
        groups: dict[tuple[Expression, ...], list[_Track]] = {}
        for track in tracks:
            if all(
                track.known.get(c, v) == v for c, v in zip(gate.controls, gate.control_values, strict=True)
            ):
                angles = tuple(resolve(angle, track.state) for angle in gate.angles)
                groups.setdefault(angles, []).append(track)
        for angles, group in groups.items():
            for number in self._operations(gate, angles):
                self.instructions.append(Apply(number, tuple(track.number for track in group)))
            for track in group:
                for wire in gate.wires:
                    track.known.pop(wire, None)

    def _operations(self, gate: Gate, angles: tuple[Expression, ...]) -> list[int]:
        """The numbers of a gate's operations: equal gates share theirs."""
        key = (gate.name, gate.matrix, gate.wires, gate.controls, gate.control_values, angles)
        if key not in self._numbers:
            numbers = []
            for operation, formula in gate_operations(gate, angles):
                numbers.append(len(self.operations))
                self.operations.append(operation)
                self.formulas.append(formula)
            self._numbers[key] = numbers
        return self._numbers[key]

    def _flip(self, track: _Track, wire: int) -> None:
        key = ("flip", wire)
        if key not in self._numbers:
            self._numbers[key] = [len(self.operations)]
            self.operations.append(Flip(wire))
            self.formulas.append(None)
        self.instructions.append(Apply(self._numbers[key][0], (track.number,)))

    def _measure(self, track: _Track, wire: int, target: Variable | None) -> list[_Track]:
        if wire in track.known:
            if target is not None:
                track.state[target.name] = track.known[wire]
            return [track]
        parts = self._split(track, wire)
        if target is not None:
            for bit, part in enumerate(parts):
                part.state[target.name] = bit
        return parts

    def _split(self, track: _Track, wire: int) -> list[_Track]:
        parts = [_Track(self._new(), dict(track.state), {**track.known, wire: bit}) for bit in (0, 1)]
        self.instructions.append(Split(track.number, wire, (parts[0].number, parts[1].number)))
        return parts

    def _reset(self, track: _Track, wire: int) -> _Track:
        if wire not in track.known:
            zero, one = self._split(track, wire)
            self._flip(one, wire)
            one.known[wire] = 0
            return self._merge([zero, one])
        if track.known[wire] == 1:
            self._flip(track, wire)
            track.known[wire] = 0
        return track

    def _loop(self, loop: While, tracks: list[_Track], live: Live) -> list[_Track]:
        head = live | loop.condition.variables | read_by(loop.body)
        left: list[_Track] = []
        rounds = loop.bound if self.loops == "exit" else loop.bound - 1
        for done in range(rounds):
            tracks, leaving = _partition(loop.condition, tracks)
            left += leaving
            if not tracks:
                break
            if done >= MAX_ROUNDS:
                raise UnrollingError(f"a loop may take at most {MAX_ROUNDS:,} rounds", loop.place)
            self._count(1, loop)
            tracks = self._joined(self.run(loop.body, tracks, head), head, loop)
        if self.loops == "discard":
            tracks, leaving = _partition(loop.condition, tracks) if loop.bound > 0 else (tracks, [])
            left += leaving
            self.instructions.extend(Drop(track.number) for track in tracks)
            tracks = []
        return self._joined([*left, *tracks], live, loop)

    def _joined(self, tracks: list[_Track], live: Live, statement: Statement) -> list[_Track]:
        """The tracks with what is no longer read forgotten, and equal ones merged."""
        names = {variable.name for variable in live}
        groups: dict[frozenset[Any], list[_Track]] = {}
        for track in tracks:
            track.state = {name: value for name, value in track.state.items() if name in names}
            groups.setdefault(frozenset(track.state.items()), []).append(track)
        if len(groups) > MAX_TRACKS:
            message = f"the program has more than {MAX_TRACKS:,} classical states at a time"
            raise UnrollingError(message, getattr(statement, "place", None))
        return [self._merge(group) for group in groups.values()]

    def _merge(self, tracks: list[_Track]) -> _Track:
        if len(tracks) == 1:
            return tracks[0]
        first, *others = tracks
        known = {
            wire: bit for wire, bit in first.known.items() if all(t.known.get(wire) == bit for t in others)
        }
        merged = _Track(self._new(), first.state, known)
        self.instructions.append(Merge(tuple(track.number for track in tracks), merged.number))
        return merged

    def _new(self) -> int:
        self._next += 1
        return self._next - 1

    def _count(self, number: int, statement: Statement) -> None:
        self._size += number
        if self._size > MAX_INSTRUCTIONS:
            message = f"the branches of the program take more than {MAX_INSTRUCTIONS:,} steps"
            raise UnrollingError(message, getattr(statement, "place", None))


def _partition(condition: Classical, tracks: Iterable[_Track]) -> tuple[list[_Track], list[_Track]]:
    yes: list[_Track] = []
    no: list[_Track] = []
    for track in tracks:
        (yes if condition.evaluate(track.state) else no).append(track)
    return yes, no


def _value(target: Variable, value: Classical | Expression, track: _Track) -> Scalar | Expression:
    if isinstance(value, Expression):
        found = resolve(value, track.state)
        return found.value if isinstance(found, Constant) else found
    return convert(value.evaluate(track.state), target.kind)

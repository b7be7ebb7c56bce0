"""A program with control flow as a straight list of steps, each guarded by the results measured before it.

The classical part is carried out here, for all paths at once: every measurement that anything depends on gets
a bit of its own, a *record*, and what is left are gates with formulas of inputs as angles, each applied where
some records have given values. That is what the simplest of machines can run, and from the records one reads
which path a run has taken.

A set of paths is a sum of *cubes*, a cube being the paths on which some records have given values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, final

from qlazy.base.errors import UnsupportedModelError, refuse
from qlazy.quantum.program.classical import ClassicalError, Scalar, State, Variable, convert, resolve
from qlazy.quantum.program.expression import Constant, Expression
from qlazy.quantum.program.liveness import Live, live_behind, read_by
from qlazy.quantum.program.program import Program
from qlazy.quantum.program.statements import Assign, Block, Branch, Gate, Measure, Reset, Statement, While

MAX_STEPS = 100_000
MAX_PATHS = 4096

Cube = Mapping[int, int]
"""Values of records, by number."""
EVERYWHERE: tuple[Cube, ...] = ({},)


@dataclass(frozen=True)
class Record:
    """Measure ``wire``; the result is record ``number``, or of no interest."""

    wire: int
    number: int | None


@dataclass(frozen=True)
class Step:
    """``operation`` on the paths in one of ``where``, which do not overlap."""

    operation: Gate | Record | Reset
    where: tuple[Cube, ...] = EVERYWHERE


@dataclass(frozen=True)
class Ending:
    """The paths that end in one classical state; records not in a cube may be anything."""

    state: State
    where: tuple[Cube, ...]


@dataclass(frozen=True, eq=False)
class Straight:
    """The steps of a program, the number of its records, and its endings: runs in none of them are discarded."""

    steps: tuple[Step, ...]
    num_records: int
    endings: tuple[Ending, ...]


def straighten(program: Program, read: Live = frozenset()) -> Straight:
    """The program as guarded steps, with the final values of the variables ``read``.

    Raises UnsupportedModelError where there are too many paths, or where classical arithmetic fails.
    """
    straightener = _Straightener(program)
    try:
        final = straightener.run(program.operations, [_Group({}, EVERYWHERE)], read)
    except ClassicalError as error:
        refuse("program", "have a meaning on all its paths", f"not: {error}", UnsupportedModelError)
    names = {variable.name for variable in read}
    endings = _joined(final, names)
    return Straight(
        tuple(straightener.steps),
        straightener.num_records,
        tuple(Ending(group.state, group.where) for group in endings),
    )


@dataclass
class _Group:
    """Paths with one classical state."""

    state: dict[str, Scalar | Expression]
    where: tuple[Cube, ...] = field(default=EVERYWHERE)


@final
class _Straightener:
    def __init__(self, program: Program) -> None:
        self._loops = program.loops
        self.steps: list[Step] = []
        self.num_records = 0

    def run(
        self, block: Block, groups: list[_Group], live: Live, others: Sequence[_Group] = ()
    ) -> list[_Group]:
        """Carry out ``block`` on ``groups``; ``others`` are the paths that are elsewhere."""
        for statement, behind in zip(block, live_behind(block, live), strict=True):
            if not groups:
                break
            groups = self._execute(statement, groups, behind, others)
            if len(groups) > MAX_PATHS:
                refuse(
                    "program",
                    f"have at most {MAX_PATHS:,} classical states",
                    len(groups),
                    UnsupportedModelError,
                )
        return groups

    def _execute(
        self, statement: Statement, groups: list[_Group], live: Live, others: Sequence[_Group]
    ) -> list[_Group]:
        match statement:
            case Gate():
                self._gate(statement, groups, others)
                return groups
            case Measure(wire, target):
                measured = self._measure(wire, target if target in live else None, groups, others)
                return _joined(measured, _names(live))
            case Reset():
                self._emit(replace(statement, place=None), groups, others)
                return groups
            case Assign(target, value):
                for group in groups:
                    group.state = {**group.state, target.name: _value(target, value, group.state)}
                return _joined(groups, _names(live))
            case Branch(condition, then, otherwise):
                yes, no = _split(condition, groups)
                after = [*self.run(then, yes, live, [*no, *others])]
                return _joined([*after, *self.run(otherwise, no, live, [*after, *others])], _names(live))
            case While():
                return self._loop(statement, groups, live, others)

    def _gate(self, gate: Gate, groups: list[_Group], others: Sequence[_Group]) -> None:
        by_angles: dict[tuple[Expression, ...], list[_Group]] = {}
        for group in groups:
            angles = tuple(resolve(angle, group.state) for angle in gate.angles)
            by_angles.setdefault(angles, []).append(group)
        for angles, chosen in by_angles.items():
            rest = [group for group in groups if not any(group is one for one in chosen)]
            self._emit(replace(gate, angles=angles), chosen, [*rest, *others])

    def _measure(
        self, wire: int, target: Variable | None, groups: list[_Group], others: Sequence[_Group]
    ) -> list[_Group]:
        if target is None:
            self._emit(Record(wire, None), groups, others)
            return groups
        number = self.num_records
        self.num_records += 1
        self._emit(Record(wire, number), groups, others)
        return [
            _Group({**group.state, target.name: bit}, tuple({**cube, number: bit} for cube in group.where))
            for group in groups
            for bit in (0, 1)
        ]

    def _loop(self, loop: While, groups: list[_Group], live: Live, others: Sequence[_Group]) -> list[_Group]:
        head = live | loop.condition.variables | read_by(loop.body)
        left: list[_Group] = []
        for _ in range(loop.bound if self._loops == "exit" else loop.bound - 1):
            groups, leaving = _split(loop.condition, groups)
            left += leaving
            if not groups:
                break
            groups = _joined(self.run(loop.body, groups, head, [*left, *others]), _names(head))
        if self._loops == "discard":  # and those that stay in are followed no further
            left += _split(loop.condition, groups)[1] if loop.bound > 0 else []
            groups = []
        return _joined([*left, *groups], _names(live))

    def _emit(
        self, operation: Gate | Record | Reset, groups: Iterable[_Group], others: Iterable[_Group]
    ) -> None:
        where = guards([c for g in groups for c in g.where], [c for g in others for c in g.where])
        self.steps.append(Step(operation, where))
        if len(self.steps) > MAX_STEPS:
            refuse(
                "program",
                f"take at most {MAX_STEPS:,} steps on all its paths",
                "longer",
                UnsupportedModelError,
            )


def _names(live: Live) -> set[str]:
    return {variable.name for variable in live}


def _value(target: Variable, value: Any, state: State) -> Scalar | Expression:
    if isinstance(value, Expression):
        found = resolve(value, state)
        return found.value if isinstance(found, Constant) else found
    return convert(value.evaluate(state), target.kind)


def _split(condition: Any, groups: Iterable[_Group]) -> tuple[list[_Group], list[_Group]]:
    parts: tuple[list[_Group], list[_Group]] = [], []
    for group in groups:
        parts[0 if condition.evaluate(group.state) else 1].append(group)
    return parts


def _joined(groups: Iterable[_Group], names: set[str]) -> list[_Group]:
    """The groups with all but ``names`` forgotten, and equal ones put together."""
    found: dict[frozenset[Any], _Group] = {}
    for group in groups:
        state = {name: value for name, value in group.state.items() if name in names}
        other = found.get(key := frozenset(state.items()))
        where = group.where if other is None else simplified([*other.where, *group.where])
        found[key] = _Group(state, where)
    return list(found.values())


def simplified(cubes: Iterable[Cube]) -> tuple[Cube, ...]:
    """The same paths in fewer cubes: two that differ in one value are one without it."""
    found: set[frozenset[tuple[int, int]]] = set()
    waiting = [frozenset(cube.items()) for cube in cubes]
    while waiting:
        cube = waiting.pop()
        partner = next((p for p in (cube ^ _both(r, v) for r, v in cube) if p in found), None)
        if partner is None:
            found.add(cube)
        else:
            found.remove(partner)
            waiting.append(cube & partner)
    return tuple(dict(sorted(cube)) for cube in sorted(found, key=sorted))


def _both(record: int, value: int) -> frozenset[tuple[int, int]]:
    return frozenset({(record, value), (record, 1 - value)})


def guards(chosen: Sequence[Cube], others: Sequence[Cube]) -> tuple[Cube, ...]:
    """Few cubes that hold all of ``chosen`` and none of ``others``."""
    if not chosen:
        return ()
    if not others:
        return EVERYWHERE
    common = dict(set(chosen[0].items()).intersection(*(cube.items() for cube in chosen)))
    if all(conflict(common, other) for other in others):
        return (_least(common, others),)
    record = next(r for cube in chosen for r in cube if r not in common and any(r in o for o in others))
    halves: list[Cube] = []
    for bit in (0, 1):
        # what the other half holds is told apart by the record alone, which therefore stays
        inside, outside = (
            [cube for cube in cubes if cube.get(record, bit) == bit] for cubes in (chosen, others)
        )
        fixed = [{**cube, record: bit} for cube in inside]
        halves += ({**cube, record: bit} for cube in guards(fixed, outside))
    return simplified(halves)


def conflict(first: Cube, second: Cube) -> bool:
    """Whether no path is in both."""
    return any(second.get(record, value) != value for record, value in first.items())


def _least(cube: Cube, others: Sequence[Cube]) -> Cube:
    """The cube with no more values than it takes to keep ``others`` out."""
    kept = dict(sorted(cube.items()))
    for record in sorted(cube):
        without = {r: v for r, v in kept.items() if r != record}
        if all(conflict(without, other) for other in others):
            kept = without
    return kept

"""A program with control flow as a straight list of steps, each guarded by the results measured before it.

The classical part is carried out here, for all paths at once: every measurement that anything depends on gets
a bit of its own, a *record*, and what is left are gates with formulas of inputs as angles, each applied where
some records have given values. That is what the simplest of machines can run, and from the records one reads
which path a run has taken.

A set of paths is a sum of *cubes*, a cube being the paths on which some records have given values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

from qlazy.base.errors import UnsupportedModelError, refuse
from qlazy.quantum.program.classical import State
from qlazy.quantum.program.liveness import Live
from qlazy.quantum.program.program import Program
from qlazy.quantum.program.statements import Gate, Reset
from qlazy.quantum.program.walker import Path, Walker, WalkError, by_angles

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
    steps = _Steps()
    walker = Walker(steps, program.loops)
    try:
        final = walker.joined(walker.run(program.operations, [_Group({}, EVERYWHERE)], read), read)
    except WalkError as error:
        requirement = "have a meaning on all its paths, and not too many of them"
        refuse("program", requirement, f"not: {error}", UnsupportedModelError)
    endings = tuple(Ending(group.state, group.where) for group in final)
    return Straight(tuple(steps.steps), steps.num_records, endings)


@dataclass
class _Group(Path):
    """Paths with one classical state."""

    where: tuple[Cube, ...]


@final
class _Steps:
    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.num_records = 0

    def operate(self, gate: Gate, paths: list[_Group], others: Sequence[_Group]) -> None:
        for angles, chosen in by_angles(gate, paths).items():
            rest = [group for group in paths if not any(group is one for one in chosen)]
            self._emit(replace(gate, angles=angles), chosen, [*rest, *others])

    def measure(
        self, wire: int, target: str | None, paths: list[_Group], others: Sequence[_Group]
    ) -> list[_Group]:
        if target is None:
            self._emit(Record(wire, None), paths, others)
            return paths
        number = self.num_records
        self.num_records += 1
        self._emit(Record(wire, number), paths, others)
        return [
            _Group({**group.state, target: bit}, tuple({**cube, number: bit} for cube in group.where))
            for group in paths
            for bit in (0, 1)
        ]

    def reset(self, wire: int, paths: list[_Group], others: Sequence[_Group]) -> list[_Group]:
        self._emit(Reset(wire), paths, others)
        return paths

    def merge(self, paths: list[_Group]) -> _Group:
        where = paths[0].where
        for path in paths[1:]:
            where = simplified([*where, *path.where])
        return _Group(paths[0].state, where)

    def drop(self, paths: list[_Group]) -> None:
        """Runs that end nowhere are discarded."""

    def _emit(
        self, operation: Gate | Record | Reset, groups: Iterable[_Group], others: Iterable[_Group]
    ) -> None:
        where = guards([c for g in groups for c in g.where], [c for g in others for c in g.where])
        self.steps.append(Step(operation, where))


def simplified(cubes: Iterable[Cube]) -> tuple[Cube, ...]:
    """The same paths in fewer cubes: two that differ in one value are one without it."""
    found: set[frozenset[tuple[int, int]]] = set()
    waiting = list(dict.fromkeys(frozenset(cube.items()) for cube in cubes))
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

"""From a program with control flow to the skeleton of its branches, one *track* a path of the walker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, final

from qlazy.quantum.backends.gates import gate_operations
from qlazy.quantum.program.classical import State
from qlazy.quantum.program.expression import Expression
from qlazy.quantum.program.liveness import Live
from qlazy.quantum.program.program import Semantics
from qlazy.quantum.program.statements import Gate, Statement
from qlazy.quantum.program.walker import Path, Walker, by_angles
from qlazy.simulator.branching.skeleton import Apply, Drop, Instruction, Merge, Skeleton, Split
from qlazy.simulator.operations import Flip, Operation


class Unrolled(NamedTuple):
    """The skeleton, its distinct operations, and the formula of the angle of each, where it has one."""

    skeleton: Skeleton
    operations: tuple[Operation, ...]
    formulas: tuple[Expression | None, ...]


@dataclass
class _Track(Path):
    """A classical state, its number, and what is known of wires: those in |0> or |1> for certain."""

    number: int
    known: dict[int, int]


def unroll(statements: Sequence[Statement], num_wires: int, loops: Semantics = "exit") -> Unrolled:
    """The skeleton of a program's branches.

    Raises WalkError where it is too large, where a condition turns out to depend on an input, or where
    arithmetic on classical values fails.
    """
    return unroll_reading(frozenset(), statements, num_wires, loops)[0]


def unroll_reading(
    read: Live, statements: Sequence[Statement], num_wires: int, loops: Semantics = "exit"
) -> tuple[Unrolled, tuple[State, ...]]:
    """As `unroll`, with the values of the variables ``read`` in each final track; raises as it does."""
    tracks = _Tracks()
    start = _Track({}, 0, dict.fromkeys(range(num_wires), 0))
    final = Walker(tracks, loops).run(tuple(statements), [start], read)
    skeleton = Skeleton(num_wires, tuple(tracks.instructions), tuple(track.number for track in final))
    unrolled = Unrolled(skeleton, tuple(tracks.operations), tuple(tracks.formulas))
    return unrolled, tuple(track.state for track in final)


@final
class _Tracks:
    def __init__(self) -> None:
        self.instructions: list[Instruction] = []
        self.operations: list[Operation] = []
        self.formulas: list[Expression | None] = []
        self._numbers: dict[tuple[Any, ...], list[int]] = {}
        self._next = 1

    def operate(self, gate: Gate, paths: list[_Track], others: Sequence[_Track]) -> None:
        controls = dict(zip(gate.controls, gate.control_values, strict=True))
        reached = [t for t in paths if all(t.known.get(c, v) == v for c, v in controls.items())]
        for angles, group in by_angles(gate, reached).items():
            for number in self._operations(gate, angles):
                self.instructions.append(Apply(number, tuple(track.number for track in group)))
            for track in group:
                for wire in gate.wires:
                    track.known.pop(wire, None)

    def measure(
        self, wire: int, target: str | None, paths: list[_Track], others: Sequence[_Track]
    ) -> list[_Track]:
        measured: list[_Track] = []
        for track in paths:
            parts = [track] if wire in track.known else self._split(track, wire)
            if target is not None:
                for part in parts:
                    part.state = {**part.state, target: part.known[wire]}
            measured += parts
        return measured

    def reset(self, wire: int, paths: list[_Track], others: Sequence[_Track]) -> list[_Track]:
        return [self._reset(track, wire) for track in paths]

    def merge(self, paths: list[_Track]) -> _Track:
        first, *others = paths
        known = {
            wire: bit for wire, bit in first.known.items() if all(t.known.get(wire) == bit for t in others)
        }
        merged = _Track(first.state, self._new(), known)
        self.instructions.append(Merge(tuple(track.number for track in paths), merged.number))
        return merged

    def drop(self, paths: list[_Track]) -> None:
        self.instructions.extend(Drop(track.number) for track in paths)

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

    def _split(self, track: _Track, wire: int) -> list[_Track]:
        parts = [_Track(track.state, self._new(), {**track.known, wire: bit}) for bit in (0, 1)]
        self.instructions.append(Split(track.number, wire, (parts[0].number, parts[1].number)))
        return parts

    def _reset(self, track: _Track, wire: int) -> _Track:
        if wire not in track.known:
            zero, one = self._split(track, wire)
            self._flip(one, wire)
            one.known[wire] = 0
            return self.merge([zero, one])
        if track.known[wire] == 1:
            self._flip(track, wire)
            track.known[wire] = 0
        return track

    def _new(self) -> int:
        self._next += 1
        return self._next - 1

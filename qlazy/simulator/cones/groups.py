"""What is simulated together: pieces whose cones overlap so much that one circuit costs less than two.

Costs are amplitudes that are read, up to a factor that all have in common.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

from qlazy.simulator.cones.cones import Cones, Piece
from qlazy.simulator.observables import num_outputs
from qlazy.simulator.operations import Cnot, Flip, Operation, Swap

CALL = 150_000
"""Amplitudes that are read in the time that any circuit takes beside reading them."""
BLOCKS = 4
"""Blocks of samples that a run is supposed to have."""
FULL = 24
"""Wires beyond which nothing is put together."""


@final
@dataclass(frozen=True, eq=False)
class Group:
    """Pieces with the wires and the operations, by number, of all their cones."""

    wires: frozenset[int]
    operations: frozenset[int]
    outputs: frozenset[int]
    pieces: tuple[Piece, ...]

    @classmethod
    def of(cls, piece: Piece) -> Group:
        outputs = range(piece.output, piece.output + num_outputs(piece.observable))
        wires, numbers = frozenset(piece.cone.wires), frozenset(piece.cone.operations)
        return cls(wires, numbers, frozenset(outputs), (piece,))

    def __or__(self, other: Group) -> Group:
        return Group(
            self.wires | other.wires,
            self.operations | other.operations,
            self.outputs | other.outputs,
            self.pieces + other.pieces,
        )


def cost(width: int, gates: int, outputs: int) -> int:
    """Amplitudes read by one sweep: forward, then back with a ket and a bra for each output."""
    return 2**width * (gates + 1) * (1 + 2 * outputs)


def count_gates(operations: Iterable[Operation]) -> int:
    """How many operations are passes over a state."""
    return sum(not isinstance(operation, Cnot | Swap | Flip) for operation in operations)


def whole_cost(num_wires: int, operations: Sequence[Operation], outputs: int) -> int:
    """The cost of the circuit as it is."""
    return CALL + BLOCKS * cost(num_wires, count_gates(operations), outputs)


@final
class Grouping:
    """Puts pieces together one by one, the widest first; unless ``apart``, which leaves each by itself."""

    def __init__(self, cones: Cones, operations: Sequence[Operation], apart: bool = False) -> None:
        self._apart = apart
        self._is_gate = [not isinstance(operation, Cnot | Swap | Flip) for operation in operations]
        self._groups: dict[int, Group] = {}
        self._costs: dict[int, int] = {}
        self._on: defaultdict[int, set[int]] = defaultdict(set)
        for piece in sorted(cones.pieces, key=lambda piece: -piece.width):
            self._put(Group.of(piece))

    @property
    def groups(self) -> list[Group]:
        return list(self._groups.values())

    @property
    def cost(self) -> int:
        """Of all groups, without what a circuit takes beside reading amplitudes."""
        return BLOCKS * sum(self._costs.values())

    def _cost(self, group: Group) -> int:
        gates = sum(self._is_gate[number] for number in group.operations)
        return cost(len(group.wires), gates, len(group.outputs))

    def _put(self, group: Group) -> None:
        own = self._cost(group)
        best, saved = (group, own), 0
        place = len(self._groups)
        near = set() if self._apart else set().union(*(self._on[wire] for wire in group.wires))
        for number in sorted(near):
            if len(self._groups[number].wires | group.wires) > max(FULL, len(self._groups[number].wires)):
                continue
            merged = self._groups[number] | group
            found = self._cost(merged)
            if self._costs[number] + own - found > saved:
                best, saved, place = (merged, found), self._costs[number] + own - found, number
        self._groups[place], self._costs[place] = best
        for wire in best[0].wires:
            self._on[wire].add(place)

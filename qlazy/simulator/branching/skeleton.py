"""How the branches of a program come and go: a straight list of instructions on *tracks*.

A track is one classical state of a running program with the (unnormalised) quantum state that belongs to it.
Measurements split tracks, and tracks whose classical states have become equal merge. Which tracks there are
depends on no parameter, so the list is made once and run for every sample.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Track = int


@dataclass(frozen=True)
class Apply:
    """One operation, by number, on every track of ``tracks``."""

    operation: int
    tracks: tuple[Track, ...]


@dataclass(frozen=True)
class Split:
    """The parts of ``source`` in which ``wire`` is 0 and 1."""

    source: Track
    wire: int
    parts: tuple[Track, Track]


@dataclass(frozen=True)
class Merge:
    """One track in place of several: their mixture."""

    sources: tuple[Track, ...]
    target: Track


@dataclass(frozen=True)
class Drop:
    """A track that takes no part in any output."""

    track: Track


Instruction = Apply | Split | Merge | Drop


@dataclass(frozen=True, eq=False)
class Skeleton:
    """The instructions, from track 0 in |0...0> to the ``final`` tracks, whose outputs add up."""

    num_wires: int
    instructions: tuple[Instruction, ...]
    final: tuple[Track, ...]

    def rows(self) -> dict[Track, int]:
        """How many state vectors each track consists of where vectors are kept apart."""
        rows = {0: 1}
        for instruction in self.instructions:
            if isinstance(instruction, Split):
                rows |= dict.fromkeys(instruction.parts, rows[instruction.source])
            elif isinstance(instruction, Merge):
                rows[instruction.target] = sum(rows[source] for source in instruction.sources)
        return rows

    @property
    def vector_cost(self) -> int:
        """Amplitudes touched where every track is a stack of vectors."""
        rows = self.rows()
        return 2**self.num_wires * sum(rows[track] for track in self._touched())

    @property
    def density_cost(self) -> int:
        """Elements touched where every track is a density matrix."""
        return 2 * 4**self.num_wires * sum(1 for _ in self._touched())

    def _touched(self) -> Iterable[Track]:
        for instruction in self.instructions:
            match instruction:
                case Apply(_, tracks):
                    yield from tracks
                case Split(source):
                    yield source
                case Merge(sources):
                    yield from sources

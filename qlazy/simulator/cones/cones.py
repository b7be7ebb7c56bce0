"""The light cones of all outputs of a circuit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

from qlazy.simulator.cones.walk import Cone, Walker
from qlazy.simulator.observables import (
    Hermitian,
    Observable,
    PauliSum,
    PauliWord,
    num_outputs,
    without_identities,
)
from qlazy.simulator.operations import Operation

SHOWN = 8
"""Cones and wires that are written out."""


class Piece(NamedTuple):
    """An output with its cone, or one word of an output that is a sum. ``output`` is the first of its outputs."""

    output: int
    observable: Observable
    cone: Cone

    @property
    def width(self) -> int:
        """The number of wires on which its value depends; where the cone was given up as too wide, of those found."""
        return len(self.cone.wires)

    @property
    def size(self) -> str:
        """The width in words."""
        return f"{self.width}" if self.cone.is_complete else f"more than {self.width - 1}"

    @property
    def name(self) -> str:
        """The observable in words."""
        return _named(self.observable)

    def __str__(self) -> str:
        wires = "wire" if self.size == "1" else "wires"
        return f"output {self.output}, {self.name}: {self.size} {wires}, {_listed(self.cone.wires)}"


@final
@dataclass(frozen=True, eq=False)
class Cones:
    """The backward light cones of a circuit: the wires that each output depends on, and none besides.

    What a circuit costs goes by its widest cone, whatever the number of its wires. An output that is a sum of Pauli
    words has a cone for each word, for each word is simulated by itself where that is cheaper. Wires are numbered in
    the order of the device or of the program's registers.
    """

    num_wires: int
    num_outputs: int
    pieces: tuple[Piece, ...]
    """One for each output, or each word of an output that is a sum; words without a letter have none."""
    constants: tuple[tuple[int, float], ...]
    """Outputs and what words without a letter add to them."""

    def wires(self, output: int) -> tuple[int, ...]:
        """All wires on which an output depends, ascending."""
        found = (p.cone.wires for p in self.pieces if 0 <= output - p.output < num_outputs(p.observable))
        return tuple(sorted(set().union(*found)))

    @property
    def widest(self) -> Piece | None:
        """The piece with the widest cone; None where every output is constant."""
        return max(self.pieces, key=lambda piece: piece.width, default=None)

    @property
    def width(self) -> int:
        """The number of wires of the widest cone."""
        return 0 if self.widest is None else self.widest.width

    def __repr__(self) -> str:
        counts = f"wires={self.num_wires}, outputs={self.num_outputs}, pieces={len(self.pieces)}"
        return f"Cones({counts}, width={self.width})"

    def __str__(self) -> str:
        lines = [f"light cones of {self.num_outputs:,} outputs on {self.num_wires:,} wires"]
        lines += [f"  {piece}" for piece in self.pieces[:SHOWN]]
        if len(self.pieces) > SHOWN:
            lines.append(f"  and {len(self.pieces) - SHOWN:,} more")
            lines.append(f"  widest: {self.widest}")
        return "\n".join(lines)


def find_cones(num_wires: int, operations: Sequence[Operation], observables: Sequence[Observable]) -> Cones:
    """The cones of all outputs. Operations and observables must have been checked."""
    walker, output = Walker(num_wires, operations), 0
    pieces: list[Piece] = []
    constants: list[tuple[int, float]] = []
    for observable in observables:
        if isinstance(observable, PauliSum):
            words = [_reduced(word) for word in observable.words]
            constants += [(output, float(word.coefficient)) for word in words if not word.word]
            pieces += _pieces_of_sum(walker, output, [word for word in words if word.word])
        else:
            letters = "XZ" if isinstance(observable, Hermitian) else "Z"
            words_of = ((letter, (wire,)) for wire in observable.wires for letter in letters)
            pieces.append(Piece(output, observable, walker.cone(words_of)))
        output += num_outputs(observable)
    return Cones(num_wires, output, tuple(pieces), tuple(constants))


def _pieces_of_sum(walker: Walker, output: int, words: Sequence[PauliWord]) -> Iterator[Piece]:
    whole: Cone | None = None
    for word in words:
        # Beside a word that takes the whole circuit the others cost nothing.
        cone = whole or walker.cone([(word.word, word.wires)])
        if whole is None and len(cone.wires) == walker.num_wires:
            whole = walker.whole
        yield Piece(output, PauliSum((word,)), cone)


def _reduced(word: PauliWord) -> PauliWord:
    return PauliWord(word.coefficient, *without_identities(word.word, word.wires))


def _named(observable: Observable) -> str:
    if isinstance(observable, PauliSum):
        [word] = observable.words
        return " ".join(
            f"{letter}{wire}" for letter, wire in list(zip(word.word, word.wires, strict=True))[:SHOWN]
        )
    return f"{type(observable).__name__.lower()} of wires {_listed(observable.wires)}"


def _listed(wires: Sequence[int]) -> str:
    shown = ", ".join(map(str, wires[:SHOWN]))
    return shown if len(wires) <= SHOWN else f"{shown}, ..."

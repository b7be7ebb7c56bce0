"""The dynamical Lie algebra of a circuit: all that nested commutators of its generators span.

Its dimension bounds the rank of the quantum Fisher information, and gradients concentrate as it grows (Larocca et al.
2022, arXiv 2105.14377; Ragone et al. 2024, arXiv 2309.09342; Fontana et al. 2024, arXiv 2309.07902). Nested
commutators [g_k, [g_j, ...]] of generators span it. Generators that are single Pauli words stay words, and are counted
exactly; sums need linear algebra over the words, with orthonormal bases in float64 and a tolerance that is checked:
between what was taken for new and what was not there must be a wide gap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from qlazy.base.errors import NotConvergedError, refuse, require, whole_of
from qlazy.quantum.circuit import Circuit
from qlazy.theory.trainability.draws import checked
from qlazy.theory.trainability.generators import generators_of
from qlazy.theory.trainability.words import Sum, anticommute, half_commutator, word_of

MOST = 1024
"""Dimensions that are counted, unless more are asked for."""

NEW, OLD = 1e-6, 1e-9
"""Commutators of unit length count as new from here, and as old to there."""

BLOCK = 32
WIDEST = 2048  # commutators that are orthogonalised together

Floats = NDArray[np.float64]


@final
@dataclass(frozen=True)
class LieAlgebra:
    """The dimension, exact where ``complete`` and a lower bound otherwise; the identity is not counted."""

    dimension: int
    complete: bool
    generators: int
    qubits: int

    @property
    def most(self) -> int:
        """4^n - 1, of su(2^n)."""
        return 4**self.qubits - 1

    def __str__(self) -> str:
        return f"{'' if self.complete else 'at least '}{self.dimension:,}"


def lie_algebra(circuit: Circuit, x: Tensor, *, max_dimension: int = MOST) -> LieAlgebra:
    """The dynamical Lie algebra of a circuit for rows like those of x (m, d), counted up to ``max_dimension``.

    Raises UnsupportedModelError for a circuit that measures on its way or has fixed gates on more than 5 wires.
    """
    x = checked(circuit, x)
    found = generators_of(circuit, x)
    return _closure(found.sums, found.num_wires, whole_of("max_dimension", max_dimension, 1))


def lie_closure(generators: Sequence[str | Mapping[str, float]], *, max_dimension: int = MOST) -> LieAlgebra:
    """That of generators given as Pauli words ("XXI") or real sums of them ({"XX": 1.0, "ZI": 0.5})."""
    must = 'be Pauli words such as "XXI", or sums of them such as {"XX": 1.0, "ZI": 0.5}, all of one length'
    listed = (
        isinstance(generators, Sequence) and not isinstance(generators, str | bytes) and len(generators) > 0
    )
    require(listed, "generators", must, generators, TypeError)
    sums = [one if isinstance(one, Mapping) else {one: 1.0} for one in generators]
    words = [word for one in sums for word in one]
    fits = all(isinstance(word, str) and word and set(word) <= set("IXYZ") for word in words)
    require(fits and len({len(word) for word in words}) == 1, "generators", must, generators)
    wires = tuple(range(len(words[0])))
    numbered = [{word_of(word, wires, len(wires)): float(c) for word, c in one.items()} for one in sums]
    require(
        all(np.isfinite(list(one.values())).all() for one in numbered), "generators", "have finite coefficients",
        generators,
    )  # fmt: skip
    kept = [{word: c for word, c in one.items() if word and c} for one in numbered]
    return _closure([one for one in kept if one], len(wires), whole_of("max_dimension", max_dimension, 1))


def _closure(sums: Sequence[Sum], num_wires: int, most: int) -> LieAlgebra:
    if all(len(one) == 1 for one in sums):
        dimension = _of_words({word for one in sums for word in one}, num_wires, most)
    else:
        dimension = _Span(sums, num_wires).closed(most)
    complete = dimension <= most
    return LieAlgebra(min(dimension, most), complete, len(sums), num_wires)


def _of_words(generators: set[int], num_wires: int, most: int) -> int:
    """How many words nested commutators of words reach; more than ``most`` stand for any number above."""
    found, frontier = set(generators), list(generators)
    while frontier and len(found) <= most:
        word = frontier.pop()
        for generator in generators:
            product = word ^ generator
            if product not in found and anticommute(word, generator, num_wires):
                found.add(product)
                frontier.append(product)
    return len(found)


class _Span:
    """An orthonormal basis of what commutators of sums span, over the words met so far."""

    def __init__(self, generators: Sequence[Sum], num_wires: int) -> None:
        self._generators, self._num_wires = generators, num_wires
        self._columns: dict[int, int] = {}
        self._words: list[int] = []
        for terms in generators:
            for word in terms:
                self._column(word)
        self._basis: Floats = np.zeros((0, len(self._words)))
        self._add(np.stack([self._row(terms) for terms in generators]))

    def closed(self, most: int) -> int:
        """The dimension, or a number above ``most``."""
        done = 0
        while done < len(self._basis) <= most:
            block = self._basis[done : done + BLOCK]
            done += len(block)
            parts = [self._commutators(terms, block) for terms in self._generators]
            rows = np.concatenate([self._padded(part) for part in parts])
            for start in range(0, len(rows), WIDEST):
                self._add(self._padded(rows[start : start + WIDEST]))
        return len(self._basis)

    def _column(self, word: int) -> int:
        if word not in self._columns:
            self._columns[word] = len(self._words)
            self._words.append(word)
        return self._columns[word]

    def _row(self, terms: Sum) -> Floats:
        row = np.zeros(len(self._words))
        for word, value in terms.items():
            row[self._columns[word]] = value
        return row

    def _padded(self, rows: Floats) -> Floats:
        return np.pad(rows, ((0, 0), (0, len(self._words) - rows.shape[1])))

    def _commutators(self, terms: Sum, block: Floats) -> Floats:
        """i [G, B] / 2 of a generator and every row of a block."""
        present = np.flatnonzero(block.any(0))
        moves = [
            (column, *half_commutator(word, self._words[column], self._num_wires), value)
            for word, value in terms.items()
            for column in present.tolist()
            if anticommute(word, self._words[column], self._num_wires)
        ]
        targets = [self._column(product) for _, product, _, _ in moves]
        found = np.zeros((len(block), len(self._words)))
        for (column, _, sign, value), target in zip(moves, targets, strict=True):
            found[:, target] += sign * value * block[:, column]
        return found

    def _add(self, rows: Floats) -> None:
        """Put what of the rows is new into the basis."""
        self._basis = self._padded(self._basis)
        lengths = np.linalg.norm(rows, axis=1)
        rows = rows[lengths > 1e-12] / lengths[lengths > 1e-12, None]
        for _ in range(2):  # twice is enough, for rounding
            rows = rows - (rows @ self._basis.T) @ self._basis
        if len(rows):
            self._basis = np.concatenate([self._basis, _independent(rows)])


def _independent(rows: Floats) -> Floats:
    """An orthonormal basis of rows; refuses to tell where one is neither clearly new nor clearly old."""
    from scipy.linalg import qr  # a slow import, for this alone

    vectors, triangle, _ = qr(rows.T, mode="economic", pivoting=True)
    sizes = abs(triangle.diagonal())
    between = sizes[(sizes > OLD) & (sizes < NEW)]
    if len(between):
        must = "give commutators that are clearly new or clearly old"
        refuse("generators", must, f"one with a residual of {between[0]:.1e}", NotConvergedError)
    return np.asarray(vectors[:, sizes >= NEW].T)

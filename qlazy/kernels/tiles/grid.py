"""How a matrix is cut into tiles, and which of them are computed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

TilePlace = tuple[int, int]
"""A tile: its row and its column in the grid."""


@final
@dataclass(frozen=True)
class Grid:
    """A matrix of shape (rows, columns) in tiles of at most ``size`` rows and columns.

    Of a symmetric matrix the tiles on and above the diagonal are computed, and mirrored.
    """

    rows: int
    columns: int
    size: int
    symmetric: bool

    @property
    def shape(self) -> tuple[int, int]:
        """How many tiles there are, downwards and across."""
        return -(-self.rows // self.size), -(-self.columns // self.size)

    def row_slice(self, i: int) -> slice:
        return slice(i * self.size, min((i + 1) * self.size, self.rows))

    def column_slice(self, j: int) -> slice:
        return slice(j * self.size, min((j + 1) * self.size, self.columns))

    def computed(self) -> Iterator[TilePlace]:
        """The tiles to compute, row by row."""
        down, across = self.shape
        for i in range(down):
            for j in range(i if self.symmetric else 0, across):
                yield i, j

    def copies(self, place: TilePlace) -> tuple[TilePlace, ...]:
        """The tiles that one computation gives: itself, and off the diagonal its mirror image."""
        i, j = place
        return ((i, j), (j, i)) if self.symmetric and i != j else ((i, j),)

    def covering(self, rows: slice, columns: slice) -> Iterator[TilePlace]:
        """The tiles that meet a nonempty block of the matrix."""
        for i in range(rows.start // self.size, -(-rows.stop // self.size)):
            for j in range(columns.start // self.size, -(-columns.stop // self.size)):
                yield i, j

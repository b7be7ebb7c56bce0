"""Tiles cover a matrix once, and those of a symmetric one half of it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qlazy.kernels.tiles.grid import Grid

SIZES = st.integers(1, 40)


@given(SIZES, SIZES, SIZES, st.booleans())
def test_every_entry_is_in_one_tile(rows, columns, size, symmetric):
    grid = Grid(rows, rows if symmetric else columns, size, symmetric)
    count = np.zeros((grid.rows, grid.columns), int)
    for place in grid.computed():
        for i, j in grid.copies(place):
            count[grid.row_slice(i), grid.column_slice(j)] += 1
    assert (count == 1).all()


@given(SIZES, SIZES, st.data())
def test_covering_tiles_hold_the_block_and_no_tile_misses_it(rows, size, data):
    grid = Grid(rows, rows, size, False)
    start = data.draw(st.integers(0, rows - 1))
    stop = data.draw(st.integers(start + 1, rows))
    found = {i for i, _ in grid.covering(slice(start, stop), slice(0, 1))}
    met = [grid.row_slice(i).start < stop and grid.row_slice(i).stop > start for i in range(grid.shape[0])]
    assert found == {i for i, meets in enumerate(met) if meets}

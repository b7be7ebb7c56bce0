"""Rows of samples: how many side by side, and arrays of them in one piece of memory."""

import numpy as np
import pytest

from qlazy.simulator.kernels.layout import WIDE, as_rows, empty_rows, lanes_for

F64, F32 = np.dtype(np.float64), np.dtype(np.float32)


@pytest.mark.parametrize(
    ("num_wires", "samples", "dtype", "lanes"),
    [
        (4, 1, F64, 8), (4, 100, F32, 16), (11, 1, F64, 8), (12, 2, F64, 2), (12, 3, F64, 8), (12, 4, F32, 4),
        (15, 100, F64, 8), (16, 100, F64, 2), (18, 100, F32, 4),
    ],
)  # fmt: skip
def test_large_states_stand_in_narrow_rows(num_wires, samples, dtype, lanes):
    assert lanes_for(num_wires, samples, dtype) == lanes


def test_rows_are_the_numbers_themselves():
    numbers = np.arange(24.0).reshape(3, 2, 4)
    rows = as_rows(numbers)
    assert rows.shape == (3, 2)
    rows["samples"][1, 1] = -1
    assert (numbers[1, 1] == -1).all()


@pytest.mark.parametrize(("lanes", "dtype"), [(8, F64), (2, F64), (16, F32)])
def test_arrays_in_one_piece_do_not_overlap(lanes, dtype):
    parts = empty_rows(lanes, dtype, 3, 0, 5)
    assert [len(part) for part in parts] == [3, 0, 5]
    assert parts[0].ctypes.data % WIDE == 0
    for number, part in enumerate(parts):
        part["samples"][:] = number
    assert (parts[0]["samples"] == 0).all()
    assert (parts[2]["samples"] == 2).all()
    assert parts[2]["samples"].shape == (5, lanes)
    assert parts[2]["samples"].dtype == dtype

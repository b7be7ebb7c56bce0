"""How states of a batch lie in memory: rows of lanes, wider for narrow circuits."""

from __future__ import annotations

from functools import cache
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

ROW = "samples"  # the one field of the dtype
WIDE, NARROW = 64, 16  # bytes of a row, and its alignment
LARGE, HUGE = 12, 16  # qubits from which narrow blocks pay: if they hold all samples, and in any case
Rows = NDArray[np.void]


def lanes_for(num_wires: int, samples: int, dtype: np.dtype[Any]) -> int:
    """How many samples run side by side: fewer where the states of more would only fill the cache."""
    narrow = NARROW // dtype.itemsize
    return narrow if num_wires >= (LARGE if samples <= narrow else HUGE) else WIDE // dtype.itemsize


def as_rows(numbers: NDArray[Any]) -> Rows:
    """Numbers (..., lanes), contiguous, as rows (...) in the same memory."""
    return numbers.view(_row(numbers.dtype, numbers.shape[-1]))[..., 0]


@cache
def _row(dtype: np.dtype[Any], lanes: int) -> np.dtype[Any]:
    return np.dtype([(ROW, dtype, (lanes,))], align=True)


def empty_rows(lanes: int, dtype: np.dtype[Any], *counts: int) -> list[Rows]:
    """Arrays of so many rows each, their numbers not set: what a thread works in, in one piece of memory."""
    size = sum(counts) * lanes * dtype.itemsize
    raw = np.empty(size + WIDE, np.uint8)
    start = -raw.ctypes.data % WIDE  # rows that straddle two cache lines would halve the speed of every load
    rows = as_rows(raw[start : start + size].view(dtype).reshape(-1, lanes))
    ends = list(accumulate(counts))
    return [rows[end - count : end] for count, end in zip(counts, ends, strict=True)]


def states_size(num_wires: int, bras: int) -> int:
    """The number of rows of the ket, a copy of it, and the bras."""
    return (2 + bras) * 2 * 2**num_wires


class States(NamedTuple):
    """States one after the other in ``rows``, each of ``size`` amplitudes: the ket, then the bras up to ``end``."""

    rows: Any
    size: int
    ket: int
    bras: int
    end: int


class Coefficients(NamedTuple):
    """Coefficients of gates: those shared by the batch, and from row ``own`` those of one block."""

    rows: Any
    own: int

"""Threads and their workspaces."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALIGNMENT = 64
PIECES = 4  # pieces of work for each thread, so that a slow one does not hold up the rest


@dataclass(frozen=True, eq=False)
class Workspace:
    """The states of one block: ket, a copy of it, and the bras; and room for one column of a dense gate."""

    states: NDArray[Any]
    scratch: NDArray[Any]

    @staticmethod
    def allocate(num_wires: int, bras: int, column: int, lanes: int, dtype: np.dtype[Any]) -> Workspace:
        states = _aligned(((2 + bras) * 2 * 2**num_wires, lanes), dtype)
        return Workspace(states, _aligned((2 * column, lanes), dtype))


def _aligned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    # Rows that straddle two cache lines would halve the speed of every load.
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.empty(size + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size].view(dtype).reshape(shape)


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="qlazy")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a child process has none of the threads


def for_blocks(
    work: Callable[[int, int, Workspace], None], blocks: int, threads: int, workspace: Callable[[], Workspace]
) -> None:
    """Call work(first, last, space) on pieces of range(blocks), on this thread and threads - 1 others."""
    threads = min(threads, blocks)
    if blocks == 0:
        return
    size = -(-blocks // (threads * PIECES)) if threads > 1 else blocks
    pieces = deque((first, min(first + size, blocks)) for first in range(0, blocks, size))

    def worker() -> None:
        space = workspace()
        while True:
            try:
                first, last = pieces.popleft()
            except IndexError:
                return
            work(first, last, space)

    others = [_pool(threads - 1).submit(worker) for _ in range(threads - 1)] if threads > 1 else []
    worker()
    for other in others:
        other.result()

"""Threads and their workspaces."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Counter = NDArray[np.int64]  # of one element
Space = TypeVar("Space")

ALIGNMENT = 64


@dataclass(frozen=True, eq=False)
class Workspace:
    """The states of one block: ket, a copy of it, and the bras; and room for one column of a dense gate."""

    states: NDArray[Any]
    scratch: NDArray[Any]

    @staticmethod
    def allocate(num_wires: int, bras: int, column: int, lanes: int, dtype: np.dtype[Any]) -> Workspace:
        states = aligned(((2 + bras) * 2 * 2**num_wires, lanes), dtype)
        return Workspace(states, aligned((2 * column, lanes), dtype))


def aligned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """An array whose rows start where cache lines do, its numbers not set."""
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
    work: Callable[[Counter, Space], None], blocks: int, threads: int, workspace: Callable[[], Space]
) -> None:
    """Call work(taken, space) on this thread and on others, ``threads`` in all if there are as many blocks.

    Each call takes blocks by counting ``taken`` up, so that none waits for a slow one.
    """
    taken: Counter = np.zeros(1, np.int64)

    def worker() -> None:
        work(taken, workspace())

    others = [_pool(threads - 1).submit(worker) for _ in range(min(threads, blocks) - 1)]
    if blocks:
        worker()
    for other in others:
        other.result()

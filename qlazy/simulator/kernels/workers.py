"""Blocks of samples on several threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Counter = NDArray[np.int64]  # of one element
Space = TypeVar("Space")

WORTH = 20_000  # visits that take about as long as to wake a thread
PATIENCE = 50_000_000  # visits that take a few tenths of a second


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="qlazy")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a child process has none of the threads


def for_blocks(
    work: Callable[[Counter, int, Space], None],
    blocks: int,
    visits: int,
    threads: int,
    space: Callable[[], Space],
) -> None:
    """Call work(taken, share, space()) on this thread and on others: ``threads`` in all, if there is so much to do.

    Each call takes blocks by counting ``taken`` up, so that none waits for a slow one, and no more than ``share``,
    so that Python sees Ctrl-C in between. ``visits`` is how often a block reads an amplitude.
    """
    taken: Counter = np.zeros(1, np.int64)
    share = max(1, PATIENCE // max(visits, 1))

    def worker() -> None:
        room = space()
        while taken[0] < blocks:
            work(taken, share, room)

    count = min(threads, blocks, blocks * visits // WORTH)
    others = [_pool(threads - 1).submit(worker) for _ in range(count - 1)]
    try:
        worker()
        for other in others:
            other.result()
    except BaseException:
        taken[0] = blocks  # nobody is waiting for the rest
        raise

"""One sweep in a process of its own: ``python -m qlazy.bench.scaling.worker``, a request on stdin.

A line of JSON for each round that is done, then one for each size.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

from qlazy.bench.peers import own
from qlazy.bench.scaling.sweeps import ScaledTask, Sweep, sweeps
from qlazy.bench.worker import Draws

LEAST = 0.02
"""Seconds of the processor that a round spends on a size at least, in up to ``MOST`` calls."""
MOST = 50


def measure(
    sweep: Sweep, task: ScaledTask, *, repeats: int = 5, threads: int = 1, dtype: str = "float64"
) -> Iterator[dict[str, Any]]:
    """A "round" as often as asked for, then a "point" for each size: seconds a call, of the processor and by the clock.

    The first two calls of each size, which trace and compile, are not timed. All sizes are timed in each round, once
    up and once down, so that what else the machine does falls on all of them.
    """
    yield {"event": "ready"}
    timers = {size: Timer(sweep, size, task, threads, dtype) for size in sweep.sizes}
    for number in range(repeats):
        order = sweep.sizes if number % 2 == 0 else sweep.sizes[::-1]
        for size in order:
            timers[size].round()
        yield {"event": "round", "round": number + 1}
    for size, timer in timers.items():
        yield {"event": "point", "size": size, "processor": timer.processor, "seconds": timer.seconds}


class Timer:
    """The calls of one size, each on parameters and inputs of its own."""

    def __init__(self, sweep: Sweep, size: int, task: ScaledTask, threads: int, dtype: str) -> None:
        workload = sweep.workload(size, task)
        self._draws = Draws(workload, lambda array: own.native(array, dtype))
        self._compute = next(iter(own.ways(workload, dtype, threads).values()))()
        self._seed = 0
        self.processor: list[float] = []
        self.seconds: list[float] = []
        self._call()
        spent, _ = self._call()
        self._calls = min(MOST, max(1, math.ceil(LEAST / max(spent, LEAST / MOST))))

    def round(self) -> None:
        """Time a few calls, and keep their mean."""
        spent = [self._call() for _ in range(self._calls)]
        processor, seconds = (sum(part) / len(spent) for part in zip(*spent, strict=True))
        self.processor.append(processor)
        self.seconds.append(seconds)

    def _call(self) -> tuple[float, float]:
        arrays = self._draws(self._seed)
        self._seed += 1
        start, clock = time.process_time(), time.perf_counter()
        self._compute(*arrays)
        return time.process_time() - start, time.perf_counter() - clock


def main() -> None:
    """Answer one request."""
    # Libraries print what they like: the events keep stdout to themselves.
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    request = json.load(sys.stdin)
    sweep = sweeps(request.pop("quick"))[request.pop("varied")]
    for event in measure(sweep, **request):
        print(json.dumps(event), file=events, flush=True)


if __name__ == "__main__":
    main()

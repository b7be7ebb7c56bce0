"""One tool on one workload in a process of its own: ``python -m qlazy.bench.worker``, a request on stdin.

What happens is told on stdout, a line of JSON each, so that a run stopped for its time still has its say.
A process to itself gives every tool an honest first call, all the threads, and a limit that holds.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from qlazy.bench.peers import QLAZY, Compute, Tool, module_of, peers
from qlazy.bench.workloads import Array, PropagationWorkload, Workload, workloads

Event = dict[str, Any]
TOLERANCE = {"float64": 1e-9, "float32": 1e-6}
"""How far from the reference a result may be, relative to the largest entry of the reference, or 1."""

SAME_CUTOFF = {"float64": 1e-10, "float32": 1e-6}
"""The same for propagations that drop the same words."""

MIN_TIME, MAX_CALLS = 1.0, 50
"""Fast calls are repeated for this many seconds, but not more often than this."""


def measure(
    tool: Tool,
    workload: Workload,
    *,
    repeats: int = 5,
    threads: int = 1,
    dtype: str = "float64",
    limit: float = 120.0,
    reference: Array | None = None,
    keep: Callable[[Array], object] = lambda result: None,
) -> Iterator[Event]:
    """The events of a run: "ready", a "first" or "failed" for each way, then a "time" for each later call.

    Every way's first result is compared with ``reference`` before its later calls are timed, on new parameters
    and inputs each. Later calls are those of the fastest way, judged by its second call. ``keep`` gets the
    first result. Behind them comes what a call of qlazy takes at least, "counted".
    """
    start = time.perf_counter()
    try:
        module = importlib.import_module(module_of(tool))
        draws = Draws(workload, lambda array: module.native(array, dtype))
        ways = module.ways(workload, dtype, threads)
    except ImportError as error:
        yield {"event": "missing", "message": str(error)}
        return
    except Exception as error:
        yield {"event": "failed", "way": "", "message": _said(error)}
        return
    ready = time.perf_counter()
    yield {"event": "ready", "import_seconds": ready - start, "versions": versions(tool)}
    tried: list[tuple[float, str, Compute]] = []
    for way, make in ways.items():
        try:
            compute, first, result = _first(make, draws(0))
            off, allowed = held(workload, result, reference, dtype)
            if off is not None and not off <= allowed:
                yield {"event": "disagrees", "way": way, "error": off}
                continue
            keep(result)
            words = words_left(workload, result)
            yield {"event": "first", "way": way, "seconds": first, "error": off, "words": words}
            second = _timed(compute, draws(1))
        except Exception as failure:
            yield {"event": "failed", "way": way, "message": _said(failure)}
            continue
        yield {"event": "time", "way": way, "seconds": second}
        tried.append((second, way, compute))
    if tried and repeats:
        _, way, compute = min(tried, key=lambda entry: entry[0])
        for seconds in _later(compute, draws, repeats, ready + limit):
            yield {"event": "time", "way": way, "seconds": seconds}
    if tried and tool is QLAZY:
        yield {"event": "counted", "flops": module.flops(workload, *draws(0))}


class Draws:
    """Parameters and inputs of a workload as a tool holds them, by seed."""

    def __init__(self, workload: Workload, native: Callable[[Array], Any]) -> None:
        self._workload, self._native = workload, native

    def __call__(self, seed: int) -> list[Any]:
        return [self._native(array) for array in self._workload.draw(seed)]


def deviation(result: Array, reference: Array) -> float:
    """The largest difference, relative to the largest entry of the reference or 1; infinite for another shape."""
    if result.shape != reference.shape:
        return float("inf")
    return float(np.abs(result - reference).max() / max(1.0, np.abs(reference).max()))


def held(
    workload: Workload, result: Array, reference: Array | None, dtype: str
) -> tuple[float | None, float]:
    """How far a result is from the reference, and how far it may be, relative to the largest entry or 1.

    Propagations that drop what qlazy drops are held to 1e-10. Others, which cut by another rule, may be off by what
    both have dropped, by their own bounds, or twice qlazy's where a tool gives none.
    """
    if reference is None:
        return None, 0.0
    if words_left(workload, result) is None:
        return deviation(result, reference), TOLERANCE[dtype]
    off = deviation(result[2:], reference[2:])
    if result[1] == 0:
        return off, SAME_CUTOFF[dtype]
    bound = reference[1] + (reference[1] if np.isnan(result[1]) else result[1])
    return off, max(SAME_CUTOFF[dtype], float(bound / max(1.0, np.abs(reference[2:]).max())))


def words_left(workload: Workload, result: Array) -> int | None:
    """How many words a propagation has left; None for other results."""
    is_counted = isinstance(workload, PropagationWorkload) and workload.task == "propagation"
    return int(result[0]) if is_counted else None


def versions(tool: Tool) -> dict[str, str]:
    """The versions of the distributions that the tool consists of."""
    found = {}
    for name in tool.distributions:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # qlazy from a checkout
            found[name] = getattr(importlib.import_module("qlazy"), "__version__", "unknown")
    return found


def _first(make: Callable[[], Compute], arrays: list[Any]) -> tuple[Compute, float, Array]:
    start = time.perf_counter()
    compute = make()
    result = compute(*arrays)
    seconds = time.perf_counter() - start
    return compute, seconds, np.asarray(result.detach() if hasattr(result, "detach") else result).copy()


def _timed(compute: Compute, arrays: list[Any]) -> float:
    start = time.perf_counter()
    compute(*arrays)
    return time.perf_counter() - start


def _later(compute: Compute, draws: Draws, repeats: int, deadline: float) -> Iterator[float]:
    spent, longest = 0.0, 0.0
    for call in range(max(repeats, MAX_CALLS)):
        is_enough = call >= repeats and spent >= MIN_TIME
        if is_enough or time.perf_counter() + longest > deadline:
            return
        seconds = _timed(compute, draws(2 + call))
        spent, longest = spent + seconds, max(longest, seconds)
        yield seconds


def _said(error: Exception) -> str:
    lines = [line.strip() for line in f"{type(error).__name__}: {error}".splitlines() if line.strip()]
    return lines[0][:200]


def main() -> None:
    """Answer one request."""
    # Libraries print what they like: the events keep stdout to themselves.
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    request = json.load(sys.stdin)
    keep = request.pop("keep")
    reference = request.pop("reference")
    name = request.pop("tool")
    tool = next(tool for tool in (QLAZY, *peers()) if tool.name == name)
    workload = workloads(request.pop("quick"))[request.pop("workload")]
    for event in measure(
        tool,
        workload,
        reference=None if reference is None else np.load(reference),
        keep=(lambda result: np.save(Path(keep), result)) if keep else lambda result: None,
        **request,
    ):
        print(json.dumps(event), file=events, flush=True)


if __name__ == "__main__":
    main()

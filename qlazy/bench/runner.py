"""Every tool on every workload, one process after the other, so that no two of them share the cores."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Any, Literal

from qlazy.base.errors import require
from qlazy.base.version import __version__
from qlazy.bench.machine import machine
from qlazy.bench.peers import QLAZY, Tool
from qlazy.bench.peers import peers as all_peers
from qlazy.bench.results import Measurement, Report, from_events
from qlazy.bench.workloads import CircuitWorkload, PropagationWorkload, Workload, workloads

Event = dict[str, Any]
DType = Literal["float64", "float32"]
IMPORT_TIME = 120.0
"""Seconds that a process may take to import its tool, before its clock starts."""
FOREVER = 1e6

_THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "QULACS_NUM_THREADS",
)


@dataclass(frozen=True)
class Settings:
    """How to measure. ``limit`` is what one tool may take on one workload, in seconds; None waits.

    ``pythons`` are interpreters by the name of a tool, for those that cannot be installed beside the others.
    """

    repeats: int = 5
    threads: int = 1
    dtype: DType = "float64"
    limit: float | None = 120.0
    quick: bool = False
    pythons: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        require(self.repeats >= 1, "repeats", "be positive", self.repeats)
        require(self.threads >= 1, "threads", "be positive", self.threads)
        require(self.dtype in ("float64", "float32"), "dtype", "be float64 or float32", self.dtype)
        require(self.limit is None or self.limit > 0, "limit", "be positive", self.limit)


def run(
    names: Sequence[str] | None = None,
    peers: Sequence[str] | None = None,
    settings: Settings | None = None,
    *,
    progress: Callable[[str], object] = lambda line: None,
) -> Report:
    """Time qlazy and its peers on workloads by name, or by what their names begin with; all of them unless told.

    qlazy runs first on each workload, in float64 and unseen, which fills its cache of compiled code and gives the
    result that every tool is held to. Raises ValueError for an unknown workload or tool.
    """
    settings = settings or Settings()
    every = workloads(settings.quick)
    chosen = _chosen("workloads", names and _expanded(names, every), every)
    known = {tool.name: tool for tool in all_peers()}
    tools = _chosen("peers", peers or [name for name, tool in known.items() if not tool.on_request], known)
    _chosen("pythons", tuple(settings.pythons or ()), known)
    measurements: list[Measurement] = []
    with tempfile.TemporaryDirectory(prefix="qlazy-bench-") as folder:
        for workload in chosen.values():
            measurements += _workload(workload, tuple(tools.values()), settings, Path(folder), progress)
    described = {workload.name: workload.title for workload in chosen.values()}
    counts = {
        w.name: w.published for w in chosen.values() if isinstance(w, PropagationWorkload) and w.published
    }
    return Report(
        measurements=tuple(measurements),
        titles=described,
        published=counts,
        settings={
            "repeats": settings.repeats, "threads": settings.threads, "dtype": settings.dtype,
            "limit": settings.limit, "quick": settings.quick, "qlazy": __version__,
        },
        machine=machine(settings.threads, settings.dtype),
    )  # fmt: skip


def _workload(
    workload: Workload,
    tools: Sequence[Tool],
    settings: Settings,
    folder: Path,
    progress: Callable[[str], object],
) -> Iterator[Measurement]:
    reference = folder / f"{workload.name}.npy"
    progress(f"{workload.name}  {workload.title}")
    events = _events(
        QLAZY, workload, replace(settings, dtype="float64", repeats=1, limit=None), keep=reference
    )
    first = from_events(QLAZY.name, workload.name, events, None)
    if not reference.exists():
        yield first
        progress(f"{workload.name}  {first}")
        return
    for tool in (QLAZY, *tools):
        if tool is QLAZY or takes(tool, workload):
            yield _measured(tool, workload, settings, reference, progress)
    if workload.name == "W1":
        other: DType = "float32" if settings.dtype == "float64" else "float64"
        yield _measured(QLAZY, workload, replace(settings, dtype=other), reference, progress)


def takes(tool: Tool, workload: Workload) -> bool:
    """Whether a peer does what is asked for, at this size."""
    if isinstance(workload, PropagationWorkload):
        return tool.does == "words" and workload.task == "propagation"
    if isinstance(workload, CircuitWorkload):
        fits = workload.wires <= tool.most_wires and (tool.has_second or not workload.is_second)
        return tool.does == "circuits" and fits and (tool.trains or workload.task != "training")
    return tool.does == "nets"


def _measured(
    tool: Tool, workload: Workload, settings: Settings, reference: Path, progress: Callable[[str], object]
) -> Measurement:
    measure = partial(_events, tool, workload, reference=reference)
    if tool is QLAZY and settings.dtype == "float32":
        list(measure(replace(settings, limit=None, repeats=1)))  # compiles for the other dtype
    found = from_events(tool.name, workload.name, measure(settings), settings.limit)
    found = replace(found, dtype=settings.dtype)
    progress(f"{workload.name}  {found}")
    return found


def _events(
    tool: Tool,
    workload: Workload,
    settings: Settings,
    *,
    reference: Path | None = None,
    keep: Path | None = None,
) -> Iterator[Event]:
    """What the worker says, as it says it, and "over limit" or "failed" where it does not come to its end."""
    request = {
        "tool": tool.name, "workload": workload.name, "quick": settings.quick, "repeats": settings.repeats,
        "threads": settings.threads, "dtype": settings.dtype, "limit": settings.limit or FOREVER,
        "reference": reference and str(reference), "keep": keep and str(keep),
    }  # fmt: skip
    python = (settings.pythons or {}).get(tool.name, sys.executable)
    yield from spoken("qlazy.bench.worker", request, python, settings.threads, settings.limit)


def spoken(
    module: str, request: Mapping[str, Any], python: str, threads: int, limit: float | None
) -> Iterator[Event]:
    """What a module of workers says of a request, with "over limit" or "failed" where it does not come to its end."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [python, "-m", module],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            env=_environment(threads), encoding="utf-8",
        )  # fmt: skip
        try:
            assert process.stdin is not None
            with process.stdin as stdin:
                stdin.write(json.dumps(request))
            is_stopped = yield from _until(process, limit)
            if not is_stopped and process.wait():
                yield {"event": "failed", "way": "", "message": _last_line(errors, process.returncode)}
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def _until(process: subprocess.Popen[str], limit: float | None) -> Generator[Event, None, bool]:
    """Events until the process ends. Past its limit, counted from when its tool is imported, it is stopped: True."""
    lines: queue.Queue[str | None] = queue.Queue()
    assert process.stdout is not None
    threading.Thread(target=_pump, args=(process.stdout, lines), daemon=True).start()
    deadline = time.monotonic() + IMPORT_TIME
    while True:
        try:
            line = lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            process.kill()
            yield {"event": "over limit"}
            return True
        if line is None:
            return False
        event = json.loads(line)
        if event["event"] == "ready":
            deadline = time.monotonic() + (FOREVER if limit is None else limit)
        yield event


def _pump(stream: IO[str], lines: queue.Queue[str | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _environment(threads: int) -> dict[str, str]:
    package = str(Path(__file__).parents[2])
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, **dict.fromkeys(_THREADS, str(threads)), "PYTHONPATH": os.pathsep.join(paths)}


def _last_line(errors: IO[bytes], code: int) -> str:
    errors.seek(0)
    lines = errors.read().decode(errors="replace").strip().splitlines()
    return f"exit code {code}: {lines[-1][:200] if lines else 'no message'}"


def _expanded(names: Sequence[str], known: Mapping[str, Any]) -> list[str]:
    """Names as they are, or where there is none such, all that begin with it and a dash: W13 for W13-8 and others."""
    families = [[name] if name in known else [k for k in known if k.startswith(f"{name}-")] for name in names]
    return [each for name, family in zip(names, families, strict=True) for each in family or [name]]


def _chosen(argument: str, names: Sequence[str] | None, known: Mapping[str, Any]) -> dict[str, Any]:
    if names is None:
        return dict(known)
    unknown = sorted(set(names) - set(known))
    require(not unknown, argument, f"be among {', '.join(known)}", ", ".join(unknown))
    return {name: known[name] for name in known if name in names}

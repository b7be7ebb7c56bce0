"""Every sweep for every task, one process after the other; what a folder has already is not run again."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from qlazy.base.errors import require, require_choice
from qlazy.base.version import __version__
from qlazy.bench.machine import machine
from qlazy.bench.runner import Settings, spoken
from qlazy.bench.scaling.curve import Curve, Point
from qlazy.bench.scaling.result import NAME, Scaling
from qlazy.bench.scaling.sweeps import TASKS, ScaledTask, Sweep, sweeps

KEPT = ("repeats", "threads", "dtype", "quick", "qlazy")
"""Settings that curves of one folder share."""


def measure_scaling(
    names: Sequence[str] | None = None,
    settings: Settings | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    progress: Callable[[str], object] = lambda line: None,
) -> Scaling:
    """Measure and fit what qlazy costs against ``names``, among qubits, inputs, parameters, outputs; all unless told.

    ``folder`` keeps each sweep once it is finished: a run that was stopped goes on there, and other sweeps stay.
    The limit and the interpreters of the settings are those of peers, and not looked at. Raises ValueError for an
    unknown name and for a folder of other settings or of another machine, ChildProcessError with the last line of a
    sweep that fails.
    """
    settings = settings or Settings()
    every = sweeps(settings.quick)
    for name in names or ():
        require_choice("scaling", name, every)
    fresh = _empty(settings)
    found = fresh if folder is None else _earlier(Path(folder), fresh)
    for varied, sweep in every.items():
        for task in TASKS:
            known = {(curve.varied, curve.task) for curve in found.curves}
            if (names and varied not in names) or (varied, task) in known:
                continue
            progress(f"{task} against {varied}  {sweep.title}")
            found = _with(found, _curve(sweep, task, settings, progress))
            if folder is not None:
                found.save_times(folder)
    return found


def _empty(settings: Settings) -> Scaling:
    told = {
        "repeats": settings.repeats, "threads": settings.threads, "dtype": settings.dtype,
        "quick": settings.quick, "qlazy": __version__,
    }  # fmt: skip
    return Scaling((), told, machine(settings.threads, settings.dtype))


def _earlier(folder: Path, fresh: Scaling) -> Scaling:
    if not (folder / f"{NAME}.json").exists():
        return fresh
    earlier = Scaling.load(folder)
    ours, theirs = (
        {**{name: each.settings[name] for name in KEPT}, "cpu": each.machine["cpu"]}
        for each in (fresh, earlier)
    )
    require(theirs == ours, "folder", f"be a new one, or one of a run with {ours}", f"one with {theirs}")
    return earlier


def _with(found: Scaling, curve: Curve) -> Scaling:
    order = list(sweeps())
    curves = sorted([*found.curves, curve], key=lambda c: (order.index(c.varied), TASKS.index(c.task)))
    return Scaling(tuple(curves), found.settings, found.machine)


def _curve(sweep: Sweep, task: ScaledTask, settings: Settings, progress: Callable[[str], object]) -> Curve:
    request = {
        "varied": sweep.varied, "task": task, "quick": settings.quick, "repeats": settings.repeats,
        "threads": settings.threads, "dtype": settings.dtype,
    }  # fmt: skip
    points = []
    for event in spoken("qlazy.bench.scaling.worker", request, sys.executable, settings.threads, None):
        match event["event"]:
            case "point":
                points.append(Point(event["size"], tuple(event["processor"]), tuple(event["seconds"])))
            case "round":
                progress(f"  round {event['round']} of {settings.repeats}")
            case "failed" | "over limit":
                reason = event.get("message", "it did not start in time")
                raise ChildProcessError(f"the sweep of {task} against {sweep.varied} failed: {reason}")
    curve = Curve(sweep.varied, task, sweep.title, sweep.fit_from, sweep.theory, tuple(points))
    progress(f"  exponent {curve.fit}")
    return curve

"""The options of ``qlazy bench``, and the command itself."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from qlazy.base.errors import require
from qlazy.bench.peers import peers
from qlazy.bench.results import Report
from qlazy.bench.runner import Settings, run
from qlazy.bench.scaling import measure_scaling, sweeps
from qlazy.bench.workloads import workloads

EXAMPLES = f"""\
workloads:
{chr(10).join(f"  {name}  {workload.title}" for name, workload in workloads().items())}

peers:
  {", ".join(tool.name for tool in peers())}

examples:
  qlazy bench
  qlazy bench --workloads W1,W2 --peers default.qubit,lightning --repeats 5 --threads 2
  qlazy bench --full --out bench
  qlazy bench --peers neural-tangents --python neural-tangents=env/bin/python
  qlazy bench --scaling --threads 1 --out scaling
  qlazy bench --scaling qubits,outputs
"""


def add_bench(parser: argparse.ArgumentParser) -> None:
    """The options that say what is timed, against what, and how."""
    defaults = Settings()
    parser.set_defaults(threads=_cores())
    parser.add_argument(
        "--workloads", type=_names, metavar="A,B", help="default: all; W13 stands for W13-8 and all like it"
    )
    parser.add_argument(
        "--peers", type=_names, metavar="A,B", help="default: all; the table names missing ones"
    )
    parser.add_argument(
        "--repeats",
        type=int,
        default=defaults.repeats,
        metavar="N",
        help="later calls, at least (%(default)s)",
    )
    parser.add_argument("--dtype", choices=("float64", "float32"), default=defaults.dtype)
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--limit", type=float, default=defaults.limit, metavar="S",
        help="seconds that a peer may take on a workload (%(default)g)",
    )  # fmt: skip
    group.add_argument(
        "--full", dest="limit", action="store_const", const=None,
        help="no limit: wait for JAX to compile, which takes minutes",
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="tiny workloads, to see that everything runs")
    parser.add_argument(
        "--python", action="append", default=[], metavar="PEER=PATH",
        help="run a peer with the interpreter of another environment, where it and NumPy are installed",
    )  # fmt: skip
    parser.add_argument(
        "--scaling", type=_names, nargs="?", const=tuple(sweeps()), metavar="A,B",
        help="instead: the cost of Jacobian and gradient against "
        f"{', '.join(sweeps())} (all unless named), one growing and the others fixed, with fitted exponents",
    )  # fmt: skip
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder for every time as JSON, a table and a figure; other workloads found there are kept, "
        "and finished sweeps of --scaling not run again",
    )


def bench(arguments: argparse.Namespace) -> int:
    """``qlazy bench``: time, print the table, leave a folder if asked to."""
    settings = Settings(
        repeats=arguments.repeats,
        threads=arguments.threads,
        dtype=arguments.dtype,
        limit=arguments.limit,
        quick=arguments.quick,
        pythons=dict(_pair(text) for text in arguments.python),
    )
    if arguments.scaling is not None:
        return _scaling(arguments, settings)
    earlier = _earlier(arguments.out, settings)
    report = run(arguments.workloads, arguments.peers, settings, progress=_say)
    print(report.table())
    arguments.document = report.to_json()
    if arguments.out is not None:
        whole = report if earlier is None else report.after(earlier)
        print("\n" + "\n".join(map(str, whole.save(arguments.out))))
    return 0


def _scaling(arguments: argparse.Namespace, settings: Settings) -> int:
    for name in ("workloads", "peers", "python"):
        given = getattr(arguments, name)
        require(not given, f"--{name}", "be left out beside --scaling, which times qlazy alone", given)
    found = measure_scaling(arguments.scaling, settings, folder=arguments.out, progress=_say)
    print(found.table())
    arguments.document = found.to_json()
    if arguments.out is not None:
        print("\n" + "\n".join(map(str, found.save(arguments.out))))
    return 0


def _earlier(folder: Path | None, settings: Settings) -> Report | None:
    if folder is None or not (folder / "bench.json").exists():
        return None
    earlier = Report.load(folder)
    ours = {"threads": settings.threads, "dtype": settings.dtype, "quick": settings.quick}
    theirs = {name: earlier.settings[name] for name in ours}
    require(theirs == ours, "--out", f"be a new folder, or one of a run with {ours}", f"one with {theirs}")
    return earlier


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


def _pair(text: str) -> tuple[str, str]:
    peer, equals, path = text.partition("=")
    if not equals:
        raise ValueError(f"`--python` must be PEER=PATH, but is {text!r}")
    return peer, path

"""``qlazy bench``: as :mod:`qlazy.bench.command` has it."""

from __future__ import annotations

import argparse
from pathlib import Path

from qlazy.bench.command import EXAMPLES, add_bench
from qlazy.bench.command import bench as run
from qlazy.commands.json_documents import add_json
from qlazy.commands.options.output import add_figures


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is timed, against what and how, and what its figure is written as."""
    add_bench(parser)
    add_figures(parser)
    add_json(parser)


def keeps(arguments: argparse.Namespace) -> Path | None:
    """Where finished sweeps of ``--scaling`` are kept as they come; workloads are written at the end."""
    return None if arguments.scaling is None or arguments.out is None else Path(arguments.out)


__all__ = ["EXAMPLES", "add_arguments", "keeps", "run"]

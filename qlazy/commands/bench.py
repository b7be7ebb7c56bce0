"""``qlazy bench``: as :mod:`qlazy.bench.command` has it."""

from __future__ import annotations

from qlazy.bench.command import EXAMPLES
from qlazy.bench.command import add_bench as add_arguments
from qlazy.bench.command import bench as run

__all__ = ["EXAMPLES", "add_arguments", "run"]

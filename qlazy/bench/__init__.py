"""``qlazy bench``: Jacobians, gradients and kernels, timed against every other tool that is installed.

Each tool runs in its own process, as its manual would have it used, and is timed only after its result was found equal
to qlazy's.
"""

from __future__ import annotations

from qlazy.bench.results import Measurement, Report
from qlazy.bench.runner import Settings, run

__all__ = ["Measurement", "Report", "Settings", "run"]

"""``qlazy bench --scaling``: what a Jacobian and a gradient cost against qubits, inputs, parameters and outputs.

One of the four grows while the others stay; the exponents are fitted, with their intervals.
"""

from __future__ import annotations

from qlazy.bench.scaling.curve import Curve, Point
from qlazy.bench.scaling.fits import Fit, fit
from qlazy.bench.scaling.result import Scaling
from qlazy.bench.scaling.runner import measure_scaling
from qlazy.bench.scaling.sweeps import Sweep, sweeps

__all__ = ["Curve", "Fit", "Point", "Scaling", "Sweep", "fit", "measure_scaling", "sweeps"]

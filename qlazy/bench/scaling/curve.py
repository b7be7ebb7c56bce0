"""One size that grows and one task: costs at each size, and the line through them."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from functools import cached_property

from qlazy.bench.scaling.fits import Fit, fit
from qlazy.bench.scaling.sweeps import ScaledTask, Varied


@dataclass(frozen=True)
class Point:
    """One size: seconds a call, of the processor and by the clock, one of each a round."""

    size: int
    processor: tuple[float, ...]
    seconds: tuple[float, ...]

    @property
    def cost(self) -> float:
        """The median, in seconds of the processor."""
        return statistics.median(self.processor)


@dataclass(frozen=True)
class Curve:
    """One sweep and task: ``stay`` says what stays, ``theory`` is the exponent expected, None for one below 1."""

    varied: Varied
    task: ScaledTask
    stay: str
    fit_from: int
    theory: float | None
    points: tuple[Point, ...]

    def logarithm(self, size: int) -> float:
        """To base 2 of what the exponent belongs to: the size itself, of qubits the number of amplitudes, 2^n."""
        return float(size) if self.varied == "qubits" else math.log2(size)

    @property
    def fitted(self) -> tuple[Point, ...]:
        """The points that the line is fitted to."""
        return tuple(point for point in self.points if point.size >= self.fit_from)

    @cached_property
    def fit(self) -> Fit:
        """The line through the logarithms of the costs."""
        return fit([self.logarithm(p.size) for p in self.fitted], [p.cost for p in self.fitted])

    @property
    def law(self) -> str:
        """What the exponent belongs to, as in cost ~ (2^n)^exponent."""
        return "2^n" if self.varied == "qubits" else self.varied

    @property
    def expected(self) -> str:
        """The exponent expected, in words."""
        return "below 1" if self.theory is None else f"{self.theory:g}"

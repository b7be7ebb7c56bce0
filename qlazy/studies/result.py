"""What a study finds: measured against theory, with error bars and verdicts, as a value that can be kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from qlazy.storage import atomic_write, save_arrays
from qlazy.training import versions

SIGMAS = 3.0

Arrays = Mapping[str, NDArray[Any]]


@final
@dataclass(frozen=True)
class Finding:
    """One quantity: what theory says, what was measured, and how far the two may be apart.

    ``error`` is the standard error of the measurement; ``tolerance`` what the theory itself leaves out, at
    these sizes. The two agree where they differ by at most ``tolerance`` and three standard errors.
    """

    experiment: str
    quantity: str
    theory: float
    measured: float
    error: float = 0.0
    tolerance: float = 0.0

    @property
    def agrees(self) -> bool:
        return abs(self.measured - self.theory) <= self.tolerance + SIGMAS * self.error

    @property
    def verdict(self) -> str:
        return "agrees" if self.agrees else "DISAGREES"

    def cells(self) -> tuple[str, ...]:
        allowed = self.tolerance + SIGMAS * self.error
        numbers = (self.theory, self.measured, self.error, allowed)
        return (self.experiment, self.quantity, *(f"{number:.4g}" for number in numbers), self.verdict)


HEAD = ("experiment", "quantity", "theory", "measured", "std. error", "allowed", "verdict")


@final
@dataclass(frozen=True, eq=False)
class StudyResult:
    """The findings of a study, its settings, and the arrays that its figures are drawn from."""

    study: str
    settings: Any
    findings: tuple[Finding, ...]
    arrays: Arrays

    def table(self) -> str:
        """The findings as plain text, one a line."""
        rows = [HEAD, *(finding.cells() for finding in self.findings)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)

    def finding(self, experiment: str, quantity: str) -> Finding:
        """One of them. Raises KeyError where there is none of that name."""
        return {(f.experiment, f.quantity): f for f in self.findings}[experiment, quantity]


def finish(
    result: StudyResult,
    out: str | os.PathLike[str] | None,
    figures: Callable[[StudyResult], Mapping[str, Any]],
) -> StudyResult:
    """Leave table, arrays, settings and figures in ``out``, if that is given; returns the result."""
    if out is None:
        return result
    from qlazy.report.plot import save_figure  # matplotlib, only where something is drawn

    folder = Path(out)
    with atomic_write(folder / "table.txt") as file:
        file.write(f"{result.table()}\n".encode())
    settings = {
        "study": result.study, "settings": asdict(result.settings), "versions": versions(),
        "angle convention": "exp(-i theta P / 2), radians", "loss": "1/(2n) sum ||f - y||^2",
        "dtype": "float64", "findings": [asdict(finding) for finding in result.findings],
    }  # fmt: skip
    save_arrays(folder / "result.npz", result.arrays, settings)
    for name, figure in figures(result).items():
        save_figure(figure, folder, name)
    return result


def mean_and_error(samples: Sequence[float] | NDArray[Any]) -> tuple[float, float]:
    """The mean of independent samples and its standard error."""
    array = np.asarray(samples, dtype=np.float64)
    return float(array.mean()), float(array.std(ddof=1) / np.sqrt(len(array)))

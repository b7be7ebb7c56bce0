"""What a study finds: measured against theory, with error bars and verdicts, as a value that can be kept."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

from qlazy.base.tables import Table

SIGMAS = 3.0


Relation = Literal["=", ">=", "<=", ""]

Arrays = Mapping[str, NDArray[Any]]


@final
@dataclass(frozen=True)
class Finding:
    """One quantity: what theory or a paper says, what was measured, and how far the two may be apart.

    ``error`` is the standard error of the measurement; ``tolerance`` what the theory itself leaves out, at
    these sizes. ``relation`` is what is claimed of the measured value: "=" the theory's, to within ``tolerance``
    and three standard errors; ">=" at least or "<=" at most the theory's, to within ``tolerance`` alone, since a
    bar is cleared or is not; "" nothing, where a figure is reported whatever it is (``theory`` may then be NaN).
    """

    experiment: str
    quantity: str
    theory: float
    measured: float
    error: float = 0.0
    tolerance: float = 0.0
    relation: Relation = "="

    @property
    def allowed(self) -> float:
        """How far the measured value may be from, or beyond, the theory's."""
        return self.tolerance + (SIGMAS * self.error if self.relation == "=" else 0.0)

    @property
    def agrees(self) -> bool:
        """Whether the claim holds; a figure that claims nothing always does, NaN never fulfils a claim."""
        excess = self.measured - self.theory
        return {
            "": True,
            "=": abs(excess) <= self.allowed,
            ">=": excess >= -self.allowed,
            "<=": excess <= self.allowed,
        }[self.relation]

    @property
    def verdict(self) -> str:
        if not self.relation:
            return "reported"
        return "agrees" if self.agrees else "DISAGREES"

    def as_json(self) -> dict[str, Any]:
        """Its fields, with None for NaN, which JSON does not have."""
        values = asdict(self)
        return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in values.items()}

    def cells(self) -> tuple[str, ...]:
        bar = {">=": "at least ", "<=": "at most "}.get(self.relation, "")
        theory = "-" if math.isnan(self.theory) else f"{bar}{self.theory:.4g}"
        allowed = f"{self.allowed:.4g}" if self.relation else "-"
        return (
            self.experiment, self.quantity, theory, f"{self.measured:.4g}", f"{self.error:.4g}", allowed, self.verdict
        )  # fmt: skip


HEAD = ("experiment", "quantity", "theory", "measured", "std. error", "allowed", "verdict")


@final
@dataclass(frozen=True, eq=False)
class StudyResult:
    """The findings of a study, its settings, the arrays that its figures are drawn from, and further tables.

    ``conventions`` hold where they differ from those of :data:`CONVENTIONS`.
    """

    study: str
    settings: Any
    findings: tuple[Finding, ...]
    arrays: Arrays
    tables: tuple[Table, ...] = ()
    conventions: Mapping[str, str] = field(default_factory=dict)

    def table(self) -> str:
        """The tables, then the findings one a line, as plain text."""
        return "\n\n".join(map(str, (*self.tables, self.findings_table())))

    def findings_table(self) -> Table:
        """The findings, one a row."""
        return Table("", HEAD, tuple(finding.cells() for finding in self.findings))

    def _repr_html_(self) -> str:
        return "".join(table.html() for table in (*self.tables, self.findings_table()))

    def finding(self, experiment: str, quantity: str) -> Finding:
        """One of them. Raises KeyError where there is none of that name."""
        return {(f.experiment, f.quantity): f for f in self.findings}[experiment, quantity]


def mean_and_error(samples: Sequence[float] | NDArray[Any]) -> tuple[float, float]:
    """The mean of independent samples and its standard error."""
    array = np.asarray(samples, dtype=np.float64)
    return float(array.mean()), float(array.std(ddof=1) / np.sqrt(len(array)))

"""What a study finds: measured against theory, with intervals, power and verdicts, as a value that can be kept."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qlazy.base.errors import require
from qlazy.base.intervals import chance_within, hit_chances, share_interval, student_reach
from qlazy.base.tables import Table

Relation = Literal["=", ">=", "<=", ""]
Kind = Literal["mean", "share", "every"]

Arrays = Mapping[str, NDArray[Any]]

UNDECIDED = "undecided at this size"
MOST_SIZE = 0.05
"""A claim on every run passes only where as many fair coins would all fall alike less often than this."""


@final
@dataclass(frozen=True)
class Finding:
    """One quantity: what is claimed of it, what was measured, and whether that decides the claim.

    ``relation`` is the claim on the true value: "=" ``theory`` to within ``tolerance``, which is fixed before anything
    is measured and does not grow with the noise; ">=" at least, or "<=" at most, ``theory``, to within the same; ""
    none, where a figure is reported whatever it is (``theory`` may then be NaN). A claim passes where the whole
    interval of the measurement fulfils it (for "=" that is a test of equivalence), fails where none of it does, and is
    undecided otherwise: more noise makes it harder to pass.

    ``kind`` is what was measured in ``runs`` independent runs. The "mean" has the standard error ``error`` and reaches
    two errors to each side, more for few runs (:func:`qlazy.base.intervals.student_reach`); 0 runs: the error is known,
    and 0 where nothing is random. A "share" of the runs has Clopper's and Pearson's interval. "every" claims that each
    run clears the bar; ``measured`` is the worst, and five runs are needed to tell that from every other run doing so.

    ``power`` and ``size`` are the chances to pass where the claim is true and where it is just false, with errors of
    this size. ``effect`` is the true value that the power of a one-sided claim is taken at, from wherever the claim is.
    """

    experiment: str
    quantity: str
    theory: float
    measured: float
    error: float = 0.0
    tolerance: float = 0.0
    relation: Relation = "="
    runs: int = 0
    kind: Kind = "mean"
    effect: float = math.nan

    def __post_init__(self) -> None:
        require(self.tolerance >= 0, "tolerance", "not be negative", self.tolerance)
        fixed = self.relation != "=" or self.tolerance > 0 or not self.error > 0
        require(
            fixed, "tolerance", f"be fixed beforehand where a claim is '=' ({self.quantity})", self.tolerance
        )
        require(self.kind == "mean" or self.runs > 0, "runs", f"be counted for a {self.kind}", self.runs)

    @classmethod
    def mean(
        cls,
        experiment: str,
        quantity: str,
        theory: float,
        samples: ArrayLike,
        tolerance: float = 0.0,
        relation: Relation = "=",
        effect: float = math.nan,
        answers: int = 0,
    ) -> Finding:
        """A claim on the mean of independent ``samples`` (n,).

        Where these are differences of shares of ``answers`` each, they may well be equal by chance: the error is then
        no less than 1.5 over all answers, since a difference in none of N leaves 3 / N open at 95 %.
        """
        values = np.asarray(samples, dtype=np.float64)
        mean, error = mean_and_error(values)
        if answers and error < (least := 1.5 / (answers * len(values))):
            error = least
        return cls(experiment, quantity, theory, mean, error, tolerance, relation, len(values), effect=effect)

    @classmethod
    def share(
        cls,
        experiment: str,
        quantity: str,
        theory: float,
        hits: ArrayLike,
        relation: Relation,
        effect: float = math.nan,
    ) -> Finding:
        """A claim on the share of successes among independent ``hits`` (n,), true or false."""
        values = np.asarray(hits, dtype=bool)
        share = float(values.mean())
        error = math.sqrt(share * (1 - share) / len(values))
        return cls(experiment, quantity, theory, share, error, 0.0, relation, len(values), "share", effect)

    @classmethod
    def every(
        cls, experiment: str, quantity: str, bar: float, samples: ArrayLike, relation: Relation
    ) -> Finding:
        """A claim on each of independent ``samples``, of any shape."""
        values = np.asarray(samples, dtype=np.float64).ravel()
        worst = values.min() if relation == ">=" else values.max()
        return cls(experiment, quantity, bar, float(worst), relation=relation, runs=len(values), kind="every")

    @classmethod
    def reported(
        cls, experiment: str, quantity: str, samples: ArrayLike, theory: float = math.nan
    ) -> Finding:
        """The mean of independent ``samples`` (n,), of which nothing is claimed."""
        return cls.mean(experiment, quantity, theory, samples, relation="")

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true value is, at 95 %; NaN from a single run, the value itself where nothing is random."""
        if self.kind == "share":
            return share_interval(round(self.measured * self.runs), self.runs)
        return self._around(self.measured)

    @property
    def band(self) -> tuple[float, float]:
        """The values that the claim allows."""
        low = -math.inf if self.relation in ("<=", "") else self.theory - self.tolerance
        high = math.inf if self.relation in (">=", "") else self.theory + self.tolerance
        return low, high

    @property
    def agrees(self) -> bool:
        """Whether the claim passes; a figure that claims nothing always does, NaN never."""
        if not self.relation:
            return True
        enough = self.kind != "every" or 0.5**self.runs <= MOST_SIZE
        return enough and self._inside(*self.interval)

    @property
    def disagrees(self) -> bool:
        """Whether the claim fails: no value of the interval fulfils it, or there is none."""
        if not self.relation:
            return False
        (low, high), (least, most) = self.interval, self.band
        return math.isnan(self.measured) or high < least or low > most

    @property
    def verdict(self) -> str:
        """ "reported", "agrees", "DISAGREES" or "undecided at this size"."""
        if not self.relation:
            return "reported"
        return "agrees" if self.agrees else "DISAGREES" if self.disagrees else UNDECIDED

    @property
    def power(self) -> float:
        """The chance to pass where the claim is true: at its theory if "=", else at ``effect``. NaN without one."""
        if self.relation == "=":
            return self.chance(self.theory)
        if self.kind == "every":
            return self.chance(1.0)
        if self.kind == "share" and math.isnan(self.effect):
            return self.chance(1.0 if self.relation == ">=" else 0.0)
        return self.chance(self.effect)

    @property
    def size(self) -> float:
        """The chance to pass where the claim is just false: at the edge of what it allows, or at every other run."""
        if self.kind == "every":
            return self.chance(0.5)
        if self.kind == "mean" and self.error == 0:
            return 0.0 if self.relation else math.nan
        low, high = self.band
        return self.chance(high if math.isinf(low) else low)

    def chance(self, truth: float) -> float:
        """The chance to pass if the true value, or of "every" the share of runs that clear the bar, is ``truth``.

        Of a mean: over studies of as many Gaussian runs whose error is truly what it was estimated to be here.
        """
        if not self.relation or math.isnan(truth):
            return math.nan
        if self.kind == "every":
            return truth**self.runs if 0.5**self.runs <= MOST_SIZE else 0.0
        if self.kind == "share":
            passing = [self._inside(*share_interval(k, self.runs)) for k in range(self.runs + 1)]
            return float(hit_chances(truth, self.runs)[passing].sum())
        if self.runs == 1 or not self.error > 0:
            return math.nan if self.runs == 1 or math.isnan(self.error) else float(self._inside(truth, truth))
        low, high = ((edge - truth) / self.error for edge in self.band)
        return chance_within(low, high, self.runs)

    def as_json(self) -> dict[str, Any]:
        """Its fields, with None for NaN, which JSON does not have."""
        values = asdict(self)
        return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in values.items()}

    def cells(self) -> tuple[str, ...]:
        """A row of the table of findings."""
        random = self.kind == "share" or (self.kind == "mean" and self.error > 0)
        error = f"{self.error:.3g}" if random else "-"
        interval = " to ".join(f"{edge:.4g}" for edge in self.interval) if random else "-"
        return (
            self.experiment, self.quantity, self._claim(), f"{self.measured:.4g}", error, interval, self._power(),
            _chance(self.size), self.verdict,
        )  # fmt: skip

    def _claim(self) -> str:
        if math.isnan(self.theory):
            return "-"
        if self.relation == "=":
            return f"{self.theory:.4g}" + (f" ± {self.tolerance:.3g}" if self.tolerance else "")
        words = {">=": "at least ", "<=": "at most ", "": ""}[self.relation]
        edge = {">=": self.band[0], "<=": self.band[1], "": self.theory}[self.relation]
        every = "every run " if self.kind == "every" and self.relation else ""
        return f"{every}{words}{edge:.4g}"

    def _power(self) -> str:
        """The power; where no effect is named, the one that would pass four times in five."""
        known = not math.isnan(self.power)
        if (
            known
            or self.kind != "mean"
            or self.relation not in (">=", "<=")
            or self.runs == 1
            or not self.error > 0
        ):
            return _chance(self.power)
        sign, edge = (1, self.band[0]) if self.relation == ">=" else (-1, self.band[1])
        return f"0.80 at {edge + sign * (student_reach(self.runs) + _FOUR_IN_FIVE) * self.error:.3g}"

    def _around(self, value: float) -> tuple[float, float]:
        if self.kind == "every" or self.error == 0:
            return value, value
        reach = student_reach(self.runs) * self.error if self.runs != 1 else math.nan
        return value - reach, value + reach

    def _inside(self, low: float, high: float) -> bool:
        least, most = self.band
        return low >= least and high <= most


_FOUR_IN_FIVE = 0.842
"""The normal quantile of .8."""


def _chance(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2g}" if 5e-4 < value < 0.1 else f"{value:.2f}"


HEAD = (
    *("experiment", "quantity", "claim", "measured", "std. error", "95 % interval"),
    *("power", "size", "verdict"),
)


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
    """The mean of independent samples and its standard error, NaN for a single one."""
    array = np.asarray(samples, dtype=np.float64)
    error = float(array.std(ddof=1) / np.sqrt(len(array))) if len(array) > 1 else math.nan
    return float(array.mean()), error


def log10_ratios(samples: ArrayLike, others: ArrayLike) -> NDArray[np.float64]:
    """log10 of the ratios of positive samples, pair by pair: what a mean and its error are fit for.

    Ratios of losses are skewed and their mean follows the largest, a ratio of means pairs nothing.
    """
    first, second = (np.asarray(values, dtype=np.float64) for values in (samples, others))
    require(bool((first > 0).all() and (second > 0).all()), "samples", "be positive on both sides", "not")
    return np.log10(first / second)

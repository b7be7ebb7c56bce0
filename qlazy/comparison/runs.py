"""Runs of several models at several scales and seeds, as plain data: metrics, slopes and tables.

Parameter drift, kernel change and output gap are three metrics and stay three: small drift does not imply a kernel
that stays, nor a kernel that stays a small gap. What is drawn and saved stands above: :class:`qlazy.Comparison`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qlazy.base.errors import number_of, positive_of, require, require_choice
from qlazy.base.tables import Table
from qlazy.comparison.baselines import Baseline, baseline_table
from qlazy.comparison.guarantees import Summary, bound_table, summaries
from qlazy.comparison.kernel_pairs import RIDGE, KernelPair, kernel_pairs
from qlazy.comparison.metrics import (
    ACCURACIES,
    COMPARED,
    KERNELS,
    LAWS,
    LINEAR,
    METRICS,
    MOVES,
    REACHED,
    RESULTS,
    SCALES,
    THEORY,
    OverSeeds,
    shown,
    spread_name,
    summarized,
)
from qlazy.comparison.run import Run
from qlazy.training.drift import Slope, log_log_slope
from qlazy.training.features.result import Features

UNREAD = "unread inputs"
"""The setting that holds which columns of the inputs a model does not read, in words, by the names of the models."""
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False, repr=False)
class Runs:
    """All runs of a comparison, in order of model, scale and seed, with the settings they share.

    ``baselines`` are models with a fixed kernel beside them, ``features`` what each model learnt, where that was asked.
    """

    runs: tuple[Run, ...]
    settings: Mapping[str, Any]
    baselines: tuple[Baseline, ...] = ()
    features: tuple[Features, ...] = ()

    @property
    def models(self) -> tuple[str, ...]:
        """The names of the models, in the order in which they were given."""
        return tuple(dict.fromkeys(run.model for run in self.runs))

    @property
    def alphas(self) -> tuple[float, ...]:
        """The output scales a, ascending."""
        return tuple(sorted({run.alpha for run in self.runs}))

    def select(self, model: str, alpha: float | None = None) -> list[Run]:
        """The runs of a model, at one scale or at all."""
        return [r for r in self.runs if r.model == model and (alpha is None or r.alpha == alpha)]

    @property
    def results(self) -> dict[str, Callable[[Run], float]]:
        """What the runs reached: losses, and accuracies where the data have classes."""
        return {**RESULTS, **(ACCURACIES if self.settings.get("classes") else {})}

    @property
    def metrics(self) -> dict[str, Callable[[Run], float]]:
        """Everything that is measured of a run, by name."""
        return {**METRICS, **MOVES, **KERNELS, **SCALES, **LAWS, **self.results}

    def values(self, model: str, metric: str) -> Floats:
        """A metric of one model, a name in ``metrics``, as (scales, seeds).

        NaN for runs that diverged, and where a law does not apply. Raises ValueError for other names.
        """
        known = self.metrics
        require_choice("model", model, self.models)
        require_choice("metric", metric, known)
        if (model, metric) not in self._measured:
            of = known[metric]
            self._measured[model, metric] = np.array(
                [
                    [math.nan if run.diverged else of(run) for run in self.select(model, a)]
                    for a in self.alphas
                ]
            )
        return self._measured[model, metric].copy()

    @cached_property
    def _measured(self) -> dict[tuple[str, str], Floats]:
        """Metrics of a model that were asked for: tables, figures and sentences ask again and again."""
        return {}

    def slopes(self, least: float = 10.0) -> dict[tuple[str, str], Slope]:
        """Log-log slopes against the scale, over the scales from ``least`` up, by (model, metric).

        With fewer than three such scales, over all of them; with fewer than three in all, none. A metric that
        is zero somewhere has none either (a linear model's kernel does not change at any scale), nor has a
        model of which a run diverged.
        """
        least = number_of("least", least)
        require(not math.isnan(least), "least", "be a number", least)
        tail = [i for i, alpha in enumerate(self.alphas) if alpha >= least]
        chosen = tail if len(tail) >= 3 else list(range(len(self.alphas)))
        if len(chosen) < 3:
            return {}
        alphas = np.array(self.alphas)[chosen]
        values = {(m, metric): self.values(m, metric)[chosen] for m in self.models for metric in METRICS}
        return {key: log_log_slope(alphas, table) for key, table in values.items() if (table > 0).all()}

    def learning_rates(self) -> dict[str, tuple[float, float]]:
        """The least and the greatest rate that each model stepped with, over seeds and scales; none for other methods.

        Of a method without a rate of its own it is the one that was settled on, n / (2 lambda_max) at the start.
        """
        found = {model: [run.trace.learning_rate for run in self.select(model)] for model in self.models}
        known = {model: [rate for rate in rates if rate is not None] for model, rates in found.items()}
        return {model: (min(rates), max(rates)) for model, rates in known.items() if rates}

    def rates_text(self) -> str:
        """The same in words; nothing where there are none."""
        texts = (
            f"{model} {low:.3g}" + ("" if math.isclose(low, high, rel_tol=1e-9) else f" to {high:.3g}")
            for model, (low, high) in self.learning_rates().items()
        )
        return "; ".join(texts)

    def rows(self) -> list[dict[str, Any]]:
        """One row a model and scale: the geometric mean over seeds of every metric and the factor of one deviation.

        Of accuracies the mean and the standard deviation, under "... sd".
        """
        return [dict(row) for row in self._rows]

    @cached_property
    def _rows(self) -> list[dict[str, Any]]:
        """What three tables, the CSV file and the page ask for, each anew."""
        return [self._row(model, i) for model in self.models for i in range(len(self.alphas))]

    def table(self) -> str:
        """Rows, slopes, what was reached, how far parameters moved, baselines, bounds as plain text."""
        return "\n\n".join(map(str, self.tables()))

    def tables(self) -> tuple[Table, ...]:
        """What :meth:`table` prints, as values."""
        return self._tables

    @cached_property
    def _tables(self) -> tuple[Table, ...]:
        bounds = bound_table(self.runs)
        tables = [self.scale_table(), self.slope_table(), self.reached_table(), self.moves_table()]
        if self.baselines:
            tables.append(baseline_table(self.baselines, bool(self.settings.get("classes"))))
        learnt = (table for one in self.features for table in one.tables())
        return (*tables, *learnt, *(() if bounds is None else (bounds,)))

    def scale_table(self) -> Table:
        """A row for each model and scale."""
        head, *rows = _cells(self.rows(), self._shown())
        title = "geometric means ×÷ one standard deviation over seeds; accuracies: mean ± standard deviation"
        return Table(title, tuple(head), tuple(map(tuple, rows)))

    def slope_table(self) -> Table:
        """Fitted slopes with 95% confidence intervals beside the theory's."""
        slopes = self.slopes()
        if not slopes:
            return Table("", ("slopes: three scales or more are needed",), ())
        theory = ("theory (fixed horizon, a large)", *(f"{THEORY[metric]:+.0f}" for metric in METRICS))
        fitted = (
            (model, *(_interval(slopes.get((model, metric))) for metric in METRICS)) for model in self.models
        )
        title = "slopes in log-log axes, and their 95 % intervals over seeds"
        return Table(title, ("slope against a", *METRICS), (*fitted, theory))

    def moves_table(self) -> Table:
        """How far parameters moved, for each model and scale, in units that mean something for angles too."""
        columns = (*MOVES, "largest Jacobian change")
        head, *rows = _cells(self.rows(), columns)
        title = (
            "how far parameters moved, root mean square and largest, in radians where they are angles; over the "
            "length |Dh| / |D²h| at which the linearisation fails; and the Jacobian's relative change"
        )
        return Table(title, tuple(head), tuple(map(tuple, rows)))

    def reached_table(self) -> Table:
        """What each model, its linearised model and kernel regression reached, at the least scale."""
        alpha, classes = self.alphas[0], bool(self.settings.get("classes"))
        rows = {row["model"]: row for row in self.rows() if row["alpha"] == alpha}
        title = f"what was reached at a = {alpha:g}: the linearised model stops at the same step, regression does not"
        head = ["model", "", *REACHED[:-1], *(REACHED[-1:] if classes else ())]
        body = [
            (model, kind, *(_spread(row, name) if name else "" for name in names[: len(head) - 2]))
            for model, row in rows.items()
            for kind, names in COMPARED.items()
        ]
        return Table(title, tuple(head), tuple(body))

    def bounds(self) -> list[Summary]:
        """Every upper bound of the theory beside what was measured: :mod:`qlazy.comparison.guarantees`."""
        return summaries(self.runs)

    def geometry(self, ridge: float = RIDGE) -> list[KernelPair]:
        """The kernels at initialisation of every model and baseline, each against each.

        Empty where there is one model, or where a kernel is zero. Raises ValueError for a ridge that is not positive.
        """
        ridge = positive_of("ridge", ridge)
        if ridge not in self._pairs:
            self._pairs[ridge] = self._kernel_pairs(ridge)
        return list(self._pairs[ridge])

    @cached_property
    def _pairs(self) -> dict[float, list[KernelPair]]:
        """What is printed, written and put on the page."""
        return {}

    def _kernel_pairs(self, ridge: float) -> list[KernelPair]:
        first = self.alphas[0]
        kernels = {m: [run.kernel_initial for run in self.select(m, first)] for m in self.models}
        kernels |= {baseline.name: [baseline.full_kernel] for baseline in self.baselines}
        if not all(kernel.trace() > 0 for found in kernels.values() for kernel in found):
            return []
        targets = [run.train_targets for run in self.select(self.models[0], first)]
        return kernel_pairs(kernels, targets, ridge)

    def _row(self, model: str, index: int) -> dict[str, Any]:
        row: dict[str, Any] = {"model": model, "alpha": self.alphas[index]}
        for metric in (*METRICS, *MOVES, *KERNELS, *SCALES, *LAWS, *self.results):
            row[metric], row[spread_name(metric)] = summarized(metric, self.values(model, metric)[index])
        runs = self.select(model, self.alphas[index])
        row["diverged"] = sum(bool(run.diverged) for run in runs)
        row["linearised diverged"] = sum(run.linear_diverged for run in runs if not run.diverged)
        return row

    def _shown(self) -> list[str]:
        """The columns of the printed table: the CSV file has them all."""
        results = [
            name
            for name in ("test loss", "test accuracy", "linearized test accuracy")
            if name in self.results
        ]
        laws = [name for name, of in LAWS.items() if any(math.isfinite(of(run)) for run in self.runs)]
        return [*METRICS, *laws, *results]


def _interval(slope: Slope | None) -> str:
    return "none" if slope is None else f"{slope.slope:+.3f} [{slope.low:+.3f}, {slope.high:+.3f}]"


def _cells(rows: list[dict[str, Any]], columns: Sequence[str]) -> list[list[str]]:
    head = ["model", "a", *columns]
    body = [
        [row["model"], f"{row['alpha']:g}", *(_spread(row, metric) for metric in columns)] for row in rows
    ]
    kinds = ("diverged", "linearised diverged")
    diverged = [", ".join(f"{row[kind]} {kind}" for kind in kinds if row[kind]) for row in rows]
    if any(diverged):
        return [[*head, ""], *([*cells, note] for cells, note in zip(body, diverged, strict=True))]
    return [head, *body]


def _spread(row: Mapping[str, Any], metric: str) -> str:
    if metric in LINEAR and row["linearised diverged"] and math.isnan(row[metric]):
        return "diverged"
    return shown(metric, OverSeeds(row[metric], row[spread_name(metric)]))

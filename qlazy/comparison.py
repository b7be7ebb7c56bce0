"""What a comparison leaves: runs of several models at several scales and seeds, as values.

Parameter drift, kernel change and linearisation gap are three figures and stay three: small drift does not
imply a frozen kernel, nor a frozen kernel a small gap.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qlazy.baselines import Baseline, baseline_table
from qlazy.drift import Slope, log_log_slope
from qlazy.errors import require
from qlazy.guarantees import Summary, bound_table, summaries
from qlazy.pairs import RIDGE, Pair, kernel_pairs
from qlazy.run import Run
from qlazy.storage import atomic_write
from qlazy.tables import Table

Floats = NDArray[np.floating[Any]]

THEORY = {"parameter drift": -1.0, "parameter gap": -2.0, "kernel change": -1.0, "output gap": -1.0}
"""Slopes against the scale a at a fixed horizon: the first, second and fourth from Chizat, Oyallon, Bach
(2019, arXiv 1812.07956, theorem 2.2), the third as the drift times a Lipschitz constant."""

METRICS: Mapping[str, Callable[[Run], float]] = {
    "parameter drift": lambda run: run.parameter_drift,
    "parameter gap": lambda run: run.parameter_gap,
    "kernel change": lambda run: run.kernel_change,
    "output gap": lambda run: run.output_gap,
}
LAWS: Mapping[str, Callable[[Run], float]] = {"variance-law gap": lambda run: run.law_gap}
"""Distances from further predictions, for the models that they speak of: see :mod:`qlazy.variance_law`."""

RESULTS: Mapping[str, Callable[[Run], float]] = {
    "train loss": lambda run: run.train_loss,
    "test loss": lambda run: run.test_loss,
}
ACCURACIES: Mapping[str, Callable[[Run], float]] = {
    "train accuracy": lambda run: run.train_accuracy,
    "test accuracy": lambda run: run.test_accuracy,
    "linearised test accuracy": lambda run: run.linear_test_accuracy,
}


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """All runs of a comparison, in order of model, scale and seed, with the settings they share."""

    runs: tuple[Run, ...]
    settings: Mapping[str, Any]
    baselines: tuple[Baseline, ...] = ()

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(run.model for run in self.runs))

    @property
    def alphas(self) -> tuple[float, ...]:
        return tuple(sorted({run.alpha for run in self.runs}))

    def select(self, model: str, alpha: float | None = None) -> list[Run]:
        """The runs of a model, at one scale or at all."""
        return [r for r in self.runs if r.model == model and (alpha is None or r.alpha == alpha)]

    @property
    def results(self) -> dict[str, Callable[[Run], float]]:
        """What the runs reached: losses, and accuracies where the data have classes."""
        return {**RESULTS, **(ACCURACIES if self.settings.get("classes") else {})}

    def values(self, model: str, metric: str) -> Floats:
        """A metric of one model as (scales, seeds), NaN for runs that diverged.

        ``metric`` is a name in ``METRICS``, ``LAWS`` or ``results``. NaN also where a law does not apply.
        """
        known = {**METRICS, **LAWS, **self.results}
        require(metric in known, "metric", f"be one of {', '.join(known)}", metric)
        of = known[metric]
        return np.array(
            [[math.nan if run.diverged else of(run) for run in self.select(model, a)] for a in self.alphas]
        )

    def slopes(self, least: float = 10.0) -> dict[tuple[str, str], Slope]:
        """Log-log slopes against the scale, over the scales from ``least`` up, by (model, metric).

        With fewer than three such scales, over all of them; with fewer than three in all, none. A metric that
        is zero somewhere has none either (a linear model's kernel does not change at any scale), nor has a
        model of which a run diverged.
        """
        tail = [i for i, alpha in enumerate(self.alphas) if alpha >= least]
        chosen = tail if len(tail) >= 3 else list(range(len(self.alphas)))
        if len(chosen) < 3:
            return {}
        alphas = np.array(self.alphas)[chosen]
        values = {(m, metric): self.values(m, metric)[chosen] for m in self.models for metric in METRICS}
        return {key: log_log_slope(alphas, table) for key, table in values.items() if (table > 0).all()}

    def rows(self) -> list[dict[str, Any]]:
        """One row a model and scale: the mean over seeds of every metric, and its standard deviation."""
        return [self._row(model, i) for model in self.models for i in range(len(self.alphas))]

    def table(self) -> str:
        """Rows, slopes, baselines, bounds as plain text; what stands after ± is the standard deviation over seeds."""
        return "\n\n".join(map(str, self.tables()))

    def tables(self) -> tuple[Table, ...]:
        """What :meth:`table` prints, as values."""
        bounds = bound_table(self.runs)
        tables = [self.scale_table(), self.slope_table()]
        if self.baselines:
            tables.append(baseline_table(self.baselines, bool(self.settings.get("classes"))))
        return (*tables, *(() if bounds is None else (bounds,)))

    def scale_table(self) -> Table:
        """A row for each model and scale."""
        head, *rows = _cells(self.rows(), self._shown())
        return Table("", tuple(head), tuple(map(tuple, rows)))

    def slope_table(self) -> Table:
        """Fitted slopes with 95% confidence intervals beside the theory's."""
        slopes = self.slopes()
        if not slopes:
            return Table("", ("slopes: three scales or more are needed",), ())
        theory = ("theory (fixed horizon, a large)", *(f"{THEORY[metric]:+.0f}" for metric in METRICS))
        fitted = (
            (model, *(_interval(slopes.get((model, metric))) for metric in METRICS)) for model in self.models
        )
        return Table("", ("slope against a", *METRICS), (*fitted, theory))

    def bounds(self) -> list[Summary]:
        """Every upper bound of the theory beside what was measured: :mod:`qlazy.guarantees`."""
        return summaries(self.runs)

    def geometry(self, ridge: float = RIDGE) -> list[Pair]:
        """The kernels at initialisation of every model and baseline, each against each: :mod:`qlazy.pairs`.

        Empty where there is one model, or where a kernel is zero.
        """
        first = self.alphas[0]
        kernels = {m: [run.kernel_initial for run in self.select(m, first)] for m in self.models}
        kernels |= {baseline.name: [baseline.full_kernel] for baseline in self.baselines}
        if not all(kernel.trace() > 0 for found in kernels.values() for kernel in found):
            return []
        return kernel_pairs(kernels, self.runs[0].train_targets, ridge)

    def plot(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Draw every figure into a folder, as PNG and SVG; returns the paths."""
        from qlazy.report.plot import plot_comparison

        return plot_comparison(self, folder)

    def report(self, folder: str | os.PathLike[str], command: str | None = None) -> Path:
        """Write every figure and one self-contained ``report.html`` with a verdict in words; returns its path.

        ``command`` is what made the comparison, for those who want to run it again.
        """
        from qlazy.report.html import write_comparison

        return write_comparison(self, folder, command)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the table, the settings and every run's arrays into a folder."""
        for index, run in enumerate(self.runs):
            run.save(Path(folder, "runs", f"{index:04d}"))
        self.write_summary(folder, [f"{index:04d}" for index in range(len(self.runs))])

    def write_summary(self, folder: str | os.PathLike[str], names: Sequence[str]) -> None:
        """Write ``comparison.json``, ``table.txt``, ``table.csv`` and baselines beside runs in these folders."""
        beside = [f"{index:04d}" for index in range(len(self.baselines))]
        for name, baseline in zip(beside, self.baselines, strict=True):
            baseline.save(Path(folder, "baselines", f"{name}.npz"))
        index = {"settings": self.settings, "runs": list(names), "baselines": beside}
        _write(Path(folder, "comparison.json"), json.dumps(index, indent=1, ensure_ascii=False))
        _write(Path(folder, "table.txt"), self.table() + "\n")
        _write(Path(folder, "table.csv"), _csv(self.rows()))

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Comparison:
        """The comparison that :meth:`save` wrote. Raises ValueError naming a damaged file."""
        path = Path(folder, "comparison.json")
        try:
            index = json.loads(path.read_text(encoding="utf-8"))
            names, settings, beside = (
                list(index["runs"]),
                dict(index["settings"]),
                list(index.get("baselines", ())),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is damaged or not a comparison: {error}") from error
        runs = tuple(Run.load(Path(folder, "runs", name)) for name in names)
        baselines = tuple(Baseline.load(Path(folder, "baselines", f"{name}.npz")) for name in beside)
        return cls(runs, settings, baselines)

    def _row(self, model: str, index: int) -> dict[str, Any]:
        row: dict[str, Any] = {"model": model, "alpha": self.alphas[index]}
        for metric in (*METRICS, *LAWS, *self.results):
            over_seeds = self.values(model, metric)[index]
            finished = over_seeds[np.isfinite(over_seeds)]
            row[metric] = float(finished.mean()) if len(finished) else math.nan
            row[f"{metric} sd"] = float(finished.std(ddof=1)) if len(finished) > 1 else math.nan
        row["diverged"] = sum(bool(run.diverged) for run in self.select(model, self.alphas[index]))
        return row

    def _shown(self) -> list[str]:
        """The columns of the printed table: the CSV file has them all."""
        results = [name for name in self.results if name != "train loss" and name != "train accuracy"]
        laws = [name for name, of in LAWS.items() if any(math.isfinite(of(run)) for run in self.runs)]
        return [*METRICS, *laws, *results]

    def __repr__(self) -> str:
        return f"Comparison({', '.join(self.models)}; {len(self.alphas)} scales; {len(self.runs)} runs)"

    def _repr_html_(self) -> str:
        return "".join(table.html() for table in self.tables())


def _interval(slope: Slope | None) -> str:
    return "none" if slope is None else f"{slope.slope:+.3f} [{slope.low:+.3f}, {slope.high:+.3f}]"


def _cells(rows: list[dict[str, Any]], columns: Sequence[str]) -> list[list[str]]:
    head = ["model", "a", *columns]
    body = [
        [row["model"], f"{row['alpha']:g}", *(_spread(row, metric) for metric in columns)] for row in rows
    ]
    diverged = [f"{row['diverged']} diverged" if row["diverged"] else "" for row in rows]
    if any(diverged):
        return [[*head, ""], *([*cells, note] for cells, note in zip(body, diverged, strict=True))]
    return [head, *body]


def _spread(row: Mapping[str, Any], metric: str) -> str:
    value, deviation = row[metric], row[f"{metric} sd"]
    if metric in LAWS and math.isnan(value):
        return "-"
    if "accuracy" in metric:
        return f"{value:.3f}" + (f" ±{deviation:.3f}" if math.isfinite(deviation) else "")
    return f"{value:.2e}" + (f" ±{deviation:.0e}" if math.isfinite(deviation) else "")


def _csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as file:
        file.write(text.encode("utf-8"))

"""What a comparison leaves: runs of several models at several scales and seeds, as values.

Parameter drift, kernel change and linearisation gap are three figures and stay three: small drift does not
imply a frozen kernel, nor a frozen kernel a small gap.
"""

from __future__ import annotations

import html
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from qlazy.drift import Slope, kernel_change, log_log_slope
from qlazy.errors import require
from qlazy.losses import accuracy
from qlazy.storage import atomic_write, load_arrays, save_arrays
from qlazy.trace import Trace

Floats = NDArray[np.floating[Any]]

THEORY = {"parameter drift": -1.0, "parameter gap": -2.0, "kernel change": -1.0, "output gap": -1.0}
"""Slopes against the scale a at a fixed horizon: the first, second and fourth from Chizat, Oyallon, Bach
(2019, arXiv 1812.07956, theorem 2.2), the third as the drift times a Lipschitz constant."""


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """One model trained at one scale from one seed, beside its linearisation trained on its own.

    Arrays have t recorded steps, p parameters, n training and m test samples, c outputs. Kernels are those of
    the model h, not of a h, on the training inputs.
    """

    model: str
    seed: int
    alpha: float
    trace: Trace
    linear_params: Floats  # (t, p)
    linear_train_outputs: Floats  # (t, n, c)
    linear_test_outputs: Floats  # (t, m, c)
    train_targets: Floats  # (n, c)
    test_targets: Floats  # (m, c)
    kernel_initial: Floats  # (n c, n c)
    kernel_final: Floats  # (n c, n c)
    diverged: str = ""  # empty, or what stopped the run

    @property
    def parameter_drift(self) -> float:
        """sup_t ||w_a(t) - w0||."""
        return float(self.trace.drift.max())

    @property
    def parameter_gap(self) -> float:
        """sup_t ||w_a(t) - wbar_a(t)||, wbar the parameters of the linearised model."""
        return float(np.linalg.norm(self.trace.params - self.linear_params, axis=1).max())

    @property
    def output_gap(self) -> float:
        """sup_t ||a h(w_a) - a hbar(wbar_a)|| / ||a h(w0) - y*||, on the training samples."""
        return float(self.output_gaps.max())

    @property
    def output_gaps(self) -> Floats:
        """The output gap at every recorded step, (t,)."""
        outputs = self.trace.train_outputs
        distance = np.linalg.norm((outputs - self.linear_train_outputs).reshape(len(outputs), -1), axis=1)
        return distance / np.linalg.norm(outputs[0] - self.train_targets)

    @property
    def kernel_change(self) -> float:
        """||K_T - K_0||_F / ||K_0||_F at the last step."""
        return float(
            kernel_change(torch.from_numpy(self.kernel_final), torch.from_numpy(self.kernel_initial))
        )

    @property
    def train_accuracy(self) -> float:
        return _accuracy(self.trace.train_outputs[-1], self.train_targets)

    @property
    def test_accuracy(self) -> float:
        assert self.trace.test_outputs is not None
        return _accuracy(self.trace.test_outputs[-1], self.test_targets)

    @property
    def linear_train_accuracy(self) -> float:
        return _accuracy(self.linear_train_outputs[-1], self.train_targets)

    @property
    def linear_test_accuracy(self) -> float:
        return _accuracy(self.linear_test_outputs[-1], self.test_targets)

    @property
    def train_loss(self) -> float:
        return float(self.trace.train_loss[-1])

    @property
    def test_loss(self) -> float:
        assert self.trace.test_loss is not None
        return float(self.trace.test_loss[-1])

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write to a folder; ``run.npz`` comes last and marks it as finished."""
        self.trace.save(Path(folder, "trace.npz"))
        settings = {name: getattr(self, name) for name in ("model", "seed", "alpha", "diverged")}
        save_arrays(Path(folder, "run.npz"), {name: getattr(self, name) for name in _RUN_ARRAYS}, settings)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Run:
        """The run that :meth:`save` wrote. Raises ValueError naming a damaged file."""
        arrays, settings = load_arrays(Path(folder, "run.npz"))
        return cls(**settings, **arrays, trace=Trace.load(Path(folder, "trace.npz")))

    def __repr__(self) -> str:
        return f"Run({self.model}, seed={self.seed}, alpha={self.alpha:g})"


_RUN_ARRAYS = tuple(
    f.name for f in fields(Run) if f.name not in ("model", "seed", "alpha", "trace", "diverged")
)

METRICS: Mapping[str, Callable[[Run], float]] = {
    "parameter drift": lambda run: run.parameter_drift,
    "parameter gap": lambda run: run.parameter_gap,
    "kernel change": lambda run: run.kernel_change,
    "output gap": lambda run: run.output_gap,
}
RESULTS: Mapping[str, Callable[[Run], float]] = {
    "train loss": lambda run: run.train_loss,
    "test loss": lambda run: run.test_loss,
    "train accuracy": lambda run: run.train_accuracy,
    "test accuracy": lambda run: run.test_accuracy,
    "linearised test accuracy": lambda run: run.linear_test_accuracy,
}


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """All runs of a comparison, in order of model, scale and seed, with the settings they share."""

    runs: tuple[Run, ...]
    settings: Mapping[str, Any]

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(run.model for run in self.runs))

    @property
    def alphas(self) -> tuple[float, ...]:
        return tuple(sorted({run.alpha for run in self.runs}))

    def select(self, model: str, alpha: float | None = None) -> list[Run]:
        """The runs of a model, at one scale or at all."""
        return [r for r in self.runs if r.model == model and (alpha is None or r.alpha == alpha)]

    def values(self, model: str, metric: str) -> Floats:
        """A metric of one model as (scales, seeds), by its name in ``METRICS`` or ``RESULTS``."""
        known = {**METRICS, **RESULTS}
        require(metric in known, "metric", f"be one of {', '.join(known)}", metric)
        return np.array([[known[metric](run) for run in self.select(model, alpha)] for alpha in self.alphas])

    def slopes(self, least: float = 10.0) -> dict[tuple[str, str], Slope]:
        """Log-log slopes against the scale, over the scales from ``least`` up, by (model, metric).

        With fewer than three such scales, over all of them; with fewer than three in all, none. A metric that is
        zero somewhere has none either: a linear model's kernel does not change at any scale.
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
        """Rows and slopes as plain text; "+-" is the standard deviation over seeds."""
        return f"{_text(_cells(self.rows()))}\n\n{self.slope_table()}"

    def slope_table(self) -> str:
        """Fitted slopes with 95% confidence intervals beside the theory's."""
        slopes = self.slopes()
        if not slopes:
            return "slopes: three scales or more are needed"
        head = ["slope against a", *METRICS]
        theory = ["theory (fixed horizon, a large)", *(f"{THEORY[metric]:+.0f}" for metric in METRICS)]
        fitted = [
            [model, *(_interval(slopes.get((model, metric))) for metric in METRICS)] for model in self.models
        ]
        return _text([head, *fitted, theory])

    def plot(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Draw every figure into a folder, as PNG and SVG; returns the paths."""
        from qlazy.report.plot import plot_comparison

        return plot_comparison(self, folder)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the table, the settings and every run's arrays into a folder."""
        for index, run in enumerate(self.runs):
            run.save(Path(folder, "runs", f"{index:04d}"))
        self.write_summary(folder, [f"{index:04d}" for index in range(len(self.runs))])

    def write_summary(self, folder: str | os.PathLike[str], names: Sequence[str]) -> None:
        """Write ``comparison.json``, ``table.txt`` and ``table.csv`` beside runs of the given folder names."""
        index = {"settings": self.settings, "runs": list(names)}
        _write(Path(folder, "comparison.json"), json.dumps(index, indent=1, ensure_ascii=False))
        _write(Path(folder, "table.txt"), self.table() + "\n")
        _write(Path(folder, "table.csv"), _csv(self.rows()))

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Comparison:
        """The comparison that :meth:`save` wrote. Raises ValueError naming a damaged file."""
        path = Path(folder, "comparison.json")
        try:
            index = json.loads(path.read_text(encoding="utf-8"))
            names, settings = list(index["runs"]), dict(index["settings"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is damaged or not a comparison: {error}") from error
        return cls(tuple(Run.load(Path(folder, "runs", name)) for name in names), settings)

    def _row(self, model: str, index: int) -> dict[str, Any]:
        row: dict[str, Any] = {"model": model, "alpha": self.alphas[index]}
        for metric in (*METRICS, *RESULTS):
            over_seeds = self.values(model, metric)[index]
            row[metric] = float(over_seeds.mean())
            row[f"{metric} sd"] = float(over_seeds.std(ddof=1)) if len(over_seeds) > 1 else 0.0
        return row

    def __repr__(self) -> str:
        return f"Comparison({', '.join(self.models)}; {len(self.alphas)} scales; {len(self.runs)} runs)"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.table())}</pre>"


def _accuracy(outputs: Floats, targets: Floats) -> float:
    return float(accuracy(torch.from_numpy(outputs), torch.from_numpy(targets)))


def _interval(slope: Slope | None) -> str:
    return "none" if slope is None else f"{slope.slope:+.3f} [{slope.low:+.3f}, {slope.high:+.3f}]"


def _cells(rows: list[dict[str, Any]]) -> list[list[str]]:
    head = ["model", "a", *METRICS, *RESULTS]
    body = [
        [row["model"], f"{row['alpha']:g}", *(_spread(row, metric) for metric in (*METRICS, *RESULTS))]
        for row in rows
    ]
    return [head, *body]


def _spread(row: Mapping[str, Any], metric: str) -> str:
    digits = ".3f" if "accuracy" in metric else ".2e"
    return f"{row[metric]:{digits}} +- {row[f'{metric} sd']:{'.3f' if 'accuracy' in metric else '.0e'}}"


def _text(cells: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    return "\n".join(line.rstrip() for line in lines)


def _csv(rows: list[dict[str, Any]]) -> str:
    lines = [",".join(rows[0]), *(",".join(_csv_cell(value) for value in row.values()) for row in rows)]
    return "\n".join(lines) + "\n"


def _csv_cell(value: Any) -> str:
    text = repr(value) if isinstance(value, float) else str(value)
    return f'"{text}"' if "," in text else text


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as file:
        file.write(text.encode("utf-8"))

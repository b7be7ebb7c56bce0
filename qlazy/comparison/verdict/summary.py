"""The verdicts in one short table, a line for each model: lazy from which scale, and what was reached at the least."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qlazy.base.tables import Table
from qlazy.comparison.metrics import OverSeeds, shown, spread_name
from qlazy.comparison.runs import Runs
from qlazy.comparison.verdict.comparing import Verdicts
from qlazy.comparison.verdict.decisions import METRICS, Laziness

_REACHED: Mapping[bool, Mapping[str, str]] = {
    True: {"test accuracy": "test accuracy", "linearised": "linearized test accuracy"},
    False: {"test loss": "test loss", "linearised": "linearized test loss"},
}
"""Columns and their metrics, of data with classes and without."""


def summary_table(comparison: Runs, found: Verdicts) -> Table:
    """The verdict on each model, the scale from which each metric is lazy, and what was reached on test samples."""
    least = comparison.alphas[0]
    reached = _REACHED["test accuracy" in comparison.results]
    rows = {row["model"]: row for row in comparison.rows() if row["alpha"] == least}
    body = (
        (
            one.model,
            one.decision if one.seeds > 1 else "one seed",
            *(_lazy_from(one, metric) for metric in METRICS),
            *(_cell(rows[one.model], metric) for metric in reached.values()),
        )
        for one in found
    )
    columns = (f"{name} at a = {least:g}" if name in comparison.results else name for name in reached)
    head = ("model", f"at a = {least:g}", *(f"{metric} lazy from a" for metric in METRICS), *columns)
    return Table("in short", head, tuple(body))


def _lazy_from(one: Laziness, metric: str) -> str:
    """The scale, or what is so at the largest one; nothing of one seed, which allows no claim."""
    if metric not in one.intervals or one.seeds < 2:
        return "-"
    scale = one.lazy_from[metric]
    if scale is not None:
        return f"{scale:g}"
    last = one.decisions(metric)[-1]
    return f"{'undecided' if last == 'undecided' else 'not'} at {one.scales[-1]:g}"


def _cell(row: Mapping[str, Any], metric: str) -> str:
    return shown(metric, OverSeeds(row[metric], row[spread_name(metric)]))

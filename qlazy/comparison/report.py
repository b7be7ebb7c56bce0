"""What stands in the report of a comparison, a kernel and a study: verdict, figures, numbers, conventions."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from qlazy.base.storage import atomic_write
from qlazy.base.tables import Table, csv_text
from qlazy.comparison.figures.all import comparison_figures
from qlazy.comparison.kernel_pairs import RIDGE, KernelPair, pair_table
from qlazy.comparison.runs import Runs
from qlazy.comparison.verdict import summary_table, verdicts
from qlazy.drawing.files import Drawing, drawings, replace_figures
from qlazy.drawing.page import Page
from qlazy.drawing.style import Figure, Style
from qlazy.training.losses import CrossEntropy, Logistic, SquaredError
from qlazy.training.methods import LBFGS, SGD, Adam, GradientDescent, GradientFlow

PAIRS = "geometric_differences.csv"


class Beside(NamedTuple):
    """What was asked of one model beside a comparison: its part of the page, ``name`` that of the figure's files."""

    name: str
    text: str
    tables: tuple[Table, ...]
    figure: Figure


def write_comparison(
    comparison: Runs,
    folder: str | os.PathLike[str],
    command: str | None = None,
    against: str = "alpha",
    formats: Sequence[str] | None = None,
    style: Style | None = None,
    ridge: float = RIDGE,
    beside: Sequence[Beside] = (),
) -> Page:
    """Every figure, drawn once, and the pairs of kernels, into a folder; returns the page that holds them all."""
    figures = drawings(
        {**comparison_figures(comparison, against, style), **{one.name: one.figure for one in beside}}
    )
    replace_figures(figures, folder, formats)
    pairs = comparison.geometry(ridge)
    if pairs:
        with atomic_write(Path(folder, PAIRS)) as file:
            file.write(csv_text([asdict(pair) for pair in pairs]).encode())
    return comparison_page(comparison, figures, command, pairs, beside)


def comparison_page(
    comparison: Runs,
    figures: Mapping[str, Figure | Drawing],
    command: str | None = None,
    pairs: Sequence[KernelPair] = (),
    beside: Sequence[Beside] = (),
) -> Page:
    """The report of a comparison; without a ``command``, the call that made it stands at its end."""
    settings = comparison.settings
    found = verdicts(comparison)
    lead = (
        *found.unread,
        *map(str, found),
        found.caption,
        *(f"{one} {one.caption}" for one in comparison.features),
        *(one.text for one in beside),
    )
    if "preprocessing" in settings:
        lead = (f"{', '.join(comparison.models)} on {settings['preprocessing']}.", *lead)
    facts = {name: text(value) for name, value in settings.items()}
    if facts.get("method") == "GradientDescent(learning_rate=None)":
        facts["method"] = "gradient descent at the default rate, n / (2 lambda_max(K_0))"
    rates = comparison.rates_text()
    if rates:
        facts["learning rate"] = f"{rates} (least to greatest over seeds and scales)"
    tables = (
        *comparison.tables(),
        *((pair_table(pairs),) if pairs else ()),
        *(table for one in beside for table in one.tables),
    )
    return Page(
        "Lazy, or learning?",
        lead,
        facts,
        tables,
        figures,
        command or _call(comparison),
        summary_table(comparison, found),
    )


def text(value: Any) -> str:
    """A setting for a reader: mappings and lists without the punctuation of JSON."""
    if isinstance(value, Mapping):
        return "; ".join(f"{name} {text(entry)}" for name, entry in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def call(function: str, given: Sequence[str], settings: Mapping[str, Any], texts: Sequence[str] = ()) -> str:
    """The call that made a result, by its settings: what can be written down is, what cannot is a name and a remark.

    ``given`` are its first arguments and ``texts`` its last ones, as they are written.
    """
    options = [f"{name}={settings[name]!r}," for name in _WRITTEN if name in settings]
    found = [*given, *options, *_loss(settings), *_method(settings), *texts]
    return "\n    ".join([f"{function}(", *found]) + "\n)"


_WRITTEN = ("alphas", "seeds", "steps", "centered", "normalized", "until_loss", "small", "panels")
_LOSSES = {kind.convention: kind.__name__ for kind in (SquaredError, Logistic, CrossEntropy)}
_METHODS = tuple(f"{kind.__name__}(" for kind in (GradientDescent, SGD, Adam, LBFGS, GradientFlow))


def _loss(settings: Mapping[str, Any]) -> list[str]:
    if "loss" not in settings:
        return []
    known = _LOSSES.get(settings["loss"])
    return [f"loss=qlazy.{known}()," if known else f"loss=loss,{_remark(settings['loss'])}"]


def _method(settings: Mapping[str, Any]) -> list[str]:
    if "method" not in settings:
        return []
    method = settings["method"]
    return [f"method=qlazy.{method}," if method.startswith(_METHODS) else f"method=method,{_remark(method)}"]


def _remark(text: str) -> str:
    """What a name in the call stands for, on one line."""
    return f"  # {' '.join(text.split())}"


def _call(comparison: Runs) -> str:
    names = ", ".join(one.name for one in comparison.baselines)
    baselines = [f"baselines=baselines,{_remark(names)}"] if names else []
    features = ["features=True,"] if comparison.features else []
    models = "; ".join(f"{name}: {model}" for name, model in comparison.settings.get("models", {}).items())
    return call(
        "qlazy.compare", (f"models,{_remark(models)}", "data,"), comparison.settings, (*baselines, *features)
    )

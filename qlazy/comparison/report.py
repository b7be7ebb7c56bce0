"""What stands in the report of a comparison, a kernel and a study: verdict, figures, numbers, conventions."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qlazy.comparison.figures.all import comparison_figures
from qlazy.comparison.runs import Runs
from qlazy.comparison.verdict import verdicts
from qlazy.drawing.page import Page, captioned
from qlazy.drawing.style import Drawing, Figure, drawings, replace_figures


def write_comparison(
    comparison: Runs, folder: str | os.PathLike[str], command: str | None = None, against: str = "alpha"
) -> Path:
    """Every figure, drawn once, and the page that holds them all; returns the page's path."""
    figures = drawings(comparison_figures(comparison, against))
    replace_figures(figures, folder)
    return comparison_page(comparison, figures, command).save(folder)


def comparison_page(
    comparison: Runs, figures: Mapping[str, Figure | Drawing], command: str | None = None
) -> Page:
    """The report of a comparison; without a ``command``, the call that made it stands at its end."""
    settings = comparison.settings
    found = verdicts(comparison)
    lead = (*map(str, found), found.caption, *(f"{one} {one.caption}" for one in comparison.features))
    if "preprocessing" in settings:
        lead = (f"{', '.join(comparison.models)} on {settings['preprocessing']}.", *lead)
    facts = {name: text(value) for name, value in settings.items()}
    if facts.get("method") == "GradientDescent(learning_rate=None)":
        facts["method"] = "gradient descent at the default rate, n / (2 lambda_max(K_0))"
    return Page(
        "Lazy, or learning?",
        lead,
        facts,
        comparison.tables(),
        captioned(figures),
        command or _call(settings),
    )


def text(value: Any) -> str:
    """A setting for a reader: mappings and lists without the punctuation of JSON."""
    if isinstance(value, Mapping):
        return "; ".join(f"{name} {text(entry)}" for name, entry in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _call(settings: Mapping[str, Any]) -> str:
    chosen = {name: settings[name] for name in ("alphas", "seeds", "steps", "centered") if name in settings}
    options = "".join(
        f"\n    {name}={value if isinstance(value, bool) else json.dumps(value)},"
        for name, value in chosen.items()
    )
    method = f"\n    method=qlazy.{settings['method']}," if "method" in settings else ""
    return f"qlazy.compare(\n    models,\n    data,{options}{method}\n)"

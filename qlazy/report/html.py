"""What stands in the report of a comparison, a kernel and a study: verdict, figures, numbers, conventions."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from qlazy.comparison import Comparison
from qlazy.report.page import Page
from qlazy.report.plot import comparison_figures, save_figures
from qlazy.studies.result import CONVENTIONS, StudyResult
from qlazy.training import versions
from qlazy.verdict import verdicts

CAPTIONS = {
    "drift": "Parameter drift and kernel change against the output scale",
    "gap": "Distance from the linearised model trained on its own",
    "losses": "Losses along training, trained and linearised",
    "spectra": "Spectra of the tangent kernels at the start and at the end",
    "kernels": "Tangent kernels, samples in the order of their classes",
    "accuracy": "Test accuracy, trained and linearised, against the output scale",
    "kernel": "The tangent kernel: its spectrum, its label energy, and itself by class",
}


def write_comparison(
    comparison: Comparison, folder: str | os.PathLike[str], command: str | None = None
) -> Path:
    """Every figure, drawn once, and the page that holds them all; returns the page's path."""
    figures = comparison_figures(comparison)
    save_figures(figures, folder)
    return comparison_page(comparison, figures, command).save(folder)


def write_study(result: StudyResult, figures: Mapping[str, Figure], folder: str | os.PathLike[str]) -> Path:
    """The same for a study."""
    save_figures(figures, folder)
    return study_page(result, figures).save(folder)


def write_kernel(
    facts: Mapping[str, str], figure: Figure, folder: str | os.PathLike[str], command: str
) -> Path:
    """The same for one tangent kernel."""
    save_figures({"kernel": figure}, folder)
    return kernel_page(facts, figure, command).save(folder)


def comparison_page(
    comparison: Comparison, figures: Mapping[str, Figure], command: str | None = None
) -> Page:
    """The report of a comparison; without a ``command``, the call that made it stands at its end."""
    settings = comparison.settings
    lead = tuple(" ".join(verdict.sentences()) for verdict in verdicts(comparison))
    if "preprocessing" in settings:
        lead = (f"{', '.join(comparison.models)} on {settings['preprocessing']}.", *lead)
    facts = {name: _text(value) for name, value in settings.items()}
    return Page(
        "Lazy, or learning?",
        lead,
        facts,
        comparison.tables(),
        _captioned(figures),
        command or _call(settings),
    )


def study_page(result: StudyResult, figures: Mapping[str, Figure]) -> Page:
    """The report of a study: how many of its claims hold, and those that do not by name."""
    facts = {
        "study": result.study,
        **_fields(result.settings),
        **CONVENTIONS,
        **result.conventions,
        **versions(),
    }
    tables = (*result.tables, result.findings_table())
    return Page(
        f"Study {result.study}", _claims(result), facts, tables, _captioned(figures), _study_call(result)
    )


def kernel_page(facts: Mapping[str, str], figure: Figure, command: str) -> Page:
    """The report of one tangent kernel, from the facts of :func:`qlazy.report.facts.kernel_facts`."""
    lead = (f"{facts['model']}, on {facts['data']}.", _learnable(facts))
    shown = {**facts, "angle convention": CONVENTIONS["angle convention"], **versions()}
    return Page(
        f"Tangent kernel of {facts['model']}", lead, shown, (), _captioned({"kernel": figure}), command
    )


def _claims(result: StudyResult) -> tuple[str, ...]:
    claims = [finding for finding in result.findings if finding.relation]
    failed = [finding for finding in claims if not finding.agrees]
    reported = len(result.findings) - len(claims)
    also = f" {reported} further figures are reported as they are." if reported else ""
    if not failed:
        return (f"All {len(claims)} claims hold.{also}",)
    broken = (
        f"{finding.experiment}, {finding.quantity}: measured {finding.measured:.4g}, claimed {finding.relation} "
        f"{finding.theory:.4g}."
        for finding in failed
    )
    return (f"{len(claims) - len(failed)} of {len(claims)} claims hold.{also} Those that do not:", *broken)


def _learnable(facts: Mapping[str, str]) -> str:
    tops = {name: value for name, value in facts.items() if name.startswith("label energy in top")}
    if not tops:
        return f"Its effective rank is {facts['effective rank']}."
    name, value = list(tops.items())[-1]
    count = name.removeprefix("label energy in top ")
    return (
        f"Of the labels' energy {100 * float(value):.0f} % lies in its {count} leading eigenvectors: that part a lazy "
        "model learns first. "
        f"Its effective rank is {facts['effective rank']}, the alignment with the labels {facts['alignment']}."
    )


def _captioned(figures: Mapping[str, Figure]) -> dict[str, Figure]:
    return {CAPTIONS.get(name, name.replace("_", " ")): figure for name, figure in figures.items()}


def _fields(settings: Any) -> dict[str, str]:
    return {name.replace("_", " "): _text(value) for name, value in vars(settings).items()}


def _text(value: Any) -> str:
    """A setting for a reader: mappings and lists without the punctuation of JSON."""
    if isinstance(value, Mapping):
        return "; ".join(f"{name} {_text(entry)}" for name, entry in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _study_call(result: StudyResult) -> str:
    settings = result.settings
    if settings == type(settings).full():
        return f"qlazy study {result.study} --full"
    if settings == type(settings).quick():
        return f"qlazy study {result.study}"
    module = f"qlazy.studies.{result.study}"
    return f"import {module}\nfrom {module} import Settings\n\n{module}.run({settings!r})"


def _call(settings: Mapping[str, Any]) -> str:
    chosen = {name: settings[name] for name in ("alphas", "seeds", "steps", "centered") if name in settings}
    options = "".join(f"\n    {name}={_literal(value)}," for name, value in chosen.items())
    method = f"\n    method=qlazy.{settings['method']}," if "method" in settings else ""
    return f"qlazy.compare(\n    models,\n    data,{options}{method}\n)"


def _literal(value: Any) -> str:
    return json.dumps(value) if not isinstance(value, bool) else str(value)

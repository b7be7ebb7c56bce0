"""The page of a study, and the folder that it leaves."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from qlazy.base.storage import atomic_write, remove_stale_drafts, save_arrays
from qlazy.base.version import versions
from qlazy.comparison.report import text
from qlazy.drawing.files import Drawing, drawings, replace_figures
from qlazy.drawing.page import CONVENTIONS, Page
from qlazy.drawing.style import Figure
from qlazy.studies.result import HEAD, UNDECIDED, Finding, StudyResult

SOURCES: Mapping[str, str] = {
    "lazy": "Chizat, Oyallon, Bach, On lazy training in differentiable programming, NeurIPS 2019, arXiv 1812.07956",
    "regimes": "Ghorbani, Mei, Misiakiewicz, Montanari, Limitations of lazy training of two-layers neural networks, "
    "NeurIPS 2019, arXiv 1906.08899",
    "wide_circuits": "formulas and sources in qlazy.theory.scrambled_laws; light cones: Abedi, Beigi, Taghavi, Quantum "
    "lazy training, Quantum 2023, arXiv 2202.08232",
    "control_flow": "Zhu, Hung, Chakrabarti, Wu, On the principles of differentiable quantum programming languages, "
    "PLDI 2020, arXiv 2004.01122",
    "tensor": "Wang, Wu, Lee, Ma, Ge, Beyond lazy training for over-parameterized tensor decomposition, NeurIPS 2020, "
    "arXiv 2010.11356",
    "subset": "HOST-CP: Das, Singh, Chatterjee, Bhattacharya, Bhattacharya, arXiv 2104.13794",
    "self_training": "DRIFT: Zuo et al., arXiv 2109.07049",
    "large_circuits": "formulas and sources in qlazy.theory.mean_kernel",
    "atlas": "data sets of Bowles, Ahmed, Schuld 2024, arXiv 2403.07059",
    "shots_and_noise": "closed forms in qlazy.kernels.shots and qlazy.theory.scrambled_laws",
}
"""The paper that a study takes up, or where its formulas are."""

SYMBOLS: Mapping[str, str] = {
    "lazy": "a: output scale; tau: scale of the initialisation; m: hidden neurons; w: parameters",
    "regimes": "d: inputs; N: units; R / R0: risk over that of the zero function; RF, NT, NN: random features, the "
    "linearised model, the trained model; qf, mg: quadratic functions, mixtures of Gaussians",
    "wide_circuits": "L: layers; m: qubits; N = 2^m; K: tangent kernel; f: outputs; e0: error at the start; "
    "theta: angles; a: output scale; S: shots a circuit; sup: the largest value in training",
    "control_flow": "z1, z4: first and fourth input bit; s(b) = (-1)^b; P1, P2: the program without and with a "
    "measured branch; a: output scale",
    "tensor": "l, r, d: order, rank and dimension of the target; m: components of the model",
    "subset": "figures are points of test accuracy",
    "self_training": "figures are points of test accuracy",
    "large_circuits": "n: qubits; K: tangent kernel; E: mean over random angles; a: output scale",
    "atlas": "a: output scale; figures are points of test accuracy",
    "shots_and_noise": "J, K: Jacobian and tangent kernel; p: strength of the noise; a: output scale",
}
"""What the letters in the tables of a study stand for."""


def _about(study: str) -> dict[str, str]:
    told = {"source": SOURCES.get(study), "symbols": SYMBOLS.get(study)}
    return {name: words for name, words in told.items() if words}


def write_study(result: StudyResult, figures: Mapping[str, Figure], folder: str | os.PathLike[str]) -> Path:
    """The same for a study."""
    drawn = drawings(figures)
    replace_figures(drawn, folder)
    return study_page(result, drawn).save(folder)


def study_page(result: StudyResult, figures: Mapping[str, Figure | Drawing]) -> Page:
    """The report of a study: how many of its claims hold, and those that do not by name."""
    facts = {
        "study": result.study,
        **_about(result.study),
        **_fields(result.settings),
        **CONVENTIONS,
        **result.conventions,
        **versions(),
    }
    tables = (*result.tables, result.findings_table())
    return Page(f"Study {result.study}", claims_of(result), facts, tables, figures, _study_call(result))


def claims_of(result: StudyResult) -> tuple[str, ...]:
    """How many claims of a study hold, and in a sentence each which fail and which are left undecided."""
    claims = [finding for finding in result.findings if finding.relation]
    failed = [finding for finding in claims if finding.disagrees]
    undecided = [finding for finding in claims if not finding.agrees and not finding.disagrees]
    reported = len(result.findings) - len(claims)
    also = f" {reported} further figures are reported as they are." if reported else ""
    if not claims:
        return (f"Nothing is claimed.{also}",)
    if len(claims) == 1 and not failed and not undecided:
        return (f"The one claim holds.{also}",)
    if not failed and not undecided:
        return (f"All {len(claims)} claims hold.{also}",)
    agreed = len(claims) - len(failed) - len(undecided)
    counts = (
        f"{agreed} of {len(claims)} claims hold, {len(failed)} fail, {len(undecided)} are {UNDECIDED}.{also}"
    )
    return (
        counts,
        *(f"Fails: {_sentence(finding)}" for finding in failed),
        *(f"Undecided: {_sentence(finding)}" for finding in undecided),
    )


def _sentence(finding: Finding) -> str:
    cells = dict(zip(HEAD, finding.cells(), strict=True))
    interval = "" if cells["95 % interval"] == "-" else f" ({cells['95 % interval']})"
    measured = f"measured {cells['measured']}{interval}"
    return f"{finding.experiment}, {finding.quantity}: {measured}, claimed {cells['claim']}."


def _fields(settings: Any) -> dict[str, str]:
    """Settings by name; those of an experiment, a dataclass of their own, in a line."""
    return {
        name.replace("_", " "): "; ".join(f"{inner} {shown}" for inner, shown in _fields(value).items())
        if is_dataclass(value)
        else text(value)
        for name, value in vars(settings).items()
    }


def _study_call(result: StudyResult) -> str:
    settings = result.settings
    if settings == type(settings).full():
        return f"qlazy study {result.study} --full"
    if settings == type(settings).quick():
        return f"qlazy study {result.study}"
    module = type(settings).__module__
    parts = {type(value).__name__ for value in vars(settings).values() if is_dataclass(value)}
    names = ", ".join(sorted({type(settings).__name__, *parts}))
    return f"from {module} import {names}, run\n\nrun({settings!r})"


def finish(
    result: StudyResult,
    out: str | os.PathLike[str] | None,
    figures: Callable[[StudyResult], Mapping[str, Any]],
) -> StudyResult:
    """Leave table, arrays, settings, figures and a report in ``out``, if that is given; returns the result."""
    if out is None:
        return result
    folder = Path(out)
    remove_stale_drafts(folder)
    with atomic_write(folder / "table.txt") as file:
        file.write(f"{result.table()}\n".encode())
    settings = {
        "study": result.study, "settings": asdict(result.settings), "versions": versions(), **CONVENTIONS,
        **result.conventions, "findings": [finding.as_json() for finding in result.findings],
        "tables": [asdict(table) for table in result.tables],
    }  # fmt: skip
    save_arrays(folder / "result.npz", result.arrays, settings)
    write_study(result, figures(result), folder)
    return result

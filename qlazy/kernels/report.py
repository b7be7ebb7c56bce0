"""The page of one tangent kernel."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from qlazy.base.version import versions
from qlazy.drawing.files import Drawing, drawing, replace_figures
from qlazy.drawing.page import CONVENTIONS, Page
from qlazy.drawing.style import Figure


def write_kernel(
    facts: Mapping[str, str], figure: Figure, folder: str | os.PathLike[str], command: str
) -> Path:
    """The same for one tangent kernel."""
    drawn = drawing(figure)
    replace_figures({"kernel": drawn}, folder)
    return kernel_page(facts, drawn, command).save(folder)


def kernel_page(facts: Mapping[str, str], figure: Figure | Drawing, command: str) -> Page:
    """The report of one tangent kernel, from the facts of :func:`qlazy.kernels.facts.kernel_facts`."""
    lead = (f"{facts['model']}, on {facts['data']}.", learnable(facts))
    shown = {**facts, "angle convention": CONVENTIONS["angle convention"], **versions()}
    return Page(f"Tangent kernel of {facts['model']}", lead, shown, (), {"kernel": figure}, command)


def learnable(facts: Mapping[str, str]) -> str:
    """What a lazy model with the kernel learns first, in a sentence, from the facts of the kernel."""
    tops = {name: value for name, value in facts.items() if name.startswith("label energy in top")}
    if not tops:
        return f"Its participation ratio is {facts['participation ratio']}."
    name, value = list(tops.items())[-1]
    count = name.removeprefix("label energy in top ")
    return (
        f"Of the labels' energy {100 * float(value):.0f} % lies in its {count} leading eigenvectors: that part a lazy "
        "model learns first. "
        f"Its participation ratio is {facts['participation ratio']}, "
        f"the alignment with the labels {facts['alignment']}."
    )

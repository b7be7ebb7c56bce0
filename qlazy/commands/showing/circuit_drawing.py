"""Circuits as pictures."""

from __future__ import annotations

import io
import os
from pathlib import Path

from matplotlib import pyplot

from qlazy.base.errors import require
from qlazy.base.storage import atomic_write
from qlazy.drawing.style import style
from qlazy.quantum.pennylane.drawing import draw_figure
from qlazy.quantum.program.program import Program

KINDS = (".png", ".svg", ".pdf")


def save_drawing(program: Program, path: str | os.PathLike[str]) -> Path:
    """Draw a circuit into a PNG, SVG or PDF file. Raises ValueError for another suffix and a program that measures."""
    target = Path(path)
    kind = target.suffix.lower()
    require(kind in KINDS, "path", f"end in {', '.join(KINDS)}", repr(str(path)))
    must = "be a circuit of gates to be drawn"
    require(program.is_unitary, program.name, must, "one that measures, which `qlazy circuits NAME` prints")
    buffer = io.BytesIO()
    dated = {".png": "Software", ".svg": "Date", ".pdf": "CreationDate"}
    with style():
        figure = draw_figure(program)
        figure.savefig(buffer, format=kind[1:], metadata={dated[kind]: None}, bbox_inches="tight")
        pyplot.close(figure)  # PennyLane draws through pyplot, which would keep it
    with atomic_write(target) as file:
        file.write(buffer.getvalue())
    return target

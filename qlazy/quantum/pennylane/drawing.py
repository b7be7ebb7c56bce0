"""Circuits drawn by PennyLane, as text and as a matplotlib figure."""

from __future__ import annotations

from typing import Any

import pennylane as qml
import torch

from qlazy.quantum.pennylane.qnodes import to_qnode
from qlazy.quantum.program.program import Program


def draw_text(program: Program, *, width: int = 100) -> str:
    """The circuit in characters, with angles left out, in lines of at most ``width``."""
    qnode, arguments = _call(program)
    draw = qml.draw(qnode, level="user", decimals=None, max_length=width, show_matrices=False)
    return draw(**arguments)


def draw_figure(program: Program) -> Any:
    """The circuit as a matplotlib figure, with angles left out. The figure belongs to pyplot: close it."""
    qnode, arguments = _call(program)
    figure, _ = qml.draw_mpl(qnode, level="user", decimals=None)(**arguments)
    return figure


def _call(program: Program) -> tuple[qml.QNode, dict[str, torch.Tensor]]:
    """The QNode with arguments for it: any values at all, gates do not depend on them."""
    qnode, shapes = to_qnode(program)
    shapes = {"inputs": (program.num_features,), **shapes}
    return qnode, {name: torch.zeros(shape, dtype=torch.float64) for name, shape in shapes.items()}

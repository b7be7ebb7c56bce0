"""Circuits of Cirq, Amazon Braket and pytket, where these are installed: `make test-interop`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.odd_values import ODD
from tests.test_odd_values import found

PAGE = Path(__file__).parents[4] / "docs" / "interop.md"

STEP = 0.02
WEIGHTS = np.array([4 / 5, -1 / 5, 4 / 105, -1 / 280])
"""Of the central differences of order 8 at 1 to 4 steps (Fornberg 1988)."""


def slopes(
    outputs: Callable[[NDArray[np.float64]], NDArray[np.float64]], point: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The Jacobian (c, p) of outputs (c,) by differences good to about 1e-11, where angles vary as they do here."""
    columns = []
    for axis in np.eye(len(point)):
        terms = [
            weight * (outputs(point + n * STEP * axis) - outputs(point - n * STEP * axis))
            for n, weight in enumerate(WEIGHTS, 1)
        ]
        columns.append(sum(terms) / STEP)
    return np.stack(columns, -1)


def odd_answers(reader: Callable[..., Any], circuit: Any) -> list[str]:
    """What is wrong with the answers to values of every wrong kind for every argument."""
    right = {
        "circuit": circuit,
        "observables": (),
        "data": (),
        "backend": "auto",
        "cutoff": 0.0,
        "max_weight": None,
    }
    reader(**right)
    name = f"{reader.__name__} "
    answers = [found(name.strip(), argument, odd, reader, right) for argument in right for odd in ODD]
    return [answer for answer in answers if answer]


def run_example(reader: str) -> None:
    """The example of the documentation that calls a reader."""
    blocks = re.findall(r"```py\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    [block] = [block for block in blocks if f"qlazy.{reader}(" in block]
    exec(compile(block, PAGE.name, "exec", dont_inherit=True), {"__name__": "docs.interop"})

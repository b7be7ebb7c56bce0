"""The questions by name, and how each is asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, final

from qlazy.checking.lazy import LazyPanel
from qlazy.checking.panel import Panel
from qlazy.comparison.compare import compare
from qlazy.data.datasets import Dataset
from qlazy.models.model import Model
from qlazy.training.losses import Loss
from qlazy.training.methods import Method


@final
@dataclass(frozen=True, eq=False)
class Question:
    """What is asked of whom: settings that the panels share."""

    name: str
    model: Model
    data: Dataset
    alphas: tuple[float, ...]
    seeds: tuple[int, ...]
    loss: Loss
    method: Method
    steps: int
    centered: bool
    small: float
    out: Path | None
    workers: int | None
    progress: bool


class Asked(NamedTuple):
    """How a question is asked, and its answer read from a folder. ``ask`` gives a text where there is no answer."""

    ask: Callable[[Question], Panel | str]
    load: Callable[[str | os.PathLike[str]], Panel]


def ask_lazy(question: Question) -> Panel:
    """Train at every scale from every seed, beside the tangent models."""
    comparison = compare(
        {question.name: question.model},
        question.data,
        alphas=question.alphas,
        seeds=question.seeds,
        loss=question.loss,
        method=question.method,
        steps=question.steps,
        centered=question.centered,
        out=None if question.out is None else question.out / "lazy",
        workers=question.workers,
        progress=question.progress,
    )
    return LazyPanel(comparison, question.small)


PANELS: Mapping[str, Asked] = {
    "lazy": Asked(ask_lazy, LazyPanel.load),
}
"""The questions in the order of a verdict."""


def facts_of(question: Question) -> dict[str, Any]:
    """What was asked, for the page."""
    return {
        "data": question.data.description,
        "model": repr(question.model),
        "parameters": question.model.num_params,
        "scales a": ", ".join(f"{alpha:g}" for alpha in question.alphas),
        "seeds": len(question.seeds),
        "method": repr(question.method),
        "loss": question.loss.convention,
        "steps": question.steps,
        "centered": question.centered,
        "threshold": question.small,
    }

"""What ``qlazy compare`` asks of each model alone: beside classical ones, and whether its gradients vanish."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from qlazy.base.keys import readable
from qlazy.base.tables import Table
from qlazy.checking.panels import PANELS
from qlazy.commands.options.data import read_data
from qlazy.comparison.report import Beside
from qlazy.data.datasets import Dataset
from qlazy.drawing.style import Plate
from qlazy.models.model import Model

if TYPE_CHECKING:
    from qlazy.comparison.baselines.result import Surrogates
    from qlazy.theory.trainability.result import Trainability


class Asked(NamedTuple):
    """The answer of one model to one question: of which kind, in short and for the page."""

    kind: str
    model: str
    panel: Surrogates | Trainability
    page: Beside

    @property
    def claim(self) -> str:
        return f"{self.model}: {self.panel.sentences()[0]}"

    def document(self) -> dict[str, Any]:
        panel = self.panel
        return {"decision": panel.decision, "sentences": panel.sentences(), "caption": panel.caption}


class _Question(NamedTuple):
    """How it is asked, and of which panel of a verdict the answer is."""

    ask: Callable[[argparse.Namespace, Model, Dataset], Surrogates | Trainability | None]
    panel: str


def asked_beside(
    arguments: argparse.Namespace, models: Mapping[str, Model], data: Dataset
) -> Iterator[Asked]:
    """The answers to what ``--surrogates`` and ``--trainability`` ask, each saved in a folder of its own."""
    for kind in (kind for kind in QUESTIONS if getattr(arguments, kind)):
        for index, (name, model) in enumerate(models.items()):
            panel = QUESTIONS[kind].ask(arguments, model, data)
            if panel is not None:
                file = f"{index}-{readable(name)}"
                panel.save(arguments.out / kind / file)
                yield Asked(kind, name, panel, _page(kind, f"{kind}-{file}", name, panel))


def documents(arguments: argparse.Namespace, answers: Sequence[Asked]) -> dict[str, dict[str, Any]]:
    """The answers as values, by the options that asked for them and the names of the models."""
    asked = (kind for kind in QUESTIONS if getattr(arguments, kind))
    return {kind: {one.model: one.document() for one in answers if one.kind == kind} for kind in asked}


def _surrogates(arguments: argparse.Namespace, model: Model, data: Dataset) -> Surrogates:
    from qlazy.comparison.baselines.surrogates import surrogates

    return surrogates(
        model,
        data if arguments.splits == "one" else partial(read_data, arguments),
        seeds=range(arguments.seeds),
        steps=arguments.steps,
        progress=not arguments.quiet,
    )


def _trainability(arguments: argparse.Namespace, model: Model, data: Dataset) -> Trainability | None:
    from qlazy.quantum.circuit import Circuit
    from qlazy.theory.trainability import panel

    if not isinstance(model, Circuit):
        return None
    return panel.trainability(model, data, progress=not arguments.quiet)


QUESTIONS = {
    "surrogates": _Question(_surrogates, "classical"),
    "trainability": _Question(_trainability, "flat"),
}
"""By the names of their options."""


def _page(kind: str, file: str, name: str, panel: Surrogates | Trainability) -> Beside:
    tables = PANELS[QUESTIONS[kind].panel].tables(panel)
    tables = tuple(replace(table, title=_titled(name, table)) for table in tables)
    figure = panel.plot()
    if isinstance(figure, Plate):
        figure.caption = f"{name}: {figure.caption}"
    return Beside(file, f"{name}: {panel} {panel.caption}", tables, figure)


def _titled(name: str, table: Table) -> str:
    return f"{name}: {table.title}" if table.title else name

"""The verdict on a model and its data: a sentence, what it rests on, tables, figures, a page."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from qlazy.base.errors import folder_of
from qlazy.base.storage import digest_of_file, read_as, read_json, require_own_files, write_json
from qlazy.base.tables import Table, escaped, printable
from qlazy.checking.panel import Panel
from qlazy.checking.panels import PANELS
from qlazy.comparison.runs import UNREAD
from qlazy.comparison.verdict import unread_sentences

if TYPE_CHECKING:
    from qlazy.drawing.style import Figure, Style

NAME = "verdict.json"
_FILES = {"lazy": "comparison.json", "flat": "trainability.npz", "classical": "surrogates.npz"}
"""What each panel is told by on disk."""


def _digests(folder: Path, panels: Iterable[str]) -> dict[str, str]:
    return {name: digest_of_file(folder / name / _FILES[name]) for name in panels}


@final
@dataclass(frozen=True, eq=False, repr=False)
class Verdict:
    """Is it lazy, is it flat, is it classical: the answers on one model and its data, by the name of the question.

    ``panels`` holds the answers, of the ``model`` on the ``data``.
    ``absent`` says of a question that was asked why it has no answer. ``facts`` are what was asked, and conventions.
    """

    model: str
    data: str
    panels: Mapping[str, Panel]
    absent: Mapping[str, str]
    facts: Mapping[str, str]

    @property
    def sentence(self) -> str:
        """All answers in one sentence."""
        return f"{self.model} on {self.data}: {'; '.join(self._words())}."

    def _words(self) -> list[str]:
        return [PANELS[name].words(panel) for name, panel in self.panels.items()]

    @property
    def decisions(self) -> dict[str, str]:
        """The decision of each question, such as "not lazy"."""
        return {name: panel.decision for name, panel in self.panels.items()}

    @property
    def unread(self) -> tuple[str, ...]:
        """A sentence on the columns of the inputs that the model does not read, if there are any."""
        return unread_sentences({self.model: self.facts[UNREAD]} if UNREAD in self.facts else {})

    def sentences(self) -> tuple[str, ...]:
        """The sentence, what the model does not read, and what each answer rests on."""
        found = (sentence for panel in self.panels.values() for sentence in panel.sentences())
        return (self.sentence, *self.unread, *found, *self.absent.values())

    def answer(self) -> tuple[str, ...]:
        """The sentence, what the model does not read, and of each question the claim with what it rests on."""
        claims = (PANELS[name].claim(panel) for name, panel in self.panels.items())
        return (self.sentence, *self.unread, *claims, *self.absent.values())

    def summary(self) -> tuple[Table, ...]:
        """The tables that one reads first: from which scale it is lazy, and who does as well."""
        return tuple(table for name, panel in self.panels.items() for table in PANELS[name].short(panel))

    def paragraphs(self) -> tuple[str, ...]:
        """The sentences of each question together, after the sentence that answers all, captions at the end."""
        said = (" ".join(panel.sentences()) for panel in self.panels.values())
        captions = (panel.caption for panel in self.panels.values())
        return (self.sentence, *self.unread, *said, *self.absent.values(), *captions)

    def tables(self) -> tuple[Table, ...]:
        """What :meth:`table` prints, as values."""
        return tuple(table for name, panel in self.panels.items() for table in PANELS[name].tables(panel))

    def table(self) -> str:
        """The numbers as text."""
        return "\n\n".join(map(str, self.tables()))

    def figures(self, style: Style | None = None) -> dict[str, Figure]:
        """Every figure by name, as matplotlib figures to be changed and saved by hand.

        ``style`` as for :meth:`Comparison.figures`.
        """
        from qlazy.drawing.style import drawn_in

        with drawn_in(style):
            drawn = [PANELS[name].figures(panel) for name, panel in self.panels.items()]
        return {name: figure for figures in drawn for name, figure in figures.items()}

    def plot(
        self,
        folder: str | os.PathLike[str],
        formats: Sequence[str] | None = None,
        style: Style | None = None,
    ) -> list[Path]:
        """Draw every figure into a folder, as PNG and SVG or as the ``formats`` named; returns the paths."""
        from qlazy.drawing.files import save_figures

        place = folder_of("folder", folder)
        return save_figures(self.figures(style), place, formats)

    def report(
        self,
        folder: str | os.PathLike[str],
        command: str | None = None,
        formats: Sequence[str] | None = None,
        style: Style | None = None,
    ) -> Path:
        """Write every figure and one self-contained ``report.html`` to hand on; returns its path.

        ``command`` is what made the verdict, for those who want to run it again; ``formats`` and ``style`` as for
        :meth:`Comparison.report`.
        """
        from qlazy.drawing.files import drawings, replace_figures
        from qlazy.drawing.page import Page

        folder = folder_of("folder", folder)
        figures = drawings(self.figures(style))
        replace_figures(figures, folder, formats)
        again = command or self._call()
        title = "Lazy, flat, or classical?"
        return Page(title, self.paragraphs(), self.facts, self.tables(), figures, again).save(folder)

    def _call(self) -> str:
        """The call that made it, by what was asked."""
        from qlazy.comparison.report import call

        facts = self.facts
        settings = {
            "alphas": [float(alpha) for alpha in facts["scales a"].split(", ")],
            "seeds": [int(seed) for seed in facts["seeds"].split(", ")],
            "steps": int(facts["steps"]),
            "centered": facts["centered"] == "True",
            "small": float(facts["threshold"]),
            "panels": [name for name in PANELS if name in {*self.panels, *self.absent}],
            "loss": facts["loss"],
            "method": facts["method"],
        }
        return call("qlazy.check", (f"model,  # {' '.join(facts['model'].split())}", "data,"), settings)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write ``verdict.json`` and a folder for each question: NumPy arrays and JSON."""
        folder = folder_of("folder", folder)
        for name, panel in self.panels.items():
            panel.save(folder / name)
        index: dict[str, Any] = {
            "model": self.model,
            "data": self.data,
            "panels": list(self.panels),
            "absent": dict(self.absent),
            "facts": dict(self.facts),
            "sentences": self.sentences(),
        }
        write_json(folder / NAME, {**index, "files": _digests(folder, self.panels)})

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Verdict:
        """The verdict that :meth:`save` wrote. Raises ValueError naming a damaged file."""
        folder = folder_of("folder", folder)
        path = folder / NAME
        index = read_json(path)
        with read_as(path, "is damaged or not a verdict"):
            files = dict(index["files"])
            names = [str(name) for name in index["panels"]]
            texts = str(index["model"]), str(index["data"])
            absent, facts = (
                {str(name): str(text) for name, text in index[key].items()} for key in ("absent", "facts")
            )
            loaders = [PANELS[name].load for name in names]
        require_own_files(path, files, _digests(folder, names))
        panels = {name: load(folder / name) for name, load in zip(names, loaders, strict=True)}
        return cls(*texts, panels, absent, facts)

    def __str__(self) -> str:
        return printable("\n\n".join(self.paragraphs()))

    def __repr__(self) -> str:
        return f"Verdict({self.sentence})"

    def _repr_html_(self) -> str:
        first, *others = self.paragraphs()
        text = "".join(f"<p>{escaped(paragraph)}</p>" for paragraph in others)
        tables = "".join(table.html() for table in self.tables())
        return f"<p><strong>{escaped(first)}</strong></p>{text}{tables}"

"""The first question of a verdict: does the linearised model do as well, at each scale and after training?"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, final

import numpy as np

from qlazy.base.errors import folder_of, positive_of
from qlazy.base.over_seeds import LEAST, Interval, geometric_interval
from qlazy.base.storage import read_as, read_json, write_json
from qlazy.base.tables import Table
from qlazy.comparison.result import Comparison
from qlazy.comparison.run import Run
from qlazy.comparison.verdict import Decision, LazyVerdict, summary_table

if TYPE_CHECKING:
    from qlazy.drawing.style import Figure

NAME = "lazy.json"
Learning = Literal["learning", "not learning", "undecided"]
OTHERS: Mapping[str, Callable[[Run], float]] = {
    "linearised model": lambda run: run.linear_test_loss,
    "kernel regression": lambda run: run.regression_test_loss,
}
"""What the trained model has to beat: its tangent model stopped at the same step, and trained to the end with the ridge
that leaving one sample out chooses."""


@final
@dataclass(frozen=True, eq=False, repr=False)
class LazyPanel:
    """A comparison of one model with its own tangent models, and what it says; ``kept`` in a folder or not."""

    comparison: Comparison
    small: float = 0.1
    kept: Path | None = None

    @property
    def verdict(self) -> LazyVerdict:
        """Of the one model there is."""
        return self.comparison.verdict(self.small)[0]

    @property
    def decision(self) -> Decision:
        """Lazy, not lazy or undecided at the least scale."""
        return self.verdict.decision

    @property
    def learning(self) -> Learning:
        """Whether the trained model beats both its tangent models on test samples, by the whole of 95 % intervals.

        By accuracy where the data have classes, by the ratio of test losses, paired by seed, elsewhere. Not learning is
        a model that neither beats: the whole interval of a difference says so.
        """
        better, worse = (
            [test(name) for name in OTHERS] for test in (self._is_better_than, self._is_worse_than)
        )
        if all(better):
            return "learning"
        return "not learning" if any(worse) or self.decision == "lazy" else "undecided"

    def loss_ratio(self, name: str) -> Interval:
        """Test loss of the trained model over that of the other, at the least scale: geometric mean over seeds."""
        runs = self.comparison.select(self.comparison.models[0], self.comparison.alphas[0])
        finished = [run for run in runs if not run.diverged]
        found = [(run.test_loss, OTHERS[name](run)) for run in finished]
        ratios = [trained / other for trained, other in found if other > 0 and math.isfinite(other)]
        return geometric_interval(np.array(ratios if len(ratios) == len(runs) else []))

    def _is_better_than(self, name: str) -> bool:
        accuracies = self.verdict.accuracies
        if accuracies is None:
            return self.loss_ratio(name).high < 1
        one = accuracies.get(name)  # none of a linearised path that diverged
        return one is not None and one.differs and one.gain > 0

    def _is_worse_than(self, name: str) -> bool:
        accuracies = self.verdict.accuracies
        if accuracies is None:
            return self.loss_ratio(name).low > 1
        one = accuracies.get(name)
        return one is not None and one.differs and one.gain < 0

    def sentences(self) -> tuple[str, ...]:
        """What the runs say, the claim on laziness first; barriers and collapse stand in the table alone."""
        learnt = (one.sentences()[0] for one in self.comparison.features)
        return (*self.verdict.sentences(), *self._losses(), self._learning(), *learnt)

    def _losses(self) -> tuple[str, ...]:
        """On real targets, which have no accuracy."""
        if self.verdict.accuracies is not None:
            return ()
        ratios = {name: self.loss_ratio(name) for name in OTHERS}
        return tuple(
            f"Its test loss is {_times(ratio)} that of {'its ' if name == 'linearised model' else ''}{name}."
            for name, ratio in ratios.items()
            if math.isfinite(ratio.mean)
        )

    def _learning(self) -> str:
        if self.verdict.seeds < 2:
            return "Whether training beats its own kernel one seed does not tell."
        if self.decision == "lazy":
            return "What it learns is what its tangent model learns, up to the changes given."
        if self.learning == "learning":
            return "On test samples training beats both its tangent models: it learns what its initial kernel does not."
        if self.learning == "not learning":
            return "On test samples training does not beat its own initial kernel."
        return (
            f"Whether training beats its own initial kernel these {self.verdict.seeds} seeds leave undecided."
        )

    @property
    def caption(self) -> str:
        """What the words mean, with the threshold."""
        return (
            f"{self.comparison.verdict(self.small).caption} Learning: better than the linearised model and than kernel "
            "regression, by whole intervals over seeds and test samples."
            + "".join(f" {one.caption}" for one in self.comparison.features)
        )

    @property
    def runs(self) -> tuple[Run, ...]:
        """Those of the comparison."""
        return self.comparison.runs

    def tables(self) -> tuple[Table, ...]:
        """Those of the comparison."""
        return self.comparison.tables()

    def summary(self) -> Table:
        """From which scale it is lazy by each metric, and what was reached, in a line."""
        return summary_table(self.comparison, self.comparison.verdict(self.small))

    def table(self) -> str:
        """The tables as text."""
        return self.comparison.table()

    def figures(self) -> dict[str, Figure]:
        """Those of the comparison."""
        return self.comparison.figures()

    def save(self, folder: str | os.PathLike[str]) -> None:
        """The comparison, unless it is kept there already, and the threshold in ``lazy.json``."""
        folder = folder_of("folder", folder)
        is_there = self.kept is not None and self.kept.absolute() == folder.absolute()
        if not (is_there and (folder / "comparison.json").exists()):
            self.comparison.save(folder)
        write_json(folder / NAME, {"small": self.small})

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> LazyPanel:
        """What :meth:`save` wrote. Raises ValueError naming a damaged file."""
        folder = folder_of("folder", folder)
        comparison, path = Comparison.load(folder), folder / NAME
        with read_as(path, "is damaged or not a panel"):
            small = positive_of("small", read_json(path)["small"])
        return cls(comparison, small, folder)

    @property
    def words(self) -> str:
        """The answer in a few words."""
        lazy = "lazy or not is undecided" if self.decision == "undecided" else self.decision
        if self.decision == "lazy":
            return lazy
        return (
            lazy
            + {
                "learning": ", and training beats its own kernel",
                "not learning": ", and training does not beat its own kernel",
                "undecided": ", and whether training beats its own kernel is undecided",
            }[self.learning]
        )

    def __repr__(self) -> str:
        return f"LazyPanel({self.decision}, {self.learning})"


def _times(ratio: Interval) -> str:
    if ratio.mean == 0:
        return f"less than {LEAST:g} times"
    interval = f" (95 % interval {ratio.low:.3g} to {ratio.high:.3g})" if math.isfinite(ratio.low) else ""
    return f"{ratio.mean:.3g} times{interval}"

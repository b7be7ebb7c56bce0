"""What was measured of the features that a model learnt, as a value with its sentences."""

from __future__ import annotations

import html
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np
from numpy.typing import NDArray

from qlazy.base.errors import folder_of
from qlazy.base.intervals import student_reach
from qlazy.base.over_seeds import half_interval
from qlazy.base.storage import load_arrays, read_as, require_arrays, save_arrays
from qlazy.base.tables import Table

if TYPE_CHECKING:
    from qlazy.drawing.style import Figure, Place, Style

Floats = NDArray[np.floating[Any]]
Decision = Literal["features learnt", "no gain", "undecided"]

MARGIN = 0.02
"""A gain below this, of the after-kernel against the initial kernel, counts as none."""

FILE = "features.npz"
_SHAPES = {"steps": "k", "after": "k s m", "trained": "s m", "barriers": "k s", "collapsed": "k s"}


@final
@dataclass(frozen=True, eq=False, repr=False)
class Features:
    """After-kernels, error barriers and collapse of one model, at k recorded steps of s seeds, on m test samples.

    Scores are of each test sample: 1 where it is right and 0 where wrong (shares of a tie), or, for real targets, 1 -
    (f - y)^2 / var(y), whose mean is the share of the variance that is explained.
    """

    model: str
    """The name of the model."""
    alpha: float
    """The output scale a."""
    steps: NDArray[np.int64]
    """The recorded steps of the first seed, (k,)."""
    after: Floats
    """Scores of kernel regression with K_t, (k, s, m)."""
    trained: Floats
    """Scores of the trained model, (s, m)."""
    barriers: Floats
    """Heights of the error between two children of the weights at t, (k, s)."""
    collapsed: Floats
    """Alignment of K_t with the outputs at the end, (k, s)."""
    classes: bool
    """Whether targets are classes."""
    own_splits: bool = False
    """Whether each seed has a split of its own."""
    margin: float = MARGIN
    """Below which a gain counts as none."""
    child_steps: int = 0
    """Steps of each child."""
    batch_size: int = 0
    """Samples a step of a child."""

    @property
    def seeds(self) -> int:
        """How many seeds came to their end, s."""
        return self.after.shape[1]

    @property
    def measure(self) -> str:
        """What a mean score is."""
        return "test accuracy" if self.classes else "explained variance"

    @property
    def _article(self) -> str:
        return "a" if self.classes else "an"

    @property
    def gain(self) -> tuple[float, float]:
        """What the kernel at the end scores above the initial one, and half the 95 % interval, paired over seeds.

        Over test samples as well where they have classes. NaN for half an interval of one seed.
        """
        return self._difference(self.after[-1], self.after[0])

    @property
    def decision(self) -> Decision:
        """By the interval of the gain: features learnt above 0, no gain below the margin, undecided otherwise."""
        gain, half = self.gain
        if not math.isfinite(half):
            return "undecided"
        if gain - half > 0:
            return "features learnt"
        return "no gain" if gain + half < self.margin else "undecided"

    def sentences(self) -> tuple[str, ...]:
        """What follows, the claim first; with one seed none."""
        return (self._claim(), *self._barriers(), *self._collapse())

    @property
    def caption(self) -> str:
        """How to read it."""
        return (
            f"Kernel regression with K_t, its ridge chosen by leaving one sample out, for {self.model} at a = "
            f"{self.alpha:g}. Features learnt: the 95 % interval over the {self.seeds} seeds that came to their "
            f"end of what the last kernel gains on the first "
            f"lies above 0; no gain: below {_points(self.margin)}; undecided: neither. Barriers: two children of "
            f"the weights at t, {self.child_steps} steps each on batches of {self.batch_size} in orders of their own. "
            "Collapse: 1 where the kernel knows nothing but the function that was learnt."
        )

    def table(self) -> str:
        """A line for each step."""
        return str(self.tables()[0])

    def tables(self) -> tuple[Table, ...]:
        """The table as a value: means and standard deviations over seeds."""
        title = (
            f"{self.model} at a = {self.alpha:g}: the kernel of step t, and two children of the weights there"
        )
        head = ("t", f"{self.measure} with K_t", "error barrier", "collapse of K_t")
        columns = (self.after.mean(2), self.barriers, self.collapsed)
        rows = [
            (str(int(step)), *(_mean(column[i]) for column in columns)) for i, step in enumerate(self.steps)
        ]
        last = ("the trained model", _mean(self.trained.mean(1)), "", "")
        return (Table(title, head, (*rows, last)),)

    def plot(self, ax: Place | None = None, style: Style | None = None) -> Figure:
        """One matplotlib figure of the three, against the step.

        ``ax`` is a figure or a subfigure to draw on, ``style`` what ``matplotlib.style.use`` takes.
        """
        from qlazy.training.features.figures import features_figure

        scores, trained = self.after.mean(2), self.trained.mean(1)
        named = (self.measure, self.model)
        return features_figure(self.steps, scores, trained, self.barriers, self.collapsed, *named, ax, style)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write ``features.npz`` into a folder."""
        save_arrays(
            Path(folder_of("folder", folder), FILE), {n: getattr(self, n) for n in _ARRAYS}, self._settings
        )

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Features:
        """What :meth:`save` wrote. Raises ValueError naming a damaged file."""
        path = Path(folder_of("folder", folder), FILE)
        arrays, settings = load_arrays(path)
        with read_as(path, "has no features of a model"):
            require_arrays(arrays, _SHAPES)
            contents: Mapping[str, Any] = {**settings, **arrays}
            return cls(**contents)

    def __str__(self) -> str:
        return " ".join(self.sentences())

    def __repr__(self) -> str:
        return f"Features({self.model}, a={self.alpha:g}: {self.decision})"

    def _repr_html_(self) -> str:
        said = "".join(f"<p>{html.escape(line)}</p>" for line in (str(self), self.caption))
        return said + "".join(table.html() for table in self.tables())

    @property
    def _settings(self) -> dict[str, Any]:
        names = ("model", "alpha", "classes", "own_splits", "margin", "child_steps", "batch_size")
        return {name: getattr(self, name) for name in names}

    def _claim(self) -> str:
        first, last = (_score(self.after[i].mean(), self.classes) for i in (0, -1))
        facts = (
            f"kernel regression with the kernel at the end of training has {self._article} {self.measure} of {last}, "
            f"with that at the start {first}"
        )
        gain, half = self.gain
        if not math.isfinite(half):
            return f"{facts[0].upper()}{facts[1:]}: one seed, which allows no interval and no claim."
        shown = (
            f"a gain of {_points(gain)} (95 % interval ±{_points(min(half, 1.0) if self.classes else half)})"
        )
        claim = {
            "features learnt": f"{self.model} learnt features",
            "no gain": f"What {self.model} learnt does not help its kernel to predict",
            "undecided": f"Whether {self.model} learnt features is undecided",
        }[self.decision]
        return f"{claim}: {facts}, {shown}."

    def _barriers(self) -> tuple[str, ...]:
        """Of the start, the most that laziness can ask; with its interval, and no claim of what one seed has."""
        here = self.barriers[0]
        if not np.isfinite(here).all():
            return ("Two children of the initial weights, on batches in other orders, ran away: no barrier.",)
        half = (
            student_reach(len(here)) * here.std(ddof=1) / math.sqrt(len(here)) if len(here) > 1 else math.nan
        )
        what = "error" if self.classes else "share of unexplained variance"
        interval = f" (95 % interval ±{_points(half)})" if math.isfinite(half) else ""
        return (
            f"Between two children of the initial weights, on batches in other orders, the {what} rises by "
            f"{_points(float(here.mean()))}{interval} above the line between its ends.",
        )

    def _collapse(self) -> tuple[str, ...]:
        first, last = (row[np.isfinite(row)] for row in (self.collapsed[0], self.collapsed[-1]))
        if not len(first) or not len(last):
            return ()
        return (
            f"The alignment of the kernel with the function learnt is {last.mean():.2f} at the end, "
            f"{first.mean():.2f} at the start.",
        )

    def _difference(self, scores: Floats, others: Floats) -> tuple[float, float]:
        differences = scores - others
        if self.classes:
            return float(differences.mean()), half_interval(differences, shared=not self.own_splits)
        means = differences.mean(1)
        if len(means) < 2:
            return float(means.mean()), math.nan
        return float(means.mean()), student_reach(len(means)) * float(means.std(ddof=1)) / math.sqrt(
            len(means)
        )


_ARRAYS = ("steps", "after", "trained", "barriers", "collapsed")


def _mean(values: Floats) -> str:
    known = values[np.isfinite(values)]
    if not len(known):
        return "-"
    return f"{known.mean():.3f}" + (f" ±{known.std(ddof=1):.3f}" if len(known) > 1 else "")


def _score(value: float, classes: bool) -> str:
    return f"{100 * value:.3g} %" if classes else f"{value:.3g}"


def _points(value: float) -> str:
    return f"{100 * value:.1f} points"

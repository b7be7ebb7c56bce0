"""A circuit beside models without quantum parts, as a value: who does as well, by intervals, in words, as a figure."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np
from numpy.typing import NDArray

from qlazy.base.errors import folder_of, require
from qlazy.base.over_seeds import Interval, half_interval
from qlazy.base.storage import load_arrays, read_as, require_arrays, save_arrays
from qlazy.base.tables import Table

if TYPE_CHECKING:
    from qlazy.drawing.style import Figure, Place, Style

FILE = "surrogates.npz"
TWIN, FOURIER, FIDELITY = "unentangled twin", "Fourier model", "fidelity kernel"

Decision = Literal["classical", "not classical", "undecided"]
Standing = Literal["better", "as well", "worse", "undecided"]

CONTINUOUS = 1e6
"""Real errors are told in this unit, in which one answer more or less, which intervals of shares allow for, is none."""


@final
@dataclass(frozen=True)
class Rival:
    """A model of the panel: what was tuned, of how many candidates, how many numbers were fitted, how long it took.

    ``seconds`` are those of all seeds, tuning among them. Of a model that is trained ``parameters`` are those that its
    outputs depend on, ``loss_left`` is the share of the training loss that is left, over seeds, and ``diverged``
    counts runs that stopped early, whose outputs at the start stand in.
    """

    name: str
    candidates: int
    chosen: str
    parameters: int
    seconds: float
    diverged: int = 0
    loss_left: float | None = None


@final
@dataclass(frozen=True, eq=False, repr=False)
class Surrogates:
    """A trained model, the first of ``rivals``, beside r - 1 others, over s seeds on m test samples.

    ``answers`` (r, s, m) are what each test sample counts: 1 where its class is right and 0 where not, or, for real
    targets, 1 less the squared error as a share of the variance. ``classes`` names the classes, if there are any;
    ``own_splits`` says whether each seed has a split of its own, and ``margin`` by how much a model may be behind and
    still do as well. ``left_out`` has the reason why a model is not there, ``settings`` what was asked.
    """

    rivals: tuple[Rival, ...]
    answers: NDArray[np.float64]
    classes: tuple[str, ...]
    own_splits: bool
    margin: float
    left_out: Mapping[str, str]
    settings: Mapping[str, Any]

    @property
    def model(self) -> str:
        """What the trained model is called: circuit, or model."""
        return self.rivals[0].name

    @property
    def seeds(self) -> int:
        """How many seeds there are, s."""
        return self.answers.shape[1]

    @property
    def own_twin(self) -> bool:
        """Whether the circuit without its entangling gates is the same function, as where it has none."""
        return bool(self.settings.get("own_twin")) and self.seeds > 1

    @property
    def scores(self) -> dict[str, float]:
        """Test accuracy of each model, or the share of the variance that it explains, the trained model first."""
        means = self.answers.mean((1, 2)).tolist()
        return {rival.name: mean for rival, mean in zip(self.rivals, means, strict=True)}

    @cached_property
    def differences(self) -> dict[str, Interval]:
        """Score of each of the others less that of the trained model, paired, with its 95 % interval.

        Nothing is left to chance where the twin is the same function as the circuit: it does as well.
        """
        found = {
            rival.name: self._interval(own - self.answers[0])
            for rival, own in zip(self.rivals[1:], self.answers[1:], strict=True)
        }
        return found | ({TWIN: Interval(0.0, 0.0, 0.0)} if self.own_twin else {})

    @cached_property
    def standings(self) -> dict[str, Standing]:
        """Whether each of the others is better, as well (within the margin), worse or undecided, by its interval.

        Undecided too where runs of it, or of the trained model, diverged.
        """
        fell = {rival.name for rival in self.rivals if rival.diverged}
        return {
            name: "undecided" if fell & {name, self.model} else _standing(one, self.margin)
            for name, one in self.differences.items()
        }

    @property
    def decision(self) -> Decision:
        """Classical where one of the others does as well or better, not classical where all do worse."""
        found = set(self.standings.values())
        if found & {"better", "as well"}:
            return "classical"
        return "not classical" if found == {"worse"} else "undecided"

    @property
    def matching(self) -> tuple[str, ...]:
        """The others that do as well or better, the best on average first."""
        chosen = [name for name, one in self.standings.items() if one in ("better", "as well")]
        return tuple(sorted(chosen, key=lambda name: -self.differences[name].mean))

    def sentences(self) -> tuple[str, ...]:
        """The claim first, then what it rests on; with one seed none is made."""
        said = self._described() if self.seeds < 2 else (self._claim(), *self._parts())
        return (*said, *self._notes())

    @property
    def caption(self) -> str:
        """How to read the words: what is an interval of what, the margin, and how all were tuned."""
        measure = (
            "test accuracy" if self.classes else "the share of the test targets' variance left unexplained"
        )
        over = f"{self.seeds} seeds" + (", a split each," if self.own_splits else " and the test samples")
        tuning = (
            f"Tuned over {self.settings['folds']} folds of the training samples, {self.settings['candidates']} "
            f"candidates a model. The {self.model} is trained by {self.settings['method']}, for "
            f"{self.settings['steps']} steps."
        )
        if self.seeds < 2:
            return f"Differences are in {measure}. One seed has no interval. {tuning}"
        margin = f"{100 * self.margin:.3g} points"
        bounds = ("above -", "below 0") if self.classes else ("below +", "above 0")
        return (
            f"Differences are in {measure}, with 95 % intervals over {over}. As well: the interval lies {bounds[0]}"
            f"{margin}; worse: {bounds[1]}; undecided: neither. Each interval stands alone: of many models one may "
            f"reach so far by chance. {tuning}"
        )

    def table(self) -> str:
        """A row for each model, as plain text."""
        return str(self.as_table())

    def as_table(self) -> Table:
        """What :meth:`table` prints, as a value."""
        measure = "test accuracy" if self.classes else "unexplained variance"
        head = ("", "candidates", "tuned", "parameters", measure, f"less the {self.model}'s", "", "seconds")
        return Table("", head, tuple(self._row(index) for index in range(len(self.rivals))))

    def plot(self, ax: Place | None = None, style: Style | None = None) -> Figure:
        """Scores with their 95 % intervals, a row for each model, as a matplotlib figure.

        ``ax`` are axes, a figure or a subfigure to draw on, ``style`` what ``matplotlib.style.use`` takes.
        """
        from qlazy.comparison.baselines.figures import surrogates_figure

        scores = [self._interval(own) for own in self.answers]
        names = [rival.name for rival in self.rivals]
        measure = "test accuracy" if self.classes else "share of the variance explained"
        return surrogates_figure(names, scores, [self.model, *self.standings.values()], measure, ax, style)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write one file of arrays and JSON into a folder, atomically."""
        settings = {
            "rivals": [asdict(rival) for rival in self.rivals], "classes": list(self.classes),
            "own_splits": self.own_splits, "margin": self.margin, "left_out": dict(self.left_out),
            "settings": dict(self.settings),
        }  # fmt: skip
        save_arrays(Path(folder_of("folder", folder), FILE), {"answers": self.answers}, settings)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Surrogates:
        """What :meth:`save` wrote. Raises ValueError naming a damaged file."""
        path = Path(folder_of("folder", folder), FILE)
        arrays, found = load_arrays(path)
        contents: dict[str, Any] = {**found, **arrays}
        with read_as(path, "is not a panel of surrogates"):
            require_arrays(arrays, {"answers": "r s m"})
            rivals = tuple(Rival(**rival) for rival in contents.pop("rivals"))
            require(len(rivals) == len(arrays["answers"]), "rivals", "be as many as answers", len(rivals))
            return cls(rivals, classes=tuple(contents.pop("classes")), **contents)

    def __str__(self) -> str:
        return " ".join(self.sentences())

    def __repr__(self) -> str:
        return (
            f"Surrogates({self.decision}: {len(self.rivals) - 1} beside the {self.model}, {self.seeds} seeds)"
        )

    def _repr_html_(self) -> str:
        lines = (*self.sentences(), self.caption)
        return "".join(f"<p>{html.escape(line)}</p>" for line in lines) + self.as_table().html()

    def _interval(self, values: NDArray[np.float64]) -> Interval:
        """Of a mean over seeds and samples (s, m)."""
        unit = 1.0 if self.classes else CONTINUOUS
        mean, half = float(values.mean()), half_interval(unit * values, shared=not self.own_splits) / unit
        low, high = mean - half, mean + half
        return Interval(mean, *(np.clip((low, high), -1, 1).tolist() if self.classes else (low, high)))

    def _row(self, index: int) -> tuple[str, ...]:
        rival, score = self.rivals[index], self.scores[self.rivals[index].name]
        shown = f"{score:.3f}" if self.classes else f"{1 - score:.3f}"
        difference, standing = "", ""
        if index:
            difference, standing = self._difference(rival.name), self.standings[rival.name]
        return (
            rival.name, str(rival.candidates), rival.chosen, str(rival.parameters), shown, difference,
            standing if self.seeds > 1 else "", f"{rival.seconds:.1f}",
        )  # fmt: skip

    def _difference(self, name: str) -> str:
        """In what the table shows: accuracy, or unexplained variance, which is the less the better."""
        mean, low, high = self.differences[name]
        if not self.classes:
            mean, low, high = -mean, -high, -low
        interval = "" if self.seeds < 2 else f" [{low:+.3f}, {high:+.3f}]"
        return f"{mean:+.3f}{interval}"

    def _claim(self) -> str:
        how = f"trained by {self.settings['method']}"
        own, decision = f"the {self.model} with {self._shown(self.scores[self.model])} ({how})", self.decision
        if self.rivals[0].diverged:
            return f"Runs of the {self.model} diverged: nothing can be said of it at this rate."
        if decision == "classical":
            first, *rest = self.matching
            if not rest:
                return _sentence(
                    f"{called(first)} {does(first)} as well as {own}, or better: {self._figures(first)}"
                )
            names = _listed([called(name) for name in (first, *rest)])
            return _sentence(
                f"{names} do as well as {own}, or better; best on average {self._against(first)}"
            )
        nearest = self._against(max(self.differences, key=lambda name: self.differences[name].mean))
        if decision == "not classical":
            return _sentence(f"{own} beats every other model tried; nearest comes {nearest}")
        return f"Whether any other model does as well as {own} is left undecided; nearest comes {nearest}."

    def _parts(self) -> tuple[str, ...]:
        """Of the twin and of the Fourier model, each a claim of its own."""
        claims = {
            TWIN: {
                "better": "Without entangling gates it does better",
                "as well": "Without entangling gates it does as well",
                "worse": "Without entangling gates it does worse",
                "undecided": "Whether entangling gates help it is left undecided",
            },
            FOURIER: {
                "better": "On the frequencies of its encoding ridge regression does better",
                "as well": "On the frequencies of its encoding ridge regression does as well",
                "worse": "On the frequencies of its encoding ridge regression does worse",
                "undecided": "Whether ridge regression on the frequencies of its encoding does as well is undecided",
            },
        }
        own = ("No gate of it makes entanglement that its outputs see: it is its own unentangled twin.",)
        said = [name for name in claims if name in self.standings and not (name == TWIN and self.own_twin)]
        return (own if self.own_twin else ()) + tuple(
            f"{claims[name][self.standings[name]]}: {self._against(name)}." for name in said
        )

    def _described(self) -> tuple[str, ...]:
        shown = ", ".join(f"{name} {self._shown(score)}" for name, score in self.scores.items())
        return (f"One seed, which allows no interval and no claim: {shown}.",)

    def _notes(self) -> tuple[str, ...]:
        """What is left of the training loss, what diverged, and what is left out."""
        notes = []
        if self.rivals[0].loss_left is not None:
            notes.append(
                f"{100 * self.rivals[0].loss_left:.3g} % of the {self.model}'s training loss is left."
            )
        notes += [
            f"{rival.diverged} of {self.seeds} runs of the {rival.name} diverged, and count as at their start."
            for rival in self.rivals
            if rival.diverged
        ]
        reasons: dict[str, list[str]] = {}
        for name, reason in self.left_out.items():
            reasons.setdefault(reason, []).append(name)
        return (*notes, *(f"Left out: {_listed(names)} ({reason})." for reason, names in reasons.items()))

    def _against(self, name: str) -> str:
        return f"{called(name)} with {self._figures(name)}"

    def _figures(self, name: str) -> str:
        """A score, and its difference to that of the trained model: in points of accuracy, or as the table has it."""
        if not self.classes:
            return f"{self._shown(self.scores[name])}, {self._difference(name)}"
        mean, low, high = (100 * end for end in self.differences[name])
        return f"{self._shown(self.scores[name])}, {mean:+.1f} points [{low:+.1f}, {high:+.1f}]"

    def _shown(self, score: float) -> str:
        return f"{100 * score:.1f} %" if self.classes else f"{1 - score:.3f} of the variance unexplained"


def called(name: str) -> str:
    """A model's name in a sentence."""
    return name if name.endswith(("regression", "vectors")) else f"the {name}"


def does(name: str) -> str:
    """The verb that goes with a model's name."""
    return "do" if name.endswith("vectors") else "does"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _standing(interval: Interval, margin: float) -> Standing:
    if interval.low > 0:
        return "better"
    if interval.low > -margin:
        return "as well"
    return "worse" if interval.high < 0 else "undecided"


def _listed(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last

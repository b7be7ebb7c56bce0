"""The verdicts of a comparison: what was measured over its seeds, model by model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import final, overload

import numpy as np

from qlazy.base.errors import positive_of
from qlazy.base.over_seeds import Interval, geometric_interval
from qlazy.base.tables import escaped, printable
from qlazy.comparison.run import Run
from qlazy.comparison.runs import UNREAD, Runs
from qlazy.comparison.verdict.accuracies import accuracies_of
from qlazy.comparison.verdict.decisions import METRICS, SMALL
from qlazy.comparison.verdict.numbers import percent
from qlazy.comparison.verdict.sentences import LazyVerdict
from qlazy.models.unread import unread_text

_KERNEL = (
    "The kernel's change is not that of the table, which is of the whole kernel at the last step: here it is the "
    "largest of training, of the kernel centred over samples or along what is left to learn."
)
"""Why a verdict and a table give two numbers of one name."""


@final
@dataclass(frozen=True)
class Verdicts(Sequence[LazyVerdict]):
    """A verdict on each model of a comparison, in its order; printed, or shown in a notebook, a paragraph each."""

    of_models: tuple[LazyVerdict, ...]
    ordinary: str = ""  # what training at a = 1 is, where that was among the scales
    unread: tuple[str, ...] = ()
    """A sentence for each model that does not read all columns of its inputs, which."""

    def __len__(self) -> int:
        return len(self.of_models)

    @overload
    def __getitem__(self, index: int) -> LazyVerdict: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[LazyVerdict, ...]: ...
    def __getitem__(self, index: int | slice) -> LazyVerdict | tuple[LazyVerdict, ...]:
        return self.of_models[index]

    def sentences(self) -> tuple[str, ...]:
        """All sentences, model after model, and what the models do not read."""
        return (*(sentence for verdict in self.of_models for sentence in verdict.sentences()), *self.unread)

    @property
    def caption(self) -> str:
        """How to read them: what lazy, not lazy and undecided mean, and how much stands behind an interval."""
        one = self.of_models[0]
        beside = f" {self.ordinary}" if self.ordinary else ""
        if one.seeds < 2:
            return f"One seed has no interval. {_KERNEL}{beside}"
        pool = " Errors of splits of one pool describe that pool." if one.own_splits else ""
        return (
            f"Lazy: the 95 % interval over {one.seeds} seeds of a change lies at {percent(one.small)} or below; not "
            f"lazy: above; undecided: it holds {percent(one.small)}, or there is none. Changes are geometric "
            f"means. {_KERNEL}{pool}{beside}"
        )

    def __str__(self) -> str:
        return printable("\n".join((*map(str, self.of_models), *self.unread)))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        lines = (*map(str, self.of_models), *self.unread, self.caption)
        return "".join(f"<p>{escaped(line)}</p>" for line in lines)


def verdicts(comparison: Runs, small: float = SMALL) -> Verdicts:
    """What a comparison says of each of its models; a change of at most ``small`` is lazy."""
    small = positive_of("small", small)
    found = tuple(_verdict(comparison, model, small) for model in comparison.models)
    return Verdicts(found, _ordinary(comparison), unread_sentences(comparison.settings.get(UNREAD, {})))


def unread_sentences(unread: Mapping[str, str]) -> tuple[str, ...]:
    """What is said of models that leave columns of their inputs unread, given which by their names."""
    said = (unread_text(name, which) for name, which in unread.items())
    return tuple(f"{text[0].upper()}{text[1:]}." for text in said)


def _ordinary(comparison: Runs) -> str:
    """What a = 1 is: ordinary training, unless a common unit was asked for, and but for centred outputs."""
    settings = comparison.settings
    if 1.0 not in comparison.alphas or settings.get("normalized"):
        return ""
    start = ", of outputs less those at the start" if settings.get("centered", True) else ""
    return f"a = 1 is ordinary training{start}."


def _verdict(comparison: Runs, model: str, small: float) -> LazyVerdict:
    first = comparison.select(model, comparison.alphas[0])
    finished = [run for run in first if not run.diverged]
    own_splits = comparison.settings.get("splits") == "a seed"
    linear = tuple(
        any(run.linear_diverged for run in comparison.select(model, alpha) if not run.diverged)
        for alpha in comparison.alphas
    )
    intervals = {name: _intervals(comparison, model, of) for name, of in METRICS.items()}
    measured = {
        name: found
        for name, found in intervals.items()
        if not all(math.isnan(one.mean) for one in found) or (name == "outputs" and any(linear))
    }
    with_accuracies = "test accuracy" in comparison.results and finished
    return LazyVerdict(
        model,
        comparison.alphas,
        measured,
        loss_left=_mean(finished, lambda run: run.loss_left),
        seeds=len(first),
        test_gap=_mean(finished, lambda run: run.test_output_gap),
        regression_gap=_mean(finished, lambda run: run.test_regression_gap),
        accuracies=accuracies_of(finished, own_splits) if with_accuracies else None,
        test_samples=len(first[0].test_targets),
        own_splits=own_splits,
        linear_diverged=linear,
        rates=_rates(finished),
        loss=first[0].trace.loss,
        stopped=len(first) - len(finished),
        short=_short(finished, comparison.settings.get("until_loss")),
        small=small,
    )


def _mean(runs: Sequence[Run], of: Callable[[Run], float]) -> float:
    """The geometric mean over seeds."""
    return geometric_interval(np.array([of(run) for run in runs])).mean


def _rates(runs: Sequence[Run]) -> tuple[float, float] | None:
    """The learning rate and the critical one of the run that exceeds it most; None where none does."""
    found = [(run.trace.learning_rate, run.critical_rate) for run in runs if run.exceeds_critical_rate]
    known = [(rate, critical) for rate, critical in found if rate is not None]
    return max(known, key=lambda pair: pair[0] / pair[1], default=None)


def _short(runs: Sequence[Run], until_loss: float | None) -> int:
    return 0 if until_loss is None else sum(run.loss_left > until_loss for run in runs)


def _intervals(comparison: Runs, model: str, of: Callable[[Run], float]) -> tuple[Interval, ...]:
    """Over seeds at each scale, infinite where a run diverged: that is not lazy."""
    return tuple(
        geometric_interval(
            np.array([math.inf if run.diverged else of(run) for run in comparison.select(model, alpha)])
        )
        for alpha in comparison.alphas
    )

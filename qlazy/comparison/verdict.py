"""What a comparison says in words: which models are lazy, from which scale, by which of the three metrics.

Each metric has a geometric mean over the seeds and a 95 % interval, Student's of the logarithms. It is lazy at a
scale where the whole interval is at most :data:`SMALL`, not lazy where all of it is above, and undecided where the
interval holds the threshold, or where there is one seed. Lazy from a scale means lazy there and at every larger
scale that was tried: the three metrics are told apart, because each can be small without the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, final, overload

import numpy as np
from numpy.typing import NDArray

from qlazy.base.errors import require
from qlazy.base.over_seeds import Interval, geometric_interval, half_interval
from qlazy.base.tables import escaped, printable
from qlazy.comparison.run import Run
from qlazy.comparison.runs import Runs
from qlazy.training.losses import SquaredError

SMALL = 0.1
Decision = Literal["lazy", "not lazy", "undecided"]

METRICS: Mapping[str, Callable[[Run], float]] = {
    "Jacobian": lambda run: run.largest_jacobian_change,
    "kernel": lambda run: max(run.largest_centered_kernel_change, run.largest_residual_kernel_change),
    "outputs": lambda run: run.output_gap,
}
"""Suprema over training: the Jacobian's relative change; the kernel's, centred over the samples or along what is
left to learn, whichever is larger; and the output gap to the linearised model on the training samples. None depends
on the unit of outputs, labels or parameters, on an output bias (but for the rate, which follows the largest
eigenvalue), on the order of samples, or on where an angle is drawn."""


@final
@dataclass(frozen=True)
class Accuracies:
    """Of the trained model and of what it is compared with, and half the 95% interval of their paired difference."""

    trained: float
    other: float
    half: float  # NaN for one seed

    @property
    def gain(self) -> float:
        """What training buys against the other, as a share."""
        return self.trained - self.other

    @property
    def differs(self) -> bool:
        """Whether seeds and test samples do not explain the difference."""
        return abs(self.gain) > self.half


@final
@dataclass(frozen=True)
class LazyVerdict:
    """One model: the interval of each metric at every scale, and what it reached at the least scale."""

    model: str
    scales: tuple[float, ...]
    intervals: Mapping[str, tuple[Interval, ...]]
    loss_left: (
        float  # at the least scale, the training loss at the last step as a share of that at initialisation
    )
    seeds: int
    test_gap: float = math.nan  # at the least scale, the output gap on the test samples
    regression_gap: float = math.nan  # there, from kernel regression, on the test samples
    accuracies: Mapping[str, Accuracies] | None = (
        None  # there, against "linearised model" and "kernel regression"
    )
    test_samples: int = 0
    own_splits: bool = False
    linear_diverged: tuple[bool, ...] = ()  # scale by scale, whether a linearised path diverged
    rates: tuple[float, float] | None = (
        None  # a rate above the critical one, and that: of the run that exceeds it most
    )
    loss: str = SquaredError.convention
    stopped: int = 0  # how many runs at the least scale diverged
    short: int = 0  # how many runs did not reach the loss at which they were to be compared
    small: float = SMALL

    def decisions(self, metric: str) -> tuple[Decision, ...]:
        """Lazy, not lazy or undecided by a metric, scale by scale."""
        return tuple(_decided(interval, self.small) for interval in self.intervals[metric])

    @property
    def least(self) -> dict[str, float]:
        """The geometric mean of each metric at the least scale."""
        return {name: found[0].mean for name, found in self.intervals.items()}

    @property
    def lazy_from(self) -> dict[str, float | None]:
        """The scale from which on each metric is lazy, or None."""
        return {name: _from(self.scales, self.decisions(name), "lazy") for name in self.intervals}

    @property
    def decision(self) -> Decision:
        """Of the least scale: lazy if kernel and outputs are from there on, not lazy if either is not there.

        Undecided where training diverged there: such a run says something of the learning rate alone.
        """
        if not self._measured or self._diverged[0]:
            return "undecided"
        if all(self.lazy_from[name] == self.scales[0] for name in ("kernel", "outputs")):
            return "lazy"
        here = {self.decisions(name)[0] for name in ("kernel", "outputs")}
        return "not lazy" if "not lazy" in here else "undecided"

    @property
    def is_lazy(self) -> bool:
        """Whether kernel and outputs are lazy at the least scale already: a kernel method in disguise."""
        return self.decision == "lazy"

    def sentences(self) -> tuple[str, ...]:
        """The verdict, what it rests on, and what follows."""
        if not self._measured:
            return (
                f"{self.model} has nothing to learn: at the start its outputs are the targets, and changes relative to "
                "what is left have no value.",
            )
        return (
            f"{self.model} {self._regimes()}.",
            *self._rate(),
            self._at_least_scale(),
            *(() if self._diverged[0] else self._beside()),
        )

    def __str__(self) -> str:
        return " ".join(self.sentences())

    @property
    def _measured(self) -> bool:
        """Whether kernel and outputs have figures, which are relative to what was left to learn at the start."""
        return {"kernel", "outputs"} <= set(self.intervals)

    @property
    def _diverged(self) -> tuple[bool, ...]:
        """Scale by scale, whether a run of the model diverged: such a scale says something of the rate alone."""
        return tuple(math.isinf(found.mean) for found in self.intervals["kernel"])

    @property
    def _without_linear(self) -> tuple[bool, ...]:
        """Scale by scale, whether the linearised path diverged though training did not."""
        linear = self.linear_diverged or (False,) * len(self.scales)
        return tuple(one and not other for one, other in zip(linear, self._diverged, strict=True))

    def _rate(self) -> tuple[str, ...]:
        """What the learning rate does to the linearised model, where it is above the critical one."""
        if self.rates is None:
            return ()
        rate, critical = self.rates
        said = f"The learning rate, {rate:.3g}, is above the critical rate of its linearised model, {critical:.3g}"
        if self.loss == SquaredError.convention:
            return (f"{said}, along whose leading eigenvector the linearised path diverges.",)
        return (f"{said}, up to which the linearised path is sure to fall: it may swing and not settle.",)

    def _beside(self) -> tuple[str, ...]:
        return (*self._training(), *self._regression(), *self._accuracies(), *self._threshold())

    def _regimes(self) -> str:
        if all(self._diverged):
            whose = "" if self.seeds < 2 else ", from one seed or more"
            return f"diverged at every scale tried{whose}: whether it is lazy cannot be said at this learning rate"
        if self.seeds < 2:
            return f"was trained from one seed, which allows no claim. There is {self._small_from()}"
        if all(scale == self.scales[0] for scale in self.lazy_from.values()):
            whole = "all three metrics" if len(self.intervals) == len(METRICS) else _listed(self.intervals)
            return f"is lazy by {whole} at every scale tried, from a = {self.scales[0]:g}"
        told: dict[str, list[str]] = {}  # what is so of several metrics is said once
        for name, scale in self.lazy_from.items():
            told.setdefault(self._regime(name, scale), []).append(name)
        return "is lazy " + ", ".join(f"by its {_joined(names)} {where}" for where, names in told.items())

    def _regime(self, name: str, scale: float | None) -> str:
        if scale == self.scales[0]:
            return "at every scale"
        found = self.decisions(name)
        lacks = self._without_linear if name == "outputs" else (False,) * len(self.scales)
        void = [one or other for one, other in zip(self._diverged, lacks, strict=True)]
        undecided = [one == "undecided" and not no for one, no in zip(found, void, strict=True)]
        lazy = [one == "lazy" for one in found]
        notes = (
            ("undecided", undecided),
            ("diverged", self._diverged),
            ("its linearised model diverged", lacks),
        )
        said = "; ".join(f"{word} {self._at(where)}" for word, where in notes if any(where))
        beside = f" ({said})" if said else ""
        if scale is not None:
            return f"from a = {scale:g}{beside}"
        if any(lazy):
            return f"{self._at(lazy)} but not at every larger scale{beside}"
        certain = " for certain" if any(undecided) or any(void) else ""
        return f"at no scale up to a = {self.scales[-1]:g}{certain}{beside}"

    def _at(self, where: Sequence[bool]) -> str:
        return "at a = " + ", ".join(f"{a:g}" for a, here in zip(self.scales, where, strict=True) if here)

    def _small_from(self) -> str:
        """Where the figures of a single seed are small, which is a description and no claim."""
        parts = []
        for name, found in self.intervals.items():
            scale = _from(self.scales, [one.mean <= self.small for one in found], True)
            where = f"up to a = {self.scales[-1]:g} nowhere" if scale is None else f"from a = {scale:g}"
            lacks = self._without_linear if name == "outputs" else ()
            beside = f" (its linearised model diverged {self._at(lacks)})" if any(lacks) else ""
            parts.append(f"{name} {where}{beside}")
        return f"a change of at most {_percent(self.small)} by " + ", ".join(parts)

    def _at_least_scale(self) -> str:
        here = f"At a = {self.scales[0]:g}"
        if self._diverged[0]:
            runs = f" from {self.stopped} of {self.seeds} seeds" if self.stopped and self.seeds > 1 else ""
            return f"{here} training diverged{runs}: nothing can be said of that scale."
        kernel, outputs = (_percents(self.intervals[name][0]) for name in ("kernel", "outputs"))
        kernel = f"{here} its kernel, centred or along the residual, changes by {kernel}"
        if self._without_linear[0]:
            moved = ", so that its features move in training" if self.decision == "not lazy" else ""
            return f"{kernel}{moved}; its linearised model diverged at this rate, and is no comparison."
        tests = f" ({_percent(self.test_gap)} on test samples)" if math.isfinite(self.test_gap) else ""
        facts = f"{kernel}, its outputs leave the linearised ones by {outputs}{tests}"
        return f"{facts}{self._follows()}"

    def _follows(self) -> str:
        if self.seeds < 2:
            return "."
        if self.is_lazy and self.loss_left > 1 - SMALL:
            return "; but what hardly trains can hardly move."
        kernel, outputs = (self.decisions(name)[0] for name in ("kernel", "outputs"))
        if kernel == outputs == "lazy" and not self.is_lazy:
            return (
                ": both are small there, but not at every larger scale, where they should be smaller still, so it "
                "is not called lazy."
            )
        return {
            "lazy": (
                ": a kernel method in disguise, whose training is that of its linearised model stopped at the "
                "same step."
            ),
            "undecided": f": whether it is lazy these {self.seeds} seeds leave undecided.",
            "not lazy": _moved(kernel, outputs),
        }[self.decision]

    def _training(self) -> tuple[str, ...]:
        """How far training came, always: what hardly trained could hardly move, and a stopped path is no regression."""
        if not math.isfinite(self.loss_left):
            return ()
        left = f"{_percent(self.loss_left)} of the training loss is left there"
        if self.loss_left > 1:
            said = f"Its training loss grew: it ends at {_percent(self.loss_left)} of its start there."
        else:
            said = f"It hardly trained: {left}." if self.loss_left > 1 - SMALL else f"{left}."
        if not self.short:
            return (said,)
        runs = "run" if self.short == 1 else "runs"
        return (said, f"{self.short} {runs} of {self.seeds} did not come down to the loss asked for.")

    def _regression(self) -> tuple[str, ...]:
        if not math.isfinite(self.regression_gap):
            return ()
        return (
            "Kernel regression to the end, with its initial kernel and the ridge that leaving one out chooses, is "
            f"{_percent(self.regression_gap)} away on test samples.",
        )

    def _accuracies(self) -> tuple[str, ...]:
        if not self.accuracies:
            return ()
        trained = next(iter(self.accuracies.values())).trained  # there is one at the least, or no accuracies
        splits = " of a split a seed" if self.own_splits else ""
        first = f"Its accuracy on {self.test_samples} test samples{splits} there is {_percent(trained)}."
        if self.seeds < 2:
            others = " and ".join(
                f"that of {_the(name)} {_percent(a.other)}" for name, a in self.accuracies.items()
            )
            return (f"{first[:-1]}, {others}: one seed, which allows no interval and no claim.",)
        alike = {name: one for name, one in self.accuracies.items() if not one.differs}
        apart = (_against(name, one) for name, one in self.accuracies.items() if one.differs)
        return (first, *apart, *((_alike(alike),) if alike else ()))

    def _threshold(self) -> tuple[str, ...]:
        """Where another threshold would have said something else of the least scale."""
        others = {factor: replace(self, small=factor * self.small) for factor in (0.5, 2.0)}
        changed = [
            f"at {_percent(other.small)} {other.decision}"
            for other in others.values()
            if other.decision != self.decision
        ]
        if self.seeds < 2 or not changed:
            return ()
        word = f"With the threshold not at {_percent(self.small)} but {' and '.join(changed)}"
        return (f"{word} would be the word on a = {self.scales[0]:g}.",)


@final
@dataclass(frozen=True)
class Verdicts(Sequence[LazyVerdict]):
    """A verdict on each model of a comparison, in its order; printed, or shown in a notebook, a paragraph each."""

    of_models: tuple[LazyVerdict, ...]
    ordinary: str = ""  # what training at a = 1 is, where that was among the scales

    def __len__(self) -> int:
        return len(self.of_models)

    @overload
    def __getitem__(self, index: int) -> LazyVerdict: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[LazyVerdict, ...]: ...
    def __getitem__(self, index: int | slice) -> LazyVerdict | tuple[LazyVerdict, ...]:
        return self.of_models[index]

    def sentences(self) -> tuple[str, ...]:
        """All sentences, model after model."""
        return tuple(sentence for verdict in self.of_models for sentence in verdict.sentences())

    @property
    def caption(self) -> str:
        """How to read them: what lazy, not lazy and undecided mean, and how much stands behind an interval."""
        one = self.of_models[0]
        beside = f" {self.ordinary}" if self.ordinary else ""
        if one.seeds < 2:
            return f"One seed has no interval.{beside}"
        pool = " Errors of splits of one pool describe that pool." if one.own_splits else ""
        return (
            f"Lazy: the 95 % interval over {one.seeds} seeds of a change lies at {_percent(one.small)} or below; not "
            f"lazy: above; undecided: it holds {_percent(one.small)}, or there is none. Changes are geometric "
            f"means.{pool}{beside}"
        )

    def __str__(self) -> str:
        return printable("\n".join(map(str, self.of_models)))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        lines = (*map(str, self.of_models), self.caption)
        return "".join(f"<p>{escaped(line)}</p>" for line in lines)


def verdicts(comparison: Runs, small: float = SMALL) -> Verdicts:
    """What a comparison says of each of its models; a change of at most ``small`` is lazy."""
    require(0 < small < math.inf, "small", "be positive", small)
    found = tuple(_verdict(comparison, model, small) for model in comparison.models)
    return Verdicts(found, _ordinary(comparison))


def _ordinary(comparison: Runs) -> str:
    """What a = 1 is: ordinary training, unless a common unit was asked for, and but for centred outputs."""
    settings = comparison.settings
    if 1.0 not in comparison.alphas or settings.get("normalized"):
        return ""
    start = ", of outputs less those at the start" if settings.get("centered", True) else ""
    return f"a = 1 is ordinary training{start}."


def _verdict(comparison: Runs, model: str, small: float) -> LazyVerdict:
    first = comparison.select(model, comparison.alphas[0])
    intervals = {name: _intervals(comparison, model, of) for name, of in METRICS.items()}
    finished = [run for run in first if not run.diverged]
    means = (
        geometric_interval(np.array([of(run) for run in finished])).mean
        for of in (
            lambda run: run.loss_left,
            lambda run: run.test_output_gap,
            lambda run: run.test_regression_gap,
        )
    )
    loss_left, test_gap, regression_gap = means
    own_splits = comparison.settings.get("splits") == "a seed"
    linear = tuple(
        any(run.linear_diverged for run in comparison.select(model, alpha) if not run.diverged)
        for alpha in comparison.alphas
    )
    return LazyVerdict(
        model,
        comparison.alphas,
        {
            name: found
            for name, found in intervals.items()
            if not all(math.isnan(one.mean) for one in found) or (name == "outputs" and any(linear))
        },
        loss_left,
        len(first),
        test_gap,
        regression_gap,
        _accuracies(finished, own_splits) if "test accuracy" in comparison.results and finished else None,
        len(first[0].test_targets),
        own_splits,
        linear,
        _rates(finished),
        first[0].trace.loss,
        len(first) - len(finished),
        _short(finished, comparison.settings.get("until_loss")),
        small,
    )


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


def _decided(interval: Interval, small: float) -> Decision:
    """Undecided too where a run diverged, of which nothing can be said, and where there is no figure."""
    if math.isinf(interval.mean):
        return "undecided"
    if interval.high <= small:
        return "lazy"
    return "not lazy" if interval.low > small else "undecided"


def _from(scales: Sequence[float], found: Sequence[object], wanted: object) -> float | None:
    """The least scale from which on all that was found is what was wanted."""
    least = None
    for scale, one in zip(reversed(scales), reversed(found), strict=True):
        if one != wanted:
            return least
        least = scale
    return least


def _moved(kernel: Decision, outputs: Decision) -> str:
    """What follows where kernel or outputs are not lazy."""
    if kernel != "not lazy":
        beside = " though its features hardly move" if kernel == "lazy" else ""
        return f": its linearised model does not stand in for it{beside}."
    return {
        "not lazy": ": its features move in training, and its linearised model does not stand in for it.",
        "lazy": ": its features move in training, though its linearised model stands in for its outputs.",
        "undecided": ": its features move in training; whether its linearised model stands in for it is undecided.",
    }[outputs]


def _accuracies(runs: Sequence[Run], own_splits: bool) -> dict[str, Accuracies]:
    """Against each of the two that has answers from every seed."""
    trained = np.stack([run.test_answers for run in runs])
    others = {
        "linearised model": [run.linear_answers for run in runs],
        "kernel regression": [run.regression_answers for run in runs],
    }
    known = {name: [a for a in answers if a is not None] for name, answers in others.items()}
    return {
        name: _paired(trained, np.stack(answers), own_splits)
        for name, answers in known.items()
        if len(answers) == len(runs)
    }


def _paired(trained: NDArray[np.floating], other: NDArray[np.floating], own_splits: bool) -> Accuracies:
    half = half_interval(trained - other, shared=not own_splits)
    return Accuracies(float(trained.mean()), float(other.mean()), half)


def _against(name: str, one: Accuracies) -> str:
    better = "Training buys" if one.gain > 0 else "Training costs"
    points = f"{100 * abs(one.gain):.1f} points (95 % interval ±{_half(one)})"
    return f"{better} {points} against {_the(name)}, {_percent(one.other)}."


def _alike(found: Mapping[str, Accuracies]) -> str:
    """What seeds and test samples can explain, in one sentence."""
    whose = "That" if len(found) == 1 else "Those"
    names = " and ".join(f"of {_the(name)}, {_percent(one.other)}," for name, one in found.items())
    apart = " and ".join(f"{100 * abs(one.gain):.1f} ±{_half(one)}" for one in found.values())
    verb, intervals = ("is", "interval") if len(found) == 1 else ("are", "intervals")
    return f"{whose} {names} {verb} {apart} points apart (95 % {intervals}), which seeds and test samples can explain."


def _half(one: Accuracies) -> str:
    return f"{min(100.0, 100 * one.half):.1f}"


def _listed(names: Mapping[str, object]) -> str:
    return " and ".join(f"its {name}" for name in names)


def _joined(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _the(name: str) -> str:
    return name if name == "kernel regression" else f"the {name}"


def _percents(interval: Interval) -> str:
    mean = _percent(interval.mean)
    if not math.isfinite(interval.low):
        return mean
    return f"{mean} [{_hundredths(interval.low)}, {_hundredths(interval.high)}]"


def _percent(value: float) -> str:
    return f"{_hundredths(value)} %"


def _hundredths(value: float) -> str:
    """In per cent to three digits, written out; what an interval of two seeds can reach is cut short."""
    hundredths = float(f"{100 * value:.3g}")
    if hundredths < 1000:
        return f"{hundredths:.3g}"
    return f"{hundredths:,.0f}" if hundredths < 1e6 else "over 1,000,000"

"""What the figures of a model say in sentences: which metrics are lazy from which scale, and what that rests on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

from qlazy.comparison.verdict.accuracies import sentences_on
from qlazy.comparison.verdict.decisions import METRICS, SMALL, Decision, Laziness, least_from
from qlazy.comparison.verdict.numbers import percent, percents
from qlazy.training.losses import SquaredError

_IS, _IS_NOT, _IS_NOT_SHOWN = _VERBS = ("is lazy", "is not lazy", "is not shown to be lazy")
WIDE = 100
"""Many times its mean at which an interval that holds the threshold ends: from there on it tells nothing."""


@final
@dataclass(frozen=True)
class LazyVerdict(Laziness):
    """One model: the interval of each metric at every scale, what it reached at the least scale, and what they say."""

    def sentences(self) -> tuple[str, ...]:
        """The verdict, what it rests on, and what follows."""
        return (*self.answer(), *(self._beside() if self._measured and not self._diverged[0] else ()))

    def answer(self) -> tuple[str, ...]:
        """The verdict, and what it rests on at the least scale."""
        if not self._measured:
            return (
                f"{self.model} has nothing to learn: at the start its outputs are the targets, and changes relative to "
                "what is left have no value.",
            )
        return (f"{self.model} {self._regimes()}.", *self._rate(), self._at_least_scale())

    def __str__(self) -> str:
        return " ".join(self.sentences())

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
        answers = sentences_on(self.accuracies or {}, self.test_samples, self.seeds, self.own_splits)
        return (*self._training(), *self._regression(), *answers, *self._threshold())

    def _regimes(self) -> str:
        if all(self._diverged):
            whose = "" if self.seeds < 2 else ", from one seed or more"
            return f"diverged at every scale tried{whose}: whether it is lazy cannot be said at this learning rate"
        if self.seeds < 2:
            return f"was trained from one seed, which allows no claim. {self._of_one_seed()}"
        if all(scale == self.scales[0] for scale in self.lazy_from.values()):
            whole = "all three metrics" if len(self.intervals) == len(METRICS) else _listed(self.intervals)
            return f"is lazy by {whole} at every scale tried, from a = {self.scales[0]:g}"
        told: dict[tuple[str, str], list[str]] = {}  # what is so of several metrics is said once
        for name, scale in self.lazy_from.items():
            told.setdefault(self._regime(name, scale), []).append(name)
        verbs = dict.fromkeys(sorted((verb for verb, _ in told), key=_VERBS.index))
        return "; it ".join(
            f"{verb} "
            + ", ".join(
                f"by its {_joined(names)} {where}" for (one, where), names in told.items() if one == verb
            )
            for verb in verbs
        )

    def _regime(self, name: str, scale: float | None) -> tuple[str, str]:
        """Of one metric: is lazy, is not, or is not shown to be; and where."""
        if scale == self.scales[0]:
            return _IS, "at every scale"
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
        several = len(self.scales) > 1
        said = "; ".join(f"{word} {self._at(at)}" if several else word for word, at in notes if any(at))
        beside = f" ({said})" if said else ""
        if scale is not None:
            return _IS, f"from a = {scale:g}{beside}"
        if any(lazy):
            return _IS, f"{self._at(lazy)} but not at every larger scale{beside}"
        where = f"at any scale up to a = {self.scales[-1]:g}" if several else f"at a = {self.scales[0]:g}"
        return _IS_NOT_SHOWN if any(undecided) or any(void) else _IS_NOT, f"{where}{beside}"

    def _at(self, where: Sequence[bool]) -> str:
        return "at a = " + ", ".join(f"{a:g}" for a, here in zip(self.scales, where, strict=True) if here)

    def _of_one_seed(self) -> str:
        """What the changes of a single seed were, which is a description and no claim."""
        told: dict[tuple[bool, str], list[str]] = {}
        for name in self.intervals:
            told.setdefault((name == "outputs", self._change_of_one_seed(name)), []).append(name)
        parts = []
        for (of_outputs, how), names in told.items():
            verb = "leave the linearised ones" if of_outputs else "change" if len(names) > 1 else "changes"
            parts.append(f"its {_joined(names)} {verb} {how}")
        said = "; ".join(parts)
        return f"{said[0].upper()}{said[1:]}"

    def _change_of_one_seed(self, name: str) -> str:
        """From where it was small, or that it was large at the largest scale, or that there is none."""
        last = self.scales[-1]
        lacks = self._without_linear if name == "outputs" else (False,) * len(self.scales)
        beside = f" (its linearised model diverged {self._at(lacks)})" if any(lacks) else ""
        if any(self._diverged):
            beside += f" (training diverged {self._at(self._diverged)})"
        found = [one.mean <= self.small for one in self.intervals[name]]
        scale = least_from(self.scales, found, True)
        if scale is not None:
            where = f"at a = {scale:g}" if scale == last else f"from a = {scale:g} on"
            return f"by at most {percent(self.small)} {where}{beside}"
        if math.isfinite(self.intervals[name][-1].mean):
            return f"by more than {percent(self.small)} at a = {last:g}{beside}"
        return f"by an amount that cannot be told at a = {last:g}{beside}"

    def _at_least_scale(self) -> str:
        here = f"At a = {self.scales[0]:g}"
        if self._diverged[0]:
            runs = f" from {self.stopped} of {self.seeds} seeds" if self.stopped and self.seeds > 1 else ""
            return f"{here} training diverged{runs}: nothing can be said of that scale."
        kernel, outputs = (self._share(name) for name in ("kernel", "outputs"))
        kernel = f"{here} its kernel, centred or along the residual, changes by {kernel}"
        if self._without_linear[0]:
            moved = ", so that its features move in training" if self.decision == "not lazy" else ""
            return f"{kernel}{moved}; its linearised model diverged at this rate, and is no comparison."
        tests = f" ({percent(self.test_gap)} on test samples)" if math.isfinite(self.test_gap) else ""
        facts = f"{kernel}, its outputs leave the linearised ones by {outputs}{tests}"
        return f"{facts}{self._follows()}"

    def _share(self, name: str) -> str:
        """A change at the least scale; an interval that leaves open nearly everything is not spelt out."""
        found = self.intervals[name][0]
        if self.decisions(name)[0] == "undecided" and found.high > WIDE * found.mean:
            return f"{percent(found.mean)} [an interval too wide to tell, over {self.seeds} seeds]"
        return percents(found)

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
        left = f"{percent(self.loss_left)} of the training loss is left there"
        if self.loss_left > 1:
            said = f"Its training loss grew: it ends at {percent(self.loss_left)} of its start there."
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
            f"{percent(self.regression_gap)} away on test samples.",
        )

    def _threshold(self) -> tuple[str, ...]:
        """Where another threshold would have said something else of the least scale."""
        others = {factor: replace(self, small=factor * self.small) for factor in (0.5, 2.0)}
        changed = [
            f"at {percent(other.small)} {other.decision}"
            for other in others.values()
            if other.decision != self.decision
        ]
        if self.seeds < 2 or not changed:
            return ()
        word = f"With the threshold not at {percent(self.small)} but {' and '.join(changed)}"
        return (f"{word} would be the word on a = {self.scales[0]:g}.",)


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


def _listed(names: Mapping[str, object]) -> str:
    return " and ".join(f"its {name}" for name in names)


def _joined(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last

"""Accuracies of a trained model beside those of what it is compared with, and what their difference says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from qlazy.base.over_seeds import half_interval
from qlazy.comparison.run import Run
from qlazy.comparison.verdict.numbers import percent


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


def accuracies_of(runs: Sequence[Run], own_splits: bool) -> dict[str, Accuracies]:
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


def sentences_on(
    accuracies: Mapping[str, Accuracies], test_samples: int, seeds: int, own_splits: bool
) -> tuple[str, ...]:
    """What was reached on test samples, and what training bought against the others, over ``seeds``."""
    if not accuracies:
        return ()
    trained = next(iter(accuracies.values())).trained  # there is one at the least, or no accuracies
    splits = " of a split a seed" if own_splits else ""
    first = f"Its accuracy on {test_samples} test samples{splits} there is {percent(trained)}."
    if seeds < 2:
        others = " and ".join(f"that of {_the(name)} {percent(a.other)}" for name, a in accuracies.items())
        return (f"{first[:-1]}, {others}: one seed, which allows no interval and no claim.",)
    alike = {name: one for name, one in accuracies.items() if not one.differs}
    apart = (_against(name, one) for name, one in accuracies.items() if one.differs)
    return (first, *apart, *((_alike(alike),) if alike else ()))


def _against(name: str, one: Accuracies) -> str:
    better = "Training buys" if one.gain > 0 else "Training costs"
    points = f"{100 * abs(one.gain):.1f} points (95 % interval ±{_half(one)})"
    return f"{better} {points} against {_the(name)}, {percent(one.other)}."


def _alike(found: Mapping[str, Accuracies]) -> str:
    """What seeds and test samples can explain, in one sentence."""
    whose = "That" if len(found) == 1 else "Those"
    names = " and ".join(f"of {_the(name)}, {percent(one.other)}," for name, one in found.items())
    apart = " and ".join(f"{100 * abs(one.gain):.1f} ±{_half(one)}" for one in found.values())
    verb, intervals = ("is", "interval") if len(found) == 1 else ("are", "intervals")
    return f"{whose} {names} {verb} {apart} points apart (95 % {intervals}), which seeds and test samples can explain."


def _half(one: Accuracies) -> str:
    return f"{min(100.0, 100 * one.half):.1f}"


def _the(name: str) -> str:
    return name if name == "kernel regression" else f"the {name}"

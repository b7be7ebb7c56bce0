"""What a comparison says in words: which models are lazy, from which scale, by which of the three metrics.

A metric is small where its mean over seeds is at most :data:`SMALL`. Lazy from a scale means small there and at every
larger scale that was tried: the three metrics are told apart, because each can be small without the others.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import final, overload

import numpy as np
from numpy.typing import NDArray

from qlazy.comparison.run import Run
from qlazy.comparison.runs import Runs

SMALL = 0.1

METRICS: Mapping[str, Callable[[Run], float]] = {
    "parameters": lambda run: run.relative_drift,
    "kernel": lambda run: run.kernel_change,
    "outputs": lambda run: run.output_gap,
}
"""Drift relative to the initial parameters' norm, relative kernel change, and relative gap to the linearised model."""


@final
@dataclass(frozen=True)
class Verdict:
    """One model: each metric at the least scale, and the scale from which it stays small, or None."""

    model: str
    scales: tuple[float, ...]
    least: Mapping[str, float]
    lazy_from: Mapping[str, float | None]
    loss_left: float  # the training loss at the end of the least scale, as a share of that at its start
    accuracy: tuple[float, float, float] | None = (
        None  # trained, linearised, half the 95% interval of their paired difference
    )

    @property
    def is_lazy(self) -> bool:
        """Whether kernel and outputs are lazy at the least scale already: a kernel method in disguise."""
        return all(self.lazy_from[name] == self.scales[0] for name in ("kernel", "outputs"))

    def sentences(self) -> tuple[str, ...]:
        """The verdict, what it rests on, and what follows."""
        return (
            f"{self.model} {self._regimes()}.",
            self._at_least_scale(),
            *self._training(),
            *self._accuracies(),
        )

    def __str__(self) -> str:
        return " ".join(self.sentences())

    def _regimes(self) -> str:
        if self.is_lazy and self.lazy_from["parameters"] == self.scales[0]:
            return f"is lazy by all three metrics at every scale tried, from a = {self.scales[0]:g}"
        return "is lazy " + ", ".join(self._regime(name, scale) for name, scale in self.lazy_from.items())

    def _regime(self, name: str, scale: float | None) -> str:
        if scale is None:
            return f"by its {name} at no scale up to a = {self.scales[-1]:g}"
        if scale == self.scales[0]:
            return f"by its {name} at every scale"
        return f"by its {name} from a = {scale:g}"

    def _at_least_scale(self) -> str:
        here = f"At a = {self.scales[0]:g}"
        if math.isinf(self.least["kernel"]):
            return f"{here} training diverged: nothing can be said of that scale."
        kernel, outputs = (_percent(self.least[name]) for name in ("kernel", "outputs"))
        facts = f"{here} its kernel changes by {kernel}, its outputs leave the linearised ones by {outputs}"
        if self.is_lazy:
            return f"{facts}: a kernel method in disguise, and kernel regression gives the same model."
        if self.least["parameters"] <= SMALL < self.least["kernel"]:
            return f"{facts}, though its parameters hardly move: small drift does not freeze a kernel."
        return f"{facts}: its features move in training, and kernel regression does not stand in for it."

    def _training(self) -> tuple[str, ...]:
        if not self.loss_left > 1 - SMALL or not math.isfinite(self.loss_left):
            return ()
        return (
            f"It hardly trained there: {_percent(self.loss_left)} of the loss is left, so that little could move.",
        )

    def _accuracies(self) -> tuple[str, ...]:
        if self.accuracy is None:
            return ()
        trained, linear, error = self.accuracy
        points = 100 * (trained - linear)
        spread = f" (95 % interval ±{100 * error:.1f})" if math.isfinite(error) else ""
        facts = (
            f"Its test accuracy there is {_percent(trained)}, that of the linearised model {_percent(linear)}"
        )
        if not math.isfinite(error) or abs(points) <= 100 * error:
            return (
                f"{facts}: the {abs(points):.1f} points between them{spread} are no more than seeds differ by.",
            )
        better = "Training buys" if points > 0 else "Training costs"
        return (f"{facts}. {better} {abs(points):.1f} points{spread} against kernel regression.",)


@final
@dataclass(frozen=True)
class Verdicts(Sequence[Verdict]):
    """A verdict on each model of a comparison, in its order; printed, or shown in a notebook, a paragraph each."""

    of_models: tuple[Verdict, ...]

    def __len__(self) -> int:
        return len(self.of_models)

    @overload
    def __getitem__(self, index: int) -> Verdict: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Verdict, ...]: ...
    def __getitem__(self, index: int | slice) -> Verdict | tuple[Verdict, ...]:
        return self.of_models[index]

    def sentences(self) -> tuple[str, ...]:
        """All sentences, model after model."""
        return tuple(sentence for verdict in self.of_models for sentence in verdict.sentences())

    def __str__(self) -> str:
        return "\n".join(map(str, self.of_models))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return "".join(f"<p>{html.escape(str(verdict))}</p>" for verdict in self.of_models)


def verdicts(comparison: Runs) -> Verdicts:
    """What a comparison says of each of its models."""
    return Verdicts(tuple(_verdict(comparison, model) for model in comparison.models))


def _verdict(comparison: Runs, model: str) -> Verdict:
    scales = comparison.alphas
    means = {name: _means(comparison, model, of) for name, of in METRICS.items()}
    return Verdict(
        model,
        scales,
        {name: values[0] for name, values in means.items()},
        {name: _from(scales, values) for name, values in means.items()},
        _means(comparison, model, lambda run: run.train_loss / run.trace.train_loss[0])[0],
        _accuracies(comparison, model, scales[0]),
    )


def _means(comparison: Runs, model: str, of: Callable[[Run], float]) -> list[float]:
    """The mean over seeds at each scale, infinite where a run diverged: that is not lazy."""
    return [
        float(np.mean([math.inf if run.diverged else of(run) for run in comparison.select(model, alpha)]))
        for alpha in comparison.alphas
    ]


def _from(scales: Sequence[float], values: Sequence[float]) -> float | None:
    """The least scale from which on every value is small."""
    found = None
    for scale, value in zip(reversed(scales), reversed(values), strict=True):
        if not value <= SMALL:
            return found
        found = scale
    return found


def _accuracies(comparison: Runs, model: str, alpha: float) -> tuple[float, float, float] | None:
    runs = [run for run in comparison.select(model, alpha) if not run.diverged]
    if not runs or "test accuracy" not in comparison.results:
        return None
    pairs = np.array([(run.test_accuracy, run.linear_test_accuracy) for run in runs])
    differences = pairs[:, 0] - pairs[:, 1]
    return float(pairs[:, 0].mean()), float(pairs[:, 1].mean()), _half_interval(differences)


def _half_interval(samples: NDArray[np.float64]) -> float:
    """Half the width of Student's 95% interval around the mean, NaN for a single sample."""
    from scipy.special import stdtrit  # a slow import, for this alone

    if len(samples) < 2:
        return math.nan
    return float(stdtrit(len(samples) - 1, 0.975) * samples.std(ddof=1) / math.sqrt(len(samples)))


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %"

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
    "kernel": lambda run: max(run.centered_kernel_change, run.residual_kernel_change),
    "outputs": lambda run: run.output_gap,
}
"""Drift relative to the initial parameters' norm; the kernel's change, centred over the samples or along what is left
to learn, whichever is larger, since a constant part of a kernel never moves and hides the rest; and the output gap to
the linearised model on the training samples."""


@final
@dataclass(frozen=True)
class Verdict:
    """One model: each metric at the least scale, and the scale from which it stays small, or None."""

    model: str
    scales: tuple[float, ...]
    least: Mapping[str, float]
    lazy_from: Mapping[str, float | None]
    loss_left: (
        float  # at the least scale, the training loss at the last step as a share of that at initialisation
    )
    test_gap: float = math.nan  # at the least scale, the output gap on the test samples
    accuracy: tuple[float, float, float] | None = (
        None  # trained, linearised, half the 95% interval of their paired difference
    )
    test_samples: int = 0

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
        tests = f" ({_percent(self.test_gap)} on test samples)" if math.isfinite(self.test_gap) else ""
        facts = (
            f"{here} its kernel, centred or along the residual, changes by {kernel}, "
            f"its outputs leave the linearised ones by {outputs}{tests}"
        )
        if self.is_lazy and not self.loss_left <= 1 - SMALL:
            return f"{facts}; but what hardly trains can hardly move."
        if self.is_lazy:
            return (
                f"{facts}: a kernel method in disguise, whose training is that of its linearised model stopped at the "
                "same step."
            )
        if self.least["parameters"] <= SMALL < self.least["kernel"]:
            return f"{facts}, though its parameters hardly move: small drift does not freeze a kernel."
        return f"{facts}: its features move in training, and its linearised model does not stand in for it."

    def _training(self) -> tuple[str, ...]:
        """How far training came, always: what hardly trained could hardly move, and a stopped path is no regression."""
        if not math.isfinite(self.loss_left):
            return ()
        left = f"{_percent(self.loss_left)} of the training loss is left there"
        return (f"It hardly trained: {left}." if self.loss_left > 1 - SMALL else f"{left}.".capitalize(),)

    def _accuracies(self) -> tuple[str, ...]:
        if self.accuracy is None:
            return ()
        trained, linear, error = self.accuracy
        points = 100 * (trained - linear)
        facts = (
            f"Its accuracy on {self.test_samples} test samples there is {_percent(trained)}, that of the linearised "
            f"model {_percent(linear)}"
        )
        if not math.isfinite(error):
            return (f"{facts}: one seed, which allows no interval and no claim.",)
        spread = f"(95 % interval ±{100 * error:.1f})"
        if abs(points) <= 100 * error:
            return (
                f"{facts}: {abs(points):.1f} points apart {spread}, which seeds and test samples explain.",
            )
        better = "Training buys" if points > 0 else "Training costs"
        return (f"{facts}. {better} {abs(points):.1f} points {spread} against the linearised model.",)


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
        _means(comparison, model, lambda run: run.loss_left)[0],
        _means(comparison, model, _test_gap)[0],
        _accuracies(comparison, model, scales[0]),
        len(comparison.runs[0].test_targets),
    )


def _test_gap(run: Run) -> float:
    return math.nan if run.trace.test_outputs is None else run.test_output_gap


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
    trained, linear = (np.stack(answers) for answers in zip(*(run.test_answers for run in runs), strict=True))
    return float(trained.mean()), float(linear.mean()), _half_interval(trained - linear)


def _half_interval(differences: NDArray[np.float64]) -> float:
    """Half the 95% interval of the mean of differences (seeds, samples), each -1, 0 or 1; NaN for a single seed.

    Student's over seeds, and never below that of the test samples, which all seeds share: equal differences of three
    seeds would otherwise be certain.
    """
    from scipy.special import stdtrit  # a slow import, for this alone

    seeds, samples = differences.shape
    if seeds < 2:
        return math.nan
    over_seeds = stdtrit(seeds - 1, 0.975) * differences.mean(1).std(ddof=1) / math.sqrt(seeds)
    over_samples = 1.96 * differences.mean(0).std(ddof=1) / math.sqrt(samples) if samples > 1 else math.inf
    return float(max(over_seeds, over_samples))


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %"

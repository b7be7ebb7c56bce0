"""Gradient descent on the components of a tensor, with and without redrawing those that stay small.

All through Gram matrices, m (m + r) d operations a step, whatever the order; runs side by side share every step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qlazy.base.errors import require
from qlazy.tasks.tensor.decomposition import Decomposition, normalized, random_signs
from qlazy.training.history import DivergedError


@final
@dataclass(frozen=True)
class Descent:
    """How to descend on 1/2 ||T - T*||^2 + penalty sum_i ||u_i||^2, where T = sum_i a_i c_i^(l-q) u_i^{(x) l}.

    ``epochs`` of ``steps`` steps of size ``learning_rate``; c_i = 1 / ||u_i|| is a constant to every gradient, and
    brought up
    to date after every step. Components start at ``init`` times a random direction with a random sign a_i; between
    epochs those with ||u_i|| < ``threshold`` (twice ``init`` unless given) are drawn again, unless ``redraw`` is
    False. ``degree`` q is 2 in the paper; None is the order l, plain descent on a sum of powers, by its exact gradient.
    Wang, Wu, Lee, Ma, Ge 2020 (arXiv 2010.11356).
    """

    epochs: int = 8
    steps: int = 400
    learning_rate: float = 0.05
    penalty: float = 1e-3
    init: float = 0.01
    threshold: float | None = None
    redraw: bool = True
    degree: int | None = 2

    def __post_init__(self) -> None:
        for name in ("epochs", "steps"):
            value = getattr(self, name)
            require(isinstance(value, int) and value >= 1, name, "be a whole number from 1 on", value)
        for name in ("learning_rate", "init"):
            value = getattr(self, name)
            require(math.isfinite(value) and value > 0, name, "be positive", value)
        require(math.isfinite(self.penalty) and self.penalty >= 0, "penalty", "not be negative", self.penalty)
        threshold = self.threshold
        require(threshold is None or threshold >= 0, "threshold", "not be negative", threshold)
        require(self.degree is None or self.degree >= 1, "degree", "be positive, or None", self.degree)

    @classmethod
    def plain(cls, init: float = 0.3) -> Descent:
        """Plain gradient descent on the sum of powers: nothing redrawn, no penalty."""
        return cls(init=init, penalty=0.0, redraw=False, degree=None)


@final
@dataclass(frozen=True, eq=False)
class Descended:
    """Where a descent came to: relative ``errors`` (k,) after ``steps`` (k,), components redrawn before each epoch
    but the first, and the params of the components as they are in the model: vectors u_i, or scales and angles."""

    target: Decomposition
    found: Decomposition
    params: Tensor
    steps: NDArray[np.int64]
    errors: NDArray[np.float64]
    redraws: NDArray[np.int64]

    @property
    def error(self) -> float:
        """||T - T*|| / ||T*|| at the end."""
        return float(self.errors[-1])

    def table(self) -> str:
        """Errors by step, one a line."""
        lines = [f"{step:>8d}  {error:.3e}" for step, error in zip(self.steps, self.errors, strict=True)]
        return "\n".join(["    step  relative error", *lines, f"redrawn: {self.redraws.tolist()}"])


def decompose(
    target: Decomposition, components: int, generator: torch.Generator, settings: Descent | None = None
) -> Descended:
    """Descend to ``target`` with m ``components``, by default with the modified descent.

    Raises DivergedError where the error ceases to be finite. See :class:`Descent` for method and source.
    """
    return decompose_many([target], components, [generator], settings)[0]


def decompose_many(
    targets: Sequence[Decomposition],
    components: int,
    generators: Sequence[torch.Generator],
    settings: Descent | None = None,
) -> list[Descended]:
    """One run for each target and generator, all at once: what :func:`decompose` gives for each, to rounding."""
    settings = settings or Descent()
    batch = check_batch(targets, components, generators)
    require(
        settings.degree is None or settings.degree <= batch.order, "degree", f"be at most the order {batch.order}",
        settings.degree,
    )  # fmt: skip
    units, signs = drawn(generators, components, batch)
    vectors = settings.init * units
    threshold = 2 * settings.init if settings.threshold is None else settings.threshold
    steps, errors, redraws = [0], [batch.errors(_weights(vectors, signs, batch.order, settings), vectors)], []
    for epoch in range(settings.epochs):
        if settings.redraw and epoch > 0:
            small = vectors.norm(dim=-1) < threshold
            units, fresh = drawn(generators, components, batch)
            vectors = torch.where(small.unsqueeze(-1), settings.init * units, vectors)
            signs = torch.where(small, fresh, signs)
            redraws.append(small.sum(-1))
        for first in range(0, settings.steps, RECORD_EVERY):
            count = min(RECORD_EVERY, settings.steps - first)
            vectors = _descend(batch, vectors, signs, settings, count)
            steps.append(steps[-1] + count)
            errors.append(
                require_tame(batch.errors(_weights(vectors, signs, batch.order, settings), vectors), steps)
            )
    weights = _weights(vectors, signs, batch.order, settings)
    return results(batch, Ends(weights, vectors, vectors.flatten(1)), steps, errors, redraws)


RECORD_EVERY = 25
"""Steps from one recorded error to the next."""


class TargetBatch(NamedTuple):
    """Targets side by side: weights (B, r), vectors (B, r, d)."""

    targets: Sequence[Decomposition]
    weights: Tensor
    vectors: Tensor
    order: int

    def errors(self, weights: Tensor, vectors: Tensor) -> Tensor:
        """Relative errors (B,) of sum_i w_i u_i^{(x) l}."""
        both, difference = self.difference(weights, vectors)
        square = _square(difference, both, self.order).clamp_min(0)
        return (square / _square(self.weights, self.vectors, self.order)).sqrt()

    def difference(self, weights: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors (B, m + r, d) and weights (B, m + r) of T - T*."""
        return torch.cat([vectors, self.vectors], 1), torch.cat([weights, -self.weights], 1)


class Ends(NamedTuple):
    """Final weights (B, m), vectors (B, m, d) and params (B, p)."""

    weights: Tensor
    vectors: Tensor
    params: Tensor


def half_square(batch: TargetBatch, weights: Tensor, vectors: Tensor) -> Tensor:
    """1/2 ||T - T*||^2 of every run, (B,)."""
    both, difference = batch.difference(weights, vectors)
    return _square(difference, both, batch.order) / 2


def check_batch(
    targets: Sequence[Decomposition], components: int, generators: Sequence[torch.Generator]
) -> TargetBatch:
    require(len(targets) > 0, "targets", "be one or more", len(targets))
    require(
        isinstance(components, int) and components >= 1,
        "components",
        "be a whole number from 1 on",
        components,
    )
    count = len(targets)
    require(len(generators) == count, "generators", f"be {count}, one a target", len(generators))
    kinds = {(t.order, *t.vectors.shape, t.vectors.dtype) for t in targets}
    require(len(kinds) == 1, "targets", "be alike in order, rank, dimension and dtype", kinds)
    for number, target in enumerate(targets):
        require(target.norm() > 0, f"targets[{number}]", "not be the zero tensor", "zero")
    vectors = torch.stack([t.vectors.detach() for t in targets])
    return TargetBatch(targets, torch.stack([t.weights.detach() for t in targets]), vectors, targets[0].order)


def drawn(
    generators: Sequence[torch.Generator], components: int, batch: TargetBatch
) -> tuple[Tensor, Tensor]:
    """Unit vectors (B, m, d) and signs (B, m), each run's from its own generator."""
    shape = components, batch.vectors.shape[-1]
    units = [normalized(torch.randn(*shape, generator=g, dtype=torch.float64)) for g in generators]
    signs = [random_signs((components,), g) for g in generators]
    return torch.stack(units).to(batch.vectors), torch.stack(signs).to(batch.vectors)


def require_tame(errors: Tensor, steps: Sequence[int]) -> Tensor:
    if not bool(errors.isfinite().all()):
        raise DivergedError(
            f"the descent diverged before step {steps[-1]}: a smaller `learning_rate` helps", steps[-1]
        )
    return errors


def results(
    batch: TargetBatch, ends: Ends, steps: Sequence[int], errors: Sequence[Tensor], redraws: Sequence[Tensor]
) -> list[Descended]:
    """What each run came to."""
    by_run = torch.stack(list(errors)).double().T.numpy()
    counts = torch.stack(list(redraws)).T.numpy() if redraws else np.zeros((len(batch.targets), 0), np.int64)
    return [
        Descended(
            target, Decomposition(ends.weights[i], ends.vectors[i], batch.order), ends.params[i], np.array(steps),
            by_run[i], counts[i],
        )
        for i, target in enumerate(batch.targets)
    ]  # fmt: skip


def _descend(batch: TargetBatch, vectors: Tensor, signs: Tensor, settings: Descent, count: int) -> Tensor:
    """``count`` steps: the gradient for u_i is l w_i (T - T*)(., u_i, ..., u_i) + 2 penalty u_i."""
    order = batch.order
    for _ in range(count):
        weights = _weights(vectors, signs, order, settings)
        both, difference = batch.difference(weights, vectors)
        powers = (vectors @ both.mT) ** (order - 1)
        contracted = (powers * difference.unsqueeze(1)) @ both
        gradient = order * weights.unsqueeze(-1) * contracted + 2 * settings.penalty * vectors
        vectors = vectors - settings.learning_rate * gradient
    return vectors


def _weights(vectors: Tensor, signs: Tensor, order: int, settings: Descent) -> Tensor:
    """a_i c_i^(l - q), (B, m)."""
    if settings.degree is None or settings.degree == order:
        return signs
    return signs * vectors.norm(dim=-1) ** (settings.degree - order)


def _square(weights: Tensor, vectors: Tensor, order: int) -> Tensor:
    """||sum_i w_i v_i^{(x) l}||^2 for every run, (B,)."""
    gram = (vectors @ vectors.mT) ** order
    return (weights.unsqueeze(1) @ gram @ weights.unsqueeze(2))[:, 0, 0]

"""A model trained step by step from several seeds, entered in a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np
import torch
from torch import Tensor

from qlazy.comparison.baselines.tuning import Entry, Floats, Split, answers, best, spread
from qlazy.data.datasets import Dataset
from qlazy.models.model import Model
from qlazy.training.history import DivergedError
from qlazy.training.lanes import Lane, Outcome, train_lanes
from qlazy.training.loop import Record, train
from qlazy.training.losses import Loss, Objective
from qlazy.training.methods import Adam, Method

RATES = (-2.5, 0.0)
"""Exponents of 10, of the learning rates of Adam that are tried."""


PROBED = 8
"""So many samples tell which parameters outputs depend on."""


@final
class Trained:
    """A model under one method, or under Adam at the learning rate that the folds choose."""

    def __init__(
        self,
        name: str,
        model: Model,
        method: Method | None,
        loss: Loss,
        steps: int,
        count: int,
    ) -> None:
        self.name, self.model, self._loss, self._steps = name, model, loss, steps
        rates = [rate for (rate,) in spread(count, RATES)]
        self._methods: list[Method] = [Adam(rate) for rate in rates] if method is None else [method]
        self._is_given = method is not None

    def enter(self, split: Split) -> Entry:
        method = self._tuned(split)
        starts = [self._start(split.data, seed) for seed in split.seeds]
        outcomes = self._run(split.data, starts, [method] * len(starts))
        diverged = sum(bool(outcome.diverged) for outcome in outcomes)
        outputs = torch.stack([_last(outcome) for outcome in outcomes])
        rate = "as given" if self._is_given else f"rate = {method.learning_rate:.3g}"  # type: ignore[attr-defined]
        left = float(np.mean([_loss_left(outcome) for outcome in outcomes]))
        used = used_params(self.model, starts[0], split.data.x_train[:PROBED])
        return Entry(outputs, rate, len(self._methods), used, diverged, left)

    def _tuned(self, split: Split) -> Method:
        if len(self._methods) == 1:
            return self._methods[0]
        scores: list[Floats] = []
        for part, seed in zip(split.parts(), split.fold_seeds, strict=True):
            start = self._start(split.data, seed)
            outcomes = self._run(part, [start] * len(self._methods), self._methods)
            scores.append(
                np.array([np.nan if o.diverged else answers(_last(o), part).mean() for o in outcomes])
            )
        return self._methods[best(np.stack(scores))]

    def _start(self, data: Dataset, seed: int) -> Tensor:
        return self.model.init(torch.Generator().manual_seed(seed)).to(data.y_train)

    def _run(self, data: Dataset, starts: Sequence[Tensor], methods: Sequence[Method]) -> list[Outcome]:
        record = Record(at=(self._steps,))
        lanes = [
            Lane(self.model, start, 1.0, self._settled(data, start, method))
            for start, method in zip(starts, methods, strict=True)
        ]
        found = train_lanes(lanes, data, steps=self._steps, loss=self._loss, record=record)
        return [self._alone(data, lane, record) for lane in lanes] if found is None else found

    def _settled(self, data: Dataset, start: Tensor, method: Method) -> Method:
        return method.prepared(Objective(self.model, data.x_train, data.y_train, 1.0, self._loss), start)

    def _alone(self, data: Dataset, lane: Lane, record: Record) -> Outcome:
        options = {"steps": self._steps, "loss": self._loss, "method": lane.method, "record": record}
        try:
            return Outcome(train(lane.model, lane.start, data, **options), "")  # type: ignore[arg-type]
        except DivergedError as stopped:
            if stopped.trace is None:
                raise
            return Outcome(stopped.trace, str(stopped))


def used_params(model: Model, params: Tensor, x: Tensor) -> int:
    """How many of the parameters (p,) the outputs at x (n, ...) depend on, to first order at ``params``."""
    slopes = model.jacobian(params, x).detach().abs().amax((0, 1))
    return int((slopes > torch.finfo(slopes.dtype).eps ** 0.75 * slopes.max()).sum())


def _loss_left(outcome: Outcome) -> float:
    first, last = outcome.trace.train_loss[0], outcome.trace.train_loss[-1]
    return float(last / first) if first else 0.0


def _last(outcome: Outcome) -> Tensor:
    """Test outputs (m, c) at the last step; of a run that diverged at the last that was recorded, its start."""
    assert outcome.trace.test_outputs is not None
    return torch.from_numpy(outcome.trace.test_outputs[-1]).double()

"""Measuring the features of finished runs of one model: its seeds together, from the weights that they recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from qlazy.base.errors import require, whole_of
from qlazy.data.datasets import Dataset
from qlazy.models.model import Model
from qlazy.training.anchor import Anchor
from qlazy.training.features.after_kernel import AfterKernel, after_kernel, collapse
from qlazy.training.features.barriers import Score, children, error_barriers
from qlazy.training.features.result import Features
from qlazy.training.history import History
from qlazy.training.losses import Objective, sample_accuracies
from qlazy.training.methods import GradientDescent, stable_rate

MOMENTS = 4
"""At so many of the recorded steps features are looked at, the first and the last among them."""

CHILD_STEPS = 60
BATCHES = 4
"""Children are trained for so many steps, on batches of a fourth of the samples."""


class Trained(NamedTuple):
    """One seed: a model with its data at its start, and its run."""

    anchor: Anchor
    history: History


def measure_features(
    name: str, runs: Sequence[Trained], *, own_splits: bool = False, child_steps: int = CHILD_STEPS
) -> Features:
    """After-kernels, error barriers and collapse of one model at one scale, over the seeds of ``runs``.

    At four of the recorded steps, from the first to the last, evenly over the records, which are nearly even in the
    logarithm of the step. Children take ``child_steps`` steps of stochastic gradient descent on batches of a fourth
    of the samples, at the rate of the run where that was by gradient descent, at n / (2 lambda_max(K_0)) otherwise.
    Raises ValueError for runs without test samples.
    """
    require(len(runs) > 0, "runs", "hold at least one run", "none")
    whole_of("child_steps", child_steps, 1)
    data, score = runs[0].anchor.data, [score_of(run.anchor.data) for run in runs]
    rows = [_rows(run.history) for run in runs]
    after = [_after(run, row) for run, row in zip(runs, rows, strict=True)]
    size = -(-len(data.x_train) // BATCHES)
    barriers = [_barriers(runs, [row[k] for row in rows], child_steps, size, seed=k) for k in range(MOMENTS)]
    return Features(
        model=name,
        alpha=runs[0].history.alpha,
        steps=runs[0].history.steps[rows[0]],
        after=np.stack(
            [[score[s](after[s][k].outputs).numpy() for s in range(len(runs))] for k in range(MOMENTS)]
        ),
        trained=np.stack([score[s](_last(run)[1]).numpy() for s, run in enumerate(runs)]),
        barriers=np.stack(barriers),
        collapsed=np.array(
            [
                [collapse(after[s][k].kernel, _last(run)[0]) for s, run in enumerate(runs)]
                for k in range(MOMENTS)
            ]
        ),
        classes=bool(data.classes),
        own_splits=own_splits,
        child_steps=child_steps,
        batch_size=size,
    )


def _rows(history: History) -> list[int]:
    last = len(history.steps) - 1
    return [round(last * k / (MOMENTS - 1)) for k in range(MOMENTS)]


def _last(run: Trained) -> tuple[Tensor, Tensor]:
    """The outputs at the last step, on training and on test samples."""
    assert run.history.test_outputs is not None
    return torch.from_numpy(run.history.train_outputs[-1]), torch.from_numpy(run.history.test_outputs[-1])


def _after(run: Trained, rows: Sequence[int]) -> list[AfterKernel]:
    history, anchor = run.history, run.anchor
    assert history.test_outputs is not None
    offsets = tuple(torch.from_numpy(array[0]) for array in (history.train_outputs, history.test_outputs))
    path = (torch.from_numpy(history.params[row]).to(anchor.params) for row in rows)
    return [after_kernel(anchor.model, params, anchor.data, (offsets[0], offsets[1])) for params in path]


def _barriers(
    runs: Sequence[Trained], rows: Sequence[int], steps: int, batch_size: int, seed: int
) -> np.ndarray:
    """Of every seed at one moment, (s,). Runs on data of their own are trained one by one."""
    shared = all(run.anchor.data is runs[0].anchor.data for run in runs)
    groups = [list(range(len(runs)))] if shared else [[i] for i in range(len(runs))]
    found = np.full(len(runs), np.nan)
    for group in groups:
        chosen = [runs[i] for i in group]
        anchors = [run.anchor for run in chosen]
        data, models = anchors[0].data, [anchor.model for anchor in anchors]
        starts = torch.stack(
            [torch.from_numpy(run.history.params[rows[i]]) for i, run in zip(group, chosen, strict=True)]
        ).to(anchors[0].params)
        pairs = children(
            models * 2, torch.cat([starts, starts]), data.x_train, data.y_train, loss=anchors[0].loss,
            alpha=chosen[0].history.alpha, rates=[_rate(anchor) for anchor in anchors] * 2,
            batch_size=batch_size, steps=steps, seeds=[1000 * seed + i for i in range(2 * len(group))],
        )  # fmt: skip
        found[group] = _between(models, pairs, data, chosen[0].history.alpha)
    return found


def _between(models: Sequence[Model], pairs: Tensor, data: Dataset, alpha: float) -> np.ndarray:
    first, second = pairs.chunk(2)
    known = (first.isfinite() & second.isfinite()).all(1)
    found = torch.full((len(first),), torch.nan, dtype=first.dtype)
    if known.any():
        kept = [model for model, good in zip(models, known.tolist(), strict=True) if good]
        score = score_of(data)
        found[known] = error_barriers(
            kept, first[known], second[known], data.x_test, lambda f: _each(score, alpha * f)
        )
    return found.numpy()


def _each(score: Score, outputs: Tensor) -> Tensor:
    """Scores (l, m) of outputs (l, m, c)."""
    return torch.stack([score(one) for one in outputs])


def _rate(anchor: Anchor) -> float:
    method = anchor.method
    if isinstance(method, GradientDescent) and method.learning_rate is not None:
        return method.learning_rate
    data = anchor.data
    return stable_rate(Objective(anchor.model, data.x_train, data.y_train, 1.0, anchor.loss), anchor.params)


def has_score(data: Dataset) -> bool:
    """Whether there are test samples, of classes or of real targets that are not all alike."""
    return len(data.x_test) > 0 and (bool(data.classes) or bool((data.y_test != data.y_test[0]).any()))


def score_of(data: Dataset) -> Score:
    """Outputs (m, c) on the test samples to scores (m,): see :class:`Features`.

    Raises ValueError for data without test samples, or with real targets that are all alike there.
    """
    targets = data.y_test
    require(len(data.x_test) > 0, "data", "have test samples", repr(data))
    if data.classes:
        return lambda outputs: sample_accuracies(outputs, targets)
    variance = float((targets - targets.mean(0)).square().sum(1).mean())
    require(variance > 0, "data", "have test targets that vary", "all alike")
    return lambda outputs: 1 - (outputs - targets).square().sum(1) / variance

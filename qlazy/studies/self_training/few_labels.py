"""Tasks with few labels: digits {3, 5, 8, 9}, a net or a circuit, and how each of them starts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from qlazy.data.datasets import Dataset, class_index, from_arrays
from qlazy.data.named import SOURCES
from qlazy.data.preprocessing import Scaling
from qlazy.models.model import Model
from qlazy.models.nets import mlp
from qlazy.models.wrappers import Centered, Linearized, Scaled
from qlazy.quantum.interop.loading import from_qasm
from qlazy.tasks.self_training.lanes import self_train_batched
from qlazy.tasks.self_training.result import SelfTrained
from qlazy.tasks.self_training.teachers import Teacher
from qlazy.tasks.self_training.training import self_train
from qlazy.training.loop import Record
from qlazy.training.methods import Adam

CLASSES = (3, 5, 8, 9)
LABELS = 3
"""Labels of each class."""
TEST = 400
"""Images that accuracies are of."""

_CIRCUIT = """
include "stdgates.inc";
input array[float[64], 4] x;
input array[float[64], 24] w;
qubit[4] q;
for int l in [0:2] {
  for int i in [0:3] { ry(x[i]) q[i]; ry(w[8 * l + 2 * i]) q[i]; rz(w[8 * l + 2 * i + 1]) q[i]; }
  for int i in [0:3] { cx q[i], q[(i + 1) % 4]; }
}
"""
READOUT = 4.0
"""Outputs of the circuit, from -1 to 1, are logits times this."""


@dataclass(frozen=True, eq=False)
class Problem:
    """One task from one seed: a model, where it starts, few labels and many inputs without."""

    model: Model
    start: Tensor
    data: Dataset
    unlabeled: Tensor

    def linearized(self) -> Problem:
        return replace(self, model=Linearized(self.model, self.start))

    def at_scale(self, alpha: float) -> Problem:
        """a (h - h(w0)); for a = inf its limit, the linearised and centred model, in the params a (w - w0)."""
        centered = Centered(self.model, self.start)
        limit = math.isinf(alpha)
        return replace(self, model=Linearized(centered, self.start) if limit else Scaled(centered, alpha))


def net_problem(unlabeled: int, seed: int, dtype: torch.dtype = torch.float32) -> Problem:
    """A net 16-32-4 on principal components of the pixels as they are."""
    return _problem(_net(), unlabeled, seed, 16, "none", dtype)


def circuit_problem(unlabeled: int, seed: int) -> Problem:
    """Four qubits, three layers that read four components as angles anew, Z of each qubit an output."""
    return _problem(_circuit(), unlabeled, seed, 4, "angle", torch.float64)


def train(
    problems: Sequence[Problem],
    teacher: Teacher,
    method: Adam,
    steps: int,
    warmup: int,
    at: Sequence[int],
    teacher_params: Sequence[Tensor] | None = None,
) -> tuple[SelfTrained, ...]:
    """A run of each problem: side by side where all have one model, one after the other where each has its own."""
    model, record = problems[0].model, Record(at=tuple(at))
    if all(problem.model is model for problem in problems):
        return self_train_batched(
            model,
            [problem.data for problem in problems],
            [problem.unlabeled for problem in problems],
            [problem.start for problem in problems],
            teacher=teacher, steps=steps, warmup=warmup, method=method, teacher_params=teacher_params,
            record=record, progress=False,
        )  # fmt: skip
    led_by = [None] * len(problems) if teacher_params is None else teacher_params
    return tuple(
        self_train(
            problem.model, problem.data, problem.unlabeled, teacher=teacher, steps=steps, warmup=warmup,
            method=method, params=problem.start, teacher_params=leads, record=record, progress=False,
        )
        for problem, leads in zip(problems, led_by, strict=True)
    )  # fmt: skip


@lru_cache(maxsize=1)
def _net() -> Model:
    return mlp([16, 32, 4])


@lru_cache(maxsize=1)
def _circuit() -> Model:
    return Scaled(from_qasm(_CIRCUIT, data=("x",)), READOUT)


def _problem(
    model: Model, unlabeled: int, seed: int, features: int, scaling: Scaling, dtype: torch.dtype
) -> Problem:
    """The first labelled samples of each class keep their labels, those after them only their inputs."""
    x, y = _digits()
    data = from_arrays(
        x, y, name="digits / 16", classes=CLASSES, features=features, train=len(CLASSES) * LABELS + unlabeled,
        test=TEST, seed=seed, scaling=scaling,
    ).to(dtype)  # fmt: skip
    classes = class_index(data.y_train)
    labeled = torch.cat([(classes == k).nonzero()[:LABELS, 0] for k in range(len(CLASSES))])
    rest = torch.ones(len(classes), dtype=torch.bool)
    rest[labeled] = False
    few = replace(data, x_train=data.x_train[labeled], y_train=data.y_train[labeled])
    start = model.init(torch.Generator().manual_seed(seed)).to(dtype)
    return Problem(model, start, few, data.x_train[rest])


@lru_cache(maxsize=1)
def _digits() -> tuple[NDArray[Any], NDArray[Any]]:
    x, y = SOURCES["digits"].read(0, 0)
    return x / 16, y

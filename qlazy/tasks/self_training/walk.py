"""The loop: the student steps, the teacher follows; of one student, or of many side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from qlazy.models.model import Model
from qlazy.tasks.self_training.game import Losses, Move
from qlazy.tasks.self_training.result import SelfTrained
from qlazy.training.history import DivergedError
from qlazy.training.losses import Pair, accuracy
from qlazy.training.methods import Adam, GradientDescent


class State(NamedTuple):
    """Where both players are after so many steps, and the move that comes next."""

    step: int
    student: Tensor
    teacher: Tensor
    move: Move

    def lane(self, number: int) -> State:
        """That of one student among many."""
        return State(
            self.step,
            self.student[number],
            self.teacher[number],
            Move(*(part[number] for part in self.move)),
        )


def walk(
    losses: Losses, start: Tensor, teacher: Tensor, method: GradientDescent | Adam, steps: int, warmup: int
) -> Iterator[State]:
    """The states after 0, 1, ..., ``steps`` steps, each valid until the next is drawn.

    Steps of gradient descent and of Adam are elementwise, so that students side by side do not mix.
    """
    student = start.clone()
    optimizer = _optimizer(method, student)
    for step in range(steps + 1):
        teacher = losses.follow(teacher, student)
        move = losses.move(student, teacher, lessons=step >= warmup)
        _refuse_divergence(losses, move, step)
        yield State(step, student, teacher, move)
        if step < steps:
            student.grad = move.gradient
            optimizer.step()


def _refuse_divergence(losses: Losses, move: Move, step: int) -> None:
    total = move.supervised + losses.teacher.strength * move.lesson
    finite = total.isfinite() & move.gradient.isfinite().all(-1)
    if finite.all():
        return
    worst = total[~finite].flatten()[0].item()
    where = f" in run {int((~finite).nonzero()[0])}" if finite.ndim else ""
    raise DivergedError(
        f"self-training diverged at step {step}{where}: loss {worst:g} (try a smaller rate)", step
    )


def _optimizer(method: GradientDescent | Adam, params: Tensor) -> torch.optim.Optimizer:
    if isinstance(method, Adam):
        return torch.optim.Adam([params], lr=method.learning_rate, betas=method.betas, eps=method.epsilon)
    assert method.learning_rate is not None
    return torch.optim.SGD([params], lr=method.learning_rate)


class Row(NamedTuple):
    """One recorded step; the fields are those of a result."""

    steps: int
    supervised_loss: float
    lesson_loss: float
    weight: float
    direct: float
    interaction: float
    student_accuracy: float
    teacher_accuracy: float


def measure(model: Model, state: State, test: Pair | None) -> Row:
    """What is recorded of one student at a step."""
    move = state.move
    with torch.no_grad():
        right = [
            math.nan if test is None else float(accuracy(model(params, test[0]), test[1]))
            for params in (state.student, state.teacher)
        ]
    return Row(
        state.step, float(move.supervised), float(move.lesson), float(move.weight),
        float(move.direct.norm()), float(move.interaction.norm()), *right,
    )  # fmt: skip


def result(rows: list[Row], last: State, settings: dict[str, Any]) -> SelfTrained:
    """The rows of one student as columns, and both players at the end."""
    columns = {
        name: np.array(column) for name, column in zip(Row._fields, zip(*rows, strict=True), strict=True)
    }
    student, teacher = (p.detach().cpu().numpy().copy() for p in (last.student, last.teacher))
    return SelfTrained(student=student, teacher=teacher, **columns, settings=settings)

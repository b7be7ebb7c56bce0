"""The loop: the student steps, the teacher follows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from qlazy.data import Dataset
from qlazy.errors import Diverged, refuse, require, require_dtype, require_finite, require_shape
from qlazy.losses import Square, accuracy
from qlazy.methods import Adam, GradientDescent, stable_rate
from qlazy.model import Model
from qlazy.objective import Objective
from qlazy.subset.labels import are_labels
from qlazy.teaching.game import Game, Move
from qlazy.teaching.result import SelfTrained
from qlazy.teaching.teachers import DifferentiableTeacher, Teacher
from qlazy.training import Record, versions

Pair = tuple[Tensor, Tensor]


def self_train(
    model: Model,
    data: Dataset | Pair,
    unlabelled: Tensor,
    *,
    teacher: Teacher = DifferentiableTeacher(),  # noqa: B008 - a frozen value
    steps: int = 300,
    warmup: int = 30,
    method: GradientDescent | Adam = Adam(0.01),  # noqa: B008 - a frozen value
    params: Tensor | None = None,
    record: Record = Record(),  # noqa: B008 - a frozen value
    seed: int = 0,
    progress: bool = True,
) -> SelfTrained:
    """Learn from few labelled examples and many inputs without labels, from a teacher that follows the student.

    At every step the teacher moves to T = alpha T_old + (1 - alpha) S, and the student S goes down

        F(S, T) = cross-entropy on labelled + strength * mean over unlabelled of w KL(q || softmax h(S)),

    q and w the pseudo-labels and weights of ``teacher``. With a :class:`DifferentiableTeacher` the gradient is that
    of S -> F(S, T(S)): (1 - alpha) times the gradient at the teacher comes on top of the student's own. For
    ``warmup`` of the ``steps`` the labelled examples count alone: a teacher that knows nothing yet teaches nothing.

    ``data`` is a Dataset, whose test part is used for accuracies only, or a pair of inputs (n, ...) and labels
    (n, c): one-hot rows, or signs where c = 1. ``unlabelled`` are inputs (m, ...). ``params`` (p,) is where student
    and teacher start, by default drawn from ``seed``. ``method`` steps on all examples; GradientDescent without a
    rate takes n / (2 lambda_max(K)) on the labelled ones.

    Raises ValueError for shapes, labels and settings that do not fit; NotFinite for NaN or infinity in data or
    parameters; Diverged, with the step, for a loss or gradient that is no longer finite. Zuo et al. 2021 (DRIFT,
    arXiv 2109.07049).
    """
    for name, value, least in (("steps", steps, 1), ("warmup", warmup, 0)):
        require(
            isinstance(value, Integral) and value >= least, name, f"be a whole number, {least} or more", value
        )
    require(warmup <= steps, "warmup", f"be at most {steps}, the steps there are", warmup)
    require(isinstance(teacher, Teacher), "teacher", "be a Teacher", type(teacher).__name__, TypeError)
    known = isinstance(method, GradientDescent | Adam)
    require(known, "method", "be GradientDescent or Adam", type(method).__name__, TypeError)
    x, y, test = _examples(data)
    start = (
        model.init(torch.Generator().manual_seed(seed)).to(y) if params is None else params.detach().clone()
    )
    _check(model, start, x, y, unlabelled)
    _check_test(y, test)
    game = Game(model, x, y, unlabelled, teacher)
    if isinstance(method, GradientDescent) and method.rate is None:
        method = replace(method, rate=stable_rate(Objective(model, x, y, 1.0, Square()), start))
    settings = {
        "model": repr(model), "data": data.description if isinstance(data, Dataset) else "pair",
        "teacher": repr(teacher), "labelled": len(x), "unlabelled": len(unlabelled), "steps": int(steps),
        "warmup": int(warmup), "method": repr(method), "seed": seed if params is None else None,
        "dtype": str(start.dtype).removeprefix("torch."), "versions": versions(),
    }  # fmt: skip
    wanted = set(record.steps(int(steps)))
    bar = tqdm(total=int(steps), unit="step", disable=not progress, desc=type(teacher).__name__)
    rows: list[_Row] = []
    with bar:
        for state in _walk(game, start, method, int(steps), int(warmup)):
            if state.step in wanted:
                rows.append(_measure(game, state, test))
            bar.update(state.step > 0)
    return _result(rows, state, settings)


class _State(NamedTuple):
    step: int
    student: Tensor
    teacher: Tensor
    move: Move


def _walk(
    game: Game, start: Tensor, method: GradientDescent | Adam, steps: int, warmup: int
) -> Iterator[_State]:
    """The states after 0, 1, ..., ``steps`` steps, each valid until the next is drawn."""
    student, teacher = start.clone(), start
    optimizer = _optimizer(method, student)
    for step in range(steps + 1):
        teacher = game.follow(teacher, student)
        move = game.move(student, teacher, lessons=step >= warmup)
        total = move.supervised + game.teacher.strength * move.lesson
        if not (total.isfinite() and move.gradient.isfinite().all()):
            raise Diverged(
                f"self-training diverged at step {step}: loss {total.item():g} (try a smaller rate)", step
            )
        yield _State(step, student, teacher, move)
        if step < steps:
            student.grad = move.gradient
            optimizer.step()


def _optimizer(method: GradientDescent | Adam, params: Tensor) -> torch.optim.Optimizer:
    if isinstance(method, Adam):
        return torch.optim.Adam([params], lr=method.rate, betas=method.betas, eps=method.epsilon)
    assert method.rate is not None
    return torch.optim.SGD([params], lr=method.rate)


class _Row(NamedTuple):
    """One recorded step; the fields are those of a result."""

    steps: int
    supervised_loss: float
    lesson_loss: float
    weight: float
    direct: float
    interaction: float
    student_accuracy: float
    teacher_accuracy: float


def _measure(game: Game, state: _State, test: Pair | None) -> _Row:
    move = state.move
    with torch.no_grad():
        right = [
            math.nan if test is None else float(accuracy(game.model(params, test[0]), test[1]))
            for params in (state.student, state.teacher)
        ]
    return _Row(
        state.step, float(move.supervised), float(move.lesson), float(move.weight),
        float(move.direct.norm()), float(move.interaction.norm()), *right,
    )  # fmt: skip


def _result(rows: list[_Row], last: _State, settings: dict[str, Any]) -> SelfTrained:
    columns = {
        name: np.array(column) for name, column in zip(_Row._fields, zip(*rows, strict=True), strict=True)
    }
    student, teacher = (p.detach().cpu().numpy().copy() for p in (last.student, last.teacher))
    return SelfTrained(student=student, teacher=teacher, **columns, settings=settings)


def _examples(data: Dataset | Pair) -> tuple[Tensor, Tensor, Pair | None]:
    if isinstance(data, Dataset):
        return data.x_train, data.y_train, (data.x_test, data.y_test) if len(data.x_test) else None
    require(isinstance(data, tuple) and len(data) == 2, "data", "be a Dataset or a pair (x, y)", data)
    return *data, None


def _check(model: Model, params: Tensor, x: Tensor, y: Tensor, unlabelled: Tensor) -> None:
    """Refuse examples that are not finite or that do not fit one another, the model or its parameters."""
    require_finite("params", params)
    for name, tensor in (("x", x), ("y", y), ("unlabelled", unlabelled)):
        require(isinstance(tensor, Tensor), name, "be a torch tensor", f"a {type(tensor).__name__}")
        shape = f"of shape {tuple(tensor.shape)}"
        require(tensor.ndim >= 1 and len(tensor) > 0, name, "hold at least one sample", shape)
        require_finite(name, tensor)
    require(unlabelled.shape[1:] == x.shape[1:], "unlabelled", f"have rows of shape {tuple(x.shape[1:])}, as x",
            tuple(unlabelled.shape[1:]))  # fmt: skip
    with torch.no_grad():
        outputs = model(params, x)
        require_finite("outputs at the start", outputs)
        require_finite("outputs at the start, unlabelled", model(params, unlabelled))
    require_shape("y", y, tuple(outputs.shape))
    require_dtype("y", y, params, "params")
    if not are_labels(y):
        must = "be -1 or +1" if y.shape[1] == 1 else "have one-hot rows"
        refuse("y", must, "something else in some row")


def _check_test(y: Tensor, test: Pair | None) -> None:
    """A test part that cannot be scored is refused before the run, not after it."""
    if test is not None:
        require(are_labels(test[1]) and test[1].shape[1:] == y.shape[1:], "y_test", "hold labels as y_train does",
                "other targets")  # fmt: skip
        require_finite("x_test", test[0])

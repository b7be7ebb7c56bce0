"""Self-training of a model: the front, which checks, runs the loop and records."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor

from qlazy.base.errors import generator_of, require_flag, require_instance, require_tensor
from qlazy.base.execution import progress_bar
from qlazy.base.version import versions
from qlazy.data.datasets import Dataset
from qlazy.models.model import Model, require_model
from qlazy.tasks.self_training.checks import check_examples, check_run, check_teacher, check_test
from qlazy.tasks.self_training.game import Game
from qlazy.tasks.self_training.result import SelfTrained
from qlazy.tasks.self_training.teachers import DifferentiableTeacher, Teacher
from qlazy.tasks.self_training.walk import Row, measure, result, walk
from qlazy.training.loop import Record
from qlazy.training.losses import Objective, Pair, SquaredError, examples_of
from qlazy.training.methods import Adam, GradientDescent, stable_rate


def self_train(
    model: Model,
    data: Dataset | Pair,
    unlabeled: Tensor,
    *,
    teacher: Teacher = DifferentiableTeacher(),  # noqa: B008 - a frozen value
    steps: int = 300,
    warmup: int = 30,
    method: GradientDescent | Adam = Adam(0.01),  # noqa: B008 - a frozen value
    params: Tensor | None = None,
    teacher_params: Tensor | None = None,
    record: Record = Record(),  # noqa: B008 - a frozen value
    seed: int = 0,
    progress: bool = True,
) -> SelfTrained:
    """Learn from few labelled samples and many inputs without labels, from a teacher that follows the student.

    At every step the teacher moves to T = alpha T_old + (1 - alpha) S, and the student S goes down

        F(S, T) = cross-entropy on labelled + strength * mean over unlabelled of w KL(q || softmax h(S)),

    q and w the pseudo-labels and weights of ``teacher``. With a :class:`DifferentiableTeacher` the gradient is that
    of S -> F(S, T(S)): (1 - alpha) times the gradient at the teacher comes on top of the student's own. For
    ``warmup`` of the ``steps`` the labelled samples count alone: a teacher that knows nothing yet teaches nothing.

    ``data`` is a Dataset, whose test part is used for accuracies only, or a pair of inputs (n, ...) and labels
    (n, c): one-hot rows, or signs where c = 1. ``unlabeled`` are inputs (m, ...). ``params`` (p,) is where the
    student starts, by default drawn from ``seed``, and the teacher too unless ``teacher_params`` (p,) are given: a
    teacher that was trained before, and with alpha = 1 stays. ``method`` steps on all samples; GradientDescent
    without a rate takes n / (2 lambda_max(K)) on the labelled ones.

    Raises TypeError for what is no model; ValueError for shapes, labels and settings that do not fit; NotFiniteError
    for NaN or infinity in data or parameters; DivergedError, with the step, for a loss or gradient that is no longer
    finite. Zuo et al. 2021 (DRIFT, arXiv 2109.07049).
    """
    check_run(steps, warmup, teacher, method)
    require_instance("record", record, Record, "Record()")
    require_model("model", model)
    require_flag("progress", progress)
    if params is not None:
        require_tensor("params", params)
    x, y, test = examples_of(data, params)
    start = model.init(generator_of(seed)).to(y) if params is None else params.detach().clone()
    check_examples(model, start, x, y, unlabeled)
    check_test(y, test)
    if teacher_params is not None:
        require_tensor("teacher_params", teacher_params)
    leads = start if teacher_params is None else teacher_params.detach().clone()
    check_teacher(leads, start)
    if isinstance(method, GradientDescent) and method.learning_rate is None:
        method = replace(
            method, learning_rate=stable_rate(Objective(model, x, y, 1.0, SquaredError()), start)
        )
    settings = settings_of(model, data, unlabeled, teacher, int(steps), int(warmup), method)
    settings |= {"seed": seed if params is None else None, "dtype": str(start.dtype).removeprefix("torch.")}
    wanted = set(record.steps(int(steps)))
    bar = progress_bar(total=int(steps), unit="step", progress=progress, desc=type(teacher).__name__)
    rows: list[Row] = []
    with bar:
        for state in walk(
            Game(model, x, y, unlabeled, teacher), start, leads, method, int(steps), int(warmup)
        ):
            if state.step in wanted:
                rows.append(measure(model, state, test))
            bar.update(state.step > 0)
    return result(rows, state, settings)


def settings_of(
    model: Model,
    data: Dataset | Pair,
    unlabeled: Tensor,
    teacher: Teacher,
    steps: int,
    warmup: int,
    method: GradientDescent | Adam,
) -> dict[str, Any]:
    """What a result keeps of how it came about."""
    labeled = data.x_train if isinstance(data, Dataset) else data[0]
    return {
        "model": repr(model), "data": data.description if isinstance(data, Dataset) else "pair",
        "teacher": repr(teacher), "labeled": len(labeled), "unlabeled": len(unlabeled), "steps": steps,
        "warmup": warmup, "method": repr(method), "versions": versions(),
    }  # fmt: skip

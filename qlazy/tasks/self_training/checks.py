"""What self-training refuses: settings, samples and starts that mean nothing or do not fit one another."""

from __future__ import annotations

import torch
from torch import Tensor

from qlazy.base.errors import refuse, require, require_dtype, require_finite, require_shape, whole_of
from qlazy.data.labels import are_labels
from qlazy.models.model import Model
from qlazy.tasks.self_training.teachers import Teacher
from qlazy.training.losses import Objective, Pair, SquaredError, require_samples
from qlazy.training.methods import Adam, GradientDescent


def check_run(steps: int, warmup: int, teacher: Teacher, method: GradientDescent | Adam) -> None:
    """Refuse settings of a run that mean nothing."""
    for name, value, least in (("steps", steps, 1), ("warmup", warmup, 0)):
        whole_of(name, value, least, f"be a whole number, {least} or more")
    require(warmup <= steps, "warmup", f"be at most {steps}, the steps there are", warmup)
    require(isinstance(teacher, Teacher), "teacher", "be a Teacher", type(teacher).__name__, TypeError)
    known = isinstance(method, GradientDescent | Adam)
    require(known, "method", "be GradientDescent or Adam", type(method).__name__, TypeError)


def check_examples(model: Model, params: Tensor, x: Tensor, y: Tensor, unlabeled: Tensor) -> None:
    """Refuse samples that are not finite or that do not fit one another, the model or its parameters."""
    Objective(model, x, y, 1.0, SquaredError()).check(params)
    require_samples("unlabeled", unlabeled)
    require(unlabeled.shape[1:] == x.shape[1:], "unlabeled", f"have rows of shape {tuple(x.shape[1:])}, as x",
            tuple(unlabeled.shape[1:]))  # fmt: skip
    with torch.no_grad():
        require_finite("outputs at initialisation, unlabelled", model(params, unlabeled))
    if not are_labels(y):
        must = "be -1 or +1" if y.shape[1] == 1 else "have one-hot rows"
        refuse("y", must, "something else in some row")


def check_teacher(params: Tensor, like: Tensor) -> None:
    """Refuse parameters of a teacher that are not those of its student's model."""
    require_shape("teacher_params", params, tuple(like.shape))
    require_dtype("teacher_params", params, like, "params")
    require_finite("teacher_params", params)


def check_test(y: Tensor, test: Pair | None) -> None:
    """A test part that cannot be scored is refused before the run, not after it."""
    if test is not None:
        require(are_labels(test[1]) and test[1].shape[1:] == y.shape[1:], "y_test", "hold labels as y_train does",
                "other targets")  # fmt: skip
        require_finite("x_test", test[0])

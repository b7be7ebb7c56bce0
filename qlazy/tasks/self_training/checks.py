"""What self-training refuses: settings, examples and starts that mean nothing or do not fit one another."""

from __future__ import annotations

from numbers import Integral

import torch
from torch import Tensor

from qlazy.base.errors import refuse, require, require_dtype, require_finite, require_shape
from qlazy.data.datasets import Dataset
from qlazy.data.labels import are_labels
from qlazy.models.model import Model
from qlazy.tasks.self_training.teachers import Teacher
from qlazy.training.methods import Adam, GradientDescent

Pair = tuple[Tensor, Tensor]


def check_run(steps: int, warmup: int, teacher: Teacher, method: GradientDescent | Adam) -> None:
    """Refuse settings of a run that mean nothing."""
    for name, value, least in (("steps", steps, 1), ("warmup", warmup, 0)):
        require(
            isinstance(value, Integral) and value >= least, name, f"be a whole number, {least} or more", value
        )
    require(warmup <= steps, "warmup", f"be at most {steps}, the steps there are", warmup)
    require(isinstance(teacher, Teacher), "teacher", "be a Teacher", type(teacher).__name__, TypeError)
    known = isinstance(method, GradientDescent | Adam)
    require(known, "method", "be GradientDescent or Adam", type(method).__name__, TypeError)


def examples_of(data: Dataset | Pair) -> tuple[Tensor, Tensor, Pair | None]:
    """Inputs and labels, and the test part where there is one."""
    if isinstance(data, Dataset):
        return data.x_train, data.y_train, (data.x_test, data.y_test) if len(data.x_test) else None
    require(isinstance(data, tuple) and len(data) == 2, "data", "be a Dataset or a pair (x, y)", data)
    return *data, None


def check_examples(model: Model, params: Tensor, x: Tensor, y: Tensor, unlabeled: Tensor) -> None:
    """Refuse examples that are not finite or that do not fit one another, the model or its parameters."""
    require_finite("params", params)
    for name, tensor in (("x", x), ("y", y), ("unlabeled", unlabeled)):
        require(isinstance(tensor, Tensor), name, "be a torch tensor", f"a {type(tensor).__name__}")
        shape = f"of shape {tuple(tensor.shape)}"
        require(tensor.ndim >= 1 and len(tensor) > 0, name, "hold at least one sample", shape)
        require_finite(name, tensor)
    require(unlabeled.shape[1:] == x.shape[1:], "unlabeled", f"have rows of shape {tuple(x.shape[1:])}, as x",
            tuple(unlabeled.shape[1:]))  # fmt: skip
    with torch.no_grad():
        outputs = model(params, x)
        require_finite("outputs at the start", outputs)
        require_finite("outputs at the start, unlabelled", model(params, unlabeled))
    require_shape("y", y, tuple(outputs.shape))
    require_dtype("y", y, params, "params")
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

"""Many runs of self-training at once, side by side in one batch: seeds for the price of a few."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from qlazy.base.errors import require, require_shape
from qlazy.base.execution import progress_bar
from qlazy.data.datasets import Dataset
from qlazy.models.model import Model
from qlazy.tasks.self_training.checks import check_examples, check_run, check_teacher, check_test
from qlazy.tasks.self_training.game import Lanes
from qlazy.tasks.self_training.result import SelfTrained
from qlazy.tasks.self_training.teachers import DifferentiableTeacher, Teacher
from qlazy.tasks.self_training.training import settings_of
from qlazy.tasks.self_training.walk import Row, measure, result, walk
from qlazy.training.loop import Record
from qlazy.training.losses import Pair, examples_of
from qlazy.training.methods import Adam, GradientDescent


def self_train_batched(
    model: Model,
    data: Sequence[Dataset | Pair],
    unlabeled: Sequence[Tensor],
    params: Sequence[Tensor],
    *,
    teacher: Teacher = DifferentiableTeacher(),  # noqa: B008 - a frozen value
    steps: int = 300,
    warmup: int = 30,
    method: GradientDescent | Adam = Adam(0.01),  # noqa: B008 - a frozen value
    teacher_params: Sequence[Tensor] | None = None,
    record: Record = Record(),  # noqa: B008 - a frozen value
    progress: bool = True,
) -> tuple[SelfTrained, ...]:
    """:func:`self_train` of one model from many starts, on data of their own: a result each, equal to rounding.

    All l runs step together, their parameters an array (l, p), and a pass of the model under ``torch.func.vmap``
    serves all of them: small nets pay for their arithmetic and no longer for calls. The model must run under that
    transform, and the samples of all runs must have the same shapes. GradientDescent needs a rate.

    Raises what self_train raises, for the first run that gives cause; one that diverges ends them all.
    """
    check_run(steps, warmup, teacher, method)
    rate_known = not (isinstance(method, GradientDescent) and method.learning_rate is None)
    require(rate_known, "method", "have a learning rate, one for all runs", repr(method))
    starts = [start.detach() for start in params]
    teachers = starts if teacher_params is None else [given.detach() for given in teacher_params]
    _check_lengths(len(starts), data=data, unlabeled=unlabeled, teacher_params=teachers)
    examples = [examples_of(one, start) for one, start in zip(data, starts, strict=True)]
    for (x, y, test), inputs, start, led_by in zip(examples, unlabeled, starts, teachers, strict=True):
        check_examples(model, start, x, y, inputs)
        check_test(y, test)
        check_teacher(led_by, start)
    x, y = (_stacked("data", column) for column in ([x for x, _, _ in examples], [y for _, y, _ in examples]))
    losses = Lanes(model, x, y, _stacked("unlabeled", unlabeled), teacher)
    wanted = set(record.steps(int(steps)))
    rows: list[list[Row]] = [[] for _ in starts]
    path = walk(
        losses,
        _stacked("params", starts),
        _stacked("teacher_params", teachers),
        method,
        int(steps),
        int(warmup),
    )
    with progress_bar(total=int(steps), unit="step", progress=progress, desc=f"{len(starts)} runs") as bar:
        for state in path:
            if state.step in wanted:
                for lane, (_, _, test) in enumerate(examples):
                    rows[lane].append(measure(model, state.lane(lane), test))
            bar.update(state.step > 0)
    how = {"seed": None, "dtype": str(x.dtype).removeprefix("torch.")}
    return tuple(
        result(
            rows[lane],
            state.lane(lane),
            settings_of(model, one, inputs, teacher, int(steps), int(warmup), method) | how,
        )
        for lane, (one, inputs) in enumerate(zip(data, unlabeled, strict=True))
    )


def _check_lengths(lanes: int, **given: Sequence[object]) -> None:
    require(lanes > 0, "params", "hold the start of at least one run", "empty")
    for name, entries in given.items():
        require(len(entries) == lanes, name, f"have {lanes} entries, one for each start", len(entries))


def _stacked(name: str, tensors: Sequence[Tensor]) -> Tensor:
    for tensor in tensors:
        require_shape(name, tensor, tuple(tensors[0].shape))
    return torch.stack(list(tensors))

"""The main job: several models on the same data, over scales and seeds, each beside its linearisation."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from qlazy.base.errors import LearningRateWarning, folder_of, require, require_flag, whole_of
from qlazy.base.execution import require_workers
from qlazy.base.storage import remove_stale_drafts, require_writable
from qlazy.base.version import versions
from qlazy.comparison.baselines import FourierModel, InfiniteCircuit, InfiniteNet
from qlazy.comparison.compare.arguments import (
    check_baselines,
    check_models,
    check_until,
    scales_of,
    seeds_of,
    splits_of,
)
from qlazy.comparison.compare.seeded import SeededModel
from qlazy.comparison.compare.tasks import all_runs, tasks_of
from qlazy.comparison.result import Comparison
from qlazy.comparison.run import Run, is_saved
from qlazy.comparison.runs import UNREAD
from qlazy.data.datasets import Dataset
from qlazy.models.model import Model
from qlazy.models.unread import warn_of_unread_columns
from qlazy.training.features.measure import Trained, measure_features, score_of
from qlazy.training.features.result import Features
from qlazy.training.loop import require_resolved
from qlazy.training.losses import Loss, SquaredError, loss_of
from qlazy.training.methods import Factory, GradientDescent, Method, method_of

if TYPE_CHECKING:
    from qlazy.base.execution import Client

ALPHAS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)


def compare(
    models: Mapping[str, Model],
    data: Dataset | Callable[[int], Dataset],
    *,
    alphas: Sequence[float] = ALPHAS,
    seeds: Iterable[int] | int = (0, 1, 2),
    loss: Loss | Callable[[Tensor, Tensor], Tensor] = SquaredError(),  # noqa: B008 - a frozen value
    method: Method | Factory = GradientDescent(),  # noqa: B008 - a frozen value
    steps: int = 200,
    centered: bool = True,
    normalized: bool = False,
    until_loss: float | None = None,
    baselines: Sequence[InfiniteNet | InfiniteCircuit | FourierModel] = (),
    features: bool = False,
    out: str | os.PathLike[str] | None = None,
    key: str | None = None,
    workers: int | None = None,
    client: Client | None = None,
    progress: bool = True,
) -> Comparison:
    """Train every model at every scale from every seed, and the linearised model beside it.

    A model h with parameters w0 drawn from the seed is trained on F_a(w) = R(a h(w)) / a^2, centred first,
    h(w) - h(w0), unless told otherwise. All scales of a model and seed share one learning rate and one
    horizon; the rate is n / (2 lambda_max(K_0)) where ``method`` leaves it open, and Adam's is divided by the
    scale. The linearised path is exact, from K_0, for gradient descent and gradient flow on the square loss,
    and trained otherwise.

    ``seeds=10`` are seeds 0 to 9. ``loss`` may be a function of outputs and targets, such as torch.nn.MSELoss(), and
    ``method`` a class or factory of torch.optim (:class:`qlazy.TorchOptimizer`).

    ``data`` may be a function of the seed, for a split a seed: then intervals over seeds are over splits as well.

    Whether a model is lazy at one scale depends on the unit of outputs and labels. ``normalized`` gives all models the
    same: each is divided by the root of tr K_0 / n, so that tr K_0 = n, and targets of a regression by their root mean
    square on the training samples (labels of classes have 1 already). How lazy a model then is says ``Run.kappa``.

    ``until_loss``, a share of the training loss at initialisation, looks at each run where it first was at or below it,
    of about 120 recorded steps, and at its linearised model and kernel there: otherwise what trains faster moves more.
    Runs that do not get there in ``steps`` are looked at in their last.

    ``baselines`` are InfiniteNets, InfiniteCircuits and FourierModels, whose kernels stay as they are, beside the
    models and in closed form: gradient descent or flow, square loss.

    ``features`` looks at what each model learnt at the least scale, from the weights of its runs: kernel regression
    with the kernel along training, error barriers, and how far the kernel collapsed onto the function learnt: one
    :class:`Features` a model in ``comparison.features``.

    With ``out`` every finished run is kept in that folder, and a comparison started again with the same
    settings takes up what is there, with the numbers of an uninterrupted one, bit for bit. The same are settings where
    names, models, code of functions, data and versions of libraries are; what cannot be told (a function that reads a
    file, a device with shots) is said and not kept, unless ``key``, a text of your own, stands for it. A run that
    diverges is reported with its step and does not stop the others.

    Runs of a small model are trained side by side, as lanes of one batch (:mod:`qlazy.training.lanes`), kept when all
    of them are done: by gradient descent, SGD, Adam and optimisers of torch without a line
    search, of exact circuits, nets, functions.
    The numbers are those of a run on its own, bit for bit. ``workers`` of more than one are that many processes; a Dask
    ``client`` has workers of its own, which need to see ``out`` under the same path. The numbers are the same, bit
    for bit, on the same kind of processor.

    An :class:`UnreadInputsWarning` names the columns of the inputs that a model's outputs do not depend on; verdict and
    report name them too, and ``settings["unread inputs"]`` holds them.

    Raises TypeError for what is no model, data set, loss or method; ValueError for models that do not fit the data, and
    for empty, repeated or impossible settings; KernelTooLargeError for a kernel that does not fit in memory.
    """
    alphas, seeds = scales_of(alphas), seeds_of(seeds)
    steps = whole_of("steps", steps, 1)
    require_flag("progress", progress)
    require(isinstance(features, bool), "features", "be True or False", features)
    loss, method = loss_of(loss), method_of(method)
    require(isinstance(normalized, bool), "normalized", "be True or False", normalized)
    check_until(until_loss, loss, method)
    splits = splits_of(data, seeds, normalized)
    for alpha in alphas:
        require_resolved(float(alpha), splits[seeds[0]].y_train.dtype)
    for split in splits.values() if features else ():
        score_of(split)  # what has no score is refused before training
    check_models(models)
    require_workers(workers, client)
    shared = (loss, method, steps, centered, normalized, until_loss, callable(data), key)
    seeded = [
        SeededModel(name, model, splits[seed], seed, *shared)
        for name, model in models.items()
        for seed in seeds
    ]
    for one in seeded[:: len(seeds)]:
        one.check()
    if not callable(data):
        _require_own_starts(seeded, len(seeds))
    require(isinstance(centered, bool), "centered", "be True or False", centered)
    check_baselines(baselines, may_stand=not callable(data) and until_loss is None)
    for baseline in baselines:
        baseline.check(splits[seeds[0]], loss, method)
    folder = None if out is None else folder_of("out", out).absolute()
    tasks = tasks_of(seeded, alphas, folder)
    if folder is not None:
        remove_stale_drafts(require_writable(folder))
    _warn_of_rates(seeded)
    first = splits[seeds[0]]
    unread = warn_of_unread_columns(models.items(), first.x_train, first.features)
    runs = all_runs(seeded, tasks, workers or 1, client, progress)
    if folder is not None and client is not None:
        remove_stale_drafts(folder)  # of workers that died on the way
    order = list(models)
    runs.sort(key=lambda named: (order.index(named[1].model), named[1].alpha, named[1].seed))
    beside = tuple(baseline.train(splits[seeds[0]], method, steps) for baseline in baselines)
    made = tuple(run for _, run in runs)
    learnt = _features(seeded, made, float(min(alphas))) if features else ()
    comparison = Comparison(
        made, {**_settings(seeded, alphas, seeds), **({UNREAD: unread} if unread else {})}, beside, learnt
    )
    if folder is not None:
        _keep(comparison, folder, [name for name, _ in runs])
    return comparison


def _keep(comparison: Comparison, folder: Path, names: Sequence[str]) -> None:
    """Write the summary, and what no task has kept."""
    for name, run in zip(names, comparison.runs, strict=True):
        if not is_saved(folder / "runs" / name):
            run.save(folder / "runs" / name)
    comparison.write_summary(folder, names)


def _require_own_starts(seeded: Sequence[SeededModel], count: int) -> None:
    """Refuse seeds that would repeat one run: their intervals would be of no width, and claims of no worth."""
    for first in range(0, len(seeded) if count > 1 else 0, count):
        own = [one.initial for one in seeded[first : first + count]]
        require(
            any(not torch.equal(start, own[0]) for start in own[1:]) or own[0].numel() == 0, "seeds",
            f"be one for {seeded[first].name!r}, which starts at the same parameters from each (seeds=1; or data that "
            "are a function of the seed; or init=\"reset\" for a net)", f"{count} of the same run",
        )  # fmt: skip


def _settings(seeded: Sequence[SeededModel], alphas: Sequence[float], seeds: Sequence[int]) -> dict[str, Any]:
    first = seeded[0]
    return {
        **first.description(),
        "alphas": [float(alpha) for alpha in alphas],
        "seeds": list(seeds),
        "models": {one.name: repr(one.model) for one in seeded},
        "params": {one.name: one.model.num_params for one in seeded},
        "classes": list(first.data.classes),
        "dtype": str(first.data.y_train.dtype).removeprefix("torch."),
        "versions": versions(),
        "angle convention": "exp(-i theta P / 2), radians",
        "linearised path": "exact, from K_0" if first.anchor.is_exact else "trained",
    }


def _features(seeded: Sequence[SeededModel], runs: Sequence[Run], alpha: float) -> tuple[Features, ...]:
    """Of each model the runs at one scale that came to their end; none of a model without."""
    ended = {(run.model, run.seed): run for run in runs if run.alpha == alpha and not run.diverged}
    groups: dict[str, list[Trained]] = {}
    for one in seeded:
        if (one.name, one.seed) in ended:
            groups.setdefault(one.name, []).append(Trained(one.anchor, ended[one.name, one.seed].trace))
    own_splits = seeded[0].own_split
    return tuple(measure_features(name, found, own_splits=own_splits) for name, found in groups.items())


def _warn_of_rates(seeded: Sequence[SeededModel]) -> None:
    """One warning a model, before any training."""
    said: set[str] = set()
    for one in seeded:
        message = "" if one.name in said else one.warn_of_rate()
        if message:
            said.add(one.name)
            warnings.warn(message, LearningRateWarning, stacklevel=3)

"""The main job: several models on the same data, over scales and seeds, each beside its linearisation."""

from __future__ import annotations

import os
import secrets
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast, final

import numpy as np
import torch
from torch import Tensor

from qlazy.base.errors import (
    LearningRateWarning,
    path_of,
    quoted,
    require,
    require_flag,
    require_instance,
    whole_of,
)
from qlazy.base.execution import Results, in_processes, on_cluster, on_threads, progress_bar, require_workers
from qlazy.base.keys import digest, key, readable, told
from qlazy.base.memory import require_memory
from qlazy.base.storage import remove_stale_drafts, require_writable
from qlazy.base.version import __version__, versions
from qlazy.comparison.baselines import FourierModel, InfiniteCircuit, InfiniteNet
from qlazy.comparison.result import Comparison
from qlazy.comparison.run import Run, is_saved
from qlazy.data.datasets import Dataset
from qlazy.kernels.operator import tangent_kernel
from qlazy.models.model import Model, require_model
from qlazy.models.wrappers import Centered, Scaled
from qlazy.training.anchor import Anchor
from qlazy.training.features.measure import Trained, measure_features, score_of
from qlazy.training.features.result import Features
from qlazy.training.history import DivergedError, History
from qlazy.training.lanes import Lane, Outcome, train_lanes
from qlazy.training.loop import Record, require_resolved, train
from qlazy.training.losses import Loss, Objective, SquaredError, loss_of
from qlazy.training.methods import (
    SGD,
    Factory,
    GradientDescent,
    GradientFlow,
    Method,
    critical_rate,
    method_of,
)
from qlazy.training.tangent_changes import tangent_changes

if TYPE_CHECKING:
    from qlazy.base.execution import Client

MOMENTS = 5
"""At so many of the recorded steps, the last among them, Jacobian and kernel are measured too."""

PROBED = 3
"""So many samples of training and of test data tell models apart by what they compute."""

FINE = 120
"""About so many steps are recorded where runs are compared at a loss, which a step then meets to a few per cent."""

LONGEST_NAME = 1000

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
    of them are done: by gradient descent and Adam, of exact circuits that do not measure on their way, nets, functions.
    The numbers are those of a run on its own, bit for bit. ``workers`` of more than one are that many processes; a Dask
    ``client`` has workers of its own, which need to see ``out`` under the same path. The numbers are the same, bit
    for bit, on the same kind of processor.

    Raises TypeError for what is no model, data set, loss or method; ValueError for models that do not fit the data, and
    for empty, repeated or impossible settings; KernelTooLargeError for a kernel that does not fit in memory.
    """
    alphas = distinct_values("alphas", alphas, Real, "numbers")
    seeds = seeds_of(seeds)
    require(all(0 < alpha < float("inf") for alpha in alphas), "alphas", "be positive", list(alphas))
    whole_of("steps", steps, 1)
    require_flag("progress", progress)
    require(isinstance(features, bool), "features", "be True or False", features)
    loss, method = loss_of(loss), method_of(method)
    require(isinstance(normalized, bool), "normalized", "be True or False", normalized)
    _check_until(until_loss, loss, method)
    splits = splits_of(data, seeds, normalized)
    for alpha in alphas:
        require_resolved(float(alpha), splits[seeds[0]].x_train.dtype)
    for split in splits.values() if features else ():
        score_of(split)  # what has no score is refused before training
    _check_models(models)
    require_workers(workers, client)
    seeded = [
        SeededModel(
            name,
            model,
            splits[seed],
            seed,
            loss,
            method,
            steps,
            centered,
            normalized,
            until_loss,
            callable(data),
            key,
        )
        for name, model in models.items()
        for seed in seeds
    ]
    for one in seeded[:: len(seeds)]:
        one.check()
    if not callable(data):
        _require_own_starts(seeded, len(seeds))
    require(isinstance(centered, bool), "centered", "be True or False", centered)
    must = "be a list of InfiniteNets, InfiniteCircuits and FourierModels"
    require(isinstance(baselines, tuple | list), "baselines", must, type(baselines).__name__, TypeError)
    for baseline in baselines:
        kinds = (InfiniteNet, InfiniteCircuit, FourierModel)
        require_instance("baselines[...]", baseline, kinds, "InfiniteNet(...), InfiniteCircuit(...)")
        require(
            not callable(data) and until_loss is None, "baselines", "be absent where seeds have splits or ends",
            list(map(str, baselines)),
        )  # fmt: skip
        baseline.check(splits[seeds[0]], loss, method)
    folder = None if out is None else path_of("out", out).absolute()
    kept = [None if folder is None or one.told is None else folder for one in seeded]
    tasks = [RunTask(index, float(alpha), kept[index]) for index in range(len(seeded)) for alpha in alphas]
    if folder is not None:
        remove_stale_drafts(require_writable(folder))
    _warn_of_rates(seeded)
    runs = _runs(seeded, tasks, workers or 1, client, progress)
    if folder is not None and client is not None:
        remove_stale_drafts(folder)  # of workers that died on the way
    order = {name: index for index, name in enumerate(models)}
    runs.sort(key=lambda run: (order[run[1].model], run[1].alpha, run[1].seed))
    beside = tuple(baseline.train(splits[seeds[0]], method, steps) for baseline in baselines)
    made = tuple(run for _, run in runs)
    learnt = _features(seeded, made, float(min(alphas))) if features else ()
    comparison = Comparison(made, _settings(seeded, alphas, seeds), beside, learnt)
    if folder is not None:
        for name, run in runs:
            if not is_saved(folder / "runs" / name):
                run.save(folder / "runs" / name)
        comparison.write_summary(folder, [key for key, _ in runs])
    return comparison


@final
@dataclass(frozen=True, eq=False)
class SeededModel:
    """One model from one seed: what its runs at all scales share."""

    name: str
    model: Model
    data: Dataset
    seed: int
    loss: Loss
    method: Method
    steps: int
    centered: bool
    normalized: bool = False
    until_loss: float | None = None
    own_split: bool = False
    given_key: str | None = None

    @cached_property
    def anchor(self) -> Anchor:
        """The model at its initial parameters, with the learning rate settled."""
        return self._anchored()

    def _anchored(self) -> Anchor:
        data, params = self.data, self.initial
        model = Scaled(self.model, self._unit) if self.normalized else self.model
        model = Centered(model, params) if self.centered else model
        objective = Objective(model, data.x_train, data.y_train, 1.0, self.loss)
        return Anchor(model, params, data, self.loss, self.method.prepared(objective, params))

    @property
    def _unit(self) -> float:
        """What the model is multiplied by to have tr K_0 = n."""
        samples = self.data.x_train
        return (len(samples) / float(tangent_kernel(self.model, self.initial, samples).trace())) ** 0.5

    @cached_property
    def initial(self) -> Tensor:
        """w0 (p,), in the dtype and on the device of the data."""
        return self.model.init(torch.Generator().manual_seed(self.seed)).to(self.data.x_train)

    def check(self) -> None:
        """Refuse a model whose inputs or outputs do not fit the data, before any training."""
        outputs, targets = self._outputs.shape[1], self.data.y_train.shape[1]
        require(
            outputs == targets, f"models[{self.name!r}]", outputs_for(self.data), f"a model of {outputs}",
        )  # fmt: skip
        size = len(self.data.x_train) * outputs
        require_memory((size, size), self.data.x_train)  # the kernel at the start and at the end

    def warn_of_rate(self) -> str:
        """What to say of a learning rate that is above the critical one of the linearised model; nothing otherwise."""
        if not isinstance(self.method, GradientDescent | SGD) or self.method.learning_rate is None:
            return ""
        anchor, rate = self._anchored(), self.method.learning_rate  # not kept: workers make their own
        objective = Objective(anchor.model, self.data.x_train, self.data.y_train, 1.0, self.loss)
        critical = critical_rate(objective, anchor.params)
        if getattr(self.method, "momentum", 0.0) or not rate > critical * (1 + 1e-9):
            return ""
        follows = "its path may swing and not settle"
        if isinstance(self.loss, SquaredError):
            follows = "along the leading eigenvector its path diverges, and is no comparison"
        return (
            f"the learning rate {rate:g} is above {critical:.3g}, the critical rate of the linearised model of "
            f"{self.name} from seed {self.seed}: {follows}"
        )

    def lane(self, alpha: float) -> Lane:
        """The run at one scale as one of many side by side."""
        anchor = self.anchor
        return Lane(anchor.model, anchor.params, alpha, anchor.method.at_scale(alpha))

    def linear_lane(self, alpha: float) -> Lane:
        """The same of the linearised model, where its path is trained."""
        return self.anchor.linear_lane(alpha)

    def run(self, alpha: float, outcome: Outcome | None = None, linear_outcome: Outcome | None = None) -> Run:
        """Train at one scale, unless trained it has been, with the linearised path and the kernel at the end.

        ``linear_outcome`` is that path, where it is trained, has been, and over the whole run.
        """
        anchor = self.anchor
        trace, diverged = self._train(alpha) if outcome is None else outcome
        trace = trace if diverged else self._until(trace)
        linear = anchor.linearized(trace, None if linear_outcome is None else linear_outcome.trace)
        law = anchor.by_variance_law(trace)
        params = torch.from_numpy(trace.params[-1]).to(self.initial)
        final = tangent_kernel(anchor.model, params, self.data.x_train, allow_zero=True)
        regression = anchor.regression(alpha)
        return Run(
            model=self.name,
            seed=self.seed,
            alpha=alpha,
            trace=trace,
            linear_params=linear.params.numpy(),
            linear_train_outputs=linear.train_outputs.numpy(),
            linear_test_outputs=linear.test_outputs.numpy(),
            train_targets=self.data.y_train.numpy(),
            test_targets=self.data.y_test.numpy(),
            kernel_initial=anchor.kernel.numpy(),
            kernel_final=final.to_dense().cpu().numpy(),
            diverged=diverged,
            law_train_outputs=None if law is None else law[0].numpy(),
            law_test_outputs=None if law is None else law[1].numpy(),
            lipschitz=anchor.lipschitz,
            curvature=anchor.curvature,
            tangent_changes=self._tangent_changes(trace).numpy(),
            regression_train_outputs=regression.train_outputs.numpy(),
            regression_test_outputs=regression.test_outputs.numpy(),
            regression_ridge=regression.ridge,
        )

    def kept(self, alpha: float, folder: Path) -> Run:
        """The run of this model at a scale in a folder. Raises ValueError naming one of another model, seed or data."""
        run, data = Run.load(folder), self.data
        pairs = (
            (run.train_targets, data.y_train),
            (run.test_targets, data.y_test),
            (run.trace.params[0], self.initial),
        )
        same = (run.model, run.seed, run.alpha) == (self.name, self.seed, alpha)
        if not same or not all(np.array_equal(found, own.cpu().numpy()) for found, own in pairs):
            raise ValueError(
                f"{folder / 'run.npz'} is not the run that its name says: remove it to have it made anew"
            )
        return run

    def _tangent_changes(self, trace: History) -> Tensor:
        """How far Jacobian and kernel have moved from the start, at :data:`MOMENTS` of the recorded steps."""
        last = len(trace.steps) - 1
        rows = sorted({round(last * i / MOMENTS) for i in range(1, MOMENTS + 1)})
        path, outputs = (
            torch.from_numpy(array).to(self.initial) for array in (trace.params[rows], trace.train_outputs[0])
        )
        return tangent_changes(
            self.anchor.model, self.initial, path, self.data.x_train, outputs - self.data.y_train
        )

    def _train(self, alpha: float) -> tuple[History, str]:
        """The recorded run, and what stopped it early, if anything did."""
        anchor = self.anchor
        settings: dict[str, Any] = {
            "steps": self.steps,
            "alpha": alpha,
            "loss": self.loss,
            "method": anchor.method.at_scale(alpha),
            "record": self.record,
        }
        try:
            return train(anchor.model, anchor.params, self.data, **settings), ""
        except DivergedError as stopped:
            if stopped.trace is None:
                raise
            return stopped.trace, str(stopped)

    @property
    def record(self) -> Record:
        """Which steps are recorded."""
        return Record() if self.until_loss is None else Record(count=FINE)

    def _until(self, trace: History) -> History:
        """The run up to the first recorded step at which no more of its loss was left than is asked for."""
        if self.until_loss is None:
            return trace
        there = np.flatnonzero(trace.train_loss <= self.until_loss * trace.train_loss[0])
        return trace.until(int(there[0])) if len(there) else trace

    def key(self, alpha: float) -> str:
        """A folder name that is the same only for the same model, data, settings and scale.

        One that cannot be told has a name of chance.
        """
        settings = {
            **self.description(), "model": self.name, "seed": self.seed, "alpha": alpha, "numbers": self._data,
            "told": self.told or self._chance,
        }  # fmt: skip
        return key(f"{readable(self.name)}-seed{self.seed}-a{alpha:g}", settings)

    def description(self) -> dict[str, Any]:
        """The settings that every run of a comparison shares, as JSON."""
        return {
            "data": repr(self.data),
            "preprocessing": self.data.description,
            "loss": self.loss.convention,
            "method": repr(self.method),
            "steps": self.steps,
            "centered": self.centered,
            **({"normalized": True} if self.normalized else {}),
            **({} if self.until_loss is None else {"until_loss": self.until_loss}),
            **({"splits": "a seed"} if self.own_split else {}),
            "qlazy": __version__,
            "torch": torch.__version__,
        }

    @cached_property
    def _outputs(self) -> Tensor:
        with torch.no_grad():
            return self.model(self.initial, self.data.x_train)

    @cached_property
    def told(self) -> str | None:
        """What tells the run of this model from that of any other, whatever its scale; None where it cannot be told."""
        parts = (self.model, self.loss, self.method)
        what = f"models[{self.name!r}]"
        return told(what, parts, self.data.x_train, self._numbers, self.given_key)

    @cached_property
    def _chance(self) -> str:
        return secrets.token_hex(16)

    def _numbers(self) -> list[Tensor]:
        """Outputs at the start, and outputs, losses and gradients of outputs at random points."""
        data, found = self.data, [self.initial, self._outputs]
        x = torch.cat([data.x_train[:PROBED], data.x_test[:PROBED]])
        y = torch.cat([data.y_train[:PROBED], data.y_test[:PROBED]])
        generator = torch.Generator().manual_seed(self.seed % 2**63)
        for _ in range(2):
            step = torch.randn(self.model.num_params, generator=generator, dtype=torch.float64)
            weights = torch.randn(*y.shape, generator=generator, dtype=torch.float64)
            params = self.initial + step.to(self.initial)
            with torch.no_grad():
                outputs = self.model(params, x)
                found += [outputs, self.loss(outputs, y)]
            found.append(self.model.vjp(params, x, weights.to(y)))
        return [tensor.detach() for tensor in found]

    @cached_property
    def _data(self) -> str:
        data = self.data
        return digest(data.x_train, data.y_train, data.x_test, data.y_test)


class RunTask(NamedTuple):
    """One run: of the seeded model in this place, at one scale, kept in a folder if there is one."""

    which: int
    alpha: float
    folder: Path | None

    def kept(self, seeded: Sequence[SeededModel]) -> Path:
        """The folder of the run itself."""
        assert self.folder is not None
        return self.folder / "runs" / seeded[self.which].key(self.alpha)


def make_runs(seeded: Sequence[SeededModel], tasks: Sequence[RunTask]) -> list[Run | None]:
    """As :func:`make_runs_here`; one that is saved is not handed back, for whoever reads it finds it in its folder."""
    made = make_runs_here(seeded, tasks)
    return [run if task.folder is None else None for task, run in zip(tasks, made, strict=True)]


def make_runs_here(seeded: Sequence[SeededModel], tasks: Sequence[RunTask]) -> list[Run | None]:
    """Make runs of one model on the same data side by side, where that is possible, and one after another otherwise.

    One with a folder is saved; None stands for one that is there by now.
    """
    wanted = [task for task in tasks if task.folder is None or not is_saved(task.kept(seeded))]
    outcomes = _side_by_side(seeded, wanted, SeededModel.lane)
    trained = [task for task in wanted if not seeded[task.which].anchor.is_exact]  # all of them or none
    linear = _side_by_side(seeded, trained, SeededModel.linear_lane) or [None] * len(wanted)
    made: dict[RunTask, Run] = {}
    for i, task in enumerate(wanted):
        made[task] = seeded[task.which].run(task.alpha, outcomes[i], linear[i])
        if task.folder is not None:
            made[task].save(task.kept(seeded))
    return [made.get(task) for task in tasks]


def _side_by_side(
    seeded: Sequence[SeededModel], tasks: Sequence[RunTask], lane: Callable[[SeededModel, float], Lane]
) -> Sequence[Outcome | None]:
    """What each task's lane came to; None for all where there are no lanes."""
    if not tasks:
        return []
    one, lanes = seeded[tasks[0].which], [lane(seeded[task.which], task.alpha) for task in tasks]
    found = train_lanes(lanes, one.data, steps=one.steps, loss=one.loss, record=one.record)
    return [None] * len(tasks) if found is None else found


def _groups(seeded: Sequence[SeededModel], tasks: Sequence[RunTask], workers: int) -> list[list[int]]:
    """The places of tasks of one model on the same data, in as many groups as there are workers or more."""
    groups: dict[tuple[str, int], list[int]] = {}
    for place, task in enumerate(tasks):
        one = seeded[task.which]
        groups.setdefault((one.name, id(one.data)), []).append(place)
    found = []
    for group in groups.values():
        size = -(-len(group) // workers)
        found += [group[i : i + size] for i in range(0, len(group), size)]
    return found


def _runs(
    seeded: Sequence[SeededModel],
    tasks: Sequence[RunTask],
    workers: int,
    client: Client | None,
    progress: bool,
) -> list[tuple[str, Run]]:
    """Every task's run with its key, in the order of the tasks; only those that are missing are made."""
    missing = [i for i, task in enumerate(tasks) if task.folder is None or not is_saved(task.kept(seeded))]
    made: dict[int, Run] = {}
    bar = progress_bar(total=len(tasks), initial=len(tasks) - len(missing), unit="run", progress=progress)
    with bar:
        left = [tasks[i] for i in missing]
        groups = _groups(
            seeded, left, workers if client is None else len(client.scheduler_info()["workers"]) or 1
        )
        for index, runs in _made(seeded, [[left[i] for i in group] for group in groups], workers, client):
            for place, run in zip(groups[index], runs, strict=True):
                if run is not None:
                    made[missing[place]] = run
            one = seeded[left[groups[index][0]].which]
            bar.set_description(one.name, refresh=False)
            bar.update(len(runs))
    return [
        (
            seeded[task.which].key(task.alpha),
            made[i] if i in made else seeded[task.which].kept(task.alpha, task.kept(seeded)),
        )
        for i, task in enumerate(tasks)
    ]


def _made(
    seeded: Sequence[SeededModel], tasks: Sequence[Sequence[RunTask]], workers: int, client: Client | None
) -> Results:
    if client is not None:
        return on_cluster(make_runs, seeded, tasks, client)
    if workers > 1:
        return in_processes(make_runs, seeded, tasks, workers)
    return on_threads(make_runs_here, seeded, tasks, 1)


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
        "dtype": str(first.data.x_train.dtype).removeprefix("torch."),
        "versions": versions(),
        "angle convention": "exp(-i theta P / 2), radians",
        "linearised path": "exact, from K_0" if first.anchor.is_exact else "trained",
    }


def distinct_values(argument: str, values: Iterable[Any], kind: type, noun: str) -> tuple[Any, ...]:
    """Distinct numbers of whatever holds them, a range, an array or a generator, as plain ones."""
    fits = (
        isinstance(values, Iterable)
        and not isinstance(values, str | bytes | Mapping)
        and getattr(values, "ndim", 1) == 1
    )
    require(fits, argument, f"be a sequence of {noun}", quoted(values), TypeError)
    found = tuple(value.item() if hasattr(value, "item") else value for value in values)
    plain = all(isinstance(value, kind) and not isinstance(value, bool) for value in found)
    require(plain, argument, f"hold {noun} alone", found, TypeError)
    require(found, argument, "hold at least one value", "empty")
    require(len(set(found)) == len(found), argument, "hold each value once", list(found))
    return found


def outputs_for(data: Dataset) -> str:
    """What a model must have to be trained on these data, for a refusal."""
    targets = data.y_train.shape[1]
    if targets > 1:
        each = "one for each class" if len(data.classes) == targets else "as the data have targets"
        return f"have {targets} outputs, {each}"
    return "have one output, " + ("-1 for one class and +1 for the other" if data.classes else "as the data")


def seeds_of(seeds: Iterable[int] | int) -> tuple[int, ...]:
    """Distinct seeds as they are listed, or the first so many from 0 on."""
    if isinstance(seeds, Integral) and not isinstance(seeds, bool):
        must = "be a sequence of whole numbers, or how many of them, 1 to 10000"
        require(1 <= int(seeds) <= 10_000, "seeds", must, seeds)
        return tuple(range(int(seeds)))
    many = len(seeds) if isinstance(seeds, range | list | tuple) else 0
    require(many <= 10_000, "seeds", "be 10000 at most", many)
    listed = distinct_values("seeds", cast(Iterable[int], seeds), Integral, "whole numbers")
    require(all(abs(seed) < 2**63 for seed in listed), "seeds", "be below 2^63", list(listed))
    return listed


def splits_of(
    data: Dataset | Callable[[int], Dataset], seeds: Sequence[int], normalized: bool
) -> dict[int, Dataset]:
    """The data of each seed; one split for all where ``data`` is a data set."""
    found = {seed: data(seed) if callable(data) else data for seed in seeds}
    first = found[seeds[0]]
    for one in found.values():
        must = "be a qlazy Dataset, as qlazy.from_arrays(x, y) makes one, or a function from a seed to one"
        require(isinstance(one, Dataset), "data", must, type(one).__name__, TypeError)
        alike = [
            (d.classes, d.x_train.shape, d.y_train.shape, d.y_test.shape, d.x_train.dtype)
            for d in (first, one)
        ]
        require(
            alike[0] == alike[1], "data", "have the same classes, shapes and dtype for every seed", alike[1]
        )
    return {seed: one.with_unit_targets() if normalized else one for seed, one in found.items()}


def _check_until(until_loss: float | None, loss: Loss, method: Method) -> None:
    if until_loss is None:
        return
    good = isinstance(until_loss, Real) and 0 < until_loss < 1
    require(good, "until_loss", "be a share of the loss between 0 and 1", until_loss)
    known = isinstance(loss, SquaredError) or not isinstance(method, GradientFlow)
    require(known, "until_loss", "be absent for gradient flow of other losses than the square", until_loss)


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


def _check_models(models: Mapping[str, Model]) -> None:
    must = "be a mapping from names to models"
    require(isinstance(models, Mapping), "models", must, f"a {type(models).__name__}", TypeError)
    require(len(models), "models", "hold at least one model", "empty")
    for name, model in models.items():
        require(isinstance(name, str) and name, "models", "have names that are words", name, TypeError)
        written = name.encode("utf-8", "replace").decode() == name
        require(written and len(name) <= LONGEST_NAME, "models",
                f"have names of at most {LONGEST_NAME} characters, without surrogates", ascii(name))  # fmt: skip
        require_model(f"models[{name!r}]", model)

"""The loop: batches come in, a selector weighs them, the model takes a step, pass after pass."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qlazy.base.errors import (
    NotFiniteError,
    folder_of,
    generator_of,
    number_of,
    positive_of,
    require,
    require_flag,
    require_tensor,
    whole_of,
)
from qlazy.base.execution import progress_bar
from qlazy.base.keys import key, told
from qlazy.base.storage import load_arrays, remove_stale_drafts, require_writable, save_arrays
from qlazy.base.version import versions
from qlazy.data.datasets import Dataset
from qlazy.data.labels import are_labels
from qlazy.models.model import Model, require_model
from qlazy.tasks.subset.host_cp import HostCP
from qlazy.tasks.subset.labels import top_by_class
from qlazy.tasks.subset.leave_one_out import label_margins
from qlazy.tasks.subset.result import Subset
from qlazy.tasks.subset.selector import Batch, Selector, State, Task, top, weighted_gradient
from qlazy.training.losses import Loss, Objective, Pair, SquaredError, accuracy, examples_of
from qlazy.training.methods import stable_rate


def select_subset(
    model: Model,
    data: Dataset | Pair,
    *,
    fraction: float = 0.1,
    selector: Selector = HostCP(),  # noqa: B008 - a frozen value
    validation: Pair | None = None,
    params: Tensor | None = None,
    loss: Loss = SquaredError(),  # noqa: B008 - a frozen value
    epochs: int = 30,
    batch_size: int = 20,
    learning_rate: float | None = None,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Subset:
    """Choose the part of a training set that is worth training on, with the model that learns from it.

    Batches of the training samples come in ``epochs`` times, each time in another order. ``selector`` weighs
    them, by default with weight on ``fraction`` of a batch at most, and the model takes the step
    -rate sum_j w_j grad l_j. What is chosen in the end are the samples of the highest mean score over the times they
    were seen in the later half of the passes, ``fraction`` of all. Where targets are class labels the choice is
    stratified by the labels *given*, the wrong ones among them: each class gets seats in proportion to how often it is
    given, so that where noise favours a class the choice does too.

    ``data`` is a Dataset or a pair of inputs (n, ...) and targets (n, c). ``validation`` is such a pair of samples
    that are trusted (:func:`qlazy.subset.hold_out`): some selectors learn from them, and the test part of a Dataset
    is never used but to report accuracy. ``params`` (p,) is where the model starts, by default drawn from ``seed``;
    ``learning_rate`` defaults to n / (2 lambda_max(K)), safe for the square loss. With ``out`` the state after every
    epoch is kept in that folder: a run that was stopped goes on there, with the numbers of an uninterrupted one, bit
    for bit.

    Raises TypeError for what is no model; ValueError for shapes and settings that do not fit, and where a selector
    needs ``validation``; ImportError where it needs an extra; NotFiniteError for NaN or infinity in data or parameters,
    and for a model that runs away.
    """
    must = "be more than 0 and at most 1"
    share = number_of("fraction", fraction, must)
    require(0 < share <= 1, "fraction", must, fraction)
    for name, value in (("epochs", epochs), ("batch_size", batch_size)):
        whole_of(name, value, 1)
    if learning_rate is not None:
        positive_of("learning_rate", learning_rate)
    whole_of("seed", seed, must="be a whole number from 0 to 2^63")
    require_flag("progress", progress)
    require(isinstance(selector, Selector), "selector", "be a Selector", type(selector).__name__, TypeError)
    require_model("model", model)
    if params is not None:
        require_tensor("params", params)
    x, y, test = examples_of(data, params)
    start = model.init(generator_of(seed)).to(y) if params is None else params.detach().clone()
    Objective(model, x, y, 1.0, loss).check(start)
    if validation is not None:
        pair = isinstance(validation, tuple) and len(validation) == 2
        require(pair, "validation", "be a pair (x, y)", type(validation).__name__, TypeError)
        Objective(model, *validation, 1.0, loss).check(start, "validation[0]", "validation[1]")
    require(batch_size <= len(x), "batch_size", f"be at most {len(x)}, the samples there are", batch_size)
    count = max(1, round(share * len(x)))
    task = Task(model, start, x, y, loss, count, validation)
    if learning_rate is None:
        learning_rate = stable_rate(Objective(model, x, y, 1.0, loss), start)
    loop = Loop(task, selector, int(epochs), int(batch_size), float(learning_rate), seed, test)
    return loop.run(
        None if out is None else folder_of("out", out),
        progress,
        repr(data) if isinstance(data, Dataset) else "pair",
    )


@dataclass(frozen=True, eq=False)
class Progress:
    """Where a loop stands after some passes: what it needs to go on, and nothing else."""

    done: int
    params: Tensor
    state: State
    totals: Tensor  # (n,), scores added up over the later half of the epochs
    visits: Tensor  # (n,), how many of them
    history: tuple[tuple[float, float], ...]


@dataclass(frozen=True, eq=False)
class Loop:
    """A selection with all its settings settled."""

    task: Task
    selector: Selector
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    test: Pair | None

    def run(self, folder: Path | None, progress: bool, data: str) -> Subset:
        """Every pass that is not done yet, then the choice."""
        name = None if folder is None else self.key()
        path = None if folder is None or name is None else folder / f"{name}.npz"
        if folder is not None:
            remove_stale_drafts(require_writable(folder))
        margins = self.margins()
        now = self.begin() if path is None or not path.exists() else self.restore(path)
        with progress_bar(total=self.epochs, initial=now.done, unit="pass", progress=progress) as bar:
            bar.set_description(type(self.selector).__name__)
            while now.done < self.epochs:
                now = self.advance(now)
                if path is not None:
                    self.keep(path, now)
                bar.update()
        return self.choose(now, margins, data)

    def begin(self) -> Progress:
        generator = self.generator(0)
        state = self.selector.start(self.task, generator)
        params, zeros = self.task.params, torch.zeros_like(self.task.y[:, 0])
        return Progress(0, params, state, zeros, zeros, (self.measure(params),))

    def advance(self, now: Progress) -> Progress:
        """One pass over the samples in batches of equal size; what is left over waits for the next."""
        generator = self.generator(now.done + 1)
        order = torch.randperm(len(self.task.x), generator=generator).to(now.params.device)
        params, state = now.params, now.state
        totals, visits = now.totals.clone(), now.visits.clone()
        for index in order[: len(order) // self.batch_size * self.batch_size].split(self.batch_size):
            count = max(1, round(self.task.fraction * self.batch_size))
            batch = Batch(index, params, self.learning_rate, count, generator)
            selection, state = self.selector.weigh(self.task, state, batch)
            if now.done >= self.epochs // 2:
                totals[index] += selection.scores
                visits[index] += 1
            if selection.weights.any():
                params = params - self.learning_rate * weighted_gradient(
                    self.task, params, index, selection.weights
                )
        require(params.isfinite().all(), "loss", "stay finite (try a smaller rate)", f"not, in pass {now.done + 1}",
                NotFiniteError)  # fmt: skip
        return Progress(now.done + 1, params, state, totals, visits, (*now.history, self.measure(params)))

    def margins(self) -> Tensor:
        """What the tangent kernel at initialisation makes of every label; NaN where targets are no labels."""
        if not are_labels(self.task.y):
            return torch.full_like(self.task.y[:, 0], torch.nan)
        return label_margins(self.task, self.generator(self.epochs + 1))

    def choose(self, now: Progress, margins: Tensor, data: str) -> Subset:
        """The samples with the highest mean scores, beside the margins of all labels; none that was never scored."""
        task = self.task
        mean = now.totals / now.visits  # NaN where a batch size that does not divide n left a sample out
        scores = mean.nan_to_num(nan=-math.inf, posinf=math.inf, neginf=-math.inf)
        labeled = are_labels(task.y)
        chosen = top_by_class(scores, task.y, task.count) if labeled else top(scores, task.count)
        history = np.array(now.history)
        return Subset(
            indices=chosen.cpu().numpy(),
            scores=mean.cpu().numpy(),
            margins=margins.cpu().numpy(),
            params=now.params.cpu().numpy(),
            validation_loss=history[:, 0],
            test_accuracy=history[:, 1],
            settings={"data": data, **self.description(), "versions": versions()},
        )

    def measure(self, params: Tensor) -> tuple[float, float]:
        """Loss on the validation samples and accuracy on the test part; NaN where there are none."""
        task = self.task
        with torch.no_grad():
            held = math.nan
            if task.validation is not None:
                x, y = task.validation
                held = float(task.loss(task.model(params, x), y))
            right = math.nan
            if self.test is not None and are_labels(self.test[1]):
                right = float(accuracy(task.model(params, self.test[0]), self.test[1]))
        return held, right

    def generator(self, part: int) -> torch.Generator:
        """Random numbers of the start (0) or of a pass, the same whether or not the passes before ran just now."""
        words = np.random.SeedSequence([self.seed, part]).generate_state(2)
        return torch.Generator().manual_seed(int(words[0]) << 31 | int(words[1]) >> 1)

    def description(self) -> dict[str, Any]:
        """The settings as JSON."""
        task = self.task
        return {
            "selector": repr(self.selector), "model": repr(task.model), "loss": task.loss.convention,
            "samples": len(task.x), "chosen": task.count, "epochs": self.epochs, "batch_size": self.batch_size,
            "learning_rate": self.learning_rate, "seed": self.seed,
            "validation": 0 if task.validation is None else len(task.validation[0]),
        }  # fmt: skip

    def key(self) -> str | None:
        """A file name that is the same only for the same model, data and settings; None where they cannot be told."""
        task = self.task
        found = told("model", (task.model, task.loss, self.selector), task.x, self._numbers)
        tensors = [task.params, task.x, task.y, *(task.validation or ()), *(self.test or ())]
        settings = {**self.description(), "told": found}
        return None if found is None else key(type(self.selector).__name__, settings, *tensors)

    def _numbers(self) -> list[Tensor]:
        """Outputs, their losses and a gradient at the start and at a point of chance."""
        task, found = self.task, []
        step = torch.randn(task.params.shape, generator=self.generator(0), dtype=torch.float64)
        for params in (task.params, task.params + step.to(task.params)):
            with torch.no_grad():
                outputs = task.model(params, task.x)
                found += [outputs, task.loss(outputs, task.y)]
        found.append(
            task.model.vjp(task.params + step.to(task.params), task.x[:3], torch.ones_like(task.y[:3]))
        )
        return [tensor.detach() for tensor in found]

    def keep(self, path: Path, now: Progress) -> None:
        """Write where the loop stands, in place of what was there."""
        arrays = {f"state.{name}": tensor for name, tensor in now.state.items()}
        arrays |= {"params": now.params, "totals": now.totals, "visits": now.visits}
        kept = {name: tensor.cpu().numpy() for name, tensor in arrays.items()}
        save_arrays(
            path,
            {**kept, "history": np.array(now.history)},
            {
                "done": now.done,
                "key": path.stem,
                "digest": _digest(arrays, now.history, path.stem),
                **self.description(),
            },
        )

    def _fits(self, arrays: Mapping[str, Any], done: int) -> bool:
        """Whether the arrays have the shapes that this selection's have after so many passes."""
        n = len(self.task.x)
        shapes = {
            "params": tuple(self.task.params.shape),
            "totals": (n,),
            "visits": (n,),
            "history": (done + 1, 2),
        }
        found = {name: array.shape for name, array in arrays.items() if name in shapes}
        return found == shapes and bool(np.isfinite(arrays["params"]).all())

    def restore(self, path: Path) -> Progress:
        """Where the loop stood. Raises ValueError naming a damaged file."""
        arrays, settings = load_arrays(path)
        done: Any = settings.get("done")
        fits = (
            settings.get("key") == path.stem
            and done in range(1, self.epochs + 1)
            and all(array.dtype.kind in "biuf" for array in arrays.values())
            and self._fits(arrays, done)
        )
        parts = {name: array for name, array in arrays.items() if name != "history"} if fits else {}
        whole = {name: torch.from_numpy(array) for name, array in parts.items()}
        if not fits or settings.get("digest") != _digest(whole, arrays["history"].tolist(), path.stem):
            raise ValueError(f"{path} is not the state of this selection: remove it to begin anew")
        history = tuple((float(held), float(right)) for held, right in arrays.pop("history"))
        tensors = {
            name: torch.from_numpy(array).to(self.task.params.device) for name, array in arrays.items()
        }
        params, totals, visits = (tensors.pop(name) for name in ("params", "totals", "visits"))
        state = {name.removeprefix("state."): tensor for name, tensor in tensors.items()}
        return Progress(settings["done"], params, state, totals, visits, history)


def _digest(tensors: Mapping[str, Tensor], history: Sequence[Sequence[float]], name: str) -> str:
    """What belongs together in a file: its state, what was measured after each of its passes, and its name."""
    ordered = [tensors[part] for part in sorted(tensors)]
    return key(name, sorted(tensors), *ordered, np.array(history, dtype=np.float64))

"""Does something without quantum parts, or without entanglement, do as well as a circuit?"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from qlazy.base.errors import (
    UnsupportedModelError,
    number_of,
    require,
    require_flag,
    whole_of,
)
from qlazy.base.execution import progress_bar
from qlazy.base.version import versions
from qlazy.comparison.baselines.fourier import MOST, FourierModel
from qlazy.comparison.baselines.learners import KernelRidge, Learner, Tuned, classical, samples
from qlazy.comparison.baselines.result import FIDELITY, FOURIER, TWIN, Rival, Surrogates
from qlazy.comparison.baselines.trained import Trained
from qlazy.comparison.baselines.tuning import Entry, Split, answers, split_of
from qlazy.comparison.compare.arguments import outputs_for, seeds_of, splits_of
from qlazy.data.datasets import Dataset
from qlazy.models.model import Model, require_model
from qlazy.models.nets import Net
from qlazy.models.wrappers import Scaled
from qlazy.training.losses import Loss, SquaredError, loss_of
from qlazy.training.methods import Factory, Method, method_of

SAME = 1e-9
"""Outputs that differ by no more than this share are those of one function: rounding errors are smaller."""

if TYPE_CHECKING:
    from qlazy.quantum.circuit import Circuit

MARGIN = 0.02


def surrogates(
    model: Model,
    data: Dataset | Callable[[int], Dataset],
    *,
    seeds: int | Sequence[int] = 10,
    folds: int = 5,
    candidates: int = 8,
    steps: int = 200,
    method: Method | Factory | None = None,
    loss: Loss | Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = SquaredError(),  # noqa: B008 - a frozen value
    margin: float = MARGIN,
    max_features: int = MOST,
    progress: bool = True,
) -> Surrogates:
    """A circuit trained on data, beside models without entanglement or without quantum parts on the same data.

    They are the circuit's unentangled twin, retrained from the same angles (:func:`untangled`); ridge regression on the
    frequencies of its encoding (:class:`FourierModel`, at most ``max_features``); support vectors with its fidelity
    kernel at the angles a seed starts from; and of any data logistic or ridge regression, support vectors with an RBF
    kernel, a net with one hidden layer and regression with the tangent kernel of an infinitely wide ReLU net. The first
    three are left out for a net, and where a circuit has none, with the reason.

    All are tuned by one rule: of ``candidates`` settings that with the best mean over ``folds`` folds of the training
    samples is taken, each fold from a seed of its own; there are fewer folds where a class has fewer samples. Of the
    circuit and its twin it is Adam's learning rate, from 10^-2.5 to 1, unless a ``method`` is given. They are trained
    for ``steps`` steps on all samples by ``loss``, uncentred, at a = 1.

    ``seeds``, a number or a list, start circuits and nets; ``data`` may be a function of the seed, for a split a seed,
    on each of which all are tuned anew. Differences to the circuit are in test accuracy, or for real targets in the
    share of the test targets' variance that is explained, with 95 % intervals paired over seeds and test samples.
    A model does as well where its interval lies above -``margin``.

    Raises TypeError for what is no model or data set; ValueError for a model that does not fit the data, and for
    impossible settings.
    """
    require_model("model", model)
    listed = seeds_of(seeds)
    for name, value, least in (("folds", folds, 2), ("candidates", candidates, 1), ("steps", steps, 1)):
        whole_of(name, value, least)
    method, loss = None if method is None else method_of(method), loss_of(loss)
    require(0 <= number_of("margin", margin) < 1, "margin", "be a share from 0 to 1", margin)
    whole_of("max_features", max_features, 3, "be a whole number of at least 3")
    require_flag("progress", progress)
    splits = _splits(data, listed, folds)
    first = splits[0].data
    _require_fit(model, splits[0])
    own = Trained(_name(model), model, method, loss, steps, candidates)
    settings = _Settings(method, loss, steps, candidates, max_features)
    entrants, left_out = _quantum(model, first, settings)
    found = _entered(
        [own, *entrants, *classical(candidates, bool(first.classes))], splits, left_out, progress
    )
    return Surrogates(
        rivals=tuple(rival for rival, _ in found),
        answers=np.stack([scores for _, scores in found]),
        classes=tuple(first.classes),
        own_splits=callable(data),
        margin=float(margin),
        left_out=left_out,
        settings={
            "data": repr(first), "preprocessing": first.description, "model": repr(model), "seeds": list(listed),
            "folds": len(splits[0].folds), "candidates": candidates, "steps": steps, "loss": loss.convention,
            "own_twin": any(one.name == TWIN and _same(model, one, first) for one in entrants),
            "method": "Adam, its rate tuned" if method is None else repr(method), "versions": versions(),
        },
    )  # fmt: skip


def _mean(entries: Sequence[Entry]) -> float | None:
    """What is left of the training loss of models that are trained, over splits."""
    left = [entry.loss_left for entry in entries if entry.loss_left is not None]
    return float(np.mean(left)) if left else None


class Entrant(Protocol):
    """A model that answers on the test samples of a split."""

    @property
    def name(self) -> str: ...

    def enter(self, split: Split) -> Entry:
        """Tune, fit and predict."""


class _Settings(NamedTuple):
    method: Method | None
    loss: Loss
    steps: int
    candidates: int
    max_features: int


def _splits(data: Dataset | Callable[[int], Dataset], seeds: Sequence[int], folds: int) -> list[Split]:
    """One for each seed, or one for all."""
    found = {seed: one.to(device="cpu") for seed, one in splits_of(data, seeds, False).items()}
    for one in found.values():
        require(len(one.x_test), "data", "have test samples", repr(one))
    groups = (
        [(found[seed], (seed,)) for seed in seeds] if callable(data) else [(found[seeds[0]], tuple(seeds))]
    )
    return [split_of(one, own, folds) for one, own in groups]


def _require_fit(model: Model, split: Split) -> None:
    params = model.init(torch.Generator().manual_seed(split.seeds[0])).to(split.data.y_train)
    with torch.no_grad():
        outputs = model(params, split.data.x_train[:2])
    targets = split.data.y_train.shape[1]
    require(outputs.shape[1] == targets, "model", outputs_for(split.data), f"one of {outputs.shape[1]}")


def _name(model: Model) -> str:
    return "circuit" if _circuit_of(model) else "net" if isinstance(model, Net) else "model"


def _circuit_of(model: Model) -> Circuit | None:
    """The circuit that a model is, up to a scale."""
    while isinstance(model, Scaled):
        model = model.model
    if (
        type(model).__name__ != "Circuit"
    ):  # known without loading what runs circuits, which a net can do without
        return None
    from qlazy.quantum.circuit import Circuit

    return model if isinstance(model, Circuit) else None


def _quantum(model: Model, data: Dataset, settings: _Settings) -> tuple[list[Entrant], dict[str, str]]:
    """What a circuit alone has beside it; of the others why they are left out."""
    circuit = _circuit_of(model)
    if circuit is None:
        return [], dict.fromkeys((TWIN, FOURIER, FIDELITY), "a circuit alone has them")
    from qlazy.comparison.baselines.fidelity import fidelity_learner

    count = settings.candidates
    fourier = FourierModel(circuit, settings.max_features)

    def on_frequencies(data: Dataset, seed: int) -> Learner:
        return KernelRidge(fourier.kernel(samples(data), data.x_train), data)

    def on_fidelities(data: Dataset, seed: int) -> Learner:
        return fidelity_learner(circuit, data, seed)

    makers: Mapping[str, Callable[[], Entrant]] = {
        TWIN: lambda: _twin(model, circuit, data, settings),
        FOURIER: lambda: Tuned(FOURIER, _tried(on_frequencies, data), count, by_seed=False),
        FIDELITY: lambda: Tuned(FIDELITY, _tried(on_fidelities, data), count, by_seed=True),
    }
    entrants, left_out = [], {}
    for name, make in makers.items():
        try:
            entrants.append(make())
        except UnsupportedModelError as error:
            left_out[name] = str(error)
    return entrants, left_out


def _tried(make: Callable[[Dataset, int], Learner], data: Dataset) -> Callable[[Dataset, int], Learner]:
    """The maker, which has made a learner of this data: what a circuit has not is refused before all training."""
    make(data, 0)
    return make


def _twin(model: Model, circuit: Circuit, data: Dataset, settings: _Settings) -> Entrant:
    from qlazy.comparison.baselines.untangled import untangled

    twin = _rescaled(model, untangled(circuit, data.x_train))
    return Trained(TWIN, twin, settings.method, settings.loss, settings.steps, settings.candidates)


def _same(model: Model, twin: Entrant, data: Dataset) -> bool:
    """Whether a twin is the same function, by its outputs at random weights, which are analytic in them."""
    assert isinstance(twin, Trained)
    params = torch.randn(model.num_params, generator=torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        one, other = (own(params, data.x_train.double()) for own in (model, twin.model))
    return bool((one - other).abs().max() <= SAME * one.abs().max())


def _rescaled(model: Model, circuit: Model) -> Model:
    return Scaled(_rescaled(model.model, circuit), model.alpha) if isinstance(model, Scaled) else circuit


def _entered(
    entrants: Sequence[Entrant], splits: Sequence[Split], left_out: dict[str, str], progress: bool
) -> list[tuple[Rival, NDArray[np.float64]]]:
    """Every entrant with its answers (s, m), seeds in order."""
    found = []
    with progress_bar(total=len(entrants) * len(splits), unit="model", progress=progress) as bar:
        for entrant in entrants:
            bar.set_description(entrant.name, refresh=False)
            start, entries = time.perf_counter(), []
            for split in splits:
                entries.append(entrant.enter(split))
                bar.update()
            scores = [
                [answers(outputs, split.data) for outputs in entry.outputs]
                for split, entry in zip(splits, entries, strict=True)
            ]
            one = entries[0]
            rival = Rival(
                entrant.name, one.candidates, one.chosen, one.parameters, time.perf_counter() - start,
                sum(entry.diverged for entry in entries), _mean(entries),
            )  # fmt: skip
            found.append((rival, np.array([row for rows in scores for row in rows])))
    return found

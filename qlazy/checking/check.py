"""Is it lazy, is it flat, is it classical: the three questions asked of a model and its data in one call."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Real

from numpy.typing import ArrayLike
from torch import Tensor

from qlazy.base.errors import (
    did_you_mean,
    folder_of,
    positive_of,
    quoted,
    require,
    require_flag,
    require_instance,
    whole_of,
)
from qlazy.base.storage import remove_stale_drafts, require_writable
from qlazy.base.version import __version__
from qlazy.checking.lazy import LazyPanel
from qlazy.checking.models import Shapes, named_model
from qlazy.checking.panels import PANELS, Question, facts_of
from qlazy.checking.verdict import Verdict
from qlazy.comparison.compare.arguments import distinct_values, seeds_of
from qlazy.comparison.runs import UNREAD
from qlazy.data.datasets import Dataset, from_arrays
from qlazy.models.unread import warn_of_unread_columns
from qlazy.training.losses import Loss, SquaredError, loss_of
from qlazy.training.methods import Factory, GradientDescent, Method, method_of

ALPHAS = (1.0, 10.0, 100.0)
SEEDS = 10


def check(
    model: object,
    data: Dataset | tuple[ArrayLike | Tensor, ArrayLike | Tensor],
    *,
    shapes: Shapes | None = None,
    inputs: str | None = None,
    panels: Sequence[str] = tuple(PANELS),
    alphas: Sequence[float] = ALPHAS,
    seeds: int | Iterable[int] = SEEDS,
    loss: Loss | Callable[[Tensor, Tensor], Tensor] = SquaredError(),  # noqa: B008 - a frozen value
    method: Method | Factory = GradientDescent(),  # noqa: B008 - a frozen value
    steps: int = 200,
    centered: bool = True,
    small: float = 0.1,
    out: str | os.PathLike[str] | None = None,
    key: str | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> Verdict:
    """The verdict on a model and its data: lazy, flat, classical? It prints its sentence first.

    ``model`` is a QNode, a torch module, any qlazy Model, a function that returns one of them, or a text: a family or
    an OpenQASM file (``"hardware_efficient:layers=2"``), a net (``"mlp:16"``), a name in a file
    (``"mine.py:circuit"``), whose code is run. Weights of a QNode have the shapes of its default arguments, or those in
    ``shapes``, such as ``{"weights": (2, 4, 3)}``; its data argument is called ``inputs`` unless ``inputs`` names
    another.

    ``data`` is a Dataset, or a pair of arrays x (n, d) and y (n,), split and preprocessed by :func:`from_arrays`.

    ``panels`` are the questions, of "lazy", "flat" and "classical". The model is trained at the output scales
    ``alphas``, 1 being ordinary training, less its outputs at the start where ``centered``, from ``seeds``, a number of
    them or the seeds themselves, by ``method`` on ``loss`` in ``steps`` steps, as :func:`compare` does; intervals are
    over seeds. ``small`` is the largest change that counts as lazy.

    With ``out`` finished runs are kept in that folder and taken up again, and the verdict is saved there; ``key`` is a
    text of your own that stands for a model that cannot be told from another, as for :func:`compare`.

    An :class:`UnreadInputsWarning` names the columns of the inputs that the model's outputs do not depend on, and so
    does the verdict.

    Raises ValueError for a model that does not fit the data and for settings that mean nothing, TypeError for what is
    no model or no data.
    """
    data = _data_set(data)
    require_flag("progress", progress)
    small, steps = positive_of("small", small), whole_of("steps", steps, 1)
    asked = _panels(panels)
    folder = None if out is None else folder_of("out", out)
    if folder is not None:  # that it cannot be written to is known before the work
        remove_stale_drafts(require_writable(folder))
    name, built = named_model(model, data, shapes, inputs)
    question = Question(
        name, built, data, alphas=distinct_values("alphas", alphas, Real, "numbers"), seeds=seeds_of(seeds),
        loss=loss_of(loss), method=method_of(method), steps=steps, centered=centered, small=small, out=folder, key=key,
        workers=workers, progress=progress,
    )  # fmt: skip
    unread: Mapping[str, str] = {}
    if "lazy" not in asked and "classical" in asked:  # a comparison says so itself
        unread = warn_of_unread_columns([(name, built)], data.x_train, data.features)
    answers = {panel: PANELS[panel].ask(question) for panel in asked}
    lazy = answers.get("lazy")
    rates = lazy.comparison.rates_text() if isinstance(lazy, LazyPanel) else ""
    used = {"learning rate": rates} if rates else {}
    if isinstance(lazy, LazyPanel):
        unread = lazy.comparison.settings.get(UNREAD, {})
    if name in unread:
        used[UNREAD] = unread[name]
    verdict = Verdict(
        name,
        data.name,
        {panel: answer for panel, answer in answers.items() if not isinstance(answer, str)},
        {panel: answer for panel, answer in answers.items() if isinstance(answer, str)},
        {**{key: str(value) for key, value in facts_of(question).items()}, **used, "qlazy": __version__},
    )
    if folder is not None:
        verdict.save(folder)
    return verdict


def _data_set(data: Dataset | tuple[ArrayLike | Tensor, ArrayLike | Tensor]) -> Dataset:
    """The data, or what a pair of arrays becomes; refused where no input differs from another."""
    if isinstance(data, tuple):
        must = "be a Dataset or a pair of arrays (x, y)"
        require(len(data) == 2, "data", must, f"{len(data)} values", TypeError)
        data = from_arrays(*data)
    require_instance("data", data, Dataset, "load_data('digits'), or a pair of arrays (x, y)")
    x = data.x_train
    differs = not x[:1].numel() or bool((x != x[:1]).any())
    must = "have inputs that differ from sample to sample"
    require(differs, "data", must, "the same in every training row")
    return data


def _panels(panels: Sequence[str]) -> tuple[str, ...]:
    must = f'be a sequence of some of {", ".join(PANELS)}, as panels=("lazy",)'
    good = isinstance(panels, list | tuple) and all(isinstance(name, str) for name in panels)
    require(good, "panels", must, quoted(panels), TypeError)
    wrong = next((name for name in panels if name not in PANELS), "")
    require(panels and not wrong, "panels", must, f"{list(panels)}{did_you_mean(wrong, PANELS)}")
    return tuple(name for name in PANELS if name in panels)

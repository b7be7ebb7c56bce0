"""Training on F_a(w) = R(a h(w)) / a^2. What to record is apart from how to step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qlazy.base.errors import (
    NotFiniteError,
    make_numbers_plain,
    positive_of,
    require,
    require_finite,
    require_instance,
    require_tensor,
    whole_of,
)
from qlazy.base.version import versions
from qlazy.data.datasets import Dataset
from qlazy.models.model import Model, require_model
from qlazy.training.history import DivergedError, History
from qlazy.training.losses import Loss, Objective, Pair, SquaredError, as_tensor, examples_of, loss_of
from qlazy.training.methods import (
    LBFGS,
    SGD,
    Adam,
    Factory,
    GradientDescent,
    GradientFlow,
    Method,
    State,
    TorchOptimizer,
    method_of,
)

__all__ = ["LBFGS", "SGD", "Adam", "GradientDescent", "GradientFlow", "Record", "TorchOptimizer", "train"]

Floats = NDArray[np.floating[Any]]
Observer = Callable[[int, float], object]

RUNAWAY = 1e6
"""Training stops once the loss is this many times that of the start, or of zero outputs if that is larger."""


@dataclass(frozen=True)
class Record:
    """Which steps to record. The first and the last always are.

    ``at`` names them; without it they are about ``count``, evenly spaced in the logarithm of the step.

    Raises ValueError for steps that are not whole numbers of at least 0, and for a count that is not positive.
    """

    at: tuple[int, ...] | None = None
    count: int = 30

    def __post_init__(self) -> None:
        if self.at is not None:
            is_list = isinstance(self.at, Iterable) and not isinstance(self.at, str | bytes | Mapping)
            require(is_list and getattr(self.at, "ndim", 1) == 1, "at", "be a list of steps", self.at)
            steps = (step.item() if hasattr(step, "item") else step for step in self.at)
            object.__setattr__(
                self, "at", tuple(whole_of("at", step, must="hold whole steps") for step in steps)
            )
        whole_of("count", self.count, 2, "be at least 2, the first and the last step")
        make_numbers_plain(self)

    def steps(self, last: int) -> list[int]:
        """The steps to record in a run of ``last`` steps, in order."""
        if self.at is None:
            chosen = np.geomspace(max(last, 1), 1, self.count - 1).round().astype(int).tolist()
        else:
            outside = [step for step in self.at if not 0 <= step <= last]
            require(not outside, "at", f"name steps from 0 to {last}", outside)
            chosen = list(self.at)
        return sorted({0, *(step for step in chosen if step <= last), last})


def train(
    model: Model,
    params: Tensor | Floats,
    data: Dataset | Pair | tuple[Floats, Floats],
    *,
    steps: int,
    alpha: float = 1.0,
    loss: Loss | Callable[[Tensor, Tensor], Tensor] = SquaredError(),  # noqa: B008 - a frozen value
    method: Method | Factory = GradientDescent(),  # noqa: B008 - a frozen value
    record: Record = Record(),
    observer: Observer | None = None,
) -> History:
    """Minimise F_a(w) = R(a h(w)) / a^2 from ``params`` (p,) and return what was recorded on the way.

    h is the model as given: centre it first (:class:`qlazy.Centered`) to start from zero outputs. ``data``
    is a Dataset or a pair of inputs (n, ...) and targets (n, c). ``observer(step, R)`` is called at every
    step with the loss there, on the batch for SGD. ``params`` is left alone. Both may be NumPy arrays of
    floats. ``loss`` may be a function of outputs and targets, such as torch.nn.MSELoss(), and ``method`` a class or
    factory of torch.optim (:class:`qlazy.TorchOptimizer`).

    Raises TypeError for what is no model, method or loss; ValueError for shapes, dtypes and settings that do not fit;
    NotFiniteError for NaN or infinity in ``params`` or ``data``; DivergedError, with the step and the trace so far, for
    a loss that is no longer finite or has grown beyond ``RUNAWAY`` times its start. Chizat, Oyallon, Bach 2019 (arXiv
    1812.07956).
    """
    alpha = positive_of("alpha", alpha)
    steps = whole_of("steps", steps, must="be a whole number, not negative")
    method, loss = method_of(method), loss_of(loss)
    require_instance("record", record, Record, "Record()")
    require(observer is None or callable(observer), "observer", "be a function of step and loss", observer)
    start = as_tensor("params", params)
    objective, held = _objectives(model, start, data, float(alpha), loss)
    wanted = set(record.steps(int(steps)))
    start = start.detach().clone()
    method = method.prepared(objective, start)
    zero = objective.loss(torch.zeros_like(objective.y), objective.y).item()
    limit = RUNAWAY * max(objective.risk(start), zero)
    rows: list[_Row] = []
    step = 0
    try:
        for state in method.walk(objective, start, int(steps)):
            step = state.step
            risk = state.risk
            if risk is None and (observer is not None or step in wanted):
                risk = objective.risk(state.params)
            if risk is not None:
                _require_tame(risk, limit)
            if step in wanted:
                rows.append(_measure(objective, held, state))
            if observer is not None and risk is not None:
                observer(step, risk)
            step += 1  # what fails from here on is the next step
    except NotFiniteError as error:
        trace = _trace(rows, objective, method, data) if rows else None
        raise DivergedError(f"training diverged at step {step}: {error}", step, trace) from error
    return _trace(rows, objective, method, data)


class _Row(NamedTuple):
    """One recorded state; the fields are those of a trace."""

    steps: int
    times: float
    params: NDArray[np.floating]
    train_loss: float
    train_outputs: NDArray[np.floating]
    test_loss: float | None
    test_outputs: NDArray[np.floating] | None


def _objectives(
    model: Model, params: Tensor, data: Dataset | Pair | tuple[Floats, Floats], alpha: float, loss: Loss
) -> tuple[Objective, Objective | None]:
    """The objectives on the training and the test part, checked at ``params``."""
    require_model("model", model)
    require_tensor("params", params)
    require_resolved(alpha, params.dtype)
    x, y, test = examples_of(data, params)
    objective = Objective(model, x, y, alpha, loss)
    held = None if test is None else Objective(model, test[0], test[1], alpha, loss)
    part = "_train" if isinstance(data, Dataset) else ""
    objective.check(params, f"x{part}", f"y{part}")
    if held is not None:
        held.check(params, "x_test", "y_test")
    return objective, held


LARGEST_ALPHA = 1e12
"""From here on the drift, about 1/alpha, is lost to the rounding of parameters in float64."""


def require_resolved(alpha: float, dtype: torch.dtype) -> None:
    """Refuse a scale at which parameters of this type, of size 1, do not resolve their drift to three digits."""
    lost = alpha >= 1e4 and dtype != torch.float64
    require(not lost, "params", "be float64 from alpha = 1e4 on, where the drift is 1/alpha", dtype)
    must = f"be at most {LARGEST_ALPHA:g}: the drift is about 1/alpha, and float64 rounds it away"
    require(alpha <= LARGEST_ALPHA, "alpha", must, alpha)


def _require_tame(risk: float, limit: float) -> None:
    require(math.isfinite(risk), "loss", "be finite", risk, NotFiniteError)
    require(risk <= limit, "loss", f"stay below {limit:.3g} (try a smaller rate)", risk, NotFiniteError)


def _measure(objective: Objective, held: Objective | None, state: State) -> _Row:
    train_loss, train_outputs = _evaluate(objective, state.params)
    test_loss, test_outputs = (None, None) if held is None else _evaluate(held, state.params)
    params = _copy(state.params)
    return _Row(state.step, state.time, params, train_loss, train_outputs, test_loss, test_outputs)


def _evaluate(objective: Objective, params: Tensor) -> tuple[float, NDArray[np.floating]]:
    with torch.no_grad():
        outputs = objective.outputs(params)
        require_finite("outputs", outputs)
        return objective.loss(outputs, objective.y).item(), _copy(outputs)


def _copy(tensor: Tensor) -> NDArray[np.floating]:
    return tensor.detach().cpu().numpy().copy()


def _trace(rows: list[_Row], objective: Objective, method: Method, data: object) -> History:
    columns: dict[str, Any] = {
        name: None if column[0] is None else np.stack(column)
        for name, column in zip(_Row._fields, zip(*rows, strict=True), strict=True)
    }
    return History(
        **columns,
        alpha=objective.alpha,
        loss=objective.loss.convention,
        method=repr(method),
        learning_rate=getattr(method, "learning_rate", None),
        clock=method.clock,
        seed=getattr(method, "seed", None),
        dtype=str(objective.y.dtype).removeprefix("torch."),
        versions=versions(),
        notes={"data": data.description} if isinstance(data, Dataset) else {},
    )

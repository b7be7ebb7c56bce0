"""Many runs of one model side by side: parameters (l, p) step together, and one pass of the model serves all lanes.

A lane's numbers are the same, bit for bit, whatever stands beside it: a run alone is run beside a copy of itself, and
lanes whose numbers depend on how many they are go two by two. They are those of :func:`qlazy.train` to rounding.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qlazy.base.errors import NotFiniteError, require_finite
from qlazy.data.datasets import Dataset
from qlazy.models.lanes import Batches, Forward, lanes_on, lanes_on_batches, most_lanes
from qlazy.models.model import Model
from qlazy.training.history import DivergedError, History
from qlazy.training.lane_steps import AskedAgainError, Step, batch_sizes, batching, step_of
from qlazy.training.loop import RUNAWAY, Record, _copy, _objectives, _require_tame, _Row, _trace
from qlazy.training.losses import Loss, Objective
from qlazy.training.methods import Method, batch_rows

FEWEST = 2
"""A batch of one takes other ways through torch, to other last digits: lanes are never fewer."""
TAIL = 32
"""torch may compute so many numbers at a tensor's end one by one, to other last digits: copies of a lane lie there."""


class Lane(NamedTuple):
    """One run: a model from its start at a scale, by a method whose learning rate is settled."""

    model: Model
    start: Tensor
    alpha: float
    method: Method


class Outcome(NamedTuple):
    """What a lane recorded, and what stopped it early, if anything did."""

    trace: History
    diverged: str


def train_lanes(
    lanes: Sequence[Lane], data: Dataset, *, steps: int, loss: Loss, record: Record
) -> list[Outcome] | None:
    """Train all lanes on the same data, or None where models or methods have no lanes.

    Gradient descent, SGD, Adam and optimisers of torch that need one gradient a step, with the same batches in all
    lanes, on models that :func:`qlazy.models.lanes.lanes_on` knows, small enough to gain by it.
    """
    if not lanes or _step_of(lanes) is None:
        return None
    most = most_lanes(lanes[0].model, lanes[0].start, data.x_train)
    if most == 0:
        return None
    groups = [lanes[i : i + most] for i in range(0, len(lanes), most)]
    found: list[Outcome] = []
    for group in groups:
        together = _group(group, data, loss)
        if together is None:
            return None
        try:
            for objective in together:
                found += objective.train(steps, record, data)
        except AskedAgainError:
            return None
    return found


def _step_of(lanes: Sequence[Lane]) -> Step | None:
    starts = torch.stack([lane.start for lane in lanes])
    return step_of([lane.method for lane in lanes], starts, [lane.alpha for lane in lanes])


class _Lanes:
    """Lanes with their model on training and on test data."""

    def __init__(
        self, lanes: Sequence[Lane], data: Dataset, loss: Loss, batches: Batches, test: Forward | None
    ) -> None:
        self.lanes, self.data, self.loss, self.batches, self.test = lanes, data, loss, batches, test
        self.forward = batches(slice(None))
        self.count = len(lanes)  # of which the caller wants the results
        alphas = torch.tensor([lane.alpha for lane in lanes], dtype=torch.float64)
        self.scales = alphas[:, None, None].to(data.y_train)
        self.squares = alphas.square().to(data.y_train)
        self.starts = torch.stack([lane.start for lane in lanes])

    def pass_back(self, params: Tensor, rows: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs (l, n, c), risks (l,) and gradients of F_a (l, p), on the batch of these rows or on all samples."""
        forward = self.forward if rows is None else self.batches(rows)
        targets = self.data.y_train if rows is None else self.data.y_train[rows]
        with torch.enable_grad():
            leaf = params.detach().requires_grad_()
            outputs = self.scales * forward(leaf)
            risks = self.risks(outputs, targets)
            (gradient,) = torch.autograd.grad((risks / self.squares).sum(), leaf)
        return outputs.detach(), risks.detach(), gradient

    def risks(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """(l,)."""
        return self.loss.on_lanes(outputs, targets)

    def train(self, steps: int, record: Record, data: Dataset) -> list[Outcome]:
        """Step all lanes together; one that diverges is put back to its start, and no longer looked at."""
        lanes = self.lanes[: self.count]
        objectives = [_objectives(lane.model, lane.start, data, lane.alpha, self.loss)[0] for lane in lanes]
        limits = [
            RUNAWAY * max(o.risk(lane.start), _zero(o)) for o, lane in zip(objectives, lanes, strict=True)
        ]
        kept: list[list[_Row]] = [[] for _ in lanes]
        stopped: dict[int, str] = {}
        step_on, wanted, params = _step_of(self.lanes), set(record.steps(steps)), self.starts
        assert step_on is not None
        for step, rows in zip(range(steps + 1), self.batch_rows(), strict=False):
            outputs, risks, gradient = self.pass_back(params, rows)
            whole, held = _Evaluated(risks, outputs), None
            if step in wanted and rows is not None:
                whole = self._evaluated(self.forward, params, self.data.y_train)
            if step in wanted and self.test is not None:
                held = self._evaluated(self.test, params, self.data.y_test)
            for i, risk in enumerate(risks.tolist()[: len(lanes)]):
                if i in stopped:
                    continue
                try:
                    _require_tame(risk, limits[i])
                    if step in wanted:
                        kept[i].append(self._row(i, step, params, whole, held))
                except NotFiniteError as error:
                    stopped[i] = f"training diverged at step {step}: {error}"
            if len(stopped) == len(lanes):
                break
            if step < steps:
                params = step_on(params, gradient, risks)
                for i in stopped:
                    params[i] = self.starts[i]
        for i, said in stopped.items():
            if not kept[i]:
                raise DivergedError(said, 0, None)
        return [
            Outcome(_trace(kept[i], objectives[i], lane.method, data), stopped.get(i, ""))
            for i, lane in enumerate(lanes)
        ]

    def batch_rows(self) -> Iterator[Tensor | None]:
        """The samples of each step, the same for all lanes; None for all of them."""
        return batch_rows(len(self.data.x_train), *batching(self.lanes[0].method))

    def like_batches(self) -> list[Tensor | None]:
        """All samples, and as many as the batches of an epoch have."""
        return [None, *map(torch.arange, batch_sizes(self.lanes[0].method, len(self.data.x_train)))]

    def _evaluated(self, forward: Forward, params: Tensor, targets: Tensor) -> _Evaluated:
        with torch.no_grad():
            outputs = self.scales * forward(params)
            return _Evaluated(self.risks(outputs, targets), outputs)

    def _row(self, i: int, step: int, params: Tensor, whole: _Evaluated, held: _Evaluated | None) -> _Row:
        method = self.lanes[i].method
        tick = method.learning_rate if method.clock == "rate * step" else 1.0  # type: ignore[attr-defined]
        test = (None, None) if held is None else held.of(i)
        return _Row(step, tick * step, _copy(params[i]), *whole.of(i), *test)


class _Evaluated(NamedTuple):
    """Risks (l,) and outputs (l, n, c) on all samples of a part of the data."""

    risks: Tensor
    outputs: Tensor

    def of(self, i: int) -> tuple[float, NDArray[np.floating]]:
        """Those of a lane. Raises NotFiniteError."""
        require_finite("outputs", self.outputs[i])
        return self.risks[i].item(), _copy(self.outputs[i])


def _zero(objective: Objective) -> float:
    return objective.loss(torch.zeros_like(objective.y), objective.y).item()


def _group(lanes: Sequence[Lane], data: Dataset, loss: Loss) -> list[_Lanes] | None:
    """The lanes as they can be run with the numbers of each alone: all together or, failing that, two by two."""
    places = sorted({0, len(lanes) // 2, len(lanes) - 1})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of vmap, where it falls back to a loop
            whole = _lanes(lanes, data, loss)
            if whole is None:
                return None
            at, alike = _nearby(whole.starts), True
            alone = [_lanes([lanes[i]], data, loss) for i in places]
            for rows in reversed(whole.like_batches()):  # all samples last
                found = whole.pass_back(at, rows)
                for one, i in zip(alone, places, strict=True):
                    part = one.pass_back(at[i].expand(len(one.starts), -1), rows)  # type: ignore[union-attr]
                    alike &= all(torch.equal(a[i], b[0]) for a, b in zip(found, part, strict=True))
    except Exception:  # whatever a model raises that cannot be mapped over its parameters
        return None
    for i in places:
        lane = lanes[i]
        risk, gradient = Objective(
            lane.model, data.x_train, data.y_train, lane.alpha, loss
        ).risk_and_gradient(at[i])
        if abs(risk - float(found[1][i])) > ROUNDING * abs(risk):
            return None
        if float((gradient - found[2][i]).norm()) > ROUNDING * float(gradient.norm()):
            return None
    if alike:
        return [whole]
    return [one for one in (_lanes([lane], data, loss) for lane in lanes) if one is not None]


ROUNDING = 1e-4
"""Gradients on lanes agree with those of plain autograd to this, or the model has no lanes; single precision too."""


def _lanes(lanes: Sequence[Lane], data: Dataset, loss: Loss) -> _Lanes | None:
    copies = max(FEWEST - len(lanes), -(-TAIL // _fewest_rows(lanes[0].method, data)))
    padded = [*lanes, *[lanes[-1]] * copies]
    models = [lane.model for lane in padded]
    batches = lanes_on_batches(models, data.x_train)
    test = lanes_on(models, data.x_test) if len(data.x_test) else None
    if batches is None:
        return None
    found = _Lanes(padded, data, loss, batches, test)
    found.count = len(lanes)
    return found


def _fewest_rows(method: Method, data: Dataset) -> int:
    """The least number of samples that are passed through the model at once."""
    parts = [len(data.x_train), len(data.x_test), *batch_sizes(method, len(data.x_train))]
    return min(size for size in parts if size)


def _nearby(starts: Tensor) -> Tensor:
    """Points that differ from lane to lane, near the starts, the same for the same lane."""
    direction = torch.randn(starts.shape[1], generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return starts + 0.1 * direction.to(starts)

"""One model from one seed: what its runs at all scales share, and how each of them is made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from qlazy.base.errors import require
from qlazy.base.memory import require_memory
from qlazy.comparison.compare.arguments import outputs_for
from qlazy.comparison.compare.telling import Told
from qlazy.comparison.run import Run
from qlazy.kernels.operator import tangent_kernel
from qlazy.models.wrappers import Centered, Scaled
from qlazy.training.anchor import Anchor
from qlazy.training.history import DivergedError, History
from qlazy.training.lanes import Lane, Outcome
from qlazy.training.loop import Record, train
from qlazy.training.losses import Objective, SquaredError
from qlazy.training.methods import SGD, GradientDescent, critical_rate
from qlazy.training.tangent_changes import tangent_changes

MOMENTS = 5
"""At so many of the recorded steps, the last among them, Jacobian and kernel are measured too."""

FINE = 120
"""About so many steps are recorded where runs are compared at a loss, which a step then meets to a few per cent."""


@final
@dataclass(frozen=True, eq=False)
class SeededModel(Told):
    """One model from one seed, as it is trained: what its runs at all scales share."""

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

    def check(self) -> None:
        """Refuse a model whose inputs or outputs do not fit the data, before any training."""
        outputs, targets = self._outputs.shape[1], self.data.y_train.shape[1]
        require(
            outputs == targets, f"models[{self.name!r}]", outputs_for(self.data), f"a model of {outputs}",
        )  # fmt: skip
        size = len(self.data.x_train) * outputs
        require_memory((size, size), self.data.y_train)  # the kernel at the start and at the end

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
        trace, diverged = self.train(alpha) if outcome is None else outcome
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

    def train(self, alpha: float) -> Outcome:
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
            return Outcome(train(anchor.model, anchor.params, self.data, **settings), "")
        except DivergedError as stopped:
            if stopped.trace is None:
                raise
            return Outcome(stopped.trace, str(stopped))

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

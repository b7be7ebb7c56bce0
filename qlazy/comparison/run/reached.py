"""What one run of a comparison reached: losses and accuracies of the model, its linearisation and kernel regression."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property

import numpy as np
import torch

from qlazy.comparison.run.recorded import Floats, RecordedRun
from qlazy.training.losses import CrossEntropy, Logistic, Loss, SquaredError, accuracy, sample_accuracies

LOSSES: Mapping[str, Loss] = {loss.convention: loss for loss in (SquaredError(), Logistic(), CrossEntropy())}
"""The losses by their conventions, which are what a run keeps of its own."""

RUNAWAY = 10.0
"""A linearised path whose loss comes to so many times its start has diverged."""


class ReachedRun(RecordedRun):
    """A run with what was left of its loss, and with what it answers to test samples."""

    def share_left(self, train_loss: float) -> float:
        """A training loss as a share of that at initialisation; NaN where nothing was left to learn there."""
        first = float(self.trace.train_loss[0])
        return train_loss / first if first else math.nan

    @property
    def loss_left(self) -> float:
        """The training loss at the last step as a share of that at initialisation."""
        return self.share_left(float(self.trace.train_loss[-1]))

    @property
    def train_loss(self) -> float:
        """Loss R(a h(w)) on the training samples in the last step."""
        return float(self.trace.train_loss[-1])

    @property
    def test_loss(self) -> float:
        """Loss R(a h(w)) on the test samples in the last step."""
        assert self.trace.test_loss is not None
        return float(self.trace.test_loss[-1])

    @property
    def train_accuracy(self) -> float:
        """Accuracy on the training samples in the last step, 0 to 1."""
        return _accuracy(self.trace.train_outputs[-1], self.train_targets)

    @property
    def test_accuracy(self) -> float:
        """Accuracy on the test samples in the last step, 0 to 1."""
        assert self.trace.test_outputs is not None
        return _accuracy(self.trace.test_outputs[-1], self.test_targets)

    @cached_property
    def linear_diverged(self) -> bool:
        """Whether the linearised path ran away: past all numbers, or to :data:`RUNAWAY` times the loss at the start.

        It is no comparison then: gaps to it, and what it reached, are NaN.
        """
        if not np.isfinite(self.linear_train_outputs).all():
            return True
        losses = (self.loss_of(outputs, self.train_targets) for outputs in self.linear_train_outputs)
        return any(loss > RUNAWAY * float(self.trace.train_loss[0]) for loss in losses)

    @property
    def linear_train_loss(self) -> float:
        """The loss of the linearised model at the last step, on training data.

        NaN for a loss of the user's own, and for a path that diverged.
        """
        return self.loss_of(self._linear_end(self.linear_train_outputs), self.train_targets)

    @property
    def linear_test_loss(self) -> float:
        """Loss of the linearised model on the test samples in its last step; NaN where it diverged."""
        return self.loss_of(self._linear_end(self.linear_test_outputs), self.test_targets)

    @property
    def linear_test_accuracy(self) -> float:
        """Accuracy of the linearised model on the test samples in its last step; NaN where it diverged."""
        return _accuracy(self._linear_end(self.linear_test_outputs), self.test_targets)

    def _linear_end(self, outputs: Floats) -> Floats | None:
        """Outputs of the linearised model in its last step; None where its path diverged."""
        return None if self.linear_diverged else outputs[-1]

    @property
    def regression_train_loss(self) -> float:
        """The loss of kernel regression, which least squares chose whatever the loss; NaN where there is none."""
        return self.loss_of(self.regression_train_outputs, self.train_targets)

    @property
    def regression_test_loss(self) -> float:
        """Loss of kernel regression on the test samples; NaN where there was none."""
        return self.loss_of(self.regression_test_outputs, self.test_targets)

    @property
    def regression_test_accuracy(self) -> float:
        """Accuracy of kernel regression on the test samples; NaN where there was none."""
        return _accuracy(self.regression_test_outputs, self.test_targets)

    def loss_of(self, outputs: Floats | None, targets: Floats) -> float:
        """The loss that was trained, of other outputs (., c); NaN for none, and for a loss of the user's own."""
        loss = LOSSES.get(self.trace.loss)
        if outputs is None or loss is None:
            return math.nan
        return float(loss(torch.from_numpy(outputs), torch.from_numpy(targets)))

    @property
    def test_answers(self) -> Floats:
        """What each test sample counts in the accuracy of the trained model, (m,)."""
        assert self.trace.test_outputs is not None
        return self._answers(self.trace.test_outputs[-1])

    @property
    def linear_answers(self) -> Floats | None:
        """The same of the linearised model, (m,); None where its path diverged."""
        outputs = self._linear_end(self.linear_test_outputs)
        return None if outputs is None else self._answers(outputs)

    @property
    def regression_answers(self) -> Floats | None:
        """The same of kernel regression, (m,); None for a run that did not record it."""
        return None if self.regression_test_outputs is None else self._answers(self.regression_test_outputs)

    def _answers(self, outputs: Floats) -> Floats:
        return sample_accuracies(torch.from_numpy(outputs), torch.from_numpy(self.test_targets)).numpy()


def _accuracy(outputs: Floats | None, targets: Floats) -> float:
    return (
        math.nan if outputs is None else float(accuracy(torch.from_numpy(outputs), torch.from_numpy(targets)))
    )

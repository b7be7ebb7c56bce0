"""The population's risk of a quadratic form, as a loss to be trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor

from qlazy.base.errors import require_shape
from qlazy.theory.quadratic import QuadraticTask
from qlazy.training.losses import Loss


@final
@dataclass(frozen=True, eq=False)
class PopulationRisk(Loss):
    """R(M) / 2 of a form M that a model gives as outputs (1, d^2): the population's share of 1/(2n) sum (f - y)^2.

    Targets are there for their shape alone.
    """

    convention: ClassVar[str] = "1/2 E (f - y)^2"
    task: QuadraticTask

    def value(self, outputs: Tensor, targets: Tensor) -> Tensor:
        d = self.task.dimension
        require_shape("outputs", outputs, (1, d * d))
        return self.task.risk(outputs.reshape(d, d)) / 2

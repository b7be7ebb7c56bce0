"""A selector of qlazy's own: samples whose labels the tangent kernel, told all the others, would have guessed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from qlazy.base.errors import require
from qlazy.data.labels import are_labels, label_codes
from qlazy.tasks.subset.labels import margins
from qlazy.tasks.subset.leave_one_out import outputs_left_out
from qlazy.tasks.subset.selector import Batch, Selection, Selector, State, Task, keep_members


@final
@dataclass(frozen=True)
class KernelAgreement(Selector):
    """Samples whose label the tangent kernel at initialisation, fitted to all the others, would have given them.

    Kernel ridge regression on one-hot labels, with k the trace of K over the outputs and the ridge of the least
    leave-one-out error, gives each sample an output that has not seen its own label, in closed form from one
    eigendecomposition. Of every class the share ``agreeing`` with the largest leave-one-out margins is taken for
    rightly labelled, and the choice among them is by chance: the very largest margins are the easiest samples,
    and teach less. Validation samples, where there are any, are fitted along.

    One kernel is all it costs: nothing is trained. Needs class labels.
    """

    agreeing: float = 0.5

    def __post_init__(self) -> None:
        require(0 < self.agreeing <= 1, "agreeing", "be more than 0 and at most 1", self.agreeing)

    def start(self, task: Task, generator: torch.Generator) -> State:
        require(are_labels(task.y), "data", "have class labels for KernelAgreement", "other targets")
        codes = label_codes(task.y)
        ranks = ranks_in_class(margins(outputs_left_out(task), codes), codes.argmax(1))
        chance = torch.rand(len(codes), generator=generator, dtype=torch.float64).to(ranks)
        return {"scores": (ranks <= self.agreeing) + chance}

    def weigh(self, task: Task, state: State, batch: Batch) -> tuple[Selection, State]:
        return keep_members(state["scores"], batch, task.count), state


def ranks_in_class(scores: Tensor, labels: Tensor) -> Tensor:
    """The share of its class (n,) that scores at least as high as each sample, in (0, 1], ties in order."""
    ranks = torch.empty_like(scores)
    for label in labels.unique():
        members = (labels == label).nonzero()[:, 0]
        order = members[scores[members].argsort(descending=True, stable=True)]
        ranks[order] = torch.arange(1, len(order) + 1).to(scores) / len(order)
    return ranks

"""A selector of qlazy's own: examples whose labels the tangent kernel, told all the others, would have guessed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, final

import torch
from torch import Tensor

from qlazy.errors import require
from qlazy.kernel import tangent_kernel
from qlazy.spectrum import check_kernel
from qlazy.subset.labels import are_labels, label_codes, margins
from qlazy.subset.selector import Batch, Selection, Selector, State, Task, keep_members

RIDGES = tuple(10.0 ** (k / 2) for k in range(-8, 3))
"""Ridges that are tried, in units of the mean of k(x_i, x_i)."""


@final
@dataclass(frozen=True)
class KernelAgreement(Selector):
    """Examples whose label the tangent kernel at the start, fitted to all the others, would have given them.

    Kernel ridge regression on one-hot labels, with k the trace of K over the outputs and the ridge of the least
    leave-one-out error, gives each example an output that has not seen its own label, in closed form from one
    eigendecomposition. Of every class the share ``agreeing`` with the largest leave-one-out margins is taken for
    rightly labelled, and the choice among them is by chance: the very largest margins are the easiest examples,
    and teach less. Validation examples, where there are any, are fitted along.

    One kernel is all it costs: nothing is trained. Needs class labels.
    """

    agreeing: float = 0.5

    def __post_init__(self) -> None:
        require(0 < self.agreeing <= 1, "agreeing", "be more than 0 and at most 1", self.agreeing)

    def start(self, task: Task, generator: torch.Generator) -> State:
        require(are_labels(task.y), "data", "have class labels for KernelAgreement", "other targets")
        n, x, codes = len(task.x), task.x, label_codes(task.y)
        if task.validation is not None:
            x = torch.cat([x, task.validation[0]])
            codes = torch.cat([codes, label_codes(task.validation[1])])
        kernel = tangent_kernel(task.model, task.params, x).gram().diagonal(dim1=1, dim2=3).sum(-1)
        outputs = leave_one_out(kernel, codes).outputs[:n]
        ranks = ranks_in_class(margins(outputs, codes[:n]), codes[:n].argmax(1))
        chance = torch.rand(n, generator=generator, dtype=torch.float64).to(ranks)
        return {"scores": (ranks <= self.agreeing) + chance}

    def weigh(self, task: Task, state: State, batch: Batch) -> tuple[Selection, State]:
        return keep_members(state["scores"], batch, task.count), state


class LeaveOneOut(NamedTuple):
    """Outputs (n, c) at every example of a fit to all the others, and the ridge of the least squared error."""

    outputs: Tensor
    ridge: float


def leave_one_out(kernel: Tensor, targets: Tensor) -> LeaveOneOut:
    """Kernel ridge regression with each example left out in turn, the targets' mean (of all) as its offset.

    With H = K (K + ridge I)^-1 the output at i without i is ((H y)_i - H_ii y_i) / (1 - H_ii): kernel (n, n),
    targets (n, c). The ridge is that of ``RIDGES`` with the least sum of squares (Allen 1974's PRESS).
    """
    check_kernel("kernel", kernel)
    mean = targets.mean(0)
    values, vectors = torch.linalg.eigh(kernel)
    values, y = values.clamp_min(0), targets - mean
    rotated = vectors.T @ y
    fits = []
    for factor in RIDGES:
        ridge = factor * float(kernel.diagonal().mean())
        shares = values / (values + ridge)
        own = (vectors.square() @ shares)[:, None]
        outputs = (vectors @ (shares[:, None] * rotated) - own * y) / (1 - own)
        fits.append((float((outputs - y).square().sum()), LeaveOneOut(outputs + mean, ridge)))
    return min(fits, key=lambda fit: fit[0])[1]


def ranks_in_class(scores: Tensor, labels: Tensor) -> Tensor:
    """The share of its class (n,) that scores at least as high as each example, in (0, 1], ties in order."""
    ranks = torch.empty_like(scores)
    for label in labels.unique():
        members = (labels == label).nonzero()[:, 0]
        order = members[scores[members].argsort(descending=True, stable=True)]
        ranks[order] = torch.arange(1, len(order) + 1).to(scores) / len(order)
    return ranks

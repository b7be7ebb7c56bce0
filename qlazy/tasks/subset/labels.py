"""Labels as a selector sees them: codes, margins, and label noise to try selectors on."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from qlazy.base.errors import require
from qlazy.data.datasets import Dataset, class_index
from qlazy.data.labels import label_codes
from qlazy.training.losses import Pair


def margins(outputs: Tensor, targets: Tensor) -> Tensor:
    """How far outputs (n, c) speak for the label given, against the best other: (n,), negative where against.

    f y for one column of signs; f_label - max of the others for one-hot rows.
    """
    if targets.shape[1] == 1:
        return (outputs * targets)[:, 0]
    own = (outputs * targets).sum(1)
    return own - outputs.masked_fill(targets > 0, -torch.inf).amax(1)


def top_by_class(scores: Tensor, targets: Tensor, count: int) -> Tensor:
    """The ``count`` highest scores, class by class in proportion to the labels given: their numbers, best first.

    An easy class would otherwise fill a small subset alone. Seats are shared out by largest remainder.
    """
    labels = class_index(targets)
    classes = label_codes(targets).shape[1]
    seats = _seats(torch.bincount(labels, minlength=classes), count)
    order = scores.argsort(descending=True, stable=True)
    chosen = torch.cat([order[labels[order] == label][:seat] for label, seat in enumerate(seats)])
    return chosen[scores[chosen].argsort(descending=True, stable=True)]


def _seats(sizes: Tensor, count: int) -> list[int]:
    shares = sizes.double() * count / sizes.sum()
    seats = shares.floor().long()
    rest = (shares - seats).argsort(descending=True, stable=True)[: count - int(seats.sum())]
    seats[rest] += 1
    return seats.tolist()


def hold_out(data: Dataset, count: int, *, seed: int = 0) -> tuple[Dataset, Pair]:
    """Take ``count`` training samples out of a data set: what remains, and the pair (x, y) taken out.

    To be labelled with care and used for validation; the test part stays as it is. Drawn from ``seed``.
    Raises ValueError where no sample would remain on either side.
    """
    total = len(data.x_train)
    require(1 <= count < total, "count", f"be from 1 to {total - 1}", count)
    order = torch.randperm(total, generator=torch.Generator().manual_seed(seed))
    held, rest = order[:count], order[count:].sort().values
    remaining = replace(
        data,
        x_train=data.x_train[rest],
        y_train=data.y_train[rest],
        description=f"{data.description}; {count} training samples held out with seed {seed}",
    )
    return remaining, (data.x_train[held], data.y_train[held])


def flip_labels(data: Dataset, share: float, *, seed: int = 0) -> tuple[Dataset, Tensor]:
    """Give each training sample, with probability ``share``, another class at random: the data, and who was hit.

    The second result is a mask (n,). The test part stays clean. Raises ValueError for regression data and for a
    share outside [0, 1].
    """
    require(data.classes, "data", "have classes", "a regression data set")
    require(0 <= share <= 1, "share", "be between 0 and 1", share)
    generator = torch.Generator().manual_seed(seed)
    n, classes = len(data.y_train), len(data.classes)
    hit = torch.rand(n, generator=generator) < share
    shift = torch.randint(1, classes, (n,), generator=generator)
    labels = class_index(data.y_train).cpu()
    labels = torch.where(hit, (labels + shift) % classes, labels)
    codes = torch.nn.functional.one_hot(labels, classes).to(data.y_train)
    flipped = codes[:, 1:] - codes[:, :1] if classes == 2 else codes
    description = f"{data.description}; labels flipped with probability {share:g} and seed {seed}"
    return replace(data, y_train=flipped, description=description), hit

"""Which samples train and which test: a random split, stratified by class, a function of its seed alone.

The draws are those of scikit-learn's ``train_test_split``, index for index, without the second that its import takes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qlazy.data.labels import Labels

Indices = NDArray[np.int64]


def random_split(total: int, train: int, test: int, seed: int) -> tuple[Indices, Indices]:
    """``train`` and ``test`` of ``total`` samples, drawn without repetition."""
    order = np.random.RandomState(seed).permutation(total)
    return order[test : test + train], order[:test]


def stratified_split(labels: Labels, train: int, test: int, seed: int) -> tuple[Indices, Indices]:
    """The same of samples with labels (n,), each class in both parts by its share of the whole."""
    random = np.random.RandomState(seed)
    _, places, counts = np.unique(labels, return_inverse=True, return_counts=True)
    members = np.split(np.argsort(places, kind="stable"), np.cumsum(counts)[:-1])
    fitted = _by_share(counts, train, random)
    held = _by_share(counts - fitted, test, random)
    parts: tuple[list[Indices], list[Indices]] = [], []
    for own, first, second in zip(members, fitted, held, strict=True):
        drawn = own[random.permutation(len(own))]
        parts[0].append(drawn[:first])
        parts[1].append(drawn[first : first + second])
    fit = random.permutation(np.concatenate(parts[0]))
    return fit, random.permutation(np.concatenate(parts[1]))


def _by_share(counts: Indices, draws: int, random: np.random.RandomState) -> Indices:
    """How many of each class are drawn: its share rounded down, then one more where most is cut off, ties at random."""
    shares = counts / counts.sum() * draws
    drawn = np.floor(shares)
    cut, missing = shares - drawn, int(draws - drawn.sum())
    for size in np.unique(cut)[::-1]:
        if missing <= 0:
            break
        (tied,) = np.nonzero(cut == size)
        chosen = random.choice(tied, size=min(len(tied), missing), replace=False)
        drawn[chosen] += 1
        missing -= len(chosen)
    return drawn.astype(np.int64)

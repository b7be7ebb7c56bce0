"""Kernels of models on the same data, two by two: what one could learn that the other could not.

Each kernel is scaled to trace N first, N the rows, which is Huang et al.'s normalisation, and a ridge is added to it:
a model of p < N parameters has a singular kernel, whose plain geometric difference is infinite. In K / K':

    g      = || sqrt(K') sqrt(K) (K + ridge)^-2 sqrt(K) sqrt(K') ||^(1/2)    how much more K needs than K' at worst
    g_train = ridge || sqrt(K') (K + ridge)^-2 sqrt(K') ||^(1/2)             what the ridge leaves of the training error

A large g of a net against a circuit says that labels exist which the circuit learns from fewer examples; whether these
labels are such is what the complexities s_K(y) and s_K'(y) say. Huang et al. 2021 (arXiv 2011.01938).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qlazy.base.over_seeds import geometric_interval
from qlazy.base.tables import Table
from qlazy.comparison.metrics import summarized
from qlazy.kernels.geometry import geometric_difference, model_complexity, normalized, training_difference

RIDGE = 0.01


@final
@dataclass(frozen=True)
class KernelPair:
    """Kernel ``model`` K against ``other`` K', both scaled to trace N: geometric means over seeds.

    ``difference_factor`` is the factor of one standard deviation of the difference; NaN for one seed.
    """

    model: str
    other: str
    difference: float
    difference_factor: float
    training: float
    complexity: float
    other_complexity: float
    ridge: float


def kernel_pairs(
    kernels: Mapping[str, Sequence[NDArray[np.floating]]],
    targets: NDArray[np.floating] | Sequence[NDArray[np.floating]],
    ridge: float = RIDGE,
) -> list[KernelPair]:
    """Every ordered pair of models, whose kernels (n c, n c), seed by seed, are compared at targets y (n, c).

    ``targets`` are those of every seed, or a list of one for each. A model with one
    kernel (an infinite net) is set beside every seed of the other. Raises ValueError for a kernel of
    trace zero.
    """
    scaled = {name: [normalized(torch.from_numpy(k)) for k in found] for name, found in kernels.items()}
    labels = [targets] if isinstance(targets, np.ndarray) else list(targets)
    complexities = {
        name: [
            float(model_complexity(k, torch.from_numpy(labels[i % len(labels)]), ridge))
            for i, k in enumerate(found)
        ]
        for name, found in scaled.items()
    }
    return [
        _pair(name, other, scaled[name], scaled[other], (complexities[name], complexities[other]), ridge)
        for name, other in permutations(scaled, 2)
    ]


def pair_table(pairs: Sequence[KernelPair]) -> Table:
    """A row for each ordered pair."""
    title = (
        "geometric difference g of the kernels at initialisation (Huang et al. 2021; trace N, "
        f"ridge {pairs[0].ridge:g}): what K' may gain over K on some labels; "
        "s(y): what these labels ask of a kernel, small is easy"
    )
    head = ("K", "K'", "g", "g_train", "s_K(y)", "s_K'(y)")
    rows = tuple(
        (
            pair.model, pair.other, _spread(pair.difference, pair.difference_factor), f"{pair.training:.3g}",
            f"{pair.complexity:.4g}", f"{pair.other_complexity:.4g}",
        )
        for pair in pairs
    )  # fmt: skip
    return Table(title, head, rows)


def _pair(
    name: str,
    other: str,
    first: Sequence[Tensor],
    second: Sequence[Tensor],
    complexities: tuple[list[float], list[float]],
    ridge: float,
) -> KernelPair:
    count = max(len(first), len(second))
    together = [(first[i % len(first)], second[i % len(second)]) for i in range(count)]
    differences = [float(geometric_difference(k, other_k, ridge)) for k, other_k in together]
    training = [float(training_difference(k, other_k, ridge)) for k, other_k in together]
    difference = summarized("difference", np.array(differences))
    least, own, theirs = (geometric_interval(np.array(found)).mean for found in (training, *complexities))
    return KernelPair(name, other, difference.center, difference.spread, least, own, theirs, ridge)


def _spread(value: float, factor: float) -> str:
    return f"{value:.3g}" + ("" if np.isnan(factor) else f" ×÷{factor:.3g}")

"""The two values an observable can take, where it has just two: the edges of what an output can be."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from qlazy.errors import UnsupportedModel, refuse
from qlazy.quantum.circuit import Circuit
from qlazy.quantum.lipschitz import lowering_of
from qlazy.simulator.observables import Hermitian, Observable, PauliSum, Probabilities, Projector


def output_edges(circuit: Circuit, x: Tensor) -> tuple[Tensor, Tensor]:
    """The lower and the upper value, (c,) each, float64, of observables with two eigenvalues.

    Pauli words with a factor and an offset, projectors, probabilities. Raises UnsupportedModel for any other
    observable, for programs that measure on their way and for circuits without a lowered form. ``x`` (n, ...)
    only shows the shape of a sample.
    """
    pairs = [pair for o in lowering_of(circuit, tuple(x.shape[1:])).observables for pair in _edges(o)]
    low, high = torch.tensor(pairs, dtype=torch.float64).T
    return low, high


def _edges(observable: Observable) -> list[tuple[float, float]]:
    match observable:
        case PauliSum(words):
            moving = [word.coefficient for word in words if word.word.strip("I")]
            offset = sum(word.coefficient for word in words if not word.word.strip("I"))
            if len(moving) == 1:
                return [(offset - abs(moving[0]), offset + abs(moving[0]))]
        case Hermitian(matrix):
            values = np.linalg.eigvalsh(matrix)
            ends = values[[0, -1]]
            if np.abs(values[:, None] - ends).min(1).max() <= 1e-10 * max(1.0, float(np.abs(ends).max())):
                return [(float(ends[0]), float(ends[1]))]
        case Projector():
            return [(0.0, 1.0)]
        case Probabilities(wires):
            return [(0.0, 1.0)] * 2 ** len(wires)
    return refuse("observable", "have two eigenvalues", str(observable), UnsupportedModel)

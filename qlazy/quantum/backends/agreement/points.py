"""Where a QNode is held: the user's own call, and weights and rows from a seeded generator."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from qlazy.models.model import blocks_of
from qlazy.quantum.backends.backend import INPUTS, Sample, Shapes
from qlazy.quantum.pennylane.plain import Point

Array = NDArray[np.float64]

SEED, TRIES = 2024, 8


class Points:
    """Calls of a QNode whose weights have the shapes given, for rows of shape ``row``."""

    def __init__(self, shapes: Shapes, row: tuple[int, ...], sample: Sample) -> None:
        self.shapes, self.row, self.sample = shapes, row, sample
        self.size = sum(math.prod(shape) for shape in shapes.values())
        self._blocks = blocks_of({name: math.prod(shape) for name, shape in shapes.items()})

    @property
    def own(self) -> Point | None:
        """The user's own call, where there is one."""
        params, row = self.sample
        return None if params is None or row is None else self.at(params, row)

    def is_own(self, params: Array, row: Array) -> bool:
        own_params, own_row = self.sample
        return np.array_equal(params, own_params) and np.array_equal(row, own_row)  # type: ignore[arg-type]

    def at(self, params: Array, row: Array) -> Point:
        """The call with weights (p,) and a row."""
        weights = {name: params[self._blocks[name]].reshape(shape) for name, shape in self.shapes.items()}
        return Point(weights, INPUTS, row)

    def places(self) -> Iterator[tuple[Array, Array]]:
        """Weights in (0, 2 pi) with the user's row and drawn ones in turn; at last the user's own weights."""
        generator = np.random.default_rng(SEED)
        weights, own = self.sample
        for attempt in range(TRIES):
            params = generator.uniform(0, 2 * math.pi, self.size)
            drawn = generator.uniform(-1.0 if attempt % 4 == 3 else 0.0, 1.0, self.row)
            yield params, drawn if own is None or attempt % 2 else own
        if weights is not None and own is not None:
            yield weights, own


def drawn_direction(count: int) -> Array:
    """Numbers of either sign and like sizes, no two of which cancel by a symmetry of a circuit."""
    generator = np.random.default_rng(SEED)
    return generator.choice([-1.0, 1.0], count) * generator.uniform(0.5, 1.5, count)

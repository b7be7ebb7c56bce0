"""Angles of a circuit in bulk, and the chain rule from them to the parameters, for tools that know angles only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qlazy.bench.workloads import Angle, Array


class Angles:
    """Some angles of a circuit as one function of parameters and inputs."""

    def __init__(self, angles: Sequence[Angle]) -> None:
        self._shift = _Term([angle.shift for angle in angles])
        self._scale = _Term([angle.scale for angle in angles])
        self._feature = _Term([angle.feature for angle in angles])

    def values(self, params: Array, x: Array) -> Array:
        """(n, angles) for parameters (p,) and inputs (n, d)."""
        factors = self._scale.gather(params, absent=1.0)
        return factors * self._feature.gather(x, absent=0.0) + self._shift.gather(params, absent=0.0)

    def pull(self, gradients: Array, params: Array, x: Array) -> Array:
        """Derivatives (n, c, angles) by angle as derivatives (n, c, p) by parameter."""
        jacobian = np.zeros((*gradients.shape[:2], len(params)), gradients.dtype)
        self._shift.scatter(gradients, jacobian)
        if self._scale.places.size:
            self._scale.scatter(gradients * self._feature.gather(x, absent=0.0)[:, None], jacobian)
        return jacobian


class _Term:
    """Which angles have an element of some array, and which one; every element serves one angle."""

    def __init__(self, elements: Sequence[int | None]) -> None:
        self.count = len(elements)
        self.places = np.array([i for i, element in enumerate(elements) if element is not None], int)
        self.elements = np.array([element for element in elements if element is not None], int)

    def gather(self, values: Array, absent: float) -> Array:
        result = np.full((*values.shape[:-1], self.count), absent)
        result[..., self.places] = values[..., self.elements]
        return result

    def scatter(self, gradients: Array, jacobian: Array) -> None:
        jacobian[..., self.elements] = gradients[..., self.places]

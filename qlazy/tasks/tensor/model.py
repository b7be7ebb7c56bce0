"""A symmetric tensor as a model: parameters are its components, outputs its entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

import torch
from torch import Tensor

from qlazy.base.errors import generator_or_seed, require
from qlazy.models.model import Model, blocks_of
from qlazy.tasks.tensor.decomposition import Decomposition, normalized
from qlazy.tasks.tensor.entries import check_indices, check_sizes, power_derivatives, powers_at


@final
class SymmetricTensor(Model):
    """T = sum_i a_i ||u_i||^(q - l) u_i^{(x) l} of order l over R^d, read at index tuples.

    Inputs x (n, l) are whole numbers below d, outputs (n, 1) the entries there. Parameters are the components
    u (m, d), row-major; the ``signs`` a_i = +-1 are fixed, and +1 unless given. The model is homogeneous of
    ``degree`` q in u: l, the plain sum of powers, unless given; 2 in Wang, Wu, Lee, Ma, Ge 2020 (arXiv
    2010.11356). ``init`` draws every u_i uniformly from the unit sphere. For q < l a component must not be zero:
    the derivative is not defined there, and comes as NaN.
    """

    def __init__(
        self,
        dimension: int,
        order: int,
        components: int,
        *,
        signs: Sequence[float] | Tensor | None = None,
        degree: int | None = None,
    ) -> None:
        check_sizes(dimension, order)
        require(components >= 1, "components", "be positive", components)
        degree = order if degree is None else degree
        require(1 <= degree <= order, "degree", f"be between 1 and the order {order}", degree)
        self.dimension, self.order, self.components, self.degree = dimension, order, components, degree
        self.signs = checked_signs(signs, components)

    @property
    def num_params(self) -> int:
        return self.components * self.dimension

    @property
    def blocks(self) -> Mapping[str, slice]:
        return blocks_of({f"u{i}": self.dimension for i in range(self.components)})

    def init(self, generator: torch.Generator | int) -> Tensor:
        generator = generator_or_seed(generator)
        shape = self.components, self.dimension
        return normalized(torch.randn(*shape, generator=generator, dtype=torch.float64)).flatten()

    def check(self, params: Tensor, x: Tensor) -> None:
        super().check(params, x)
        check_indices(x, self.dimension, self.order)

    def decomposition(self, params: Tensor) -> Decomposition:
        """The tensor at ``params`` as weights a_i ||u_i||^(q - l) and vectors u_i."""
        vectors = self._vectors(params)
        return Decomposition(self._weights(vectors), vectors, self.order)

    def forward(self, params: Tensor, x: Tensor) -> Tensor:
        vectors = self._vectors(params)
        return (powers_at(vectors, x) @ self._weights(vectors)).unsqueeze(1)

    def jacobian(self, params: Tensor, x: Tensor) -> Tensor:
        self.check(params, x)
        vectors = self._vectors(params)
        weights = self._weights(vectors)
        by_component = weights.unsqueeze(1) * power_derivatives(vectors, x)
        if self.degree != self.order:
            radial = (self.degree - self.order) * (weights / vectors.square().sum(1)).unsqueeze(1) * vectors
            by_component = by_component + powers_at(vectors, x).unsqueeze(2) * radial
        return by_component.reshape(len(x), 1, self.num_params)

    def _vectors(self, params: Tensor) -> Tensor:
        return params.reshape(self.components, self.dimension)

    def _weights(self, vectors: Tensor) -> Tensor:
        signs = self.signs.to(vectors)
        return (
            signs if self.degree == self.order else signs * vectors.norm(dim=1) ** (self.degree - self.order)
        )

    def __repr__(self) -> str:
        sizes = f"dimension={self.dimension}, order={self.order}, components={self.components}"
        return f"SymmetricTensor({sizes}, degree={self.degree})"


def checked_signs(signs: Sequence[float] | Tensor | None, components: int) -> Tensor:
    """Signs (m,), float64: all +1 where none are given."""
    if signs is None:
        return torch.ones(components, dtype=torch.float64)
    found = torch.as_tensor(signs, dtype=torch.float64).detach().clone()
    fits = found.shape == (components,) and bool((found.abs() == 1).all())
    require(fits, "signs", f"be {components} times +1 or -1", signs)
    return found

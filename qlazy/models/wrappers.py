"""Wrappers that change a model's behaviour and leave its parameters alone. They compose in any order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import final

import torch
from torch import Tensor

from qlazy.base.errors import generator_or_seed, positive_of, require, require_finite, require_shape, whole_of
from qlazy.models.model import (
    Model,
    blocks_of,
    require_cotangent,
    require_hessian,
    require_model,
    require_tangent,
)


class Wrapper(Model):
    """A model around another that shares its parameter vector, blocks and initialisation."""

    def __init__(self, model: Model) -> None:
        require_model("model", model)
        self.model = model

    @property
    def num_params(self) -> int:
        return self.model.num_params

    @property
    def blocks(self) -> Mapping[str, slice]:
        return self.model.blocks

    def init(self, generator: torch.Generator | int) -> Tensor:
        return self.model.init(generator_or_seed(generator))


@final
class Scaled(Wrapper):
    """a h: the outputs times the scale a > 0; the tangent kernel is multiplied by a^2.

    Large a is the lazy regime (Chizat, Oyallon, Bach 2019, arXiv 1812.07956).

    Raises TypeError for what is no model, ValueError for a scale that is not positive and finite.
    """

    def __init__(self, model: Model, alpha: float) -> None:
        self.alpha = positive_of("alpha", alpha)
        must = "be from 1e-150 to 1e150: the tangent kernel is multiplied by its square"
        require(1e-150 <= self.alpha <= 1e150, "alpha", must, alpha)
        super().__init__(model)

    def forward(self, params: Tensor, x: Tensor) -> Tensor:
        return self.alpha * self.model(params, x)

    def on(self, x: Tensor) -> Callable[[Tensor], Tensor]:
        inner = self.model.on(x)
        return lambda params: self.alpha * inner(params)

    def gradient_flops(self, params: Tensor, x: Tensor) -> int | None:
        return self.model.gradient_flops(params, x)

    def jacobian(self, params: Tensor, x: Tensor) -> Tensor:
        return self.alpha * self.model.jacobian(params, x)

    def jvp(self, params: Tensor, x: Tensor, tangent: Tensor) -> Tensor:
        return self.alpha * self.model.jvp(params, x, tangent)

    def vjp(self, params: Tensor, x: Tensor, cotangent: Tensor) -> Tensor:
        return self.alpha * self.model.vjp(params, x, cotangent)

    def hvp(self, params: Tensor, x: Tensor, cotangent: Tensor, tangent: Tensor) -> Tensor:
        return self.alpha * self.model.hvp(params, x, cotangent, tangent)

    def second_derivative(self, params: Tensor, x: Tensor, tangent: Tensor) -> Tensor:
        return self.alpha * self.model.second_derivative(params, x, tangent)

    def hessian(self, params: Tensor, x: Tensor, cotangent: Tensor | None = None) -> Tensor:
        return self.alpha * self.model.hessian(params, x, cotangent)

    def gram(self, params: Tensor, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.alpha**2 * self.model.gram(params, x, y)

    def measured(self, shots: int, generator: torch.Generator | None = None) -> Scaled:
        return Scaled(self.model.measured(shots, generator), self.alpha)

    def __repr__(self) -> str:
        return f"Scaled({self.model!r}, alpha={self.alpha:g})"


class _Anchored(Wrapper):
    """A wrapper that remembers a parameter vector."""

    def __init__(self, model: Model, anchor: Tensor) -> None:
        super().__init__(model)
        require_shape("anchor", anchor, (model.num_params,))
        require_finite("anchor", anchor)
        self.anchor = anchor.detach().clone()

    def anchor_like(self, params: Tensor) -> Tensor:
        """The anchor in the dtype and on the device of ``params``, which decide the precision of a call."""
        return self.anchor.to(params)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model!r})"


@final
class Centered(_Anchored):
    """h(w) - h(w0): zero at the anchor w0, with the Jacobian and kernel of h.

    Raises TypeError for what is no model or no tensor, ValueError for an anchor of another shape than (p,),
    NotFiniteError for NaN or infinity in it.
    """

    def forward(self, params: Tensor, x: Tensor) -> Tensor:
        return self.model(params, x) - self.model(self.anchor_like(params), x)

    def measured(self, shots: int, generator: torch.Generator | None = None) -> Centered:
        return Centered(self.model.measured(shots, generator), self.anchor)

    def on(self, x: Tensor) -> Callable[[Tensor], Tensor]:
        inner = self.model.on(x)
        with torch.no_grad():
            offset = inner(self.anchor_like(x) if x.is_floating_point() else self.anchor)
        return lambda params: inner(params) - offset.to(params)

    def gradient_flops(self, params: Tensor, x: Tensor) -> int | None:
        return self.model.gradient_flops(params, x)

    def jacobian(self, params: Tensor, x: Tensor) -> Tensor:
        return self.model.jacobian(params, x)

    def jvp(self, params: Tensor, x: Tensor, tangent: Tensor) -> Tensor:
        return self.model.jvp(params, x, tangent)

    def vjp(self, params: Tensor, x: Tensor, cotangent: Tensor) -> Tensor:
        return self.model.vjp(params, x, cotangent)

    def hvp(self, params: Tensor, x: Tensor, cotangent: Tensor, tangent: Tensor) -> Tensor:
        return self.model.hvp(params, x, cotangent, tangent)

    def second_derivative(self, params: Tensor, x: Tensor, tangent: Tensor) -> Tensor:
        return self.model.second_derivative(params, x, tangent)

    def hessian(self, params: Tensor, x: Tensor, cotangent: Tensor | None = None) -> Tensor:
        return self.model.hessian(params, x, cotangent)

    def gram(self, params: Tensor, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.model.gram(params, x, y)


@final
class Linearized(_Anchored):
    """The linearised model h(w0) + Dh(w0)(w - w0): linear in w, with the kernel of h at the anchor w0.

    An exact first-order expansion through a Jacobian-vector product; no gate or activation is frozen
    (Chizat, Oyallon, Bach 2019, arXiv 1812.07956).

    Raises TypeError for what is no model or no tensor, ValueError for an anchor of another shape than (p,),
    NotFiniteError for NaN or infinity in it.
    """

    def forward(self, params: Tensor, x: Tensor) -> Tensor:
        anchor = self.anchor_like(params)
        return self.model(anchor, x) + self.model.jvp(anchor, x, params - anchor)

    def measured(self, shots: int, generator: torch.Generator | None = None) -> Linearized:
        return Linearized(self.model.measured(shots, generator), self.anchor)

    def jacobian(self, params: Tensor, x: Tensor) -> Tensor:
        return self.model.jacobian(self.anchor_like(params), x)

    def jvp(self, params: Tensor, x: Tensor, tangent: Tensor) -> Tensor:
        return self.model.jvp(self.anchor_like(params), x, tangent)

    def vjp(self, params: Tensor, x: Tensor, cotangent: Tensor) -> Tensor:
        return self.model.vjp(self.anchor_like(params), x, cotangent)

    def hvp(self, params: Tensor, x: Tensor, cotangent: Tensor, tangent: Tensor) -> Tensor:
        self.check_second(params, x, cotangent, tangent)
        return torch.zeros_like(params)

    def second_derivative(self, params: Tensor, x: Tensor, tangent: Tensor) -> Tensor:
        self.check_second(params, x, None, tangent)
        return torch.zeros_like(self.model(self.anchor_like(params), x))

    def hessian(self, params: Tensor, x: Tensor, cotangent: Tensor | None = None) -> Tensor:
        self.check_second(params, x, cotangent)
        require_hessian(self, params, x, cotangent)
        shape = () if cotangent is not None else self.model(self.anchor_like(params), x).shape
        return params.new_zeros(*shape, self.num_params, self.num_params)

    def gram(self, params: Tensor, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.model.gram(self.anchor_like(params), x, y)


@final
class Readout(Model):
    """f(x) = c + sum_j v_j h_j(w, x) of a model h with k outputs: parameters (w, v, c), p + k + 1 of them, one output.

    On a circuit with observables O_j it is the circuit measured in the trainable observable c + sum_j v_j O_j. The
    blocks are those of h, then "readout" (k,) and "offset". ``init`` draws w as h does, v_j ~ N(0, 1 / k), c = 0.
    Training the last two blocks alone is the random-features regime of h.

    Raises TypeError for what is no model, ValueError for a number of outputs that is not a positive whole number.
    """

    def __init__(self, model: Model, outputs: int) -> None:
        require_model("model", model)
        outputs = whole_of("outputs", outputs, 1)
        taken = {"readout", "offset"} & model.blocks.keys()
        require(not taken, "model", "have no block named readout or offset", sorted(taken))
        self.model = model
        self.outputs = outputs
        sizes = {name: block.stop - block.start for name, block in model.blocks.items()}
        self._blocks = blocks_of({**sizes, "readout": outputs, "offset": 1})

    @property
    def num_params(self) -> int:
        return self.model.num_params + self.outputs + 1

    @property
    def blocks(self) -> Mapping[str, slice]:
        return self._blocks

    def init(self, generator: torch.Generator | int) -> Tensor:
        generator = generator_or_seed(generator)
        inner = self.model.init(generator)
        readout = torch.randn(self.outputs, generator=generator, dtype=inner.dtype) / self.outputs**0.5
        return torch.cat([inner, readout, inner.new_zeros(1)])

    def forward(self, params: Tensor, x: Tensor) -> Tensor:
        inner, readout, offset = self._parts(params)
        return self._features(inner, x) @ readout.unsqueeze(1) + offset

    def jacobian(self, params: Tensor, x: Tensor) -> Tensor:
        self.check(params, x)
        inner, readout, _ = self._parts(params)
        moved = torch.einsum("j,njp->np", readout, self.model.jacobian(inner, x))
        features = self._features(inner, x)
        return torch.cat([moved, features, features.new_ones(len(x), 1)], dim=1).unsqueeze(1)

    def jvp(self, params: Tensor, x: Tensor, tangent: Tensor) -> Tensor:
        self.check(params, x)
        require_tangent(params, tangent)
        inner, readout, _ = self._parts(params)
        moved, turned, shifted = self._parts(tangent)
        along = self.model.jvp(inner, x, moved) @ readout + self._features(inner, x) @ turned
        return (along + shifted).unsqueeze(1)

    def vjp(self, params: Tensor, x: Tensor, cotangent: Tensor) -> Tensor:
        self.check(params, x)
        require_cotangent(params, x, cotangent)
        inner, readout, _ = self._parts(params)
        moved = self.model.vjp(inner, x, cotangent * readout)
        return torch.cat([moved, cotangent[:, 0] @ self._features(inner, x), cotangent.sum(0)])

    def hvp(self, params: Tensor, x: Tensor, cotangent: Tensor, tangent: Tensor) -> Tensor:
        self.check_second(params, x, cotangent, tangent)
        inner, readout, _ = self._parts(params)
        moved, turned, _ = self._parts(tangent)
        bent = self.model.hvp(inner, x, cotangent * readout, moved)
        across = self.model.vjp(inner, x, cotangent * turned)
        by_readout = cotangent[:, 0] @ self.model.jvp(inner, x, moved)
        return torch.cat([bent + across, by_readout, params.new_zeros(1)])

    def _parts(self, params: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        inner, readout, offset = params.split([self.model.num_params, self.outputs, 1])
        return inner, readout, offset

    def _features(self, params: Tensor, x: Tensor) -> Tensor:
        features = self.model(params, x)
        require(features.shape[1] == self.outputs, "model", f"have {self.outputs} outputs", features.shape[1])
        return features

    def __repr__(self) -> str:
        return f"Readout({self.model!r})"

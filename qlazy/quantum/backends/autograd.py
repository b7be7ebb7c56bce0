"""An engine that evaluates and differentiates a circuit by its angles, inside torch.

Each of its answers is a ``torch.autograd.Function``, so that autograd and ``torch.func`` pass through a circuit as
through any other function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qlazy.base.torch_private import (
    is_differentiated,
    is_transformed,
    require_mapped_anew,
    tree_map,
    vmap,
    with_dual_numbers,
)
from qlazy.quantum.second_derivatives import (
    DerivativeRates,
    Engine,
    Many,
    PlainFunction,
    ProductRates,
    WeightedRates,
    WithLanes,
    led,
)
from qlazy.simulator.observables import Observable
from qlazy.simulator.operations import Operation
from qlazy.simulator.rotations import Derivatives, Real

FEW_OUTPUTS = 4
"""Of so many the whole Jacobian takes 1.2 to 3.3 times as long as the derivatives of one, which are seldom all."""
MOST_ENTRIES = 2**23
"""Of a Jacobian by angles that is kept with a graph."""

MakeEngine = Callable[[int, Sequence[Operation], Sequence[Observable]], Engine]


def outputs(engine: Engine, shared: Tensor, sampled: Tensor) -> Tensor:
    """Outputs (n, c) for angles (S,) and (n, T)."""
    recorded = torch.is_grad_enabled() and (shared.requires_grad or sampled.requires_grad)
    if engine.num_outputs == 1 and recorded and not is_transformed(shared, sampled):
        # One sweep gives the value and everything backward() will ask for.
        return _Swept.apply(engine, shared, sampled)[0]
    return _Expectations.apply(engine, shared, sampled)


def derivatives(engine: Engine, shared: Tensor, sampled: Tensor) -> tuple[Tensor, Tensor]:
    """d outputs / d angles: (n, c, S) and (n, c, T)."""
    return _Derivatives.apply(engine, shared, sampled)


def weighted(engine: Engine, weights: Tensor, shared: Tensor, sampled: Tensor) -> tuple[Tensor, Tensor]:
    """d / d angles of the outputs times weights (n, c): (S,) and (n, T)."""
    return _Weighted.apply(engine, weights, shared, sampled)


class _Swept(PlainFunction):
    """Angles to outputs (n, 1), with all derivatives kept for backward()."""

    @staticmethod
    def forward(engine: Engine, shared: Tensor, sampled: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        values, found = engine.sweep(shared.numpy(), sampled.numpy(), torch.get_num_threads())
        return torch.from_numpy(values), torch.from_numpy(found.shared), torch.from_numpy(found.sampled)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
        ctx.engine = inputs[0]
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(*inputs[1:], *output[1:])

    @staticmethod
    def backward(ctx: Any, weights: Tensor, *_: Tensor) -> tuple[None, Tensor, Tensor]:
        require_mapped_anew(weights)
        return None, *_Contracted.apply(ctx.engine, weights, *ctx.saved_tensors)


class _Contracted(PlainFunction):
    """Weights (n, c) times derivatives (n, c, S) and (n, c, T), which are those at the angles: (S,) and (n, T)."""

    @staticmethod
    def forward(
        engine: Engine,
        weights: Tensor,
        shared: Tensor,
        sampled: Tensor,
        by_shared: Tensor,
        by_sampled: Tensor,
    ) -> tuple[Tensor, Tensor]:
        # einsum, unlike torch or BLAS, adds in one order whatever the number of threads.
        w = weights.numpy()
        by_angle = (
            np.einsum("nc,nca->a", w, by_shared.numpy()),
            np.einsum("nc,nca->na", w, by_sampled.numpy()),
        )
        return torch.from_numpy(by_angle[0]), torch.from_numpy(by_angle[1])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.engine = inputs[0]
        ctx.save_for_backward(*inputs[1:4])

    @staticmethod
    def backward(
        ctx: Any, along_shared: Tensor, along_sampled: Tensor
    ) -> tuple[None, Tensor, Tensor, Tensor, None, None]:
        return None, *_pulled(ctx, along_shared, along_sampled), None, None


def _pulled(ctx: Any, along_shared: Tensor, along_sampled: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cotangents of a weighted gradient, pulled back to its weights and angles: its Jacobian there is symmetric."""
    weights, *angles = ctx.saved_tensors
    along = torch.zeros_like(weights), along_shared, along_sampled
    return WeightedRates.apply(ctx.engine, weights, *angles, *along)


class _Expectations(PlainFunction):
    """Angles (S,) shared and (n, T) sampled to outputs (n, c)."""

    @staticmethod
    def forward(engine: Engine, shared: Tensor, sampled: Tensor) -> Tensor:
        values = engine.values(shared.numpy(), sampled.numpy(), torch.get_num_threads())
        return torch.from_numpy(values.copy() if not values.flags.writeable else values)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.engine, shared, sampled = inputs
        ctx.is_one_output, ctx.derivatives = False, None
        ctx.save_for_backward(shared, sampled)
        ctx.save_for_forward(shared, sampled)

    @staticmethod
    def backward(ctx: Any, weights: Tensor) -> tuple[None, Tensor, Tensor]:
        require_mapped_anew(weights)
        if is_differentiated(weights, *ctx.saved_tensors):
            return None, *_Weighted.apply(ctx.engine, weights, *ctx.saved_tensors)
        by_shared, by_sampled = _products(ctx, weights.numpy(force=True))
        return None, torch.from_numpy(by_shared), torch.from_numpy(by_sampled)

    @staticmethod
    def jvp(ctx: Any, _: None, *tangents: Tensor | None) -> Tensor:
        return _Product.apply(ctx.engine, *ctx.saved_tensors, *_filled(tangents, ctx.saved_tensors))

    @staticmethod
    @with_dual_numbers
    def vmap(
        info: Any, dims: tuple[int | None, ...], engine: Engine, shared: Tensor, sampled: Tensor
    ) -> tuple[Tensor, int]:
        if dims[1] is None or not isinstance(engine, WithLanes):
            return _mapped(_Expectations, info.batch_size, dims, engine, shared, sampled), 0
        many = Many(engine, info.batch_size, dims[1:], shared, sampled)
        return _Expectations.apply(many.engine, many.none, many.angles).unflatten(0, (many.size, -1)), 0


def _products(ctx: Any, weights: Real) -> Derivatives:
    """Weights (n, c) times the derivatives at the angles of a context, plain numbers: (S,) and (n, T).

    Who asks for the derivatives of one output asks for those of the others too, if there are few, and who asks twice if
    there are many: they are then taken all at once, and kept as long as the graph.
    """
    (shared, sampled), threads = (t.numpy(force=True) for t in ctx.saved_tensors), torch.get_num_threads()
    outputs = np.flatnonzero(weights.any(0))
    is_asked = ctx.is_one_output or 1 < weights.shape[1] <= FEW_OUTPUTS
    is_small = weights.size * (len(shared) + sampled.shape[1]) <= MOST_ENTRIES
    if len(outputs) != 1 or not (is_asked and is_small):
        ctx.is_one_output = ctx.is_one_output or len(outputs) == 1
        found: Derivatives = ctx.engine.weighted(weights, shared, sampled, threads)
        return found
    if ctx.derivatives is None:
        ctx.derivatives = ctx.engine.sweep(shared, sampled, threads)[1]
    weight, (by_shared, by_sampled) = weights[:, outputs[0]], (d[:, outputs[0]] for d in ctx.derivatives)
    return Derivatives(np.einsum("n,na->a", weight, by_shared), weight[:, None] * by_sampled)


class _Product(PlainFunction):
    """J t (n, c) for a direction t of the angles, (S,) and (n, T)."""

    @staticmethod
    def forward(
        engine: Engine, shared: Tensor, sampled: Tensor, along_shared: Tensor, along_sampled: Tensor
    ) -> Tensor:
        _, found = engine.sweep(shared.numpy(), sampled.numpy(), torch.get_num_threads())
        across = np.einsum("nca,na->nc", found.sampled, along_sampled.numpy())
        return torch.from_numpy(found.shared @ along_shared.numpy() + across)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.engine = inputs[0]
        ctx.save_for_backward(*inputs[1:])
        ctx.save_for_forward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, weights: Tensor) -> tuple[None, Tensor, Tensor, Tensor, Tensor]:
        shared, sampled, *along = ctx.saved_tensors
        by_direction = _Weighted.apply(ctx.engine, weights, shared, sampled)
        rest = torch.zeros_like(weights), *along
        _, *by_angle = WeightedRates.apply(ctx.engine, weights, shared, sampled, *rest)
        return None, *by_angle, *by_direction

    @staticmethod
    def jvp(ctx: Any, _: None, *tangents: Tensor | None) -> Tensor:
        return ProductRates.apply(ctx.engine, *ctx.saved_tensors, *_filled(tangents, ctx.saved_tensors))

    @staticmethod
    @with_dual_numbers
    def vmap(info: Any, dims: tuple[int | None, ...], engine: Engine, *tensors: Tensor) -> tuple[Tensor, int]:
        size = info.batch_size
        if dims[1] is None and dims[2] is None:  # many directions want every derivative once
            by_shared, by_sampled = _Derivatives.apply(engine, *tensors[:2])
            shared, sampled = (led(t, dim, size) for t, dim in zip(tensors[2:], dims[3:], strict=True))
            across = (by_sampled * sampled.unsqueeze(2)).sum(-1)
            return torch.einsum("nca,ba->bnc", by_shared, shared) + across, 0
        if not isinstance(engine, WithLanes):
            entries = (led(t, dim, size) for t, dim in zip(tensors, dims[1:], strict=True))
            return torch.stack([_Product.apply(engine, *entry) for entry in zip(*entries, strict=True)]), 0
        many, along = (Many(engine, size, dims[i + 1 : i + 3], *tensors[i : i + 2]) for i in (0, 2))
        found = _Product.apply(many.engine, many.none, many.angles, along.none, along.angles)
        return found.unflatten(0, (size, -1)), 0


def _filled(tangents: Sequence[Tensor | None], like: Sequence[Tensor]) -> list[Tensor]:
    """Zeros where there is no tangent."""
    return [torch.zeros_like(p) if t is None else t for p, t in zip(like, tangents, strict=True)]


class _Derivatives(PlainFunction):
    """d outputs / d angles: (n, c, S) and (n, c, T)."""

    @staticmethod
    def forward(engine: Engine, shared: Tensor, sampled: Tensor) -> tuple[Tensor, Tensor]:
        _, found = engine.sweep(shared.numpy(), sampled.numpy(), torch.get_num_threads())
        return torch.from_numpy(found.shared), torch.from_numpy(found.sampled)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.engine, shared, sampled = inputs
        ctx.save_for_backward(shared, sampled)
        ctx.save_for_forward(shared, sampled)

    @staticmethod
    def backward(ctx: Any, by_shared: Tensor, by_sampled: Tensor) -> tuple[None, Tensor, Tensor]:
        found = DerivativeRates.apply(ctx.engine, *ctx.saved_tensors, by_shared, by_sampled)
        return None, found[0].sum((0, 1)), found[1].sum(1)

    @staticmethod
    def jvp(ctx: Any, _: None, *tangents: Tensor | None) -> Any:
        shared, sampled = _filled(tangents, ctx.saved_tensors)
        shape = len(sampled), ctx.engine.num_outputs, -1
        along = shared.expand(shape), sampled.unsqueeze(1).expand(shape)
        return DerivativeRates.apply(ctx.engine, *ctx.saved_tensors, *along)

    @staticmethod
    @with_dual_numbers
    def vmap(
        info: Any, dims: tuple[int | None, ...], engine: Engine, shared: Tensor, sampled: Tensor
    ) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:
        if dims[1] is None or not isinstance(engine, WithLanes):
            return _mapped(_Derivatives, info.batch_size, dims, engine, shared, sampled), (0, 0)
        many = Many(engine, info.batch_size, dims[1:], shared, sampled)
        return many.split(_Derivatives.apply(many.engine, many.none, many.angles)[1]), (0, 0)


class _Weighted(PlainFunction):
    """d / d angles of the outputs times weights (n, c): (S,) and (n, T), in one sweep."""

    @staticmethod
    def forward(engine: Engine, weights: Tensor, shared: Tensor, sampled: Tensor) -> tuple[Tensor, Tensor]:
        threads = torch.get_num_threads()
        found = engine.weighted(weights.numpy(), shared.numpy(), sampled.numpy(), threads)
        return torch.from_numpy(found.shared), torch.from_numpy(found.sampled)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.engine = inputs[0]
        ctx.save_for_backward(*inputs[1:])
        ctx.save_for_forward(*inputs[1:])

    @staticmethod
    def backward(
        ctx: Any, along_shared: Tensor, along_sampled: Tensor
    ) -> tuple[None, Tensor, Tensor, Tensor]:
        return None, *_pulled(ctx, along_shared, along_sampled)

    @staticmethod
    def jvp(ctx: Any, _: None, *tangents: Tensor | None) -> tuple[Tensor, Tensor]:
        along = _filled(tangents, ctx.saved_tensors)
        _, by_shared, by_sampled = WeightedRates.apply(ctx.engine, *ctx.saved_tensors, *along)
        return by_shared, by_sampled

    @staticmethod
    @with_dual_numbers
    def vmap(
        info: Any,
        dims: tuple[int | None, ...],
        engine: Engine,
        weights: Tensor,
        shared: Tensor,
        sampled: Tensor,
    ) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:
        if dims[2] is not None and isinstance(engine, WithLanes):
            many = Many(engine, info.batch_size, dims[2:], shared, sampled)
            weights = led(weights, dims[1], many.size).flatten(0, 1)
            _, found = _Weighted.apply(many.engine, weights, many.none, many.angles)
            by_shared, by_sampled = many.split(found)
            return (by_shared.sum(1), by_sampled), (0, 0)
        # Many weights want every derivative once, not a sweep each.
        in_dims = (dims[2], dims[3])
        if in_dims == (None, None):
            by_shared, by_sampled = _Derivatives.apply(engine, shared, sampled)
        else:
            by_shared, by_sampled = vmap(lambda a, b: _Derivatives.apply(engine, a, b), in_dims)(
                shared, sampled
            )
        weights = weights.movedim(dims[1], 0) if dims[1] is not None else weights
        weights = weights.unsqueeze(-1)
        return ((weights * by_shared).sum((-3, -2)), (weights * by_sampled).sum(-2)), (0, 0)


def _mapped(
    function: Any, size: int, dims: tuple[int | None, ...], engine: Engine, shared: Tensor, sampled: Tensor
) -> Any:
    """What the function gives for each entry of the mapped dimension, which comes first."""
    if dims[1] is None:  # the mapped dimension joins the samples
        assert dims[2] is not None
        found = function.apply(engine, shared, sampled.movedim(dims[2], 0).flatten(0, 1))
        return tree_map(lambda part: part.unflatten(0, (size, -1)), found)
    # Shared angles that differ are different circuits.
    entries = (
        [angles] * size if dim is None else angles.unbind(dim)
        for angles, dim in zip((shared, sampled), dims[1:], strict=True)
    )
    calls = [function.apply(engine, *pair) for pair in zip(*entries, strict=True)]
    return tree_map(lambda *parts: torch.stack(parts), *calls)

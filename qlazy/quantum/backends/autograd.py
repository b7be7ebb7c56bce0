"""An engine that evaluates and differentiates a circuit by its angles, inside torch.

Each of its answers is a ``torch.autograd.Function``, so that autograd and ``torch.func`` pass through a circuit as
through any other function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from qlazy.base.torch_private import are_transforms_active, is_transformed, tree_map, unwrap_dead_wrappers
from qlazy.simulator.observables import Observable
from qlazy.simulator.operations import Operation
from qlazy.simulator.rotations import Derivatives, Real, RotationCircuit

SECOND = (
    "second derivatives of a circuit need backend='torch': the adjoint sweep gives first derivatives, "
    "and neither double backward nor Hessians"
)


class Engine(Protocol):
    """What evaluates a circuit for shared angles (S,) and sampled angles (n, T); see RotationCircuit."""

    @property
    def num_outputs(self) -> int:
        """c."""

    def values(self, shared: Real, sampled: Real, threads: int) -> Real:
        """Outputs (n, c)."""

    def sweep(self, shared: Real, sampled: Real, threads: int) -> tuple[Real, Derivatives]:
        """Outputs (n, c), and dF/dangle of every output and sample, (n, c, S) and (n, c, T)."""

    def weighted(self, weights: Real, shared: Real, sampled: Real, threads: int) -> Derivatives:
        """d/dangle of the outputs times weights (n, c), summed: (S,) and (n, T)."""


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


class _Function(torch.autograd.Function):
    """torch's own, which binds the signature anew at every call, to fill in defaults that are not there."""

    @classmethod
    def apply(cls, *args: Any) -> Any:
        if are_transforms_active():
            return super().apply(*args)
        return super(torch.autograd.Function, cls).apply(*unwrap_dead_wrappers(args))  # type: ignore[misc]


class _First(_Function):
    """A derivative, which has none itself."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> Any:
        raise RuntimeError(SECOND)

    @staticmethod
    def jvp(ctx: Any, *_: Tensor) -> Any:
        raise RuntimeError(SECOND)


class _Swept(_Function):
    """Angles to outputs (n, 1), with all derivatives kept for backward()."""

    @staticmethod
    def forward(engine: Engine, shared: Tensor, sampled: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        values, found = engine.sweep(shared.numpy(), sampled.numpy(), torch.get_num_threads())
        return torch.from_numpy(values), torch.from_numpy(found.shared), torch.from_numpy(found.sampled)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(*inputs[1:], *output[1:])

    @staticmethod
    def backward(ctx: Any, weights: Tensor, *_: Tensor) -> tuple[None, Tensor, Tensor]:
        return None, *_Contracted.apply(weights, *ctx.saved_tensors)


class _Contracted(_First):
    """Weights (n, c) times derivatives (n, c, S) and (n, c, T): (S,) and (n, T). Angles only stop the second."""

    @staticmethod
    def forward(
        weights: Tensor, shared: Tensor, sampled: Tensor, by_shared: Tensor, by_sampled: Tensor
    ) -> tuple[Tensor, Tensor]:
        # einsum, unlike torch or BLAS, adds in one order whatever the number of threads.
        w = weights.numpy()
        by_angle = (
            np.einsum("nc,nca->a", w, by_shared.numpy()),
            np.einsum("nc,nca->na", w, by_sampled.numpy()),
        )
        return torch.from_numpy(by_angle[0]), torch.from_numpy(by_angle[1])


class _Expectations(_Function):
    """Angles (S,) shared and (n, T) sampled to outputs (n, c)."""

    @staticmethod
    def forward(engine: Engine, shared: Tensor, sampled: Tensor) -> Tensor:
        values = engine.values(shared.numpy(), sampled.numpy(), torch.get_num_threads())
        return torch.from_numpy(values.copy() if not values.flags.writeable else values)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.engine, shared, sampled = inputs
        ctx.save_for_backward(shared, sampled)
        ctx.save_for_forward(shared, sampled)

    @staticmethod
    def backward(ctx: Any, weights: Tensor) -> tuple[None, Tensor, Tensor]:
        return None, *_Weighted.apply(ctx.engine, weights, *ctx.saved_tensors)

    @staticmethod
    def jvp(ctx: Any, _: None, shared: Tensor | None, sampled: Tensor | None) -> Tensor:
        by_shared, by_sampled = _Derivatives.apply(ctx.engine, *ctx.saved_tensors)
        total = by_shared.new_zeros(by_shared.shape[:2])
        if shared is not None:
            total = total + by_shared @ shared
        if sampled is not None:
            total = total + (by_sampled * sampled.unsqueeze(1)).sum(-1)
        return total

    @staticmethod
    def vmap(
        info: Any, dims: tuple[int | None, ...], engine: Engine, shared: Tensor, sampled: Tensor
    ) -> tuple[Tensor, int]:
        if dims[1] is None or not isinstance(engine, RotationCircuit):
            return _mapped(_Expectations, info.batch_size, dims, engine, shared, sampled), 0
        many = _Unshared(engine, info.batch_size, dims[1:], shared, sampled)
        return _Expectations.apply(many.engine, many.none, many.angles).unflatten(0, (many.size, -1)), 0


class _Derivatives(_First):
    """d outputs / d angles: (n, c, S) and (n, c, T)."""

    @staticmethod
    def forward(engine: Engine, shared: Tensor, sampled: Tensor) -> tuple[Tensor, Tensor]:
        _, found = engine.sweep(shared.numpy(), sampled.numpy(), torch.get_num_threads())
        return torch.from_numpy(found.shared), torch.from_numpy(found.sampled)

    @staticmethod
    def vmap(
        info: Any, dims: tuple[int | None, ...], engine: Engine, shared: Tensor, sampled: Tensor
    ) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:
        if dims[1] is None or not isinstance(engine, RotationCircuit):
            return _mapped(_Derivatives, info.batch_size, dims, engine, shared, sampled), (0, 0)
        many = _Unshared(engine, info.batch_size, dims[1:], shared, sampled)
        return many.split(_Derivatives.apply(many.engine, many.none, many.angles)[1]), (0, 0)


class _Weighted(_First):
    """d / d angles of the outputs times weights (n, c): (S,) and (n, T), in one sweep."""

    @staticmethod
    def forward(engine: Engine, weights: Tensor, shared: Tensor, sampled: Tensor) -> tuple[Tensor, Tensor]:
        threads = torch.get_num_threads()
        found = engine.weighted(weights.numpy(), shared.numpy(), sampled.numpy(), threads)
        return torch.from_numpy(found.shared), torch.from_numpy(found.sampled)

    @staticmethod
    def vmap(
        info: Any,
        dims: tuple[int | None, ...],
        engine: Engine,
        weights: Tensor,
        shared: Tensor,
        sampled: Tensor,
    ) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:
        if dims[2] is not None and isinstance(engine, RotationCircuit):
            many = _Unshared(engine, info.batch_size, dims[2:], shared, sampled)
            weights = _led(weights, dims[1], many.size).flatten(0, 1)
            _, found = _Weighted.apply(many.engine, weights, many.none, many.angles)
            by_shared, by_sampled = many.split(found)
            return (by_shared.sum(1), by_sampled), (0, 0)
        # Many weights want every derivative once, not a sweep each.
        in_dims = (dims[2], dims[3])
        if in_dims == (None, None):
            by_shared, by_sampled = _Derivatives.apply(engine, shared, sampled)
        else:
            by_shared, by_sampled = torch.func.vmap(lambda a, b: _Derivatives.apply(engine, a, b), in_dims)(
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


class _Unshared:
    """Many vectors of shared angles as samples of one circuit that shares none."""

    def __init__(
        self,
        engine: RotationCircuit,
        size: int,
        dims: tuple[int | None, ...],
        shared: Tensor,
        sampled: Tensor,
    ) -> None:
        self.engine, places = engine.unshared
        self.size, self._counts = size, (engine.num_shared, engine.num_sampled)
        self._back = torch.from_numpy(np.argsort(places))
        shared, sampled = (_led(a, dim, size) for a, dim in zip((shared, sampled), dims, strict=True))
        angles = torch.cat([shared.unsqueeze(1).expand(-1, sampled.shape[1], -1), sampled], -1)
        self.angles = angles.index_select(-1, torch.from_numpy(places)).flatten(0, 1)  # (size n, S + T)
        self.none = shared.new_empty(0)

    def split(self, by_angle: Tensor) -> tuple[Tensor, Tensor]:
        """(size n, ..., S + T) as (size, n, ..., S) and (size, n, ..., T)."""
        ordered = by_angle.index_select(-1, self._back).unflatten(0, (self.size, -1))
        by_shared, by_sampled = ordered.split(self._counts, -1)
        return by_shared, by_sampled


def _led(tensor: Tensor, dim: int | None, size: int) -> Tensor:
    """With the mapped dimension first, repeated along it if it has none."""
    return tensor.expand(size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)

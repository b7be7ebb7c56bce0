"""A circuit as a function of its angles, which an engine evaluates and differentiates, inside torch.

Everything between parameters, inputs and angles is plain torch, and the engine has one
``torch.autograd.Function`` around it, so that autograd and ``torch.func`` pass through a circuit as through
any other function. The engine is the adjoint simulator, or whatever else gives dF/dangle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol, final

import numpy as np
import torch
from torch import Tensor
from torch._functorch.utils import unwrap_dead_wrappers
from torch.utils._pytree import tree_map

from qlazy.quantum.angles import AngleMap, Layout
from qlazy.quantum.expression import Constant, Expression
from qlazy.simulator.observables import Observable
from qlazy.simulator.operations import Operation, PauliRotation
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


@dataclass(frozen=True, eq=False)
class Lowering:
    """A circuit as the simulator takes it: operations, the formula of each rotation's angle, observables."""

    num_wires: int
    operations: tuple[Operation, ...]
    formulas: tuple[Expression | None, ...]  # one for each operation; None where it has no angle
    observables: tuple[Observable, ...]
    layout: Layout


@final
class LoweredCircuit:
    """A lowered circuit, run by an engine: the adjoint simulator unless another is given."""

    def __init__(self, lowering: Lowering, make: MakeEngine = RotationCircuit) -> None:
        self._make = make
        formulas = [f for f in lowering.formulas if f is not None and not isinstance(f, Constant)]
        self.angles = AngleMap(formulas, lowering.layout)
        self._lowering = lowering

    @property
    def lowering(self) -> Lowering:
        """Operations, formulas and observables, as they were compiled."""
        return self._lowering

    @property
    def inputs(self) -> frozenset[str]:
        """The names of the weights and data that its angles use."""
        formulas = [formula for formula in self._lowering.formulas if formula is not None]
        return frozenset(name for formula in formulas for name, _ in formula.elements)

    @cached_property
    def for_params(self) -> Engine:
        """Differentiates the angles that depend on a parameter."""
        return self._compiled(self.angles.trainable)

    @cached_property
    def for_all(self) -> Engine:
        """Differentiates every angle: for gradients with respect to inputs too."""
        return self._compiled([True] * len(self.angles.sampled))

    def outputs(self, params: Tensor, x: Tensor) -> Tensor:
        """Expectation values (n, c) for parameters (p,) and rows (n, d)."""
        engine, angles = self._engine(x), self._angles(params, x)
        if engine.num_outputs == 1 and _wants_backward(*angles):
            # One sweep gives the value and everything backward() will ask for.
            return _Swept.apply(engine, *angles)[0]
        return _Expectations.apply(engine, *angles)

    def jacobian(self, params: Tensor, x: Tensor) -> Tensor:
        """Derivatives (n, c, p), from one sweep and the formulas of the angles."""
        by_shared, by_sampled = _Derivatives.apply(self.for_params, *self._angles(params, x))
        return self.angles.partials.pull(by_shared, by_sampled, params, x)

    def angle_values(self, params: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """The angles that all samples share, (S,), and those of each sample, (n, T)."""
        return self._angles(params, x)

    def _angles(self, params: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        sampled = self.angles.sampled_values(params, x)
        # Without a sampled angle the empty (n, 0) still says how many samples there are.
        return self.angles.shared_values(params, x), sampled if sampled.ndim == 2 else x.new_empty(len(x), 0)

    def _engine(self, x: Tensor) -> Engine:
        return self.for_all if _is_tracked(x) else self.for_params

    def _compiled(self, wanted: Sequence[bool]) -> Engine:
        lowering = self._lowering
        flags = iter(zip(self.angles.sampled, wanted, strict=True))
        operations = [
            operation if formula is None else _with_angle(operation, formula, flags)
            for operation, formula in zip(lowering.operations, lowering.formulas, strict=True)
        ]
        return self._make(lowering.num_wires, operations, lowering.observables)


def _with_angle(operation: Operation, formula: Expression, flags: Any) -> Operation:
    assert isinstance(operation, PauliRotation)
    if isinstance(formula, Constant):
        return replace(operation, angle=formula.value)
    sampled, wanted = next(flags)
    return replace(operation, sampled=sampled, wanted=wanted)


def _is_tracked(x: Tensor) -> bool:
    # Inside a transform of torch.func there is no telling cheaply, and too many derivatives are never wrong.
    return x.requires_grad or torch._C._functorch.is_functorch_wrapped_tensor(x)


def _wants_backward(*angles: Tensor) -> bool:
    wanted = torch.is_grad_enabled() and any(a.requires_grad for a in angles)
    return wanted and not any(torch._C._functorch.is_functorch_wrapped_tensor(a) for a in angles)


class _Function(torch.autograd.Function):
    """torch's own, which binds the signature anew at every call, to fill in defaults that are not there."""

    @classmethod
    def apply(cls, *args: Any) -> Any:
        if torch._C._are_functorch_transforms_active():
            return super().apply(*args)
        return super(torch.autograd.Function, cls).apply(*unwrap_dead_wrappers(args))  # type: ignore[misc]


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


class _Contracted(_Function):
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

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> Any:
        raise RuntimeError(SECOND)


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
        return _mapped(_Expectations, info.batch_size, dims, engine, shared, sampled), 0


class _Derivatives(_Function):
    """d outputs / d angles: (n, c, S) and (n, c, T)."""

    @staticmethod
    def forward(engine: Engine, shared: Tensor, sampled: Tensor) -> tuple[Tensor, Tensor]:
        _, found = engine.sweep(shared.numpy(), sampled.numpy(), torch.get_num_threads())
        return torch.from_numpy(found.shared), torch.from_numpy(found.sampled)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> Any:
        raise RuntimeError(SECOND)

    @staticmethod
    def jvp(ctx: Any, *_: Tensor) -> Any:
        raise RuntimeError(SECOND)

    @staticmethod
    def vmap(
        info: Any, dims: tuple[int | None, ...], engine: Engine, shared: Tensor, sampled: Tensor
    ) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:
        return _mapped(_Derivatives, info.batch_size, dims, engine, shared, sampled), (0, 0)


class _Weighted(_Function):
    """d / d angles of the outputs times weights (n, c): (S,) and (n, T), in one sweep."""

    @staticmethod
    def forward(engine: Engine, weights: Tensor, shared: Tensor, sampled: Tensor) -> tuple[Tensor, Tensor]:
        threads = torch.get_num_threads()
        found = engine.weighted(weights.numpy(), shared.numpy(), sampled.numpy(), threads)
        return torch.from_numpy(found.shared), torch.from_numpy(found.sampled)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> Any:
        raise RuntimeError(SECOND)

    @staticmethod
    def jvp(ctx: Any, *_: Tensor) -> Any:
        raise RuntimeError(SECOND)

    @staticmethod
    def vmap(
        info: Any,
        dims: tuple[int | None, ...],
        engine: Engine,
        weights: Tensor,
        shared: Tensor,
        sampled: Tensor,
    ) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:
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

"""Second derivatives of an engine by its angles, inside torch.

The adjoint simulator gives them along directions, one sweep a direction and sample (:mod:`qlazy.simulator.tangents`).
Any other engine gives them by exact shifts of its first derivatives, an angle at a time. Either is a
``torch.autograd.Function`` that maps over directions, and has no derivative itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from qlazy.base.torch_private import (
    are_transforms_active,
    tree_map,
    unwrap_dead_wrappers,
    with_dual_numbers,
)
from qlazy.quantum.program.shift_rules import shift_rule
from qlazy.simulator.branching.circuit import BranchedCircuit
from qlazy.simulator.cones.circuit import ConeCircuit, hessian_rows, moved_rows
from qlazy.simulator.paulis.circuit import PauliCircuit
from qlazy.simulator.rotations import Derivatives, Real, RotationCircuit

THIRD = (
    "third derivatives of a circuit need backend='torch', or default.qubit in place of qlazy.adjoint: the adjoint "
    "sweep gives first and second derivatives"
)


WithLanes = RotationCircuit | ConeCircuit | BranchedCircuit
"""Engines that take many vectors of shared angles in one run, each with samples of its own."""

Dims = tuple[int | None, ...]
Tensors = tuple[Tensor, Tensor]  # of shared angles, and of sampled ones
Pair = tuple[Real, Real]  # of shared angles, and of sampled ones


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


class PlainFunction(torch.autograd.Function):
    """torch's own, which binds the signature anew at every call, to fill in defaults that are not there."""

    @classmethod
    def apply(cls, *args: Any) -> Any:
        if are_transforms_active():
            return super().apply(*args)
        return super(torch.autograd.Function, cls).apply(*unwrap_dead_wrappers(args))  # type: ignore[misc]


class _Last(PlainFunction):
    """A second derivative, which has none itself."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> Any:
        raise RuntimeError(THIRD)

    @staticmethod
    def jvp(ctx: Any, *_: Tensor) -> Any:
        raise RuntimeError(THIRD)


# Arguments that are moved come first, then their tangents, of the same shapes. A rule of torch.func's forward mode may
# call one function and nothing beside: what plain operations do within it, no other forward mode around it sees.


class DerivativeRates(_Last):
    """Rates of d outputs / d angles, (n, c, S) and (n, c, T), along tangents of these shapes: one for each output."""

    @staticmethod
    def forward(
        engine: Engine, shared: Tensor, sampled: Tensor, along_shared: Tensor, along_sampled: Tensor
    ) -> tuple[Tensor, Tensor]:
        angles, along = (shared.numpy(), sampled.numpy()), (along_shared.numpy(), along_sampled.numpy())
        return _tensors(_derivative_rates(engine, angles, along))

    @staticmethod
    @with_dual_numbers
    def vmap(info: Any, dims: Dims, engine: Engine, *tensors: Tensor) -> tuple[Any, tuple[int, int]]:
        if not isinstance(engine, RotationCircuit | ConeCircuit):
            return _one_by_one(DerivativeRates, info.batch_size, dims, engine, tensors), (0, 0)
        many = Many(engine, info.batch_size, dims[1:3], *tensors[:2])
        along = (led(t, dim, many.size).flatten(0, 1) for t, dim in zip(tensors[2:], dims[3:], strict=True))
        tangents = many.lanes.joined(*along)
        _, found = DerivativeRates.apply(many.engine, many.none, many.angles, tangents[..., :0], tangents)
        return many.split(found), (0, 0)


class WeightedRates(_Last):
    """Rates of outputs (n, c), and of d/dangle of their sum with weights, (S,) and (n, T)."""

    @staticmethod
    def forward(engine: Engine, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Weights (n, c), angles (S,) and (n, T), then a tangent of each."""
        weights, along_weights = tensors[0].numpy(), tensors[3].numpy()
        angles, along = _pair(tensors[1:3]), _pair(tensors[4:])
        return _tensors(_weighted_rates(engine, weights, angles, along_weights, along))

    @staticmethod
    @with_dual_numbers
    def vmap(info: Any, dims: Dims, engine: Engine, *tensors: Tensor) -> tuple[Any, tuple[int, int, int]]:
        if not isinstance(engine, RotationCircuit | ConeCircuit):
            return _one_by_one(WeightedRates, info.batch_size, dims, engine, tensors), (0, 0, 0)
        size = info.batch_size
        weights, along = (led(tensors[i], dims[i + 1], size).flatten(0, 1) for i in (0, 3))
        many, tangents = (Many(engine, size, dims[i + 1 : i + 3], *tensors[i : i + 2]) for i in (1, 4))
        outputs, _, found = WeightedRates.apply(
            many.engine, weights, many.none, many.angles, along, tangents.none, tangents.angles
        )
        by_shared, by_sampled = many.split(found)
        return (outputs.unflatten(0, (size, -1)), by_shared.sum(1), by_sampled), (0, 0, 0)


class ProductRates(_Last):
    """Rates (n, c) of J t, for a direction t of the angles, along a tangent of both."""

    @staticmethod
    def forward(engine: Engine, *tensors: Tensor) -> Tensor:
        """Angles (S,) and (n, T), the direction of each; then a tangent of all four."""
        angles, direction, along, turn = (_pair(tensors[i : i + 2]) for i in (0, 2, 4, 6))
        _, first = engine.sweep(angles[0], angles[1], torch.get_num_threads())
        second = _derivative_rates(engine, angles, _for_each_output(along, first))
        return torch.from_numpy(_product(second, direction) + _product(first, turn))

    @staticmethod
    @with_dual_numbers
    def vmap(info: Any, dims: Dims, engine: Engine, *tensors: Tensor) -> tuple[Any, int]:
        size = info.batch_size
        if not isinstance(engine, RotationCircuit | ConeCircuit):
            return _one_by_one(ProductRates, size, dims, engine, tensors), 0
        parts = [Many(engine, size, dims[i + 1 : i + 3], *tensors[i : i + 2]) for i in (0, 2, 4, 6)]
        found = ProductRates.apply(parts[0].engine, *(t for part in parts for t in (part.none, part.angles)))
        return found.unflatten(0, (size, -1)), 0


class Many:
    """Many vectors of angles, shared (S,) and sampled (n, T), as samples of one circuit that shares none."""

    def __init__(self, engine: WithLanes, size: int, dims: Dims, shared: Tensor, sampled: Tensor) -> None:
        self.size, self.lanes = size, _Lanes(engine)
        self.engine = self.lanes.engine
        shared, sampled = (led(a, dim, size) for a, dim in zip((shared, sampled), dims, strict=True))
        repeated = shared.unsqueeze(1).expand(-1, sampled.shape[1], -1)
        self.angles = self.lanes.joined(repeated, sampled).flatten(0, 1)  # (size n, S + T)
        self.none = shared.new_empty(0)

    def split(self, by_angle: Tensor) -> tuple[Tensor, Tensor]:
        """(size n, ..., S + T) as (size, n, ..., S) and (size, n, ..., T)."""
        return self.lanes.split(by_angle.unflatten(0, (self.size, -1)))


class _Lanes:
    """Angles that are shared and those that are not as those of a circuit that shares none, and back."""

    def __init__(self, engine: WithLanes) -> None:
        found: tuple[WithLanes, Any] = engine.unshared
        self.engine, places = found
        self._counts = engine.num_shared, engine.num_sampled
        self._places, self._back = torch.from_numpy(places), torch.from_numpy(np.argsort(places))
        self._is_swapped = np.array_equal(places, np.roll(np.arange(len(places)), engine.num_sampled))

    def joined(self, shared: Tensor, sampled: Tensor) -> Tensor:
        """(..., S) and (..., T) as (..., S + T)."""
        if self._is_swapped:
            return torch.cat(
                [sampled, shared], -1
            )  # gathering takes several times as long, and more backward
        return torch.cat([shared, sampled], -1).index_select(-1, self._places)

    def split(self, by_angle: Tensor) -> tuple[Tensor, Tensor]:
        """(..., S + T) as (..., S) and (..., T)."""
        by_shared, by_sampled = by_angle.index_select(-1, self._back).split(self._counts, -1)
        return by_shared, by_sampled


def led(tensor: Tensor, dim: int | None, size: int) -> Tensor:
    """With the mapped dimension first, repeated along it if it has none."""
    return tensor.expand(size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)


def _one_by_one(function: Any, size: int, dims: Dims, engine: Engine, tensors: tuple[Tensor, ...]) -> Any:
    entries = (led(tensor, dim, size) for tensor, dim in zip(tensors, dims[1:], strict=True))
    calls = [function.apply(engine, *entry) for entry in zip(*entries, strict=True)]
    return tree_map(lambda *parts: torch.stack(parts), *calls)


def _pair(tensors: Sequence[Tensor]) -> Pair:
    return tensors[0].numpy(force=True), tensors[1].numpy(
        force=True
    )  # forced: torch makes zeros without memory


def _tensors(arrays: Iterable[Real]) -> Any:
    return tuple(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays)


def _weighted_rates(
    engine: Engine, weights: Real, angles: Pair, along_weights: Real, along: Pair
) -> tuple[Real, Real, Real]:
    if not isinstance(engine, RotationCircuit | ConeCircuit):
        _, first = engine.sweep(angles[0], angles[1], torch.get_num_threads())
        second = _derivative_rates(engine, angles, _for_each_output(along, first))
        by_shared, by_sampled = (
            np.einsum(f"nc,nca->{kept}", weights, rates) + np.einsum(f"nc,nca->{kept}", along_weights, part)
            for kept, rates, part in zip(("a", "na"), second, first, strict=True)
        )
        return _product(first, along), by_shared, by_sampled
    lanes = engine.unshared[0]
    inner, tangents = (_joined(engine, pair) for pair in (angles, along))
    found = moved_rows(lanes, weights, along_weights, inner, tangents, torch.get_num_threads())
    by_shared, by_sampled = _split(engine, found.gradients)
    total = by_shared.sum(axis=0, dtype=np.float64).astype(by_shared.dtype)
    return found.outputs, total, by_sampled


def _derivative_rates(engine: Engine, angles: Pair, along: Pair) -> Derivatives:
    if isinstance(engine, BranchedCircuit):
        single, *places = engine.apart
        taken = [(pair[0][..., places[0]], pair[1][..., places[1]]) for pair in (angles, along)]
        totals = Derivatives(*(np.zeros(part.shape, part.dtype) for part in along))
        for total, part, place in zip(totals, _by_shifts(single, *taken), places, strict=True):
            for number, column in zip(place, np.moveaxis(part, -1, 0), strict=True):
                total[..., number] += column
        return totals
    if isinstance(engine, PauliCircuit):
        return engine.rates(*angles, along)
    if not isinstance(engine, RotationCircuit | ConeCircuit):
        return _by_shifts(engine, angles, along)
    samples, outputs = along[1].shape[:2]
    inner = np.repeat(_joined(engine, angles), outputs, axis=0)
    tangents = _joined(engine, along).reshape(inner.shape)
    weights = np.tile(np.eye(outputs, dtype=inner.dtype), (samples, 1))
    lanes, none = engine.unshared[0], np.zeros_like(weights)
    found = moved_rows(lanes, weights, none, inner, tangents, torch.get_num_threads())
    return Derivatives(*_split(engine, found.gradients.reshape(samples, outputs, found.gradients.shape[-1])))


def _by_shifts(engine: Engine, angles: Pair, along: Pair) -> Derivatives:
    """Tangents, each times the derivative of all derivatives by its angle, by the rule for rotations with controls.

    It holds for those without as well.
    """
    totals = Derivatives(*(np.zeros(part.shape, part.dtype) for part in along))
    for kind, tangents in enumerate(along):
        for number in np.flatnonzero(tangents.any(axis=(0, 1))):
            for term in shift_rule(controlled=True):
                shifted = [array.copy() for array in angles]
                shifted[kind][..., number] += term.shift
                _, found = engine.sweep(shifted[0], shifted[1], torch.get_num_threads())
                for total, part in zip(totals, found, strict=True):
                    total += term.weight * tangents[..., number, None] * part
    return totals


def lane_rates(
    engine: RotationCircuit | ConeCircuit, weights: Tensor, angles: Tensors, along: Tensors
) -> Tensors:
    """Rates (n, w, k, S) and (n, w, k, T) of gradients of weighted outputs along k directions, a lane each.

    ``weights`` (n, w, c); ``angles`` (S,) and (n, T); their tangents ``along`` (k, S) and (k, n, T). Directions stand
    side by side: those of neighbouring parameters leave the same gates in place.
    """
    samples, sums = weights.shape[:2]
    directions = len(along[0])
    inner = _joined(engine, _pair(angles))
    tangents = _joined(engine, (along[0].unsqueeze(0).numpy(), along[1].transpose(0, 1).numpy()))
    lanes = samples, sums, directions
    flat = [
        np.broadcast_to(array, (*lanes, array.shape[-1])).reshape(math.prod(lanes), array.shape[-1])
        for array in (weights.unsqueeze(2).numpy(), inner[:, None, None], tangents[:, None])
    ]
    none = np.zeros_like(flat[0])
    found = moved_rows(engine.unshared[0], flat[0], none, flat[1], flat[2], torch.get_num_threads())
    shared, sampled = _split(engine, found.gradients.reshape(*lanes, found.gradients.shape[-1]))
    return torch.from_numpy(shared), torch.from_numpy(sampled)


def angle_hessians(engine: RotationCircuit | ConeCircuit, weights: Tensor, angles: Tensors) -> Tensor:
    """Hessians (n, w, S + T, S + T) of weighted outputs by every two angles; ``weights`` are (n, w, c)."""
    samples, sums = weights.shape[:2]
    inner = np.repeat(_joined(engine, _pair(angles)), sums, axis=0)
    lanes, places = engine.unshared
    found = hessian_rows(lanes, weights.flatten(0, 1).numpy(), inner, torch.get_num_threads())
    back = np.argsort(places)
    return torch.from_numpy(found[:, back[:, None], back]).unflatten(0, (samples, sums))


def _joined(engine: RotationCircuit | ConeCircuit, pair: Pair) -> Real:
    """Shared (S,) or (n, ..., S) and sampled (n, ..., T) as those of the circuit that shares none, (n, ..., S + T)."""
    shared = np.broadcast_to(pair[0], (*pair[1].shape[:-1], pair[0].shape[-1]))
    return np.concatenate([shared, pair[1]], axis=-1)[..., engine.unshared[1]]


def _split(engine: RotationCircuit | ConeCircuit, by_angle: Real) -> tuple[Real, Real]:
    ordered = by_angle[..., np.argsort(engine.unshared[1])]
    return ordered[..., : engine.num_shared], ordered[..., engine.num_shared :]


def _for_each_output(along: Pair, like: Derivatives) -> Pair:
    """Tangents (S,) and (n, T) as (n, c, S) and (n, c, T)."""
    shared, sampled = along
    return np.broadcast_to(shared, like.shared.shape), np.broadcast_to(sampled[:, None], like.sampled.shape)


def _product(found: Derivatives, direction: Pair) -> Real:
    """(n, c, S) and (n, c, T) along (S,) and (n, T): (n, c)."""
    product: Real = found.shared @ direction[0] + np.einsum("nca,na->nc", found.sampled, direction[1])
    return product

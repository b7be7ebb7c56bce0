"""Circuits of Pauli rotations: from angles to the operands of a plan, and from its cotangents to derivatives.

One-qubit gates are unit quaternions (w, x, y, z), standing for w - i (x X + y Y + z Z). A fused gate is the
product of its factors, and a change of one angle turns it about the axis of that factor, carried through
the factors applied after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from qlazy.simulator.families import Family
from qlazy.simulator.observables import Observable
from qlazy.simulator.operations import Operation, PauliRotation
from qlazy.simulator.plan import Plan, compile_plan
from qlazy.simulator.run import sweep, sweep_weighted, values
from qlazy.simulator.steps import Kind

Real = NDArray[np.floating[Any]]


class Derivatives(NamedTuple):
    """dF/dangle: for angles shared by the batch, and for those of each sample."""

    shared: Real
    sampled: Real


@final
class RotationCircuit:
    """A circuit whose run-time operands are the angles of its Pauli rotations.

    The operations without a fixed operand are numbered in order, shared and sampled apart; ``shared`` (S,) and
    ``sampled`` (n, T) angles are in that order. Angles that are not ``wanted``, or that no output depends on,
    have derivative zero.
    """

    def __init__(
        self, num_wires: int, operations: Sequence[Operation], observables: Sequence[Observable]
    ) -> None:
        self.plan: Plan = compile_plan(num_wires, operations, observables)
        numbers = _numbers(operations)
        self.num_sampled = sum(is_sampled for is_sampled, _ in numbers.values())
        self.num_shared = len(numbers) - self.num_sampled
        self._families = [_Family(family, operations, numbers) for family in self.plan.families]

    @property
    def num_outputs(self) -> int:
        return self.plan.num_outputs

    def values(self, shared: Real, sampled: Real, threads: int = 1) -> Real:
        """Expectation values (n, c) for angles (S,) and (n, T), in the dtype of ``shared``."""
        result = values(self.plan, self._operands(shared, sampled), dtype=shared.dtype, threads=threads)
        return self._for_every_sample(result, len(sampled))

    def derivatives(self, shared: Real, sampled: Real, threads: int = 1) -> Derivatives:
        """dF/dangle of every output and sample, (n, c, S) and (n, c, T)."""
        operands = self._operands(shared, sampled)
        _, cotangents = sweep(self.plan, operands, dtype=shared.dtype, threads=threads)
        cotangents = tuple(self._for_every_sample(c, len(sampled)) for c in cotangents)
        return self._angle_derivatives(shared, sampled, cotangents, (len(sampled), self.num_outputs))

    def weighted(self, weights: Real, shared: Real, sampled: Real, threads: int = 1) -> Derivatives:
        """d/dangle of sum_ia weights[i, a] F[i, a]: (S,), summed over the batch, and (n, T)."""
        if not self.plan.sampled:
            weights = weights.sum(axis=0, keepdims=True)
        operands = self._operands(shared, sampled)
        _, cotangents = sweep_weighted(self.plan, operands, weights, dtype=shared.dtype, threads=threads)
        return self._angle_derivatives(shared, sampled, cotangents, None)

    def _operands(self, shared: Real, sampled: Real) -> list[Real]:
        return [family.operand(shared, sampled) for family in self._families]

    def _for_every_sample(self, rows: Any, samples: int) -> Any:
        return rows if self.plan.sampled else np.broadcast_to(rows, (samples, *rows.shape[1:]))

    def _angle_derivatives(
        self, shared: Real, sampled: Real, cotangents: Iterable[Real], batch: tuple[int, int] | None
    ) -> Derivatives:
        """Collect by angle; ``batch`` is (n, c), or None where cotangents are summed over both."""
        found = Derivatives(
            np.zeros((*(batch or ()), self.num_shared), shared.dtype),
            np.zeros((*(batch or (len(sampled),)), self.num_sampled), shared.dtype),
        )
        for family, cotangent in zip(self._families, cotangents, strict=True):
            family.collect(cotangent, shared, sampled, found)
        return found


_Numbers = Mapping[int, tuple[bool, int]]


def _numbers(operations: Sequence[Operation]) -> _Numbers:
    """For each operation with a run-time angle: whether it is sampled, and its number among its like."""
    numbers: dict[int, tuple[bool, int]] = {}
    counts = {False: 0, True: 0}
    for index, operation in enumerate(operations):
        if isinstance(operation, PauliRotation) and operation.angle is None:
            numbers[index] = operation.sampled, counts[operation.sampled]
            counts[operation.sampled] += 1
    return numbers


class _Slots(NamedTuple):
    """Angles that a family holds as k-th factors: in which members, about which axes, at which wanted place."""

    members: NDArray[np.int64]
    axes: NDArray[np.int64]
    angles: NDArray[np.int64]
    places: NDArray[np.int64]  # -1 where no cotangent is wanted

    def wanted(self) -> _Slots:
        return _Slots(*(column[self.places >= 0] for column in self))


@dataclass(frozen=True, eq=False)
class _Column:
    """The k-th factors of all members of a family: fixed quaternions (members, 4), and angles."""

    fixed: Real
    shared: _Slots
    sampled: _Slots

    def quaternions(self, shared: Real, sampled: Real, is_sampled: bool) -> Real:
        """(members, 4), or (members, n, 4) in a sampled family."""
        if not is_sampled:
            result = self.fixed.copy()
            result[self.shared.members] = _about_axes(self.shared.axes, shared[self.shared.angles])
            return result
        result = np.repeat(self.fixed[:, None], len(sampled), axis=1)
        result[self.shared.members] = _about_axes(self.shared.axes, shared[self.shared.angles])[:, None]
        result[self.sampled.members] = _about_axes(self.sampled.axes, sampled.T[self.sampled.angles])
        return result


class _Family:
    """One family of a plan in terms of angles."""

    def __init__(self, family: Family, operations: Sequence[Operation], numbers: _Numbers) -> None:
        self.family = family
        self._places = np.full(len(family.steps), -1, dtype=np.int64)
        self._places[list(family.wanted)] = np.arange(len(family.wanted))
        depth = max(len(factors) for factors in family.members)
        self._columns = [self._column(k, operations, numbers) for k in range(depth)]

    @property
    def _is_fused(self) -> bool:
        return self.family.kind is Kind.FUSED

    def _column(self, k: int, operations: Sequence[Operation], numbers: _Numbers) -> _Column:
        fixed = np.zeros((len(self.family.steps), 4))
        fixed[:, 0] = 1.0
        slots: dict[bool, list[tuple[int, int, int, int]]] = {False: [], True: []}
        for member, factors in enumerate(self.family.members):
            factor = factors[k] if k < len(factors) else None
            if isinstance(factor, int):
                is_sampled, number = numbers[factor]
                axis = _axis(operations[factor]) if self._is_fused else 0
                slots[is_sampled].append((member, axis, number, int(self._places[member])))
            elif factor is not None:
                fixed[member] = _quaternion(factor)
        return _Column(fixed, *(_Slots(*_columns(slots[is_sampled])) for is_sampled in (False, True)))

    def operand(self, shared: Real, sampled: Real) -> Real:
        """Angles for rotations, quaternions for fused gates, as the plan takes them."""
        first, *rest = self._columns
        if not self._is_fused:
            slots = first.sampled if self.family.sampled else first.shared
            return sampled.T[slots.angles] if self.family.sampled else shared[slots.angles]
        product = first.quaternions(shared, sampled, self.family.sampled)
        for column in rest:
            product = _product(column.quaternions(shared, sampled, self.family.sampled), product)
        return _matrices(product)

    def collect(self, cotangent: Real, shared: Real, sampled: Real, into: Derivatives) -> None:
        """Add the derivatives by angle, from cotangents (n, c, wanted[, 3]), or (wanted[, 3]) summed over n."""
        after: Real | None = None
        for column in reversed(self._columns):
            for slots, target in (
                (column.shared.wanted(), into.shared),
                (column.sampled.wanted(), into.sampled),
            ):
                if len(slots.members):
                    terms = self._terms(cotangent, slots, after)
                    summed = terms.sum(axis=0) if terms.ndim > target.ndim else terms
                    np.add.at(target, (..., slots.angles), summed)
            if column is not self._columns[0]:
                factor = column.quaternions(shared, sampled, self.family.sampled)
                after = factor if after is None else _product(after, factor)

    def _terms(self, cotangent: Real, slots: _Slots, after: Real | None) -> Real:
        if not self._is_fused:
            return cotangent[..., slots.places]
        if after is None:
            return cotangent[..., slots.places, slots.axes] / -2
        turned = _turned(after[slots.members], slots.axes)  # (k[, n], 3)
        if self.family.sampled:
            turned = np.moveaxis(turned, 1, 0)
            turned = turned[:, None] if cotangent.ndim == 4 else turned
        return np.einsum("...i,...i->...", cotangent[..., slots.places, :], turned) / -2


def _columns(rows: Sequence[tuple[int, ...]]) -> NDArray[np.int64]:
    return np.array(rows, dtype=np.int64).reshape(-1, 4).T


def _axis(operation: Operation) -> int:
    assert isinstance(operation, PauliRotation)
    return "XYZ".index(operation.word.strip("I"))


def _about_axes(axes: NDArray[np.int64], angles: Real) -> Real:
    """exp(-i angle P / 2) for P = X, Y, Z by number: angles (k, ...) to quaternions (k, ..., 4)."""
    result = np.zeros((*angles.shape, 4))
    result[..., 0] = np.cos(angles / 2)
    result[np.arange(len(axes)), ..., 1 + axes] = np.sin(angles / 2)
    return result


def _quaternion(matrix: NDArray[np.complex128]) -> Real:
    """The quaternion of a unitary (2, 2), up to its phase."""
    special = matrix / np.sqrt(np.linalg.det(matrix).astype(complex))
    return np.array([special[0, 0].real, -special[1, 0].imag, special[1, 0].real, -special[0, 0].imag])


def _matrices(quaternion: Real) -> NDArray[np.complex128]:
    w, x, y, z = np.moveaxis(quaternion, -1, 0)
    return np.moveaxis(np.array([[w - 1j * z, -y - 1j * x], [y - 1j * x, w + 1j * z]]), (0, 1), (-2, -1))


def _product(left: Real, right: Real) -> Real:
    """The quaternion of left times right, over leading axes."""
    a, b, c, d = np.moveaxis(left, -1, 0)
    w, x, y, z = np.moveaxis(right, -1, 0)
    return np.stack(
        [
            a * w - b * x - c * y - d * z,
            a * x + b * w + c * z - d * y,
            a * y - b * z + c * w + d * x,
            a * z + b * y - c * x + d * w,
        ],
        axis=-1,
    )


def _turned(quaternion: Real, axes: NDArray[np.int64]) -> Real:
    """The image of a coordinate axis under the rotation that a quaternion (k, ..., 4) stands for: (k, ..., 3)."""
    w, v = quaternion[..., 0], quaternion[..., 1:]
    shape = (len(axes), *(1,) * (quaternion.ndim - 2), 3)
    axis = np.eye(3)[axes].reshape(shape)
    along = (v * axis).sum(axis=-1, keepdims=True)
    w = w[..., None]
    return (w * w - (v * v).sum(axis=-1, keepdims=True)) * axis + 2 * along * v + 2 * w * np.cross(v, axis)

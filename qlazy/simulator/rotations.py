"""Circuits of Pauli rotations: outputs and derivatives as functions of angles.

What a plan asks for, coefficients of fused gates, and what it returns, their cotangents, are translated here
from and to the angles inside, by tables made once and kernels of :mod:`qlazy.simulator.kernels.angles`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from qlazy.base.errors import require
from qlazy.simulator.compiling.families import Family
from qlazy.simulator.compiling.plan import Plan, compile_plan
from qlazy.simulator.compiling.steps import Factor, Kind
from qlazy.simulator.kernels.layout import ROW, as_rows, empty_rows, lanes_for, states_size
from qlazy.simulator.kernels.workers import Counter, for_blocks
from qlazy.simulator.observables import Observable
from qlazy.simulator.operations import Operation, PauliRotation

Real = NDArray[np.floating[Any]]
Numbers = dict[int, tuple[bool, int]]

BRAS = 16  # outputs that go back through the circuit together
FIXED, SHARED, SAMPLED = 0, 1, 2

MEMBER = np.dtype(
    [(name, np.int64) for name in ("sampled", "coefficient", "cotangent", "first", "count")], align=True
)
FACTOR = np.dtype([(name, np.int64) for name in ("source", "number")], align=True)


class Derivatives(NamedTuple):
    """dF/dangle: for angles shared by the batch, and for those of each sample."""

    shared: Real
    sampled: Real


@final
class RotationCircuit:
    """A circuit whose run-time operands are the angles of its Pauli rotations.

    The rotations without a fixed angle are numbered in order, shared and sampled apart; ``shared`` (S,) and
    ``sampled`` (n, T) angles are in that order. Derivatives are exactly zero for angles that no output
    depends on, and may be left at zero for those that are not ``wanted``. Results have the dtype of
    ``shared``, float64 or float32, and do not depend on the number of threads.
    """

    def __init__(
        self, num_wires: int, operations: Sequence[Operation], observables: Sequence[Observable]
    ) -> None:
        self._source = num_wires, tuple(operations), tuple(observables)
        self.plan: Plan = compile_plan(num_wires, operations, observables)
        numbers = _numbers(operations)
        self.num_sampled = sum(is_sampled for is_sampled, _ in numbers.values())
        self.num_shared = len(numbers) - self.num_sampled
        self._tables = _tables(self.plan, operations, numbers)

    @property
    def num_outputs(self) -> int:
        return self.plan.num_outputs

    @cached_property
    def unshared(self) -> tuple[RotationCircuit, NDArray[np.int64]]:
        """The same circuit with every angle sampled, and where its angles (S + T) are among shared and sampled."""
        num_wires, operations, observables = self._source
        numbers = _numbers(operations)
        places = [number + is_sampled * self.num_shared for is_sampled, number in numbers.values()]
        unshared = [
            replace(operation, sampled=True) if index in numbers else operation  # type: ignore[arg-type]
            for index, operation in enumerate(operations)
        ]
        return RotationCircuit(num_wires, unshared, observables), np.array(places, np.int64)

    def values(self, shared: Real, sampled: Real, threads: int = 1) -> Real:
        """Expectation values (n, c) for angles (S,) and (n, T)."""
        run = self._run(shared, sampled)
        return run.values(threads)

    def sweep(self, shared: Real, sampled: Real, threads: int = 1) -> tuple[Real, Derivatives]:
        """Values (n, c), and dF/dangle of every output and sample, (n, c, S) and (n, c, T)."""
        run = self._run(shared, sampled)
        found = run.derivatives(threads, self.num_outputs, bras=min(self.num_outputs, BRAS))
        return run.outputs, Derivatives(*(run.by_sample(by_angle) for by_angle in found))

    def weighted(self, weights: Real, shared: Real, sampled: Real, threads: int = 1) -> Derivatives:
        """d/dangle of sum_ia weights[i, a] F[i, a] in one sweep: (S,), summed over the batch, and (n, T)."""
        require(
            weights.shape == (len(sampled), self.num_outputs), "weights",
            f"have shape {(len(sampled), self.num_outputs)}", weights.shape,
        )  # fmt: skip
        run = self._run(shared, sampled)
        by_shared, by_sampled = run.derivatives(threads, 1, bras=1, weights=weights)
        total = by_shared.sum(axis=(0, 2, 3), dtype=np.float64)
        return Derivatives(total.astype(shared.dtype), run.by_sample(by_sampled)[:, 0])

    def _run(self, shared: Real, sampled: Real) -> _Run:
        require(
            shared.shape == (self.num_shared,), "shared", f"have shape ({self.num_shared},)", shared.shape
        )
        require(
            sampled.ndim == 2 and sampled.shape[1] == self.num_sampled, "sampled",
            f"have shape (n, {self.num_sampled})", sampled.shape,
        )  # fmt: skip
        return _Run(self.plan, self._tables, shared, sampled)


@dataclass(frozen=True, eq=False)
class _Tables:
    """The one-qubit gates of a plan: members made of factors, each with a quaternion or an axis."""

    members: NDArray[np.void]
    factors: NDArray[np.void]
    vectors: NDArray[np.float64]  # (factors, 4): a fixed quaternion, or 0 and an axis
    sampled_rows: int
    shared_rows: int


class _Run:
    """One evaluation: angles in, outputs and derivatives by angle out."""

    def __init__(self, plan: Plan, tables: _Tables, shared: Real, sampled: Real) -> None:
        from qlazy.simulator.kernels.angles import Angles, fill_shared, moderate

        self.plan, self.tables = plan, tables
        self.dtype = shared.dtype
        self._asked = len(sampled)
        # Without a sampled angle that matters all samples are alike, and one is computed.
        self.samples = len(sampled) if plan.sampled else min(len(sampled), 1)
        self.lanes = lanes_for(plan.num_wires, self.samples, self.dtype)
        self.blocks = -(-self.samples // self.lanes)
        self._half_angles = moderate(self._in_blocks(sampled[: self.samples] / 2))
        half = shared.astype(np.float64) / 2
        self._shared = np.cos(half), np.sin(half)
        self._turns = np.zeros((len(tables.factors), 4))
        coefficients = np.zeros(tables.shared_rows)
        coefficients[: len(plan.fixed_rows)] = plan.fixed_rows[:, 0]
        none = as_rows(np.empty((0, self.lanes), self.dtype))
        fill_shared(*self._tables(), Angles(*self._shared, none, none), coefficients, self._turns)
        self._rows = coefficients[:, None]
        self._outputs = np.empty((self.blocks, plan.num_outputs, self.lanes), self.dtype)

    def values(self, threads: int) -> Real:
        """Run, and give the outputs alone."""
        self._go(threads, 0, self._zeros(0))
        return self.outputs

    @property
    def outputs(self) -> Real:
        """Outputs (n, c) of all samples."""
        return self.by_sample(self._outputs.transpose(1, 0, 2)[:, None])[:, :, 0]

    def by_sample(self, array: Real) -> Real:
        """(c, k, blocks, lanes) as (n, c, k), samples still side by side in memory."""
        flat = array.reshape(*array.shape[:2], self.blocks * self.lanes)[..., : self.samples].transpose(
            2, 0, 1
        )
        return flat if self.samples == self._asked else np.repeat(flat, self._asked, axis=0)

    def derivatives(
        self, threads: int, sweeps: int, bras: int, weights: Real | None = None
    ) -> tuple[Real, Real]:
        """Run, and differentiate by shared and sampled angles: (sweeps, k, blocks, lanes) each."""
        by_angle = self._zeros(sweeps)
        self._go(threads, bras if self.plan.wanted else 0, by_angle, weights)
        return by_angle

    def _zeros(self, sweeps: int) -> tuple[Real, Real]:
        shape = self.blocks, self.lanes
        shared, sampled = len(self._shared[0]), self._half_angles.shape[1]
        return np.zeros((sweeps, shared, *shape), self.dtype), np.zeros((sweeps, sampled, *shape), self.dtype)

    def _go(self, threads: int, bras: int, by_angle: tuple[Real, Real], weights: Real | None = None) -> None:
        """Run all blocks, and add to the derivatives if there are bras."""
        from qlazy.simulator.kernels.sweep import Room, Sizes, run_angles

        require(threads >= 1, "threads", "be at least 1", threads)
        plan, tables = self.plan, self.tables
        sizes = Sizes(
            stop=plan.stop,
            outputs=plan.num_outputs,
            bras=bras,
            sweeps=len(by_angle[0]) if bras else 0,
            shared_rows=tables.shared_rows,
            sampled_rows=tables.sampled_rows,
            cotangent_rows=plan.num_cotangent_rows,
        )
        arrays = (self._half_angles, self._block_weights(weights), self._outputs, *by_angle)
        rows = [as_rows(array) for array in arrays]

        def work(taken: Counter, share: int, room: Room) -> None:
            gates = (*self._tables(), self._turns, *self._shared)
            run_angles(taken, share, self.blocks, sizes, *plan.arrays, *gates, *rows, room)

        def room() -> Room:
            angles = self._half_angles.shape[1]
            counts = Room(
                coefficients=tables.shared_rows + tables.sampled_rows,
                cosines=angles,
                sines=angles,
                cotangents=sizes.sweeps * plan.num_cotangent_rows,
                states=states_size(plan.num_wires, bras),
                scratch=2 * plan.scratch,
            )
            found = Room(*empty_rows(self.lanes, self.dtype, *counts))
            found.coefficients[ROW][: tables.shared_rows] = self._rows
            return found

        for_blocks(work, self.blocks, plan.visits(bras), threads, room)

    def _tables(self) -> tuple[Any, ...]:
        return self.tables.members, self.tables.factors, self.tables.vectors

    def _block_weights(self, weights: Real | None) -> Real:
        """Weights (n, c) as (blocks, c, lanes)."""
        if weights is None:
            return np.empty((self.blocks, 0, self.lanes), self.dtype)
        alike = not self.plan.sampled
        return self._in_blocks(weights.sum(axis=0, keepdims=True)[: self.samples] if alike else weights)

    def _in_blocks(self, array: Real) -> Real:
        """(n, k) as (blocks, k, lanes), zero where there is no sample."""
        blocked = np.zeros((self.blocks * self.lanes, array.shape[1]), self.dtype)
        blocked[: self.samples] = array
        return np.ascontiguousarray(
            blocked.reshape(self.blocks, self.lanes, array.shape[1]).transpose(0, 2, 1)
        )


def _numbers(operations: Sequence[Operation]) -> Numbers:
    """For each operation with a run-time angle: whether it is sampled, and its number among its like."""
    numbers: Numbers = {}
    counts = {False: 0, True: 0}
    for index, operation in enumerate(operations):
        if isinstance(operation, PauliRotation) and operation.angle is None:
            numbers[index] = operation.sampled, counts[operation.sampled]
            counts[operation.sampled] += 1
    return numbers


def _tables(plan: Plan, operations: Sequence[Operation], numbers: Numbers) -> _Tables:
    members: list[tuple[int, ...]] = []
    factors: list[tuple[int, int]] = []
    vectors: list[Sequence[float]] = []
    next_row = {False: len(plan.fixed_rows), True: 0}
    cotangent = 0
    for family in plan.families:
        for parts, wanted in _gates(family, operations, numbers):
            place = cotangent if wanted else -1
            members.append((family.sampled, next_row[family.sampled], place, len(factors), len(parts)))
            next_row[family.sampled] += family.coefficient_width
            cotangent += family.cotangent_width if wanted else 0
            for source, number, vector in parts:
                factors.append((source, number))
                vectors.append(vector)
    return _Tables(
        members=np.array(members, MEMBER),
        factors=np.array(factors, FACTOR),
        vectors=np.array(vectors, dtype=np.float64).reshape(-1, 4),
        sampled_rows=next_row[True],
        shared_rows=next_row[False],
    )


Part = tuple[int, int, Sequence[float]]


def _gates(
    family: Family, operations: Sequence[Operation], numbers: Numbers
) -> Iterator[tuple[list[Part], bool]]:
    """The one-qubit gates of a family in the order of their coefficients, and whether each is wanted."""
    assert family.kind in (Kind.FUSED, Kind.ROTATION), "only rotations have run-time operands here"
    for step in family.steps:
        if family.kind is Kind.FUSED:
            yield [_part(factor, operations, numbers) for factor in step.factors], step.wanted
        else:
            (index,) = step.factors
            assert isinstance(index, int)
            for unit in step.units:
                yield [(*_source(numbers[index]), (0.0, *unit.axis))], step.wanted


def _part(factor: Factor, operations: Sequence[Operation], numbers: Numbers) -> Part:
    if not isinstance(factor, int):
        return FIXED, 0, quaternion(factor)
    operation = operations[factor]
    assert isinstance(operation, PauliRotation)
    axis = [0.0, 0.0, 0.0, 0.0]
    axis["IXYZ".index(operation.word.strip("I"))] = 1.0
    return *_source(numbers[factor]), axis


def _source(number: tuple[bool, int]) -> tuple[int, int]:
    is_sampled, index = number
    return (SAMPLED if is_sampled else SHARED), index


def quaternion(matrix: NDArray[np.complex128]) -> list[float]:
    """The quaternion of a unitary (2, 2), up to its phase, which no output sees."""
    special = matrix / np.sqrt(complex(np.linalg.det(matrix)))
    return [special[0, 0].real, -special[1, 0].imag, special[1, 0].real, -special[0, 0].imag]

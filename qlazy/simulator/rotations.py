"""Circuits of Pauli rotations: outputs and derivatives as functions of angles.

A circuit is compiled once into a plan; a run lays angles out in blocks of samples, and the kernels of
:mod:`qlazy.simulator.kernels.sweep` give back outputs and derivatives in such blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from qlazy.base.errors import require
from qlazy.simulator.compiling.flops import gradient_flops
from qlazy.simulator.compiling.order import AngleOrder, angle_order
from qlazy.simulator.compiling.plan import Plan, compile_plan
from qlazy.simulator.kernels.layout import ROW, as_rows, empty_rows, lanes_for, states_size
from qlazy.simulator.kernels.workers import Counter, for_blocks
from qlazy.simulator.observables import Observable
from qlazy.simulator.operations import Operation, angle_sources, unshared

Real = NDArray[np.floating[Any]]

BRAS = 16  # outputs that go back through the circuit together


class Derivatives(NamedTuple):
    """dF/dangle: for angles shared by the batch, and for those of each sample."""

    shared: Real
    sampled: Real


@final
class RotationCircuit:
    """A circuit as a function of the angles of its Pauli rotations.

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
        sources = [source for source in angle_sources(operations) if source is not None]
        self.num_sampled = sum(source.sampled for source in sources)
        self.num_shared = len(sources) - self.num_sampled
        self._wanted = np.array([source.wanted for source in sources if source.sampled], bool)

    @property
    def num_outputs(self) -> int:
        return self.plan.num_outputs

    @cached_property
    def unshared(self) -> tuple[RotationCircuit, NDArray[np.int64]]:
        """The same circuit with every angle sampled, and where its angles (S + T) are among shared and sampled."""
        num_wires, operations, observables = self._source
        changed, order = unshared(operations)
        return RotationCircuit(num_wires, changed, observables), order

    @cached_property
    def angle_order(self) -> AngleOrder:
        """Its sampled angles that are wanted, in the order of their gates."""
        return angle_order(self.plan, self._wanted)

    def gradient_flops(self, samples: int) -> int:
        """Floating-point operations of the gates, for one gradient on so many samples (:mod:`.compiling.flops`)."""
        return gradient_flops(self.plan) * (samples if self.plan.sampled_rows else min(samples, 1))

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
        return _Run(self.plan, shared, sampled)


class _Run:
    """One evaluation: angles in, outputs and derivatives by angle out."""

    def __init__(self, plan: Plan, shared: Real, sampled: Real) -> None:
        from qlazy.simulator.kernels.angles import Angles, fill_shared, moderate  # loads numba

        self.plan, self.dtype, self._asked = plan, shared.dtype, len(sampled)
        # Without a sampled angle that matters all samples are alike, and one is computed.
        self._alike = not plan.sampled_rows
        self.samples = min(len(sampled), 1) if self._alike else len(sampled)
        self.lanes = lanes_for(plan.num_wires, self.samples, self.dtype)
        self.blocks = -(-self.samples // self.lanes)
        self._half_angles = moderate(self._in_blocks(sampled) * self.dtype.type(0.5))
        half = shared.astype(np.float64) / 2
        self._shared = Angles(np.cos(half), np.sin(half))
        self._turns = np.zeros((len(plan.gates.factors), 4))
        self._coefficients = np.empty(plan.shared_rows)
        fill_shared(plan.gates, self._shared, self._coefficients, self._turns)
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
        self._go(threads, bras if self.plan.cotangent_rows else 0, by_angle, weights)
        return by_angle

    def _zeros(self, sweeps: int) -> tuple[Real, Real]:
        shape = self.blocks, self.lanes
        shared, sampled = len(self._shared.cos), self._half_angles.shape[1]
        return np.zeros((sweeps, shared, *shape), self.dtype), np.zeros((sweeps, sampled, *shape), self.dtype)

    def _go(self, threads: int, bras: int, by_angle: tuple[Real, Real], weights: Real | None = None) -> None:
        """Run all blocks, and add to the derivatives if there are bras."""
        from qlazy.simulator.kernels.sweep import Room, Samples, run_blocks

        require(threads >= 1, "threads", "be at least 1", threads)
        plan, sweeps = self.plan, len(by_angle[0]) if bras else 0
        arrays = (self._half_angles, self._block_weights(weights), self._outputs, *by_angle)
        samples = Samples(*map(as_rows, arrays))

        def work(taken: Counter, share: int, room: Room) -> None:
            run_blocks(taken, share, plan, bras, self._shared, self._turns, samples, room)

        def room() -> Room:
            angles = self._half_angles.shape[1]
            counts = Room(
                coefficients=plan.shared_rows + plan.sampled_rows,
                cosines=angles,
                sines=angles,
                cotangents=sweeps * plan.cotangent_rows,
                states=states_size(plan.num_wires, bras),
                scratch=2 * plan.scratch,
            )
            found = Room(*empty_rows(self.lanes, self.dtype, *counts))
            found.coefficients[ROW][: plan.shared_rows] = self._coefficients[:, None]
            return found

        for_blocks(work, self.blocks, plan.visits(bras), threads, room)

    def _block_weights(self, weights: Real | None) -> Real:
        """Weights (n, c) as (blocks, c, lanes)."""
        if weights is None:
            return np.empty((self.blocks, 0, self.lanes), self.dtype)
        alike = weights.sum(axis=0, keepdims=True)[: self.samples]
        return self._in_blocks(alike if self._alike else weights)

    def _in_blocks(self, array: Real) -> Real:
        """(n, k) as (blocks, k, lanes), zero where there is no sample."""
        blocked = np.empty((self.blocks, array.shape[1], self.lanes), self.dtype)
        whole = self.samples // self.lanes
        head, tail = array[: whole * self.lanes], array[whole * self.lanes : self.samples]
        blocked[:whole] = head.reshape(whole, self.lanes, array.shape[1]).transpose(0, 2, 1)
        blocked[whole:] = 0
        blocked[whole:, :, : len(tail)] = tail.T
        return blocked

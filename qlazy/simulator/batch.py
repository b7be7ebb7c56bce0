"""Operands as the kernels read them, cut into blocks of samples that fill one vector register."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qlazy.base.errors import require
from qlazy.simulator.compiling.plan import Plan
from qlazy.simulator.kernels.layout import lanes_for

CHUNK = 4096  # samples whose cotangents are held at a time where only their sum is asked for

Real = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Batch:
    """The operands of one run: one stack for each family, for ``size`` samples."""

    plan: Plan
    operands: tuple[NDArray[Any], ...]
    size: int
    dtype: np.dtype[Any]

    @property
    def lanes(self) -> int:
        return lanes_for(self.plan.num_wires, self.size, self.dtype)

    @property
    def blocks(self) -> int:
        return -(-self.size // self.lanes)

    def parts(self) -> Iterator[tuple[slice, Batch]]:
        """The batch in bounded pieces (a single one if it is empty)."""
        for start in range(0, max(self.size, 1), CHUNK):
            rows = slice(start, min(start + CHUNK, self.size))
            operands = tuple(
                operand[:, rows] if family.sampled else operand
                for family, operand in zip(self.plan.families, self.operands, strict=True)
            )
            yield rows, Batch(self.plan, operands, rows.stop - rows.start, self.dtype)

    def shared_rows(self) -> Real:
        """Coefficients shared by the batch, repeated for every lane: (rows, lanes)."""
        rows = np.concatenate([self.plan.fixed_rows, *self._rows(sampled=False)])
        return np.repeat(rows.astype(self.dtype), self.lanes, axis=1)

    def sampled_rows(self) -> Real:
        """Coefficients of every sample: (blocks, rows, lanes)."""
        rows = self._rows(sampled=True)
        return self.in_blocks(np.concatenate(rows) if rows else np.zeros((0, self.size)))

    def in_blocks(self, rows: NDArray[Any]) -> Real:
        """(rows, n) as (blocks, rows, lanes); lanes without a sample are zero."""
        blocks = np.zeros((self.blocks, len(rows), self.lanes), self.dtype)
        full = self.size // self.lanes
        cut = full * self.lanes
        blocks[:full] = rows[:, :cut].reshape(len(rows), full, self.lanes).swapaxes(0, 1)
        if cut < self.size:
            blocks[full, :, : self.size - cut] = rows[:, cut:]
        return blocks

    def from_blocks(self, blocks: Real) -> Real:
        """(blocks, ..., lanes) as (n, ...)."""
        moved = np.moveaxis(blocks, -1, 1)
        return moved.reshape(self.blocks * self.lanes, *moved.shape[2:])[: self.size]

    def flat(self, blocks: Real) -> Real:
        """The rows of all blocks, (rows, lanes)."""
        return blocks.reshape(blocks.size // self.lanes, self.lanes)

    def _rows(self, sampled: bool) -> list[Real]:
        pairs = zip(self.plan.families, self.operands, strict=True)
        return [
            family.coefficient_rows(family.batched(operand))
            for family, operand in pairs
            if family.sampled == sampled
        ]


def make_batch(plan: Plan, operands: Sequence[ArrayLike], dtype: np.dtype[Any]) -> Batch:
    """Check the operands against the families of the plan."""
    count = len(plan.families)
    require(dtype in (np.float32, np.float64), "dtype", "be float32 or float64", dtype)
    require(
        len(operands) == count, "operands", f"have one stack for each of the {count} families", len(operands)
    )
    stacks = tuple(np.asarray(operand) for operand in operands)
    for index, (family, stack) in enumerate(zip(plan.families, stacks, strict=True)):
        family.check(f"operands[{index}]", stack)
    sizes = {stack.shape[1] for family, stack in zip(plan.families, stacks, strict=True) if family.sampled}
    require(len(sizes) <= 1, "operands", "have the same number of samples in every stack", sorted(sizes))
    return Batch(plan, stacks, sizes.pop() if sizes else 1, dtype)

"""Run a plan: values alone, the cotangents of every output and sample, or those of one weighted sum.

Blocks of samples run on as many threads as asked for, each with a workspace of its own. A block does the same
arithmetic whoever runs it, so results depend neither on the number of threads nor on a sample's neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from qlazy.base.errors import require
from qlazy.simulator.batch import Batch, Real, make_batch
from qlazy.simulator.compiling.plan import Plan
from qlazy.simulator.kernels.layout import Rows, as_rows, empty_rows, states_size
from qlazy.simulator.kernels.workers import Counter, for_blocks

Cotangents = tuple[NDArray[Any], ...]

BRAS = 16  # outputs that go back through the circuit together


def values(
    plan: Plan, operands: Sequence[ArrayLike], *, dtype: DTypeLike = np.float64, threads: int = 1
) -> Real:
    """Expectation values (n, c).

    operands: one stack for each of ``plan.families``, see `Family`. n is 1 if no family is sampled.
    dtype: float64 or float32, the precision of states and results.
    ValueError if a stack does not fit its family.
    """
    batch = make_batch(plan, operands, np.dtype(dtype))
    return _run(batch, threads, bras=0)[0]


def sweep(
    plan: Plan, operands: Sequence[ArrayLike], *, dtype: DTypeLike = np.float64, threads: int = 1
) -> tuple[Real, Cotangents]:
    """Values (n, c), and for each family cotangents (n, c, wanted members, ...) of every sample and output.

    The last axes: 3 for fused one-qubit gates, none for rotations, (dim,) for diagonal gates and (dim, dim),
    complex, for dense ones; `qlazy.simulator.compiling.families` has the conventions.
    """
    batch = make_batch(plan, operands, np.dtype(dtype))
    outputs, rows = _run(batch, threads, bras=min(plan.num_outputs, BRAS))
    return outputs, _by_family(batch, rows)


def sweep_weighted(
    plan: Plan,
    operands: Sequence[ArrayLike],
    weights: ArrayLike,
    *,
    dtype: DTypeLike = np.float64,
    threads: int = 1,
) -> tuple[Real, Cotangents]:
    """Values (n, c), and the cotangents of sum_ia weights[i, a] values[i, a] in one sweep a sample.

    Shared families have (wanted members, ...), summed over the batch in float64; sampled ones (n, wanted
    members, ...).
    """
    batch = make_batch(plan, operands, np.dtype(dtype))
    weights = np.asarray(weights)
    shape = (batch.size, plan.num_outputs)
    require(weights.shape == shape, "weights", f"have shape {shape}", weights.shape)
    outputs, parts = [], []
    for chosen, part in batch.parts():
        part_outputs, rows = _run(part, threads, bras=1, weights=weights[chosen])
        outputs.append(part_outputs)
        parts.append(_by_family(part, rows[:, 0], reduce=True))
    families = zip(plan.families, zip(*parts, strict=True), strict=True)
    joined = (np.concatenate(pieces) if family.sampled else sum(pieces) for family, pieces in families)
    kinds = {True: np.result_type(dtype, np.complex64), False: np.dtype(dtype)}
    return np.concatenate(outputs), tuple(c.astype(kinds[np.iscomplexobj(c)], copy=False) for c in joined)


def _run(batch: Batch, threads: int, bras: int, weights: NDArray[Any] | None = None) -> tuple[Real, Real]:
    """Values (n, outputs) and rows of cotangents (n, outputs or 1, rows)."""
    from qlazy.simulator.kernels.sweep import Sizes, run_blocks  # numba is loaded when first needed

    require(threads >= 1, "threads", "be at least 1", threads)
    plan = batch.plan
    cotangent_rows = plan.num_cotangent_rows if bras else 0
    bras = bras if cotangent_rows else 0
    width = plan.num_outputs if weights is None else 1
    shared, sampled = batch.shared_rows(), batch.sampled_rows()
    sizes = Sizes(
        stop=plan.stop,
        outputs=plan.num_outputs,
        bras=bras,
        sweeps=width if bras else 0,
        shared_rows=len(shared),
        sampled_rows=sampled.shape[1],
        cotangent_rows=cotangent_rows,
    )
    rows = np.concatenate([shared, batch.flat(sampled)])
    block_weights = batch.in_blocks(np.empty((0, batch.size)) if weights is None else weights.T)
    outputs = np.empty((batch.blocks, plan.num_outputs, batch.lanes), batch.dtype)
    cotangents = np.empty((batch.blocks, width, cotangent_rows, batch.lanes), batch.dtype)

    arrays = [as_rows(batch.flat(array)) for array in (rows, block_weights, outputs, cotangents)]

    def work(taken: Counter, share: int, space: list[Rows]) -> None:
        run_blocks(taken, share, batch.blocks, sizes, *plan.arrays, *arrays, *space)

    def space() -> list[Rows]:
        """Room for states, and for one column of a dense gate."""
        return empty_rows(batch.lanes, batch.dtype, states_size(plan.num_wires, bras), 2 * plan.scratch)

    for_blocks(work, batch.blocks, plan.visits(bras), threads, space)
    return batch.from_blocks(outputs), batch.from_blocks(cotangents)


def _by_family(batch: Batch, rows: Real, reduce: bool = False) -> Cotangents:
    """Rows (n, ..., rows) as the cotangents of each family, shared ones summed over the batch if asked to."""
    found, start = [], 0
    for family, operand in zip(batch.plan.families, batch.operands, strict=True):
        own = rows[..., start : start + family.num_cotangent_rows]
        start += family.num_cotangent_rows
        if reduce and not family.sampled:
            own = own.sum(axis=0, dtype=np.float64)
        found.append(family.cotangents(own, operand))
    return tuple(found)

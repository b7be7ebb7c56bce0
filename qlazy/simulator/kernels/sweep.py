# mypy: allow-untyped-defs
"""The adjoint sweep over blocks of samples, compiled once for each precision.

Forward through the instructions, measure; then, with a bra O ket for each output, back: at each gate read off
what its cotangent needs from ket and bra as they stand after the gate, and undo the gate on both. All outputs
share the ket. Where there are more outputs than bras, the final ket is kept and the way back taken again for
each group of outputs.

Method: T. Jones and J. Gacon, 2020, arXiv:2009.02823.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from qlazy.simulator.compiling.instructions import Pass
from qlazy.simulator.kernels.angles import Angles, collect, cosine_and_sine, fill_sampled
from qlazy.simulator.kernels.compiled import entry, inline, kernel
from qlazy.simulator.kernels.lanes import increment, load, splat, store
from qlazy.simulator.kernels.many_qubits import (
    apply_dense,
    apply_diagonal,
    apply_table,
    differentiate_dense,
    differentiate_diagonal,
)
from qlazy.simulator.kernels.measuring import add_seed, clear, copy, measure, product_state
from qlazy.simulator.kernels.one_qubit import (
    apply_one,
    apply_two,
    differentiate_one,
    differentiate_two,
    retrace_two,
)

ONE, TWO, DIAGONAL, DENSE = (int(kind) for kind in (Pass.ONE, Pass.TWO, Pass.DIAGONAL, Pass.DENSE))
FORWARD, BACKWARD = 1.0, -1.0  # a sign rather than a flag: numba would compile each value of a flag apart


class Sizes(NamedTuple):
    """Counts that a run needs beside its arrays."""

    stop: int  # nothing is wanted of the instructions before this one
    outputs: int
    bras: int  # how many outputs go back together, 0 for values alone
    sweeps: int  # how many outputs go back in all: outputs, or 1 if they are weighted
    shared_rows: int
    sampled_rows: int
    cotangent_rows: int


@inline
def apply(states, first, end, size, step, masks, phases, rows, own, scratch, sign):
    if step.kind == ONE:
        apply_one(states, first, end, size, step, masks, rows, own, sign)
    elif step.kind == TWO:
        apply_two(states, first, end, size, step, masks, rows, own, sign)
    elif step.kind == DIAGONAL:
        apply_diagonal(states, first, end, size, step, masks, rows, own, sign)
    elif step.kind == DENSE:
        apply_dense(states, first, end, size, step, masks, rows, own, scratch, sign)
    else:
        apply_table(states, first, end, size, phases, step.table, sign)


@inline
def wanted(step):
    return step.first_cotangent >= 0 or step.second_cotangent >= 0


@inline
def differentiate(states, ket, bra, step, masks, out, at):
    if not wanted(step):
        return
    if step.kind == ONE:
        differentiate_one(states, ket, bra, step, masks, out, at)
    elif step.kind == TWO:
        differentiate_two(states, ket, bra, step, masks, out, at)
    elif step.kind == DIAGONAL:
        differentiate_diagonal(states, ket, bra, step, masks, out, at)
    elif step.kind == DENSE:
        differentiate_dense(states, ket, bra, step, masks, out, at)


@kernel
def seed(states, ket, bras, end, size, terms, tables, groups, outputs, start, weights, at):
    """Set the bras from number ``start`` on, or the only one to the weighted sum of all outputs."""
    clear(states, bras, end)
    for output in range(outputs):
        bra, weight = bras, splat(states, 1.0)
        if weights.size > 0:
            weight = load(weights, at, output)
        else:
            bra += 2 * size * (output - start)
        if bras <= bra < end:
            add_seed(states, ket, bra, size, terms, tables, groups, output, weight)


@kernel
def differentiate_all(states, ket, bras, end, size, step, masks, out, at, out_rows):
    for number in range((end - bras) // (2 * size)):
        differentiate(states, ket, bras + number * 2 * size, step, masks, out, at + number * out_rows)


@kernel
def sweep_back(
    states, ket, bras, end, size, program, leading, stop, masks, phases, rows, own, scratch, out, at, out_rows
):
    """From the final ket and seeded bras to the cotangents."""
    single = end == bras + 2 * size
    for number in range(len(program) - 1, stop - 1, -1):
        step = program[number]
        needed = number > stop or len(leading) > 0
        if needed and single and step.kind == TWO and wanted(step):
            retrace_two(states, ket, bras, step, masks, rows, own, out, at)
            continue
        differentiate_all(states, ket, bras, end, size, step, masks, out, at, out_rows)
        if needed:
            apply(states, ket, end, size, step, masks, phases, rows, own, scratch, BACKWARD)
    for number in range(len(leading)):
        differentiate_all(states, ket, bras, end, size, leading[number], masks, out, at, out_rows)


@kernel
def run_block(
    sizes, program, leading, product, masks, phases, terms, tables, groups,
    rows, own, weights, values, at, cotangents, place, states, scratch,
):  # fmt: skip
    """Run one block of samples.

    rows: shared coefficients, and from row ``own`` those of the block. Filled in are values, ``sizes.outputs``
    rows from row ``at``, and cotangents, ``sizes.cotangent_rows`` rows a sweep from row ``place``. If weights
    are there, laid out like the values, only their weighted sum is swept back. ``states`` has room for a copy
    of the ket, the ket and the bras.
    """
    size = 1 << product.shape[0]
    kept, ket, bras = 0, 2 * size, 4 * size
    product_state(states, ket, product, rows, own)
    for number in range(len(program)):
        apply(states, ket, bras, size, program[number], masks, phases, rows, own, scratch, FORWARD)
    measure(states, ket, size, terms, tables, groups, values, at, sizes.outputs)
    if sizes.bras < sizes.sweeps:
        copy(states, ket, kept, size)
    for start in range(0, sizes.sweeps, max(sizes.bras, 1)):
        if start > 0:
            copy(states, kept, ket, size)
        end = bras + 2 * size * min(sizes.bras, sizes.sweeps - start)
        seed(states, ket, bras, end, size, terms, tables, groups, sizes.outputs, start, weights, at)
        sweep_back(
            states, ket, bras, end, size, program, leading, sizes.stop, masks, phases, rows, own,
            scratch, cotangents, place + start * sizes.cotangent_rows, sizes.cotangent_rows,
        )  # fmt: skip


@entry
def run_blocks(
    taken, share, blocks, sizes, program, leading, product, masks, phases, terms, tables, groups,
    rows, weights, values, cotangents, states, scratch,
):  # fmt: skip
    """Run blocks of samples that nobody has ``taken``, no more than ``share``."""
    for _ in range(share):
        block = increment(taken)
        if block >= blocks:
            break
        own = sizes.shared_rows + block * sizes.sampled_rows
        place = block * sizes.sweeps * sizes.cotangent_rows
        run_block(
            sizes, program, leading, product, masks, phases, terms, tables, groups,
            rows, own, weights, values, block * sizes.outputs, cotangents, place, states, scratch,
        )  # fmt: skip


class Room(NamedTuple):
    """What one thread writes to for the block at hand, as rows."""

    coefficients: Any  # shared ones first, filled in already
    cosines: Any
    sines: Any
    cotangents: Any
    states: Any
    scratch: Any


@entry
def run_angles(
    taken, share, blocks, sizes, program, leading, product, masks, phases, terms, tables, groups,
    members, factors, vectors, turns, shared_cos, shared_sin, half_angles,
    weights, values, by_shared, by_sampled, room,
):  # fmt: skip
    """Run blocks of samples that nobody has ``taken``, no more than ``share``.

    ``half_angles`` (blocks, T), ``weights`` and ``values`` (blocks, c) are rows; so are the derivatives (sweeps,
    S, blocks) and (sweeps, T, blocks), to which is added.
    """
    angles = Angles(shared_cos, shared_sin, room.cosines, room.sines)
    count = half_angles.shape[1]
    for _ in range(share):
        block = increment(taken)
        if block >= blocks:
            break
        for number in range(count):
            cos, sin = cosine_and_sine(half_angles, load(half_angles, block * count, number))
            store(room.cosines, number, 0, cos)
            store(room.sines, number, 0, sin)
        fill_sampled(members, factors, vectors, angles, room.coefficients, sizes.shared_rows)
        run_block(
            sizes, program, leading, product, masks, phases, terms, tables, groups,
            room.coefficients, sizes.shared_rows, weights, values, block * sizes.outputs,
            room.cotangents, 0, room.states, room.scratch,
        )  # fmt: skip
        collect(
            block,
            members,
            factors,
            vectors,
            angles,
            turns,
            room.cotangents,
            sizes.sweeps,
            by_shared,
            by_sampled,
        )

"""The adjoint sweep over blocks of samples: one entry point, compiled once for each precision.

Forward through the instructions, measure; then, with a bra O ket for each output, back: at each gate read off
what its cotangent needs from ket and bra as they stand after the gate, and undo the gate on both. All outputs
share the ket. Where there are more outputs than bras, the final ket is kept and the way back taken again for
each group of outputs.

Method: T. Jones and J. Gacon, 2020, arXiv:2009.02823.
"""

# mypy: allow-untyped-defs

from __future__ import annotations

from typing import Any

from qlazy.simulator.compiled import entry, fingerprint, kernel
from qlazy.simulator.kernels import apply_one, apply_two, differentiate_one, differentiate_two
from qlazy.simulator.lanes import load, splat
from qlazy.simulator.multiqubit import (
    apply_dense,
    apply_diagonal,
    apply_table,
    differentiate_dense,
    differentiate_diagonal,
)
from qlazy.simulator.outputs import add_seed, clear, copy, measure, product_state
from qlazy.simulator.program import Pass

# Gates take a sign: for the inverse, imaginary parts and off-diagonal elements change theirs.
FORWARD, BACKWARD = 1.0, -1.0
ONE, TWO, DIAGONAL, DENSE = (int(kind) for kind in (Pass.ONE, Pass.TWO, Pass.DIAGONAL, Pass.DENSE))


@kernel
def apply(state, step, masks, phases, shared, sampled, scratch, sign):
    rows = sampled if step.first_sampled else shared
    if step.kind == ONE:
        apply_one(state, step, masks, rows, sign)
    elif step.kind == TWO:
        apply_two(state, step, masks, rows, sampled if step.second_sampled else shared, sign)
    elif step.kind == DIAGONAL:
        apply_diagonal(state, step, masks, rows, sign)
    elif step.kind == DENSE:
        apply_dense(state, step, masks, rows, scratch, sign)
    else:
        apply_table(state, phases[step.table], sign)


@kernel
def differentiate(ket, bra, step, masks, out):
    if step.first_cotangent < 0 and step.second_cotangent < 0:
        return
    if step.kind == ONE:
        differentiate_one(ket, bra, step, masks, out)
    elif step.kind == TWO:
        differentiate_two(ket, bra, step, masks, out)
    elif step.kind == DIAGONAL:
        differentiate_diagonal(ket, bra, step, masks, out)
    elif step.kind == DENSE:
        differentiate_dense(ket, bra, step, masks, out)


@kernel
def back(ket, bras, count, program, leading, stop, masks, phases, shared, sampled, scratch, out, first):
    """Sweep back from the final ket and ``count`` seeded bras; nothing is wanted before ``stop``."""
    for number in range(len(program) - 1, stop - 1, -1):
        step = program[number]
        for output in range(count):
            differentiate(ket, bras[output], step, masks, out[first + output])
        if number > stop or len(leading) > 0:
            apply(ket, step, masks, phases, shared, sampled, scratch, BACKWARD)
            for output in range(count):
                apply(bras[output], step, masks, phases, shared, sampled, scratch, BACKWARD)
    for number in range(len(leading)):
        for output in range(count):
            differentiate(ket, bras[output], leading[number], masks, out[first + output])


def _build(version: str) -> Any:
    # `version` is closed over so that the compiled code on disk belongs to these sources.
    @entry
    def run_blocks(
        first, last, program, leading, stop, product, masks, phases, terms, tables, groups,
        shared, sampled, weights, values, cotangents, states, scratch,
    ):  # fmt: skip
        """Run the blocks first..last - 1 of samples.

        values (blocks, outputs, lanes) and cotangents (blocks, outputs, rows, lanes) are filled, the latter
        unless there are no bras. With weights (blocks, outputs, lanes) cotangents have a single output, the
        weighted sum. ``states`` holds the ket, a copy of it and the bras.
        """
        _ = version
        ket, kept, bras = states[0], states[1], states[2:]
        for block in range(first, last):
            rows = sampled[block]
            product_state(ket, len(product), product, shared, rows)
            for number in range(len(program)):
                apply(ket, program[number], masks, phases, shared, rows, scratch, FORWARD)
            measure(ket, terms, tables, groups, values[block])
            if len(bras) == 0:
                continue
            copy(ket, kept)
            for first_output in range(0, cotangents.shape[1], len(bras)):
                count = min(len(bras), cotangents.shape[1] - first_output)
                if first_output > 0:
                    copy(kept, ket)
                for number in range(count):
                    clear(bras[number])
                    if len(weights) == 0:
                        add_seed(
                            ket, bras[number], terms, tables, groups, first_output + number, splat(ket, 1.0)
                        )
                for output in range(weights.shape[1]):
                    add_seed(ket, bras[0], terms, tables, groups, output, load(weights[block], output))
                back(
                    ket, bras, count, program, leading, stop, masks, phases,
                    shared, rows, scratch, cotangents[block], first_output,
                )  # fmt: skip

    return run_blocks


run_blocks = _build(fingerprint())

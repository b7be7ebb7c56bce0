"""Floating-point operations of a compiled circuit: what its gates take, whatever runs them.

Each addition and each multiplication of real numbers counts as one. Measuring, sines and cosines, and sums over samples
are left out: for circuits of more than a few gates they are little beside the gates.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qlazy.simulator.compiling.instructions import Pass
from qlazy.simulator.compiling.plan import Plan

ONE_QUBIT = 28
"""A gate [[a, -b*], [b, a*]] on a pair of amplitudes: 16 products and 12 sums."""
COTANGENT = 24
"""Im <bra| sigma |ket> of a pair of amplitudes for X, Y and Z, added up: 12 products and 12 sums."""
PHASE, ELEMENT = 6, 8
"""A product of complex numbers, and one with a sum."""


def gradient_flops(plan: Plan) -> int:
    """Of one sample, for the gradient of one output or one weighted sum: forward once, and back with ket and bra."""
    forward, read = _forward(plan, plan.program), _read(plan.program) + _read(plan.leading)
    if not plan.cotangent_rows:
        return int(forward.sum())
    undone = slice(plan.stop if len(plan.leading) else plan.stop + 1, None)
    return int(forward.sum() + 2 * forward[undone].sum() + read)


def _forward(plan: Plan, program: NDArray[np.void]) -> NDArray[np.int64]:
    """Of each instruction, on one state: ``count`` pairs, quadruples or groups of amplitudes."""
    kind, count, dim = program["kind"], program["count"], program["dim"]
    moved = np.any(plan.tables != (1.0, 0.0), axis=-1).sum(-1)  # rows with a phase, of each table
    phases = np.zeros(len(program), np.int64)
    phases[kind == Pass.TABLE] = moved[program["table"][kind == Pass.TABLE]]
    return np.select(
        [kind == Pass.ONE, kind == Pass.TWO, kind == Pass.DENSE],
        [ONE_QUBIT * count, 4 * ONE_QUBIT * count, ELEMENT * dim**2 * count],
        PHASE * phases,
    )


def _read(program: NDArray[np.void]) -> int:
    """Of all cotangents that are wanted: two gates on a quadruple are four pairs, read in one pass where one is."""
    pairs = np.select([program["kind"] == Pass.ONE, program["kind"] == Pass.TWO], [1, 4], 0)
    wanted = (program["first_cotangent"] >= 0) | (program["second_cotangent"] >= 0)
    return int(COTANGENT * (pairs * program["count"])[wanted].sum())

"""Angles in the order of the steps of a plan in which their gates stand."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qlazy.simulator.compiling.gates import COEFFICIENTS, SAMPLED
from qlazy.simulator.compiling.plan import Plan

Numbers = NDArray[np.int64]


class AngleOrder(NamedTuple):
    """Wanted sampled angles that outputs depend on, by the last step of their gates; -1 is the product state."""

    angles: Numbers
    first: Numbers  # steps, in the same order
    last: Numbers
    steps: Numbers  # of every sampled gate


def angle_order(plan: Plan, wanted: NDArray[np.bool_]) -> AngleOrder:
    """The order of the angles of a plan that are ``wanted`` (T,)."""
    steps = _steps(plan)
    first, last = np.full(len(wanted), len(plan.program)), np.full(len(wanted), -2)
    for member in plan.gates.members[plan.gates.members["cotangent"] >= 0]:
        if member["sampled"]:
            step = steps[member["coefficient"] // COEFFICIENTS]
            factors = plan.gates.factors[member["first"] : member["first"] + member["count"]]
            numbers = factors["number"][factors["source"] == SAMPLED]
            first[numbers] = np.minimum(first[numbers], step)
            last[numbers] = np.maximum(last[numbers], step)
    angles = np.argsort(last, kind="stable")
    angles = angles[wanted[angles] & (last[angles] >= -1)]
    return AngleOrder(angles, first[angles], last[angles], steps)


def _steps(plan: Plan) -> Numbers:
    steps = np.full(plan.sampled_rows // COEFFICIENTS, -1, np.int64)
    for which in ("first", "second"):
        sampled = plan.program[f"{which}_sampled"] == 1
        steps[plan.program[f"{which}_coefficient"][sampled] // COEFFICIENTS] = np.flatnonzero(sampled)
    return steps

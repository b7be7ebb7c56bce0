"""Second derivatives of circuits of Pauli rotations, along directions of their angles."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from qlazy.base.errors import require
from qlazy.simulator.compiling.gates import COEFFICIENTS
from qlazy.simulator.compiling.plan import Plan
from qlazy.simulator.kernels.layout import ROW, as_rows, empty_rows, lanes_for
from qlazy.simulator.kernels.workers import Counter, for_blocks
from qlazy.simulator.rotations import Real, RotationCircuit

if TYPE_CHECKING:
    from qlazy.simulator.kernels.second.rates import Space

STATES = 4  # the ket, the bra, and the rate of each


class Moved(NamedTuple):
    """Derivatives along one direction a sample: of the outputs (n, c), and of the weighted derivatives (n, T)."""

    outputs: Real
    gradients: Real


def moved(
    circuit: RotationCircuit,
    weights: Real,
    weight_tangents: Real,
    angles: Real,
    tangents: Real,
    threads: int = 1,
) -> Moved:
    """How outputs F and gradients G = d/dangles sum_a w_a F_a of every sample change along a direction.

    ``circuit`` shares no angle (see :attr:`RotationCircuit.unshared`); ``angles`` and their ``tangents`` are (n, T),
    ``weights`` and theirs (n, c), all of one dtype. The outputs change by J t, the gradients by H_w t + J^T w', with
    J and H_w the Jacobian of the outputs and the Hessian of their weighted sum. Rows of gradients by angles that are
    not wanted may be zero. One sweep, of about three times the cost of a gradient.
    """
    samples, inner = len(angles), circuit.num_sampled
    require(circuit.num_shared == 0, "circuit", "share no angle", f"one that shares {circuit.num_shared}")
    shapes = {"angles": (angles, inner), "tangents": (tangents, inner)}
    shapes |= {"weights": (weights, circuit.num_outputs)}
    shapes |= {"weight_tangents": (weight_tangents, circuit.num_outputs)}
    for name, (array, count) in shapes.items():
        require(array.shape == (samples, count), name, f"have shape {(samples, count)}", array.shape)
    from qlazy.simulator.kernels.angles import moderate  # loads numba

    plan, dtype = circuit.plan, angles.dtype
    lanes = lanes_for(plan.num_wires, samples, dtype)
    half_angles = moderate(in_blocks(angles / 2, lanes, dtype))
    given = [in_blocks(array, lanes, dtype) for array in (tangents, weights, weight_tangents)]
    outputs = np.empty((len(half_angles), circuit.num_outputs, lanes), dtype)
    gradients = np.zeros((inner, len(half_angles), lanes), dtype)
    _go(plan, half_angles, given, [outputs, gradients], threads)
    by_lane = gradients.reshape(inner, len(half_angles) * lanes)[:, :samples]
    return Moved(outputs.transpose(0, 2, 1).reshape(-1, circuit.num_outputs)[:samples], by_lane.T)


def _go(plan: Plan, half_angles: Real, given: list[Real], results: list[Real], threads: int) -> None:
    """Run all blocks, of tangents, weights and their tangents, into outputs and gradients."""
    from qlazy.simulator.kernels.angles import Angles
    from qlazy.simulator.kernels.second.directions import Moving, move_blocks

    tangents, *weights = map(as_rows, given)
    moving = Moving(as_rows(half_angles), tangents, given[0], *weights, *map(as_rows, results))
    none = Angles(np.empty(0), np.empty(0))

    def work(taken: Counter, share: int, space: Space) -> None:
        move_blocks(taken, share, plan, none, moving, space)

    for_blocks(work, len(half_angles), 2 * plan.visits(1), threads, spaces(plan, half_angles, STATES))


def spaces(plan: Plan, half_angles: Real, states: int, tangents: int = 0) -> Callable[[], Space]:
    """Makes what a thread works in: so many states, for half angles (blocks, T, lanes), and rows of tangents."""
    from qlazy.simulator.kernels.angles import Angles, fill_shared
    from qlazy.simulator.kernels.second.rates import Space

    (_, angles, lanes), dtype = half_angles.shape, half_angles.dtype
    fixed = np.empty(plan.shared_rows)
    fill_shared(plan.gates, Angles(np.empty(0), np.empty(0)), fixed, np.empty((len(plan.gates.factors), 4)))

    def space() -> Space:
        counts = Space(
            coefficients=plan.shared_rows + plan.sampled_rows,
            rates=plan.shared_rows + plan.sampled_rows,
            cosines=angles,
            sines=angles,
            tangents=tangents,
            numbers=0,
            cotangents=2 * plan.cotangent_rows,
            states=states * 2 * 2**plan.num_wires,
            scratch=2 * plan.scratch,
            moves=0,
        )
        found = Space(*empty_rows(lanes, dtype, *counts))
        moves = np.zeros(plan.sampled_rows // COEFFICIENTS, np.int64)
        found = found._replace(numbers=found.tangents[ROW], moves=moves)
        found.coefficients[ROW][: plan.shared_rows] = fixed[:, None]
        found.rates[ROW][: plan.shared_rows] = 0.0
        return found

    return space


def in_blocks(array: Real, lanes: int, dtype: np.dtype[Any]) -> Real:
    """(n, k) as (blocks, k, lanes), zero where there is no sample."""
    samples, count = array.shape
    blocks = -(-samples // lanes)
    blocked = np.zeros((blocks * lanes, count), dtype)
    blocked[:samples] = array
    return np.ascontiguousarray(blocked.reshape(blocks, lanes, count).transpose(0, 2, 1))

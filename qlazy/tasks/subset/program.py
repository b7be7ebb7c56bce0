"""The selection program: which of the incoming points represent all of them, as a differentiable convex program."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

from torch import Tensor

from qlazy.base.errors import NotConvergedError, require, require_dtype, require_finite

SOLVER = {"solve_method": "Clarabel", "tol_gap_abs": 1e-12, "tol_gap_rel": 1e-12, "tol_feas": 1e-12}
"""Interior points: shares come in as the square root of the gap, so that 1e-12 gives them to about 1e-6. The derivative
is the default of diffcp, LSQR on the sparse optimality system."""


class Assignment(NamedTuple):
    """Who represents whom: shares of incoming points (b, b) and of kept points (b, k), rows summing to 1."""

    incoming: Tensor
    kept: Tensor

    @property
    def scores(self) -> Tensor:
        """s_j = sum_i Z_ij (b,): how many points the incoming point j stands for."""
        return self.incoming.sum(0)


def assign(incoming: Tensor, kept: Tensor, *, budget: float, gamma: float) -> Assignment:
    """Represent b incoming points by few of themselves and by k points that are kept already.

    With costs D^n (b, b) and D^o (b, k), rows the points represented and columns those that represent them,

        minimise    <D^n, Z^n> + <D^o, Z^o> + gamma/2 (||Z^n||^2 + ||Z^o||^2)
        subject to  Z >= 0,  rows of [Z^n Z^o] sum to 1,  sum_j max_i Z^n_ij <= budget,

    differentiable in both costs. Without the quadratic term the solution sits in a corner of the polytope
    and its derivative is zero nearly everywhere. Das, Singh, Chatterjee, Bhattacharya, Bhattacharya 2021
    (arXiv 2104.13794), to whose linear program the quadratic term is added.

    Raises ImportError without the extra ``subset``; ValueError for costs that do not fit each other, a
    ``gamma`` or a ``budget`` that is not positive, or a budget below 1 where nothing is kept; NotFiniteError for NaN
    or infinity in the costs; NotConvergedError where the solver gives up.
    """
    _check(incoming, kept, budget, gamma)
    b, k = kept.shape
    layer = _layer(b, k)
    root = incoming.new_tensor(math.sqrt(gamma / 2))
    shares = solve(layer, *([incoming, kept] if k else [incoming]), root, incoming.new_tensor(float(budget)))
    return Assignment(shares[0], shares[1] if k else kept.new_zeros(b, 0))


def solve(layer: Any, *parameters: Tensor) -> tuple[Tensor, ...]:
    """The variables of a CvxpyLayer at some parameters, in their dtype; the solver works in float64."""
    try:
        solution = layer(*(p.double() for p in parameters), solver_args=SOLVER)
    except Exception as error:
        if type(error).__name__ != "SolverError":
            raise
        raise NotConvergedError(f"the selection program was not solved: {error}") from error
    return tuple(variable.to(parameters[0].dtype) for variable in solution)


def import_cvxpylayers() -> tuple[Any, Any]:
    """cvxpy and the CvxpyLayer of torch. Raises ImportError, with the remedy, where the extra is missing."""
    try:
        import cvxpy
        from cvxpylayers.torch import CvxpyLayer
    except ModuleNotFoundError as error:
        raise ImportError(
            "selection by convex programming needs cvxpylayers: pip install cvxpylayers"
        ) from error
    return cvxpy, CvxpyLayer


@lru_cache(maxsize=64)
def _layer(b: int, k: int) -> Any:
    """The program for b incoming and k kept points; its parameters are D^n, D^o, sqrt(gamma/2) and the budget."""
    cp, layer = import_cvxpylayers()
    new_costs, new_shares = cp.Parameter((b, b)), cp.Variable((b, b))
    root, budget = cp.Parameter(nonneg=True), cp.Parameter(nonneg=True)
    costs, shares = [new_costs], [new_shares]
    if k:
        costs.append(cp.Parameter((b, k)))
        shares.append(cp.Variable((b, k)))
    linear = sum(cp.sum(cp.multiply(cost, share)) for cost, share in zip(costs, shares, strict=True))
    quadratic = sum(cp.sum_squares(root * share) for share in shares)
    constraints = [share >= 0 for share in shares]
    constraints += [
        sum(cp.sum(share, axis=1) for share in shares) == 1,
        cp.sum(cp.max(new_shares, axis=0)) <= budget,
    ]
    program = cp.Problem(cp.Minimize(linear + quadratic), constraints)
    return layer(program, parameters=[*costs, root, budget], variables=shares)


def _check(incoming: Tensor, kept: Tensor, budget: float, gamma: float) -> None:
    b = len(incoming)
    require(incoming.ndim == 2 and incoming.shape == (b, b) and b, "incoming", "have shape (b, b) with b positive",
            tuple(incoming.shape))  # fmt: skip
    require(kept.ndim == 2 and len(kept) == b, "kept", f"have shape ({b}, k)", tuple(kept.shape))
    require_dtype("kept", kept, incoming, "incoming")
    require_finite("incoming", incoming)
    require_finite("kept", kept)
    require(math.isfinite(gamma) and gamma > 0, "gamma", "be positive", gamma)
    least = 0.0 if kept.shape[1] else 1.0
    require(
        math.isfinite(budget) and budget > 0 and budget >= least,
        "budget", "be at least 1 where nothing is kept" if least else "be positive", budget,
    )  # fmt: skip

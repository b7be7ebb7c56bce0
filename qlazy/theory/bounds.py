"""When training is lazy, in numbers: norms of derivatives and the bounds of Chizat, Oyallon and Bach.

Outputs are measured in ||f||_n = sqrt(1/n sum ||f_i||^2), so that the loss R = 1/(2n) sum ||f - y||^2 of
:func:`qlazy.train` is 1/2 ||f - y||_n^2 and the theorems apply as they stand: ||Dh|| is the largest singular
value of J over sqrt(n). Every figure says whether it is exact, a lower or an upper bound, and no upper bound
is ever made of a lower one. Source: Chizat, Oyallon, Bach 2019 (arXiv 1812.07956), "COB" below.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple, final

import torch
from torch import Tensor

from qlazy.base.errors import (
    NotConvergedError,
    UnsupportedModelError,
    refuse,
    require,
    require_dtype,
    require_shape,
)
from qlazy.kernels.operator import tangent_kernel
from qlazy.kernels.spectrum import check_kernel, eigenvalues, rank_cutoff
from qlazy.models.model import Model
from qlazy.models.wrappers import Centered, Linearized, Scaled
from qlazy.theory.curvature import EXACT, largest_second_derivative, second_order_step

BoundKind = Literal["lower", "exact", "upper"]


@final
@dataclass(frozen=True)
class Bound:
    """A number, what it is to the quantity it is named after, and how it was had."""

    value: float
    kind: BoundKind
    method: str

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        sign = {"lower": ">= ", "exact": "", "upper": "<= "}[self.kind]
        return f"{sign}{self.value:.4g} ({self.method})"


def jacobian_norm(
    model: Model,
    params: Tensor,
    x: Tensor,
    *,
    generator: torch.Generator | None = None,
    tolerance: float = 1e-8,
    max_steps: int = 2000,
) -> Bound:
    """||Dh(w)|| at ``params``: exact to ``tolerance``, by power iteration on J J^T through vjp and jvp.

    Raises NotConvergedError where ``max_steps`` are not enough, ZeroJacobianError where the Jacobian vanishes.
    """
    kernel = tangent_kernel(model, params, x)
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    vector = torch.randn(kernel.shape[0], generator=generator, dtype=torch.float64).to(params)
    for _ in range(max_steps):
        vector = vector / vector.norm()
        image = kernel @ vector
        value = float(vector @ image)
        if float((image - value * vector).norm()) <= tolerance**0.5 * value:
            # the error of a Rayleigh quotient is quadratic in that of its vector
            return Bound(math.sqrt(value / len(x)), "exact", "power iteration")
        vector = image
    return refuse("max_steps", "be enough for power iteration to converge", max_steps, NotConvergedError)


def smallest_singular_value(model: Model, params: Tensor, x: Tensor) -> Bound:
    """s: the smallest singular value of Dh(w)^T, zero unless every output can be moved on its own.

    From the dense kernel; eigenvalues up to rounding count as zero.
    """
    values = tangent_kernel(model, params, x).eigenvalues()
    smallest = values[-1] if values[-1] > rank_cutoff(values) else values.new_zeros(())
    return Bound(math.sqrt(float(smallest) / len(x)), "exact", "eigenvalues")


def second_derivative_norm(
    model: Model,
    params: Tensor,
    x: Tensor,
    generator: torch.Generator,
    *,
    starts: int = 4,
    steps: int = 30,
    step: float | None = None,
    first: Tensor | None = None,
) -> Bound:
    """||D^2h(w)|| from below: the largest ||D^2h[u, u]||_n found over unit directions u.

    See :func:`qlazy.theory.curvature.largest_second_derivative`; the supremum itself is a search that is not convex,
    from random directions, or from ``first`` (p,) alone.
    """
    step = second_order_step(model, params, x) if step is None else step
    value = largest_second_derivative(
        model, params, x, generator, starts=starts, steps=steps, step=step, first=first
    )
    how = "torch.func" if step == EXACT else f"differences over {step:g}"
    where = f"{starts} starts" if first is None else "a given start"
    return Bound(value / math.sqrt(len(x)), "lower", f"{how}, {where}")


class DerivativeBounds(NamedTuple):
    """Upper bounds on ||Dh|| and ||D^2h||; those that hold everywhere bound Lip(h) and Lip(Dh) as well."""

    first: Bound
    second: Bound
    everywhere: bool


def derivative_bounds(model: Model, params: Tensor, x: Tensor) -> DerivativeBounds:
    """Upper bounds from Pauli generators and observables, for circuits and wrappers around them.

    See :mod:`qlazy.theory.circuit_bounds`. Raises UnsupportedModelError for any other model.
    """
    first, second, everywhere = _derivative_bounds(model, params, x)
    root = math.sqrt(len(x))
    return DerivativeBounds(
        Bound(first / root, "upper", "Pauli generators"),
        Bound(second / root, "upper", "Pauli generators"),
        everywhere,
    )


def kappa(
    model: Model, params: Tensor, x: Tensor, targets: Tensor, curvature: Bound, alpha: float = 1.0
) -> Bound:
    """The inverse relative scale (1/a) ||a h(w0) - y|| ||D^2h|| / ||Dh||^2: lazy where it is far below 1.

    ``curvature`` is a :func:`second_derivative_norm` or a member of :func:`derivative_bounds`, whose kind the
    result has; ``model`` is the unscaled h.
    """
    require(math.isfinite(alpha) and alpha > 0, "alpha", "be positive", alpha)
    with torch.no_grad():
        misfit = root_mean_square(alpha * model(params, x), targets)
    norm = jacobian_norm(model, params, x)
    return Bound(misfit * curvature.value / (alpha * norm.value**2), curvature.kind, curvature.method)


def root_mean_square(outputs: Tensor, targets: Tensor | None = None) -> float:
    """||f - y||_n for outputs and targets (n, c), or ||f||_n."""
    if targets is not None:
        require_shape("targets", targets, tuple(outputs.shape))
        require_dtype("targets", targets, outputs, "the outputs")
        outputs = outputs - targets
    return float(outputs.norm()) / math.sqrt(len(outputs))


def drift_bound(initial_risk: float, horizon: float, alpha: float) -> Bound:
    """||w_a(t) - w0|| <= sqrt(T R(a h(w0))) / a for t <= T (COB, theorem 2.2): gradient flow of any model.

    The length of the path: its squared speed adds up to what the objective F_a loses, at most R / a^2.
    """
    for name, value in (("initial_risk", initial_risk), ("horizon", horizon)):
        require(value >= 0, name, "not be negative", value)
    require(alpha > 0, "alpha", "be positive", alpha)
    return Bound(math.sqrt(horizon * initial_risk) / alpha, "upper", "COB 2.2")


def gap_bound(
    initial_error: float, lipschitz: Bound, lipschitz_jacobian: Bound, horizon: float, alpha: float
) -> Bound:
    """A bound on the linearisation gap at time T (COB, theorem 2.3): (K^2/a) Lip(Dh)/Lip(h)^2 ||a h(w0) - y||.

    K = T Lip(h)^2; the gap is relative to ``initial_error`` ||a h(w0) - y||_n, as
    :func:`qlazy.training.drift.linearization_gap` is. The constants must be upper bounds that hold wherever training
    goes: within ``reach(...)`` of the anchor.
    """
    _require_upper(lipschitz=lipschitz, lipschitz_jacobian=lipschitz_jacobian)
    require(alpha > 0, "alpha", "be positive", alpha)
    value = horizon**2 * lipschitz.value**2 * lipschitz_jacobian.value * initial_error / alpha
    return Bound(value, "upper", "COB 2.3")


def reach(initial_error: float, lipschitz: Bound, horizon: float, alpha: float) -> float:
    """T Lip(h) ||a h(w0) - y||_n / a: the radius of the ball that training does not leave before T (COB 2.3)."""
    _require_upper(lipschitz=lipschitz)
    return horizon * lipschitz.value * initial_error / alpha


@final
@dataclass(frozen=True)
class GlobalConvergence:
    """COB, theorem 2.4, for the square loss and an over-parametrised model.

    Where ||h(w0)||_n <= ``threshold`` and a > ``least_alpha``, the loss falls to zero at least as
    exp(-2 ``rate`` t), the error ||a h - y||_n as exp(-``rate`` t), and parameters stay within ``drift``.
    """

    threshold: float
    least_alpha: float
    rate: float
    drift: float
    applies: bool

    def error(self, initial_error: float, time: float) -> float:
        """The bound on ||a h(w_a(t)) - y||_n. Raises ValueError where the theorem does not apply."""
        require(self.applies, "alpha", f"be above {self.least_alpha:.3g} for theorem 2.4 to apply", "below")
        return initial_error * math.exp(-self.rate * time)


def global_convergence(
    outputs: Tensor,
    targets: Tensor,
    smallest: Bound,
    norm: Bound,
    lipschitz_jacobian: Bound,
    alpha: float,
) -> GlobalConvergence:
    """C0 = s^3 / (32 ||Dh(w0)|| Lip(Dh)); rate s^2 / 4; drift 8 ||Dh(w0)|| ||a h(w0) - y|| / (a s^2).

    ``outputs`` h(w0) and ``targets`` (n, c); ``smallest`` s must not be an upper bound, ``norm`` and
    ``lipschitz_jacobian`` not lower ones. s = 0, an under-parametrised model, is outside the theorem.
    """
    _require_upper(norm=norm, lipschitz_jacobian=lipschitz_jacobian)
    require(smallest.kind != "upper", "smallest", "be exact or a lower bound", str(smallest))
    require(alpha > 0, "alpha", "be positive", alpha)
    s = smallest.value
    require(s > 0, "smallest", "be positive: the model must be over-parametrised", s)
    flat = lipschitz_jacobian.value == 0  # a linear model is lazy at every scale
    threshold = math.inf if flat else s**3 / (32 * norm.value * lipschitz_jacobian.value)
    least = root_mean_square(targets) / threshold
    return GlobalConvergence(
        threshold=threshold,
        least_alpha=least,
        rate=s**2 / 4,
        drift=8 * norm.value * root_mean_square(alpha * outputs, targets) / (alpha * s**2),
        applies=root_mean_square(outputs) <= threshold and alpha > least,
    )


def decay_times(kernel: Tensor, samples: int) -> Tensor:
    """n / lambda_i, in descending order of lambda: the times in which each mode of the error falls by e.

    ``kernel`` (..., n c, n c) at initialisation and ``samples`` n; infinite where lambda is zero to rounding.
    The largest rate at which none diverges is :func:`qlazy.kernels.spectrum.critical_rate` (Scala 2025, arXiv
    2503.01966).
    """
    check_kernel("kernel", kernel)
    require(samples >= 1, "samples", "be positive", samples)
    values = eigenvalues(kernel)
    moves = values > rank_cutoff(values).unsqueeze(-1)
    return torch.where(moves, samples / torch.where(moves, values, 1), torch.inf)


def _derivative_bounds(model: Model, params: Tensor, x: Tensor) -> tuple[float, float, bool]:
    match model:
        case Scaled():
            first, second, everywhere = _derivative_bounds(model.model, params, x)
            return model.alpha * first, model.alpha * second, everywhere
        case Centered():
            return _derivative_bounds(model.model, params, x)
        case Linearized():
            return _derivative_bounds(model.model, model.anchor_like(params), x)[0], 0.0, True
    return _circuit_bounds(model, params, x)


def _circuit_bounds(model: Model, params: Tensor, x: Tensor) -> tuple[float, float, bool]:
    from qlazy.quantum.circuit import Circuit  # a net must not import PennyLane
    from qlazy.theory.circuit_bounds import pauli_bounds

    if not isinstance(model, Circuit):
        refuse("model", "be a circuit, or a wrapper around one", repr(model), UnsupportedModelError)
    return pauli_bounds(model, params, x)


def _require_upper(**bounds: Bound) -> None:
    for name, bound in bounds.items():
        require(bound.kind != "lower", name, "be exact or an upper bound", str(bound))

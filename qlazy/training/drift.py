"""How far training moved: parameters, kernel and outputs, each by metrics of its own.

Small parameter drift does not imply a kernel that stays, nor a kernel that stays a small output gap, so
nothing here is a single score of laziness. Arguments may carry leading dimensions, parameters (t, p) or
kernels (t, N, N) along a path; results are then (t,). Definitions: Chizat, Oyallon, Bach 2019 (arXiv
1812.07956) for drift, gaps and activation stability; Fort et al. 2020 (arXiv 2010.15110) for the kernel
distance and velocity. A metric relative to something that is zero is refused, not returned as NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from qlazy.base.errors import UnsupportedModelError, require, require_dtype, require_finite, require_shape
from qlazy.kernels.spectrum import check_kernel
from qlazy.models.model import Model
from qlazy.models.relu_gates import open_gates
from qlazy.models.wrappers import Centered, Linearized, Scaled


def parameter_drift(params: Tensor, anchor: Tensor) -> Tensor:
    """||w - w0|| for params (..., p) and an anchor (p,)."""
    return torch.linalg.vector_norm(_moved(params, anchor), dim=-1)


def relative_drift(params: Tensor, anchor: Tensor) -> Tensor:
    """||w - w0|| / ||w0|| for params (..., p) and an anchor (p,)."""
    return parameter_drift(params, anchor) / _nonzero("anchor", anchor.norm())


def largest_drift(params: Tensor, anchor: Tensor) -> Tensor:
    """max |w - w0| over the parameters, for params (..., p) and an anchor (p,); radians for angles."""
    return _moved(params, anchor).abs().amax(-1)


def path_length(path: Tensor) -> Tensor:
    """Length of a path of parameters (t, p) up to each of its points, (t,), rising from 0.

    The sum of ||w_(k+1) - w_k|| over the points given: a lower bound where steps between them are left out.
    """
    require(path.ndim == 2 and len(path) > 0, "path", "have shape (t, p)", tuple(path.shape))
    require_finite("path", path)
    lengths = torch.linalg.vector_norm(path.diff(dim=0), dim=1)
    return torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])


def per_block(
    metric: Callable[[Tensor, Tensor], Tensor], params: Tensor, anchor: Tensor, blocks: Mapping[str, slice]
) -> dict[str, Tensor]:
    """A drift metric for each block apart: ``per_block(parameter_drift, w, w0, model.blocks)``."""
    return {name: metric(params[..., block], anchor[..., block]) for name, block in blocks.items()}


def kernel_change(kernel: Tensor, reference: Tensor) -> Tensor:
    """||K - K_0||_F / ||K_0||_F."""
    _check_kernels(kernel, reference)
    return _norm(kernel - reference) / _nonzero("reference", _norm(reference))


def kernel_distance(kernel: Tensor, reference: Tensor) -> Tensor:
    """1 - <K, K_0> / (||K|| ||K_0||), between 0 and 1 for positive semidefinite kernels.

    This is the rotation R of a kernel, and with :func:`kernel_scale` S it makes up the change:
    change^2 = e^(2S) + 1 - 2 e^S (1 - R). Exact for small distances also.
    """
    _check_kernels(kernel, reference)
    first = kernel / _nonzero("kernel", _norm(kernel))[..., None, None]
    second = reference / _nonzero("reference", _norm(reference))[..., None, None]
    # 1 - cos as half a squared distance: the difference from 1 would keep no digits
    return _norm(first - second).square() / 2


def kernel_scale(kernel: Tensor, reference: Tensor) -> Tensor:
    """S = log(||K|| / ||K_0||): the part of the change that is a mere factor."""
    _check_kernels(kernel, reference)
    return (_nonzero("kernel", _norm(kernel)) / _nonzero("reference", _norm(reference))).log()


def kernel_velocity(kernels: Tensor, steps: Tensor | Sequence[float] | None = None) -> Tensor:
    """The angle between successive kernels (t, N, N) a step, in radians: arccos(<K, K'> / (||K|| ||K'||)), (t - 1,).

    ``steps`` (t,) are the step counts or times of the kernels, 0, 1, 2, ... where absent. An angle, unlike the kernel
    distance, which is quadratic in it, does not depend on how finely a path was recorded.
    """
    check_kernel("kernels", kernels)
    require(
        kernels.ndim == 3 and len(kernels) > 1, "kernels", "have shape (t, N, N), t > 1", tuple(kernels.shape)
    )
    count = len(kernels)
    grid = torch.arange(count) if steps is None else torch.as_tensor(steps)
    require_shape("steps", grid, (count,))
    elapsed = grid.to(kernels).diff()
    require((elapsed > 0).all(), "steps", "increase", steps)
    return 2 * (kernel_distance(kernels[1:], kernels[:-1]) / 2).sqrt().clamp(max=1).arcsin() / elapsed


def linearization_gap(
    outputs: Tensor, linearized_outputs: Tensor, initial: Tensor, targets: Tensor
) -> Tensor:
    """||a h(w_t) - a hbar(wbar_t)|| / ||a h(w0) - y||: against the linearised model *trained on its own*.

    ``outputs`` and ``linearized_outputs`` (..., n, c) at the same time of the two trainings, ``initial``
    a h(w0) and ``targets`` y (n, c). Not to be mixed up with :func:`taylor_gap`.
    """
    require_shape("linearized_outputs", linearized_outputs, tuple(outputs.shape))
    require_shape("targets", targets, tuple(initial.shape))
    require_shape("initial", initial, tuple(outputs.shape[-2:]))
    for name, tensor in (("outputs", outputs), ("linearized_outputs", linearized_outputs)):
        require_finite(name, tensor)
    return _norm(outputs - linearized_outputs) / _initial_error(initial, targets)


def taylor_gap(model: Model, params: Tensor, anchor: Tensor, x: Tensor, targets: Tensor) -> Tensor:
    """||f(w) - f(w0) - Df(w0)(w - w0)|| / ||f(w0) - y||: both *at the same parameters* w, a scalar tensor.

    ``model`` f is what was trained, a h with its scale; ``params`` w and ``anchor`` w0 (p,), ``x`` (n, ...),
    ``targets`` y (n, c). Not to be mixed up with :func:`linearization_gap`.
    """
    require_finite("params", params)
    with torch.no_grad():
        initial = model(anchor, x)
        require_shape("targets", targets, tuple(initial.shape))
        remainder = model(params, x) - Linearized(model, anchor)(params, x)
    return _norm(remainder) / _initial_error(initial, targets)


def activation_stability(model: Model, params: Tensor, anchor: Tensor, x: Tensor) -> Tensor:
    """Share of ReLU gates that are open at ``params`` and ``anchor`` alike or closed at both.

    Over all units and inputs x (n, ...), of every ReLU and leaky ReLU the model calls, as a module or as a
    function. 1 where every gate kept its state. Raises UnsupportedModelError for a model without any, and for a
    linearised one, whose gates are those of its anchor for ever.
    """
    while isinstance(model, Scaled | Centered):  # neither moves a gate
        model = model.model
    linear = isinstance(model, Linearized)
    require(not linear, "model", "have gates that can move", repr(model), UnsupportedModelError)
    after, before = (open_gates(model, w, x) for w in (params, anchor))
    return (after == before).to(params.dtype).mean()


@final
@dataclass(frozen=True)
class Slope:
    """A fitted exponent with its 95% confidence interval: value = exp(intercept) alpha^slope.

    Over seeds the interval is Student's of the seeds' own slopes, and ``error`` their standard error: scales of one
    seed share its scatter, and are no further evidence. Of one path alone it speaks of scatter about a straight line.
    ``local`` is the slope over the last decade of scales, to which a bent law tends; ``bending`` the p-value of a
    straight line, two-sided, from the seeds' quadratic terms (NaN for one seed). ``points`` counts the values fitted.
    """

    slope: float
    low: float
    high: float
    intercept: float
    points: int
    error: float = math.nan
    local: float = math.nan
    bending: float = math.nan

    def __str__(self) -> str:
        return f"{self.slope:.3f} [{self.low:.3f}, {self.high:.3f}]"


def log_log_slope(alphas: ArrayLike, values: ArrayLike) -> Slope:
    """Least squares of log value on log scale, seed by seed, with the 95% interval of Student's t over the seeds.

    ``alphas`` (k,) and ``values`` (k,), or (k, s) for s seeds: s - 1 degrees of freedom, or k - 2 about the line of
    one path. Raises ValueError for fewer than three distinct scales and for values that are not positive.
    """
    scales, table = _as_floats("alphas", alphas), _as_floats("values", values)
    require(scales.ndim == 1, "alphas", "have shape (k,)", scales.shape)
    require(len(np.unique(scales)) >= 3, "alphas", "hold three different scales or more", scales.tolist())
    require(
        table.ndim in (1, 2) and table.size > 0 and len(table) == len(scales),
        "values",
        f"have shape ({len(scales)},) or ({len(scales)}, seeds)",
        table.shape,
    )
    return _fit(np.log(scales), np.log(table.reshape(len(scales), -1)))


def _fit(x: NDArray[np.float64], y: NDArray[np.float64]) -> Slope:
    from scipy.special import stdtrit  # a slow import, for this alone

    slopes, seeds = _slopes(x, y), y.shape[1]
    slope = float(slopes.mean())
    if seeds > 1:
        freedom, error = seeds - 1, float(slopes.std(ddof=1)) / math.sqrt(seeds)
    else:
        centered = x - x.mean()
        residuals = y[:, 0] - y.mean() - slope * centered
        freedom = len(x) - 2
        error = math.sqrt(residuals @ residuals / freedom / (centered @ centered))
    margin = float(stdtrit(freedom, 0.975)) * error
    last = x >= x.max() - math.log(10) - 1e-9
    local = float(_slopes(x[last], y[last]).mean()) if len(np.unique(x[last])) > 1 else math.nan
    intercept = float(y.mean() - slope * x.mean())
    return Slope(slope, slope - margin, slope + margin, intercept, y.size, error, local, _bending(x, y))


def _slopes(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """The slope of each column of ``y`` (k, s) on x (k,), (s,)."""
    centered = x - x.mean()
    return np.asarray(centered @ y / (centered @ centered))


def _bending(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """The p-value of the seeds' quadratic terms having the mean 0; NaN for one seed, 1 where none has any."""
    from scipy.special import stdtr

    if y.shape[1] < 2:
        return math.nan
    terms = np.polyfit(x - x.mean(), y, 2)[0]
    spread = terms.std(ddof=1) / math.sqrt(len(terms))
    if spread <= 1e-12 * max(1.0, float(np.abs(y).max())):
        return 1.0 if np.abs(terms).max() < 1e-9 else 0.0
    return float(2 * stdtr(len(terms) - 1, -abs(terms.mean() / spread)))


def _moved(params: Tensor, anchor: Tensor) -> Tensor:
    require_shape("params", params, (*params.shape[:-1], *anchor.shape))
    require(anchor.ndim == 1 and len(anchor) > 0, "anchor", "have shape (p,)", tuple(anchor.shape))
    require_dtype("params", params, anchor, "the anchor")
    require_finite("params", params)
    require_finite("anchor", anchor)
    return params - anchor


def _check_kernels(kernel: Tensor, reference: Tensor) -> None:
    for name, tensor in (("kernel", kernel), ("reference", reference)):
        require(tensor.ndim >= 2, name, "be a dense matrix, (..., N, M)", tuple(tensor.shape))
        require_finite(name, tensor)
    require_dtype("kernel", kernel, reference, "the reference")
    require_shape("kernel", kernel, (*kernel.shape[:-2], *reference.shape[-2:]))


def _initial_error(initial: Tensor, targets: Tensor) -> Tensor:
    error = _norm(initial - targets)
    require(error > 0, "initial", "differ from the targets", "equal to them")
    return error


def _as_floats(argument: str, values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    good = np.isfinite(array) & (array > 0)
    wrong = array[~good]
    require(good.all(), argument, "be positive and finite", float(wrong[0]) if wrong.size else "")
    return array


def _nonzero(argument: str, norm: Tensor) -> Tensor:
    require((norm > 0).all(), argument, "not be zero", "zero")
    return norm


def _norm(matrix: Tensor) -> Tensor:
    return torch.linalg.matrix_norm(matrix)

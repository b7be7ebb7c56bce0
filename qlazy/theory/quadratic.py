"""Two-layer nets with quadratic activation on Gaussian data: exact population risks at finite size.

Such a net is a quadratic form f = c + <x, M x>, and with the best c its population risk under the square loss is
a quadratic function of M,

    R(M) = R0 - 2 <T, M> + <M, A M>,

with R0, T and A from Gaussian moments of the task. So least squares over a class linear in M, RF and NT, is a linear
system, solved here without a sample, and a net can be trained on R itself. The classes, the tasks and what becomes of
the risks as d grows: :mod:`qlazy.theory.regimes`.
"""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from qlazy.base.errors import NotConvergedError, refuse, require, require_dtype, require_finite, require_shape
from qlazy.kernels.spectrum import ridge_solve
from qlazy.models.model import Function
from qlazy.theory.regimes import check_symmetric


class QuadraticTask(abc.ABC):
    """A joint distribution of inputs x in R^d and targets y, known by one symmetric ``matrix`` (d, d)."""

    matrix: Tensor

    @property
    @abc.abstractmethod
    def null(self) -> float:
        """R0 = E y^2, the risk of the zero function."""

    @property
    @abc.abstractmethod
    def correlation(self) -> Tensor:
        """T (d, d): E[y <x, M x>] = <T, M> for every symmetric M."""

    @abc.abstractmethod
    def moment(self, form: Tensor) -> Tensor:
        """A M (d, d) for a symmetric M: the covariance of <x, M x> and <x, L x> is <L, A M>."""

    @abc.abstractmethod
    def gram(self, weights: Tensor) -> Tensor:
        """The covariance of the features <w_i, x>^2, (N, N), for weights (N, d)."""

    @abc.abstractmethod
    def sample(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Inputs (n, d) and targets (n, 1)."""

    @property
    def dimension(self) -> int:
        return len(self.matrix)

    def risk(self, form: Tensor) -> Tensor:
        """R(M) of c + <x, M x> with the best c, a scalar tensor; ``form`` M (d, d) counts by its symmetric part."""
        require_shape("form", form, tuple(self.matrix.shape))
        require_dtype("form", form, self.matrix, "the task's matrix")
        symmetric = (form + form.T) / 2
        return self.null + (symmetric * (self.moment(symmetric) - 2 * self.correlation)).sum()


@final
@dataclass(frozen=True, eq=False)
class QuadraticFunction(QuadraticTask):
    """qf: x ~ N(0, I) and y = <x, B x> - tr B, for ``matrix`` B (d, d)."""

    matrix: Tensor

    def __post_init__(self) -> None:
        check_symmetric("matrix", self.matrix)

    @property
    def null(self) -> float:
        return 2 * self.matrix.square().sum().item()

    @property
    def correlation(self) -> Tensor:
        return 2 * self.matrix

    def moment(self, form: Tensor) -> Tensor:
        return 2 * form

    def gram(self, weights: Tensor) -> Tensor:
        return 2 * (weights @ weights.T).square()

    def sample(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x = torch.randn(count, self.dimension, generator=generator, dtype=self.matrix.dtype)
        return x, ((x @ self.matrix) * x).sum(1, keepdim=True) - self.matrix.trace()


@final
@dataclass(frozen=True, eq=False)
class GaussianMixture(QuadraticTask):
    """mg: y = +-1 equally likely and x | y ~ N(0, I - y D), for ``matrix`` D (d, d) of operator norm below 1."""

    matrix: Tensor

    def __post_init__(self) -> None:
        check_symmetric("matrix", self.matrix)
        norm = torch.linalg.eigvalsh(self.matrix).abs().max()
        require(norm < 1, "matrix", "have eigenvalues between -1 and 1", f"of operator norm {norm:.4g}")

    @property
    def null(self) -> float:
        return 1.0

    @property
    def correlation(self) -> Tensor:
        return -self.matrix

    def moment(self, form: Tensor) -> Tensor:
        d = self.matrix
        return 2 * (form + d @ form @ d) + (d * form).sum() * d

    def gram(self, weights: Tensor) -> Tensor:
        turned = weights @ self.matrix @ weights.T
        means = turned.diagonal()
        return 2 * ((weights @ weights.T).square() + turned.square()) + torch.outer(means, means)

    def sample(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        values, vectors = torch.linalg.eigh(self.matrix)
        shape = (count, self.dimension)
        y = 2 * torch.randint(2, (count, 1), generator=generator).to(values) - 1
        x = torch.randn(shape, generator=generator, dtype=values.dtype) * (1 - y * values).sqrt()
        return x @ vectors.T, y

    def log_likelihood_ratio(self, x: Tensor) -> Tensor:
        """log p(x | y = 1) / p(x | y = -1), (n,): the posterior mean of y is tanh of half of it."""
        values, vectors = torch.linalg.eigh(self.matrix)
        squares = (x @ vectors).square()
        determinants = torch.log1p(values) - torch.log1p(-values)
        return (determinants - squares * (1 / (1 - values) - 1 / (1 + values))).sum(1) / 2


def random_features_fit(task: QuadraticTask, weights: Tensor) -> Tensor:
    """The form M (d, d) of least risk in RF: the span of w_i w_i^T for ``weights`` w (N, d), by normal equations."""
    _check_weights(task, weights)
    right = ((weights @ task.correlation) * weights).sum(1)
    outer = ridge_solve(task.gram(weights), right)
    return (weights.T * outer) @ weights


def tangent_fit(
    task: QuadraticTask, weights: Tensor, *, tolerance: float = 1e-10, max_steps: int = 200
) -> Tensor:
    """The form M (d, d) of least risk in NT: the span of w_i a^T + a w_i^T over all a, for ``weights`` w (N, d).

    These are the symmetric M with P M P = 0, P the projector on the complement of the weights' span, so that
    the N d coefficients are never formed: conjugate gradients on the normal equations within that space. It holds
    w_i w_i^T, and training the outer weights as well adds nothing. Raises NotConvergedError where ``max_steps`` do not
    bring the residual to ``tolerance``.
    """
    _check_weights(task, weights)
    complement = _complement(weights)

    def project(form: Tensor) -> Tensor:
        return form - complement @ (complement.T @ form @ complement) @ complement.T

    form = torch.zeros_like(task.matrix)
    residual = project(task.correlation)
    direction, square = residual.clone(), residual.square().sum()
    goal = (tolerance * task.correlation.norm()).square()
    for _ in range(max_steps):
        if square <= goal:
            return form
        image = project(task.moment(direction))
        step = square / (direction * image).sum()
        form, residual = form + step * direction, residual - step * image
        previous, square = square, residual.square().sum()
        direction = residual + square / previous * direction
    return refuse("tolerance", f"be reached in {max_steps} steps", f"{tolerance:g}", NotConvergedError)


def network_fit(task: QuadraticTask, units: int) -> Tensor:
    """The form M (d, d) of rank ``units`` or less, in the eigenbasis of the task's matrix, of least risk.

    For qf the best of all forms of that rank (Eckart, Young 1936), which is what NN can reach.
    """
    require(units >= 1, "units", "be positive", units)
    values, vectors = torch.linalg.eigh(task.matrix)
    largest = values.abs().argsort(descending=True)[:units]
    return random_features_fit(task, vectors[:, largest].T)


def gaussian_weights(
    units: int, dimension: int, generator: torch.Generator, gamma: Tensor | None = None
) -> Tensor:
    """Hidden weights (N, d), rows from N(0, Gamma); Gamma = I / d without ``gamma`` (d, d)."""
    require(units >= 1, "units", "be positive", units)
    require(dimension >= 1, "dimension", "be positive", dimension)
    dtype = torch.float64 if gamma is None else gamma.dtype
    normal = torch.randn(units, dimension, generator=generator, dtype=dtype)
    if gamma is None:
        return normal / math.sqrt(dimension)
    check_symmetric("gamma", gamma)
    require_shape("gamma", gamma, (dimension, dimension))
    values, vectors = torch.linalg.eigh(gamma)
    lowest = -dimension * torch.finfo(dtype).eps * values[-1]
    require(values[0] >= lowest, "gamma", "be a covariance", f"of smallest eigenvalue {values[0]:.3g}")
    return (normal * values.clamp_min(0).sqrt()) @ vectors.T


def quadratic_net(units: int, dimension: int) -> Function:
    """f(x) = c + sum_i a_i <w_i, x>^2 for x (n, d): N (d + 1) + 1 parameters in the blocks outer, hidden, offset.

    ``init`` draws w_i ~ N(0, I / d) and leaves a and c at zero, from where either sign of a_i can be learned. Where
    the target has eigenvalues of both signs, training may still leave all a_i with one: a local minimum.
    """
    form = quadratic_form(units, dimension)

    def net(params: Tensor, x: Tensor) -> Tensor:
        outer, hidden = _layers(params[:-1], units)
        return (x @ hidden.T).square() @ outer.unsqueeze(1) + params[-1]

    def init(generator: torch.Generator) -> Tensor:
        return torch.cat([form.init(generator), torch.zeros(1, dtype=torch.float64)])

    size = form.num_params
    return Function(net, size + 1, blocks={**form.blocks, "offset": slice(size, size + 1)}, init=init)


def quadratic_form(units: int, dimension: int) -> Function:
    """The form M = sum_i a_i w_i w_i^T of the same net without its offset: inputs (1, 0), outputs (1, d^2).

    To be trained on the population's risk. N (d + 1) parameters in the blocks outer and hidden.
    """
    require(units >= 1, "units", "be positive", units)
    require(dimension >= 1, "dimension", "be positive", dimension)
    size = units * (dimension + 1)

    def form(params: Tensor, x: Tensor) -> Tensor:
        outer, hidden = _layers(params, units)
        return ((hidden.T * outer) @ hidden).reshape(1, -1).expand(len(x), -1)

    def init(generator: torch.Generator) -> Tensor:
        hidden = gaussian_weights(units, dimension, generator)
        return torch.cat([hidden.new_zeros(units), hidden.flatten()])

    return Function(form, size, blocks={"outer": slice(0, units), "hidden": slice(units, size)}, init=init)


def _layers(params: Tensor, units: int) -> tuple[Tensor, Tensor]:
    return params[:units], params[units:].reshape(units, -1)


def _complement(weights: Tensor) -> Tensor:
    """An orthonormal basis (d, d - r) of what is orthogonal to every row of (N, d)."""
    _, values, rows = torch.linalg.svd(weights, full_matrices=len(weights) < weights.shape[1])
    floor = max(weights.shape) * torch.finfo(weights.dtype).eps * values[:1].sum()
    return rows[int((values > floor).sum()) :].T


def _check_weights(task: QuadraticTask, weights: Tensor) -> None:
    require(
        weights.ndim == 2 and weights.shape[1] == task.dimension and len(weights) > 0,
        "weights", f"have shape (N, {task.dimension}) with N positive", tuple(weights.shape),
    )  # fmt: skip
    require_dtype("weights", weights, task.matrix, "the task's matrix")
    require_finite("weights", weights)

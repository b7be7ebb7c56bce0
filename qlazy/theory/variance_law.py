"""Training by the variance law: the kernel of a circuit that follows its outputs, beside one that is frozen.

For an observable with two eigenvalues, low and high, a pure state has the variance v = (f - low)(high - f), 1 - f^2
for a Pauli word, and on circuits that scramble the kernel of one input stays proportional to it. The law here
is the same for several inputs and outputs, with the correlations K_ij / sqrt(K_ii K_jj) held at their start:

    K_ij(t) = K_ij(0) sqrt(v_i(t) v_j(t) / (v_i(0) v_j(0)))        dF/dt = -K(t) (F - y) / n

with F = a h, loss 1/(2n) sum ||F - y||^2. For one input it is the law of Liu et al. 2023 (arXiv 2203.16711) and Zhang
et al. 2024 (arXiv 2311.18144), exact as the layers grow. For several the correlations do move, by the overlaps of
the states; and a shallow circuit need not scramble at all: the distance from training says how far the law holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qlazy.base.errors import UnsupportedModelError, refuse, require, require_finite, require_shape
from qlazy.models.model import Model
from qlazy.models.wrappers import Centered, Scaled


def output_margins(model: Model, params: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """f - low and high - f, (n, c) each: how far the outputs at ``params`` are from the edges of their spectra.

    For circuits whose observables have two eigenvalues, and Scaled or Centered ones. Raises UnsupportedModelError for
    any other model.
    """
    match model:
        case Scaled():
            low, high = output_margins(model.model, params, x)
            return model.alpha * low, model.alpha * high
        case Centered():
            return output_margins(model.model, params, x)
    from qlazy.quantum.circuit import Circuit  # a net must not import PennyLane
    from qlazy.theory.circuit_bounds import output_edges

    if not isinstance(model, Circuit):
        refuse("model", "be a circuit, scaled or centred", repr(model), UnsupportedModelError)
    low, high = (edge.to(params) for edge in output_edges(model, x))
    with torch.no_grad():
        outputs = model(params, x)
    return (outputs - low).clamp_min(0), (high - outputs).clamp_min(0)


@final
@dataclass(frozen=True, eq=False)
class VarianceLawPath:
    """The path of F = a h by the variance law, on k inputs of which the first n are those trained on.

    ``kernel`` (k c, n c) is that of h at the anchor, ``outputs0`` F (k, c) there, ``targets`` (n, c), ``margins`` those
    of h (k, c) by :func:`output_margins`, ``alpha`` the scale a. At a large scale the outputs of h stay where they
    are, and the law is the linearised path.
    """

    kernel: Tensor
    outputs0: Tensor
    targets: Tensor
    margins: tuple[Tensor, Tensor]
    alpha: float = 1.0

    def __post_init__(self) -> None:
        require_shape("kernel", self.kernel, (self.outputs0.numel(), self.targets.numel()))
        for margin in self.margins:
            require_shape("margins", margin, tuple(self.outputs0.shape))
        require(self.alpha > 0, "alpha", "be positive", self.alpha)

    def steps(self, learning_rate: float, counts: Sequence[int]) -> Tensor:
        """F (t, k, c) after ``counts`` (t,), ascending, steps of gradient descent at ``learning_rate``."""
        require(learning_rate > 0, "learning_rate", "be positive", learning_rate)
        outputs, path, done = self.outputs0.flatten(), [], 0
        for count in counts:
            require(count >= done, "counts", "ascend from 0 or later", list(counts))
            for _ in range(count - done):
                outputs = outputs + learning_rate * self._velocity(outputs)
            done = count
            path.append(outputs)
        require_finite("path", outputs)
        return torch.stack(path).reshape(-1, *self.outputs0.shape)

    def flow(self, times: Sequence[float]) -> Tensor:
        """F (t, k, c) under gradient flow at ``times`` (t,), ascending from 0 or later, integrated to 1e-9."""
        from scipy.integrate import solve_ivp  # slow to import, and for this alone

        def velocity(_: float, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
            return self._velocity(torch.from_numpy(outputs).to(self.kernel)).double().numpy()

        grid = np.asarray(times, dtype=np.float64)
        start = self.outputs0.flatten().double().numpy()
        found = solve_ivp(
            velocity, (0.0, grid[-1]), start, method="LSODA", t_eval=grid, rtol=1e-9, atol=1e-11
        )
        require(found.success, "times", "be within reach of the solver", found.message)
        return torch.from_numpy(found.y.T.copy()).to(self.kernel).reshape(-1, *self.outputs0.shape)

    @cached_property
    def _margins(self) -> tuple[Tensor, Tensor]:
        low, high = self.margins
        return low.flatten(), high.flatten()

    @cached_property
    def _start(self) -> Tensor:
        return self._margins[0] * self._margins[1]

    @cached_property
    def _divisor(self) -> tuple[Tensor, bool]:
        """What variances are divided by, and whether any is at an edge, where the gradient of an output is zero."""
        moves = self._start > 0
        return torch.where(moves, self._start, 1), not bool(moves.all())

    @cached_property
    def _flat(self) -> tuple[Tensor, Tensor]:
        return self.outputs0.flatten(), self.targets.flatten()

    def _velocity(self, outputs: Tensor) -> Tensor:
        (low, high), (outputs0, targets), (divisor, has_edges) = self._margins, self._flat, self._divisor
        moved = (outputs - outputs0) / self.alpha
        share = ((low + moved) * (high - moved)).clamp_min(0) / divisor
        size = (torch.where(self._start > 0, share, 0) if has_edges else share).sqrt()
        trained = len(targets)
        residuals = outputs[:trained] - targets
        return -size * (self.kernel @ (size[:trained] * residuals)) / len(self.targets)

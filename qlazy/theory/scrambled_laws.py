"""Closed forms for tangent kernels of circuits, to lay over what is measured.

Conventions. Rotations are exp(-i theta P / 2), angles in radians; papers with exp(i theta P) carry a factor 4 in
every kernel. n qubits, N = 2^n, L parameters. The loss is 1/2 sum of squared errors e = f - y, and the rate is
eta: for the mean over n samples, as :func:`qlazy.train` takes it, put K/n in place of K. Scrambled circuits are
Pauli rotations between Haar-random gates (:mod:`qlazy.quantum.scrambled`).

Sources: Liu, Tacchino, Glick, Jiang, Mezzacapo 2022 (arXiv 2111.04225); Liu et al. 2023 (arXiv 2203.16711);
Zhang et al. 2024 (arXiv 2311.18144); You, Chakrabarti, Wu 2023 (arXiv 2303.14844). The light-cone family has
a module of its own, :mod:`qlazy.theory.light_cone`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from qlazy.base.errors import require, require_dtype, require_shape
from qlazy.kernels.spectrum import check_kernel, eigenvalues, rank_cutoff, ridge_solve


def mean_kernel(layers: int, qubits: int, variance: float = 1.0) -> float:
    """Mean over scrambled circuits of K = ||grad f||^2 for one input.

    L (N tr O^2 - (tr O)^2) / (2 (N - 1) (N + 1)^2) = L N^2 v / (2 (N - 1) (N + 1)^2), where ``variance`` v is
    tr O^2 / N - (tr O / N)^2 of the observable: 1 for a Pauli word, sum c^2 for a sum of distinct ones. Any
    number of qubits.
    """
    _check_size(layers, qubits)
    require(variance >= 0, "variance", "not be negative", variance)
    small = 2.0**-qubits
    return layers * variance * small / (2 * (1 - small) * (1 + small) ** 2)


def kernel_fluctuation(layers: int, qubits: int) -> float:
    """Relative standard deviation of K over scrambled circuits, one input and a Pauli word. Exact.

    With r = 2 / (N (N + 3)), the relative variance of 1 - f^2 over Haar states, and the kurtosis
    k = 3 (1 - 1/N) (1 + r) of one derivative, it is sqrt((1 + r) (1 + (k - 1) / L) - 1). That is about
    sqrt(2/L + 2/N^2), and the sqrt(2/L) of the literature only while L << N^2.
    """
    _check_size(layers, qubits)
    small = 2.0**-qubits
    r = 2 * small**2 / (1 + 3 * small)
    kurtosis = 3 * (1 - small) * (1 + r)
    return math.sqrt(r + (1 + r) * (kurtosis - 1) / layers)


def frozen_error(
    kernel: Tensor, error0: Tensor, learning_rate: float, steps: Tensor | Sequence[int]
) -> Tensor:
    """(1 - eta K)^t e(0), (t, N): errors after ``steps`` (t,) of gradient descent, were the kernel frozen.

    ``kernel`` (N, N), ``error0`` (N,). Gradient flow and the mean loss: :class:`qlazy.LinearizedPath`.
    """
    factors, modes, vectors = _modes(kernel, error0, learning_rate, steps)
    return (factors * modes) @ vectors.T


def noisy_loss(
    kernel: Tensor, error0: Tensor, learning_rate: float, noise: float, steps: Tensor | Sequence[int]
) -> Tensor:
    """Mean loss 1/2 E||e||^2 after ``steps`` (t,) where every step adds N(0, ``noise``^2) to every parameter.

    Mode by mode E e^2 goes to (1 - eta lambda)^2 E e^2 + lambda s^2. Returns (t,).
    """
    factors, modes, _ = _modes(kernel, error0, learning_rate, steps)
    values = _rates(kernel, learning_rate)
    remaining = factors.square()
    kept = learning_rate * (2 - learning_rate * values)  # 1 - (1 - eta lambda)^2 is lambda times this
    return (remaining * modes.square() + (1 - remaining) * noise**2 / kept).sum(1) / 2


def noise_plateau(kernel: Tensor, learning_rate: float, noise: float) -> Tensor:
    """Where :func:`noisy_loss` ends: the sum over nonzero eigenvalues of s^2 / (2 eta (2 - eta lambda)).

    Modes of eigenvalue zero keep the error they have, which is not counted.
    """
    values = eigenvalues(kernel)
    values = values[values > rank_cutoff(values)]
    require((learning_rate * values < 2).all(), "learning_rate", "be below 2 / lambda_max", learning_rate)
    return (noise**2 / (2 * learning_rate * (2 - learning_rate * values))).sum()


def frozen_drift(kernel: Tensor, error0: Tensor) -> Tensor:
    """||w - w0|| = sqrt(e0^T K^-1 e0) at the end of training with a frozen kernel; e0 (N,), a scalar tensor.

    One sample: |e0| / sqrt(K), which falls as L^-1/2. Least norm where K is singular.
    """
    return (error0 @ ridge_solve(kernel, error0)).clamp_min(0).sqrt()


def scrambled_kernel(states: Tensor, observable: Tensor, layers: int) -> Tensor:
    """Mean tangent kernel (n, n) of scrambled layers *given* the final states (n, N), complex.

    K_ij = L N / (4 (N^2 - 1)) tr(A_i A_j) with A_i = i [O, rho_i] and ``observable`` O (N, N). Along training
    too, as long as the layers keep scrambling.
    """
    dimension = states.shape[1]
    require_shape("observable", observable, (dimension, dimension))
    moved = states @ observable.T  # O psi_i
    overlap, element = states.conj() @ states.T, states.conj() @ moved.T
    square = moved.conj() @ moved.T
    # tr(A_i A_j) = 2 Re(<i|j> <j|O^2|i>) - 2 |<i|O|j>|^2
    trace = 2 * (overlap * square.conj()).real - 2 * element.abs().square()
    return layers * dimension / (4 * (dimension**2 - 1)) * trace


def scrambled_kernel_at(outputs: Tensor, layers: int, qubits: int) -> Tensor:
    """Mean K of one input given its output f, for a Pauli word: L N (1 - f^2) / (2 (N^2 - 1)), as ``outputs``."""
    _check_size(layers, qubits)
    small = 2.0**-qubits
    return layers * small / (2 * (1 - small**2)) * (1 - outputs.square())


def relative_dqntk(outputs: Tensor) -> Tensor:
    """mu / K^2 = -f / (1 - f^2) for a Pauli word on scrambled layers, as ``outputs`` f.

    From dK/dt = -2 eta e mu and the variance law; mu = g^T H g is :func:`qlazy.theory.curvature.dqntk`. What "relative"
    is to differs between authors: mu / K is this times K; e mu / K^2 with the error e = f - y is half the exponent
    d log K / d log e of one sample under the flow, which de/dt = -eta K e gives with the first formula.
    """
    return -outputs / (1 - outputs.square())


def variance_law(output0: float, target: float, kernel0: float, times: Tensor | Sequence[float]) -> Tensor:
    """The output f (t,) of a Pauli word on one input under gradient flow: K follows 1 - f^2, it is not frozen.

    df/dt = -K0 (1 - f^2) / (1 - f0^2) (f - y), integrated to 1e-10. ``times`` are eta times the step, ascending
    from 0 or later. The target may be outside [-1, 1]: f then stops at the edge, with the error frozen.
    """
    from scipy.integrate import solve_ivp  # slow to import, and for this alone

    require(-1 < output0 < 1, "output0", "lie strictly between -1 and 1", output0)
    require(kernel0 >= 0, "kernel0", "not be negative", kernel0)
    grid = torch.as_tensor(times, dtype=torch.float64)
    require(grid.ndim == 1 and len(grid) > 0, "times", "be a list of numbers", tuple(grid.shape))
    require(grid[0] >= 0 and (grid.diff() >= 0).all(), "times", "ascend from 0 or later", times)
    factor = kernel0 / (1 - output0**2)
    solution = solve_ivp(
        lambda _, f: -factor * (1 - f**2) * (f - target), (0.0, float(grid[-1])), [output0],
        method="LSODA", t_eval=grid.numpy(), rtol=1e-11, atol=1e-13,
    )  # fmt: skip
    return torch.from_numpy(solution.y[0])


def settled_kernel(output0: float, target: float) -> float:
    """K(infinity) / K(0) by the variance law: (1 - y^2) / (1 - f0^2) inside the spectrum, 0 at its edge or beyond.

    The three dynamics: frozen kernel (|y| < 1), critical (|y| = 1), frozen error (|y| > 1).
    """
    require(-1 < output0 < 1, "output0", "lie strictly between -1 and 1", output0)
    return max(0.0, 1 - target**2) / (1 - output0**2)


def settled_error(target: float) -> float:
    """f(infinity) - y by the variance law: 0 inside the spectrum, what is left beyond its edge."""
    return max(-1.0, min(1.0, target)) - target


def shot_bias(plus: Tensor, minus: Tensor, shots: int) -> Tensor:
    """E[Khat_ii] - K_ii of a parameter-shift kernel from one batch of ``shots`` a circuit, for Pauli words.

    sum_l (Var+ + Var-) / (4 S) with Var = 1 - f^2 at the outputs ``plus`` and ``minus`` (..., L), shifted by
    +-pi/2: about L / (2 S). The product of two independent batches has none, nor has an entry i != j.
    """
    require(shots >= 1, "shots", "be positive", shots)
    require_shape("minus", minus, tuple(plus.shape))
    return (2 - plus.square() - minus.square()).sum(-1) / (4 * shots)


def orbit_dimension(qubits: int) -> int:
    """N^2 / 2: how many parameters of a circuit its function U^+ P U, P a Pauli word, can tell apart.

    The dimension of the orbit of P under U(N), an upper bound on the rank of the Jacobian whatever the number
    of samples (Larocca et al. 2023, arXiv 2109.11676).
    """
    require(qubits >= 1, "qubits", "be positive", qubits)
    return 4**qubits // 2


def _check_size(layers: int, qubits: int) -> None:
    require(layers >= 1, "layers", "be positive", layers)
    require(qubits >= 1, "qubits", "be positive", qubits)


def _rates(kernel: Tensor, learning_rate: float) -> Tensor:
    check_kernel("kernel", kernel)
    require(math.isfinite(learning_rate) and learning_rate > 0, "learning_rate", "be positive", learning_rate)
    return torch.linalg.eigvalsh(kernel)


def _modes(
    kernel: Tensor, error0: Tensor, learning_rate: float, steps: Tensor | Sequence[int]
) -> tuple[Tensor, Tensor, Tensor]:
    """(1 - eta lambda)^t (t, N), the error in eigenvectors (N,), and these (N, N)."""
    values = _rates(kernel, learning_rate)
    require_shape("error0", error0, (len(kernel),))
    require_dtype("error0", error0, kernel, "the kernel")
    counts = torch.as_tensor(steps, dtype=kernel.dtype)
    require(counts.ndim == 1 and (counts >= 0).all(), "steps", "be a list of step counts", steps)
    vectors = torch.linalg.eigh(kernel).eigenvectors
    return (1 - learning_rate * values) ** counts.unsqueeze(1), vectors.T @ error0, vectors

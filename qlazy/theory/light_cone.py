"""The light-cone circuits of any number of qubits in closed form: an exact oracle of wide circuits.

RY(x_k) on every qubit, then twice a layer of RX and a ring of CZ; f = m^-1/2 sum_k <Z_k> over m >= 3 qubits:

    <Z_k> = cos x_k cos a_k cos b_k
            - cos x_{k-1} cos x_k cos x_{k+1} cos a_{k-1} cos a_{k+1} sin a_k sin b_k

Each Z sees three qubits, so the kernel freezes as m grows. The same circuit to be simulated is
``qlazy.load_circuit("light_cone", n=m)``. Abedi, Beigi, Taghavi 2023 (arXiv 2202.08232); Gaussian outputs: Girardi,
De Palma 2024 (arXiv 2402.08726). Half angles, radians.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from qlazy.base.errors import require, require_shape
from qlazy.models.model import Function


def light_cone(qubits: int, power: float = 0.5) -> Function:
    """f = m^-power sum_k <Z_k> as a model of 2 m parameters, blocks a and b, and inputs (n, m).

    ``power`` 1/2 is the lazy scaling; 1, the mean, is the control that is not. ``init`` draws angles uniformly
    from [0, 2 pi).
    """
    require(qubits >= 3, "qubits", "be at least 3", qubits)

    def outputs(params: Tensor, x: Tensor) -> Tensor:
        require_shape("x", x, (len(x), qubits))
        a, b = params.split(qubits)
        return local_outputs(a, b, x).sum(1, keepdim=True) * qubits**-power

    return Function(
        outputs,
        2 * qubits,
        blocks={"a": slice(0, qubits), "b": slice(qubits, 2 * qubits)},
        init=lambda generator: 2 * math.pi * torch.rand(2 * qubits, generator=generator, dtype=torch.float64),
    )


def local_outputs(a: Tensor, b: Tensor, x: Tensor) -> Tensor:
    """<Z_k> of every qubit, (n, m), for angles (m,) and inputs (n, m)."""
    cosines = torch.cos(x)
    near = cosines * torch.cos(a) * torch.cos(b)
    reach = _around(cosines) * _neighbors(torch.cos(a)) * torch.sin(a) * torch.sin(b)
    return near - reach


def mean_kernel(x: Tensor, y: Tensor | None = None) -> Tensor:
    """The mean tangent kernel (n, k) over uniform angles, at inputs (n, m) and (k, m), with power 1/2.

    1/(4 m) sum_k [2 p_k + p_{k-1} p_k p_{k+1}], p_k = cos x_k cos x'_k.
    """
    return _pair_sum(x, y, 2.0, 1.0) / (4 * x.shape[1])


def covariance(x: Tensor, y: Tensor | None = None) -> Tensor:
    """The covariance (n, k) of the outputs over uniform angles, whose mean is zero, with power 1/2.

    1/(16 m) sum_k [4 p_k + p_{k-1} p_k p_{k+1}], p_k = cos x_k cos x'_k. Outputs are Gaussian for large m.
    """
    return _pair_sum(x, y, 4.0, 1.0) / (16 * x.shape[1])


def _pair_sum(x: Tensor, y: Tensor | None, single: float, triple: float) -> Tensor:
    require(x.ndim == 2 and x.shape[1] >= 3, "x", "have shape (n, m) with m at least 3", tuple(x.shape))
    other = x if y is None else y
    require_shape("y", other, (len(other), x.shape[1]))
    # sums over k of products of functions of x and of y: two matrix products, whatever m
    first, second = torch.cos(x), torch.cos(other)
    return single * first @ second.T + triple * _around(first) @ _around(second).T


def _around(values: Tensor) -> Tensor:
    return values * _neighbors(values)


def _neighbors(values: Tensor) -> Tensor:
    return values.roll(1, -1) * values.roll(-1, -1)

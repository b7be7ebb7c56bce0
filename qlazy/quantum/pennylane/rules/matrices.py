"""A one-qubit matrix of formulas as rotations, free of the singular points of Euler angles.

The angles hold its value only. What it changes by is in three more rotations, about X, Y and Z, whose angles are zero
and have the right derivatives: a_k = Re i tr(P_k U U0^+) with U0 the value of U, which agrees with the logarithm of
U U0^+ to second order, and with terms for the order of the three.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from qlazy.base.errors import require
from qlazy.base.torch_private import is_transformed
from qlazy.quantum.pennylane.symbolic.blocks import entries
from qlazy.quantum.program.expression import Expression, Stopped
from qlazy.simulator.operations import PauliRotation

TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-4}


def one_qubit(matrix: Any, wire: int) -> Iterator[tuple[PauliRotation, Expression]]:
    """Rotations that make a unitary (2, 2) of formulas, up to its phase."""
    parts = torch.view_as_real(matrix.to(torch.complex128)).reshape(-1)
    angles: list[Expression] = list(entries("QubitUnitary", _angles, list(parts), 6))
    angles[:3] = map(Stopped, angles[:3])
    for letter, angle in zip("ZYZXYZ", angles, strict=True):
        yield PauliRotation(letter, (wire,)), angle


def _angles(numbers: Tensor) -> Tensor:
    """Euler angles (..., 3) of values, and angles (..., 3) of changes, of matrices (..., 8)."""
    parts = numbers.unflatten(-1, (2, 2, 2))
    matrix = torch.complex(parts[..., 0], parts[..., 1])
    unit = torch.eye(2, dtype=matrix.dtype, device=matrix.device)
    defect = (matrix @ matrix.mH - unit).abs().amax((-2, -1))
    fits = defect <= TOLERANCES[numbers.dtype]
    if not is_transformed(numbers):
        worst = float(defect.detach().max()) if defect.numel() else 0.0
        require(bool(fits.all()), "params", "make the matrix of QubitUnitary unitary", f"off by {worst:.2g}")
    value = matrix.detach()
    a, b, c, d = value.flatten(-2).unbind(-1)
    theta = 2 * torch.atan2(c.abs(), a.abs())
    phi = (c * a.conj()).angle()
    omega = torch.where(a.abs() > c.abs(), (d * a.conj()).angle() - phi, phi - (-c * b.conj()).angle())
    change = matrix @ value.mH
    x = -(change[..., 0, 1] + change[..., 1, 0]).imag
    y = (change[..., 1, 0] - change[..., 0, 1]).real
    z = (change[..., 1, 1] - change[..., 0, 0]).imag
    changes = (x + y * z / 2, y - x * z / 2, z + x * y / 2)
    return torch.where(fits[..., None], torch.stack([omega, theta, phi, *changes], -1), torch.nan)

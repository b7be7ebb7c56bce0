"""The base gates as torch matrices: every gate of a program is one of these, with controls in front.

Half-angle convention: rx(t) = exp(-i t X/2), likewise ry and rz; p(t) = diag(1, e^{it}); gphase(t) = e^{it}.
Angles are in radians and of any shape (...); the matrices have shape (..., d, d), the complex dtype that
belongs to the angles' dtype and their device. On several wires the first wire is the most significant bit of
the index.

Source: OpenQASM 3 specification, "Gates" and the standard gate library (Cross et al. 2022, arXiv 2104.14722).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from qlazy.base.errors import require


def _matrix(real: list[list[Tensor]], imaginary: list[list[Tensor]]) -> Tensor:
    def stack(rows: list[list[Tensor]]) -> Tensor:
        return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)

    return torch.complex(stack(real), stack(imaginary))


def rx(theta: Tensor) -> Tensor:
    c, s, o = torch.cos(theta / 2), torch.sin(theta / 2), torch.zeros_like(theta)
    return _matrix([[c, o], [o, c]], [[o, -s], [-s, o]])


def ry(theta: Tensor) -> Tensor:
    c, s, o = torch.cos(theta / 2), torch.sin(theta / 2), torch.zeros_like(theta)
    return _matrix([[c, -s], [s, c]], [[o, o], [o, o]])


def rz(theta: Tensor) -> Tensor:
    c, s, o = torch.cos(theta / 2), torch.sin(theta / 2), torch.zeros_like(theta)
    return _matrix([[c, o], [o, c]], [[-s, o], [o, s]])


def p(theta: Tensor) -> Tensor:
    o = torch.zeros_like(theta)
    return _matrix([[torch.ones_like(theta), o], [o, torch.cos(theta)]], [[o, o], [o, torch.sin(theta)]])


def gphase(theta: Tensor) -> Tensor:
    """A phase on no wire at all: shape (..., 1, 1)."""
    return _matrix([[torch.cos(theta)]], [[torch.sin(theta)]])


def U(theta: Tensor, phi: Tensor, lam: Tensor) -> Tensor:
    """U(t, f, l) = e^{i(t+f+l)/2} rz(f) ry(t) rz(l), the phase being that of OpenQASM 3."""
    return gphase((theta + phi + lam) / 2) * (rz(phi) @ ry(theta) @ rz(lam))


_R = 2**-0.5

FIXED: dict[str, list[list[complex]]] = {
    "id": [[1, 0], [0, 1]],
    "x": [[0, 1], [1, 0]],
    "y": [[0, -1j], [1j, 0]],
    "z": [[1, 0], [0, -1]],
    "h": [[_R, _R], [_R, -_R]],
    "s": [[1, 0], [0, 1j]],
    "sdg": [[1, 0], [0, -1j]],
    "t": [[1, 0], [0, complex(_R, _R)]],
    "tdg": [[1, 0], [0, complex(_R, -_R)]],
    "sx": [[0.5 + 0.5j, 0.5 - 0.5j], [0.5 - 0.5j, 0.5 + 0.5j]],
    "sxdg": [[0.5 - 0.5j, 0.5 + 0.5j], [0.5 + 0.5j, 0.5 - 0.5j]],
    "swap": [[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]],
}


@dataclass(frozen=True)
class Signature:
    """How many angles a base gate takes and on how many wires it acts, controls aside."""

    num_angles: int
    num_wires: int


SIGNATURES: dict[str, Signature] = {
    **{name: Signature(0, 2 if name == "swap" else 1) for name in FIXED},
    **{name: Signature(1, 1) for name in ("rx", "ry", "rz", "p")},
    "gphase": Signature(1, 0),
    "U": Signature(3, 1),
}

_PARAMETRIZED: dict[str, Callable[..., Tensor]] = {
    "rx": rx,
    "ry": ry,
    "rz": rz,
    "p": p,
    "gphase": gphase,
    "U": U,
}


def fixed(name: str, dtype: torch.dtype = torch.complex128, device: torch.device | str = "cpu") -> Tensor:
    """The matrix of a gate without angles, shape (2, 2), or (4, 4) for swap."""
    require(name in FIXED, "name", f"be one of {', '.join(FIXED)}", name)
    return torch.tensor(FIXED[name], dtype=dtype, device=device)


def matrix(name: str, *angles: Tensor) -> Tensor:
    """The matrix of a base gate for angles of any one shape (...): shape (..., d, d).

    Gates of one kind are built in one call by stacking their angles. Raises ValueError for an unknown gate
    and for a wrong number of angles.
    """
    require(name in SIGNATURES, "name", f"be one of {', '.join(SIGNATURES)}", name)
    expected = SIGNATURES[name].num_angles
    require(len(angles) == expected, f"angles of {name}", f"be {expected} in number", len(angles))
    return _PARAMETRIZED[name](*angles) if angles else fixed(name)

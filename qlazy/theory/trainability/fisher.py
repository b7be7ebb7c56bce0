"""Quantum Fisher information: how far states move with the parameters, and how many directions they can take.

    F_ij = 4 Re(<d_i psi | d_j psi> - <d_i psi | psi> <psi | d_j psi>)

which is four times the Fubini-Study metric, PennyLane's ``metric_tensor`` (Meyer 2021, arXiv 2103.15191). Its
rank at random angles counts directions in which the state can move: at most 2 (2^n - 1), and at most the dimension of
the dynamical Lie algebra (Larocca et al. 2023, arXiv 2109.11676). Its spectrum is over radians^-2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from qlazy.base.errors import (
    KernelTooLargeError,
    generator_of,
    require,
    require_finite,
    require_tensor,
    whole_of,
)
from qlazy.base.tables import Table
from qlazy.quantum.circuit import Circuit
from qlazy.theory.trainability.draws import by_rows, checked, draw

AMPLITUDES = 2**25
"""Of all tangent kets together, sixteen bytes each."""

CUTOFF = 1e-9
"""Singular values of the tangent kets, relative to the largest, that count as zero."""


@final
@dataclass(frozen=True, eq=False, repr=False)
class FisherSpectrum:
    """Ranks (s,) and eigenvalues (s, p), descending, of the quantum Fisher information at s random angles."""

    ranks: tuple[int, ...]
    eigenvalues: Tensor
    qubits: int

    @property
    def rank(self) -> int:
        """The largest rank seen, that of almost all angles."""
        return max(self.ranks)

    @property
    def num_params(self) -> int:
        return self.eigenvalues.shape[1]

    @property
    def most(self) -> int:
        """The largest rank that there can be: of parameters, and of directions of a pure state."""
        return min(self.num_params, 2 * (2**self.qubits - 1))

    def table(self) -> Table:
        """Rank, largest and least eigenvalue, draw by draw."""
        rows = [
            (str(k), str(rank), f"{values[0]:.3g}", f"{values[max(0, rank - 1)]:.3g}")
            for k, (rank, values) in enumerate(zip(self.ranks, self.eigenvalues.tolist(), strict=True))
        ]
        return Table("", ("draw", "rank", "largest eigenvalue", "least above zero"), tuple(rows))

    def __repr__(self) -> str:
        return f"FisherSpectrum(rank {self.rank} of {self.num_params} parameters, {self.qubits} qubits)"


def quantum_fisher_information(circuit: Circuit, params: Tensor, x: Tensor) -> Tensor:
    """The quantum Fisher information (p, p) of the state at ``params`` (p,) and one input x (1, d), per radian^2.

    Float64, whole: with off-diagonal blocks. Raises UnsupportedModelError for a circuit that measures on its way, or
    of more than 24 wires, and KernelTooLargeError where parameters times 2^n amplitudes do not fit.
    """
    x = checked(circuit, x)
    require_tensor("params", params)
    require_finite("params", params)
    must = f"have shape ({circuit.num_params},)"
    require(tuple(params.shape) == (circuit.num_params,), "params", must, tuple(params.shape))
    require(len(x) == 1, "x", "be one input, (1, d)", tuple(x.shape))
    kets = _moved(circuit, params.detach().to("cpu", torch.float64), x)
    return 4 * (kets @ kets.T)


def fisher_spectrum(circuit: Circuit, x: Tensor, *, samples: int = 8, seed: int = 0) -> FisherSpectrum:
    """Ranks and spectra at ``samples`` draws of uniform angles, each at a row of x (m, d) in turn.

    Raises as :func:`quantum_fisher_information`.
    """
    x = checked(circuit, x)
    samples = whole_of("samples", samples, 1)
    draws = draw(circuit, x, samples, generator_of(seed))
    found = [_singular_values(_moved(circuit, w, row.unsqueeze(0))) for w, row in zip(*draws, strict=True)]
    ranks = tuple(int((values > CUTOFF * max(1e-12, float(values[0]))).sum()) for values in found)
    return FisherSpectrum(ranks, 4 * torch.stack(found).square(), by_rows(circuit, x).num_wires)


def _singular_values(kets: Tensor) -> Tensor:
    """(p,), zero where there are more parameters than directions."""
    values = torch.linalg.svdvals(kets)
    return torch.nn.functional.pad(values, (0, len(kets) - len(values)))


def _moved(circuit: Circuit, params: Tensor, x: Tensor) -> Tensor:
    """Derivatives of the ket less their part along it, (p, 2 N): real parts, then imaginary ones."""
    rows = by_rows(circuit, x)
    size = max(rows.num_angles, circuit.num_params) * 2**rows.num_wires
    must = f"have at most {AMPLITUDES:,} amplitudes in all its tangent kets ({AMPLITUDES * 16 // 2**20} MiB)"
    actual = (
        f"one of {circuit.num_params} parameters on {rows.num_wires} qubits, {float(size):.2g} amplitudes"
    )
    require(size <= AMPLITUDES, "circuit", must, actual, KernelTooLargeError)
    ket, moved = rows.tangents(rows.rows(params.unsqueeze(0), x)[0])
    moved = moved - (moved @ ket.conj()).unsqueeze(1) * ket
    return torch.view_as_real(moved.resolve_conj()).flatten(1)

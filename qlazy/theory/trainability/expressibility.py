"""Expressibility: how far states at random angles are from Haar-random ones (Sim, Johnson, Aspuru-Guzik 2019).

The fidelity F = |<psi|psi'>|^2 of two states at independent uniform angles is put in 75 bins of [0, 1] and compared
with that of Haar-random states of N = 2^n amplitudes, P(F) = (N - 1) (1 - F)^(N - 2), by the divergence of Kullback and
Leibler

    D = sum_b p_b ln(p_b / q_b),    q_b = (1 - F_b)^(N - 1) - (1 - F_(b+1))^(N - 1)

in nats (arXiv 1905.10876). Haar-random states themselves have D > 0 from sampling alone, about (bins - 1) / (2 pairs)
where every bin is filled: its mean is told as ``floor``. From n = 9 on nearly all of Haar's mass lies in the first bin,
and D says little.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qlazy.base.errors import generator_of, require, whole_of
from qlazy.quantum.circuit import Circuit
from qlazy.theory.trainability.draws import by_rows, checked, draw

BINS = 75
AMPLITUDES = 2**22  # of the states held at once
RESAMPLES = 200  # of the bootstrap


@final
@dataclass(frozen=True, eq=False, repr=False)
class Expressibility:
    """D of ``pairs`` fidelities, its standard error by bootstrap, and the histogram (bins,) of counts."""

    divergence: float
    error: float
    counts: NDArray[np.int64]
    qubits: int

    @property
    def pairs(self) -> int:
        return int(self.counts.sum())

    @property
    def haar(self) -> NDArray[np.float64]:
        """The share of Haar-random pairs in each bin."""
        return np.exp(log_haar_masses(2**self.qubits, len(self.counts)))

    @cached_property
    def floor(self) -> float:
        """The mean D of as many pairs of Haar-random states: each bin's count k is binomial of (pairs, q_b)."""
        from scipy.special import gammaln, xlogy  # slow imports, for this alone

        pairs, masses = self.pairs, self.haar[:, None]
        k = np.arange(1, pairs + 1)[None]
        ways = gammaln(pairs + 1) - gammaln(k + 1) - gammaln(pairs - k + 1)
        chances = np.exp(ways + xlogy(k, masses) + xlogy(pairs - k, 1 - masses))
        logs = log_haar_masses(2**self.qubits, len(self.counts))[:, None]
        return float((chances * k / pairs * (np.log(k / pairs) - logs)).sum())

    def __repr__(self) -> str:
        return f"Expressibility({self.divergence:.3g} ± {self.error:.1g} nats, {self.pairs:,} pairs)"


def expressibility(
    circuit: Circuit, x: Tensor, *, samples: int = 2000, bins: int = BINS, seed: int = 0
) -> Expressibility:
    """D of ``samples`` pairs of states at uniform angles, both of a pair at one row of x (m, d), the rows in turn.

    Raises UnsupportedModelError for a circuit that measures on its way, or of more than 24 wires.
    """
    x = checked(circuit, x)
    samples, bins = (
        whole_of("samples", samples, 2, "be at least 2"),
        whole_of("bins", bins, 2, "be at least 2"),
    )
    generator = generator_of(seed)
    rows = by_rows(circuit, x)
    pairs = [rows.rows(*draw(circuit, x, samples, generator)) for _ in range(2)]
    size = max(1, AMPLITUDES >> rows.num_wires)
    found = [
        (rows.states(one).conj() * rows.states(other)).sum(1).abs().square()
        for one, other in zip(*(rows_of.split(size) for rows_of in pairs), strict=True)
    ]
    return from_fidelities(torch.cat(found).numpy(), rows.num_wires, bins=bins, seed=seed)


def from_fidelities(
    fidelities: NDArray[np.float64], qubits: int, *, bins: int = BINS, seed: int = 0
) -> Expressibility:
    """D of fidelities (m,) of states of ``qubits`` qubits, however they were had; the error by 200 resamplings."""
    fidelities = np.asarray(fidelities, np.float64)
    require(
        fidelities.ndim == 1 and len(fidelities) > 1, "fidelities", "have shape (m,), m > 1", fidelities.shape
    )
    inside = (fidelities >= -1e-9).all() and (fidelities <= 1 + 1e-9).all()
    require(inside, "fidelities", "lie from 0 to 1", (fidelities.min(), fidelities.max()))
    qubits = whole_of("qubits", qubits, 1)
    counts, _ = np.histogram(fidelities.clip(0, 1), bins, (0, 1))
    logs = log_haar_masses(2**qubits, bins)
    chance = np.random.default_rng(abs(int(seed)))
    resampled = chance.multinomial(len(fidelities), counts / counts.sum(), RESAMPLES)
    spread = np.std([_divergence(one, logs) for one in resampled], ddof=1)
    return Expressibility(_divergence(counts, logs), float(spread), counts, qubits)


def log_haar_masses(dimension: int, bins: int = BINS) -> NDArray[np.float64]:
    """ln q_b (bins,) of Haar-random states of N = ``dimension`` amplitudes; they never underflow."""
    edges = np.arange(bins + 1) / bins
    low, high = np.log1p(-edges[:-1]), np.concatenate([np.log1p(-edges[1:-1]), [-np.inf]])
    return np.asarray((dimension - 1) * low + np.log(-np.expm1((dimension - 1) * (high - low))))


def _divergence(counts: NDArray[np.int64], logs: NDArray[np.float64]) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float((shares * (np.log(shares) - logs[counts > 0])).sum())

"""bloqade-ppvm: gates on its PauliSum in reverse order, truncated after each by default, as qlazy does it."""

from __future__ import annotations

import numpy as np
from ppvm import PauliSum

from qlazy.bench.peers import Compute, Ways
from qlazy.bench.peers.words import Left, codes, native
from qlazy.bench.workloads import Array, PropagationWorkload

__all__ = ["native", "ways"]


def ways(workload: PropagationWorkload, dtype: str, threads: int) -> Ways:
    return {"PauliSum": lambda: _propagation(workload)}


def _propagation(workload: PropagationWorkload) -> Compute:
    terms = [f"Z{wire}" for wire in range(workload.wires)]
    gates = [(f"r{word.lower()}", wires) for word, wires in workload.gates]

    def compute(params: Array, x: Array) -> Left:
        words = PauliSum.new(workload.wires, terms, min_abs_coeff=workload.cutoff)
        for (name, wires), angle in zip(reversed(gates), params[::-1].tolist(), strict=True):
            getattr(words, name)(*wires, theta=angle)
        return Left(words.overlap_with_zero(), 0.0, x, lambda: _read(words))

    return compute


def _read(words: PauliSum) -> tuple[Array, Array]:
    found = words.terms
    return codes(word for word, _ in found), np.array([coefficient for _, coefficient in found])

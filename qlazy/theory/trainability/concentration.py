"""Kernel concentration: do kernel entries of different inputs still differ, and what do shots make of them?

Where the spread of the entries over inputs vanishes with n, all entries look alike at any affordable number of shots
(Thanasilp, Wang, Cerezo, Holmes 2024, arXiv 2208.11060, of fidelity kernels). Spreads are standard deviations over
pairs of different inputs at one draw of angles, as root mean squares over draws; their errors are over draws, and over
inputs by the jackknife. The shots are those at which the
standard error of an entry is its spread:

    fidelity kernel, S shots an entry            m (1 - m) / S = spread^2          m the mean entry
    tangent kernel, S shots a circuit            s^2 d / S = spread^2              d the mean diagonal

The second is to first order, for derivatives from two circuits each whose single shots have a standard deviation of
s at most: the largest sum of an observable's coefficients, 1 for a Pauli word. A plan for one kernel as it is comes
from :mod:`qlazy.kernels.allocation`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from qlazy.base.errors import UnsupportedModelError, generator_of, require, whole_of
from qlazy.quantum.backends.lowered import Lowering
from qlazy.quantum.circuit import Circuit
from qlazy.quantum.torch_engine.rows import RowCircuit
from qlazy.simulator.paulis.words import words_of
from qlazy.theory.trainability.draws import checked, draw
from qlazy.theory.trainability.gradients import Measured

AMPLITUDES = 2**26


@final
@dataclass(frozen=True)
class Concentration:
    """One kernel over m inputs: the mean off the diagonal, on it, and the spread, each over draws of angles.

    ``shots`` is per circuit for the tangent kernel, per entry for the fidelity kernel; infinite where nothing spreads.
    """

    kernel: str
    mean: Measured
    diagonal: float
    spread: Measured
    shots: float
    inputs: int
    qubits: int


def tangent_concentration(circuit: Circuit, x: Tensor, *, samples: int = 20, seed: int = 0) -> Concentration:
    """Of the tangent kernel, traced over outputs, at ``samples`` draws of uniform angles and inputs x (m, d), m > 2.

    Outputs per radian, squared. Raises UnsupportedModelError where observables are no sums of Pauli words.
    """
    x = _inputs(circuit, x)
    params = draw(circuit, x, whole_of("samples", samples, 2, "be at least 2"), generator_of(seed)).params
    kernels = torch.stack([torch.einsum("iaja->ij", circuit.gram(w, x)) for w in params]).detach()
    lowering = circuit.lowering(x)
    found = _measured("tangent", kernels, lowering.num_wires)
    words = words_of(lowering.num_wires, lowering.observables)
    named = words.letters.any(1)
    sizes = torch.zeros(words.num_outputs, dtype=torch.float64)
    sizes.index_add_(
        0, torch.from_numpy(words.outputs[named]), torch.from_numpy(abs(words.coefficients[named]))
    )
    noise = float(sizes.max()) ** 2 * found.diagonal
    return Concentration(**{**found.__dict__, "shots": _shots(noise, found.spread.value)})


def fidelity_concentration(circuit: Circuit, x: Tensor, *, samples: int = 20, seed: int = 0) -> Concentration:
    """Of |<psi(x)|psi(x')>|^2 at ``samples`` draws of uniform angles, inputs x (m, d), m > 2.

    Where data comes before weights it is the kernel of the encoding alone, the same at all angles: one draw. Raises
    UnsupportedModelError for a circuit that measures on its way, or of more than 24 wires.
    """
    x = _inputs(circuit, x)
    params = draw(circuit, x, whole_of("samples", samples, 2, "be at least 2"), generator_of(seed)).params
    circuit.check(params[0], x)
    lowering = up_to_data(circuit.lowering(x))
    if not any(not lowering.layout.is_data(name) for f in lowering.formulas if f for name, _ in f.elements):
        params = params[:1]  # no angle is left to draw
    rows = RowCircuit(lowering, circuit.num_params)
    must = f"have at most {AMPLITUDES:,} amplitudes over all inputs"
    size = len(x) * 2**rows.num_wires
    require(
        size <= AMPLITUDES,
        "circuit",
        must,
        f"one of {float(size):.2g} for {len(x)} inputs",
        UnsupportedModelError,
    )
    states = (rows.states(rows.rows(w.expand(len(x), -1), x)) for w in params)
    kernels = torch.stack([(kets.conj() @ kets.T).abs().square() for kets in states])
    found = _measured("fidelity", kernels, rows.num_wires)
    mean = found.mean.value
    return Concentration(**{**found.__dict__, "shots": _shots(mean * (1 - mean), found.spread.value)})


def up_to_data(lowering: Lowering) -> Lowering:
    """Without the gates after the last that depends on data, which cancel in overlaps."""
    is_data = lowering.layout.is_data
    last = [
        k for k, f in enumerate(lowering.formulas) if f is not None and any(is_data(n) for n, _ in f.elements)
    ]
    end = last[-1] + 1 if last else 0
    return replace(lowering, operations=lowering.operations[:end], formulas=lowering.formulas[:end])


def _inputs(circuit: Circuit, x: Tensor) -> Tensor:
    x = checked(circuit, x)
    require(len(x) > 2, "x", "have at least 3 rows, for pairs that differ", len(x))
    return x


def _measured(name: str, kernels: Tensor, qubits: int) -> Concentration:
    draws, size = kernels.shape[:2]
    first, second = torch.triu_indices(size, size, 1)
    entries = kernels[:, first, second]
    variances, means = entries.var(1), entries.mean(1)
    spread = math.sqrt(float(variances.mean()))
    over_draws = float(variances.std()) / math.sqrt(draws) if draws > 1 else 0.0
    over_inputs = _jackknife(kernels) if size > 3 else 0.0
    error = math.hypot(over_draws, over_inputs) / (2 * spread) if spread else 0.0
    diagonal = float(kernels.diagonal(dim1=1, dim2=2).mean())
    mean = Measured(float(means.mean()), float(means.std()) / math.sqrt(draws) if draws > 1 else 0.0)
    return Concentration(name, mean, diagonal, Measured(spread, error), math.nan, size, qubits)


def _jackknife(kernels: Tensor) -> float:
    """The standard error, over inputs, of the mean over draws of the entries' variance."""
    size = kernels.shape[1]
    kernels = kernels - kernels.mean((1, 2), keepdim=True)
    off = kernels - torch.diag_embed(kernels.diagonal(dim1=1, dim2=2))
    rows, squares = off.sum(2), off.square().sum(2)  # (draws, m): of the pairs of each input
    left = (size - 1) * (size - 2) / 2
    sums, sums_of_squares = rows.sum(1, keepdim=True) / 2 - rows, squares.sum(1, keepdim=True) / 2 - squares
    without = ((sums_of_squares - sums.square() / left) / (left - 1)).mean(0)
    return math.sqrt((size - 1) * float(without.var(correction=0)))


def _shots(variance: float, spread: float) -> float:
    return variance / spread**2 if spread > 1e-12 else math.inf

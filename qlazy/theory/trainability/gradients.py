"""The variance of the gradient over random angles: the question of barren plateaus (McClean et al. 2018, 1803.11173).

Every draw has uniform angles of its own and takes a row of the inputs in turn; derivatives are per radian. The variance
is that over draws. A weight that enters as a whole multiple of its angle has the mean 0, at every input, so that
nothing of the variance is the spread of means between inputs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple, final

import torch
from torch import Tensor

from qlazy.base.errors import KernelTooLargeError, UnsupportedModelError, generator_of, require, whole_of
from qlazy.base.tables import Table
from qlazy.quantum.backends.lowered import MAX_WIRES
from qlazy.quantum.circuit import Circuit
from qlazy.theory.mean_kernel import largest_square, walk_squares
from qlazy.theory.trainability.draws import Draws, by_rows, checked, draw

NUMBERS = 2**26
"""Derivatives held at once, eight bytes each."""

WALKS = 64
"""Walks for one draw of angles, which costs more."""

PIECE = 2**21
"""Derivatives of one sweep."""

Method = Literal["states", "walks"]


class Measured(NamedTuple):
    """A mean and its standard error."""

    value: float
    error: float

    def __str__(self) -> str:
        return f"{self.value:.3g} ± {self.error:.1g}"


@final
@dataclass(frozen=True, eq=False, repr=False)
class GradientVariance:
    """Variances of derivatives by p parameters over ``samples`` draws, with their standard errors.

    ``variances`` and ``errors`` are (c, p), by output and parameter; from walks (1, p), added over the outputs.
    ``largest`` is the variance, added over the outputs, by the parameter where that is largest: found in one half of
    the draws and measured in the other, both ways, so that it is not larger by the choice. ``total`` is the sum
    of all, the mean squared length of the gradient. Outputs per radian, squared.
    """

    variances: Tensor
    errors: Tensor
    largest: Measured
    total: Measured
    samples: int
    qubits: int
    method: Method

    @property
    def mean(self) -> float:
        """The variance of a derivative, averaged over outputs and parameters."""
        return float(self.variances.mean())

    def table(self) -> Table:
        """One row a parameter: its variance, added over the outputs."""
        errors = self.errors.square().sum(0).sqrt()
        rows = [
            (str(number), f"{value:.3g}", f"{error:.1g}")
            for number, (value, error) in enumerate(
                zip(self.variances.sum(0).tolist(), errors.tolist(), strict=True)
            )
        ]
        return Table("", ("parameter", "variance of the derivative", "error"), tuple(rows))

    def __repr__(self) -> str:
        return (
            f"GradientVariance({self.qubits} qubits, largest {self.largest}, {self.samples:,} {self.method})"
        )


def gradient_variance(
    circuit: Circuit,
    x: Tensor,
    *,
    samples: int = 500,
    seed: int = 0,
    method: Literal["auto", "states", "walks"] = "auto",
) -> GradientVariance:
    """The variance of every output's derivative by every parameter, over uniform angles and the inputs x (m, d).

    By states, exact derivatives at ``samples`` draws; where light cones are wider than 24 wires, or by name, by walks
    of Pauli words (:func:`qlazy.theory.mean_kernel.mean_kernel`), for any number of qubits: data before weights, each
    weight in one rotation, Clifford gates between; there are 64 walks a sample. A variance under about one over the
    number of walks is not seen by them: errors are never below what one walk more might add.

    Raises UnsupportedModelError where neither applies, KernelTooLargeError for too many outputs times parameters.
    """
    x = checked(circuit, x)
    samples, generator = whole_of("samples", samples, 8, "be at least 8"), generator_of(seed)
    require(method in ("auto", "states", "walks"), "method", "be 'auto', 'states' or 'walks'", repr(method))
    if method == "walks" or (method == "auto" and _is_wide(circuit, x)):
        return _by_walks(circuit, x, samples, generator)
    _require_memory(circuit, x, samples)
    gradients = _gradients(circuit, draw(circuit, x, samples, generator))
    squares = (gradients - gradients.mean(0)).square()
    unbiased = samples / (samples - 1)
    by_parameter = squares.sum(1) * unbiased
    return GradientVariance(
        squares.mean(0) * unbiased, squares.std(0) / math.sqrt(samples), _largest(by_parameter),
        _measured(by_parameter.sum(1)), samples, _qubits(circuit, x), "states",
    )  # fmt: skip


def _is_wide(circuit: Circuit, x: Tensor) -> bool:
    try:
        lowering = circuit.lowering(x)
    except UnsupportedModelError:
        return False
    return lowering.num_wires > MAX_WIRES and lowering.cones.width > MAX_WIRES


def _qubits(circuit: Circuit, x: Tensor) -> int:
    try:
        return circuit.lowering(x).num_wires
    except UnsupportedModelError:
        return circuit.program.num_qubits if circuit.program else len(circuit.qnode.device.wires or ())


def _require_memory(circuit: Circuit, x: Tensor, samples: int) -> None:
    outputs = circuit(torch.zeros(circuit.num_params, dtype=torch.float64), x[:1]).shape[1]
    count = samples * outputs * circuit.num_params
    must = f"have at most {NUMBERS:,} derivatives over all samples"
    actual = f"one of {count:,} ({outputs} outputs, {circuit.num_params} parameters)"
    require(count <= NUMBERS, "circuit", must, actual, KernelTooLargeError)


def _gradients(circuit: Circuit, draws: Draws) -> Tensor:
    """(s, c, p), one sweep a piece where angles of rows may differ, and row by row where a circuit measures."""
    try:
        rows = by_rows(circuit, draws.x)
    except UnsupportedModelError:
        jacobians = [circuit.jacobian(w, row.unsqueeze(0)) for w, row in zip(*draws, strict=True)]
        return torch.cat(jacobians).detach()
    pieces = rows.rows(*draws).split(max(1, PIECE // (rows.num_outputs * circuit.num_params)))
    return torch.cat([rows.gradients(piece) for piece in pieces]).detach()


def _largest(by_parameter: Tensor) -> Measured:
    """From squares (s, p): chosen in one half of the draws, measured in the other."""
    halves = by_parameter[::2], by_parameter[1::2]
    found = [
        _measured(other[:, int(half.mean(0).argmax())])
        for half, other in (halves, halves[::-1])
    ]  # fmt: skip
    return Measured(sum(one.value for one in found) / 2, math.sqrt(sum(one.error**2 for one in found)) / 2)


def _measured(values: Tensor) -> Measured:
    return Measured(float(values.mean()), float(values.std()) / math.sqrt(len(values)))


def _by_walks(circuit: Circuit, x: Tensor, walks: int, generator: torch.Generator) -> GradientVariance:
    walks = max(8, min(WALKS * walks, NUMBERS // circuit.num_params))
    squares = walk_squares(circuit, x, walks=walks, generator=generator)
    unseen = largest_square(circuit, x) / walks  # what one walk more might have added
    errors = (squares.std(0, keepdim=True) / math.sqrt(walks)).clamp_min(unseen)
    largest, total = (
        Measured(found.value, max(found.error, unseen))
        for found in (_largest(squares), _measured(squares.sum(1)))
    )
    return GradientVariance(
        squares.mean(0, keepdim=True), errors, largest, total, walks, _qubits(circuit, x), "walks"
    )

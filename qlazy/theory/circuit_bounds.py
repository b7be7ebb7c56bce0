"""How large the derivatives of a circuit can be at all: upper bounds from its generators and observables.

Every angle turns a Pauli word P by exp(-i angle P / 2), under controls or not: a generator whose eigenvalues lie
within 1 of each other. For an observable O whose spectrum has the half width R = (max - min) / 2 that makes
|df/dangle| <= R and |d^2f/dangle dangle'| <= R, everywhere: each derivative is half a commutator with a norm
of at most twice the operator's. Through angles(w; x) with partials A (angles, p), and c_j the sum of |A_lj|
over the angles l,

    |Df[u]| <= R ||A u||_1 <= R ||c|| ||u||
    |D^2f[u, u]| <= R ||A u||_1^2 + R sum_l |D^2 angle_l[u, u]|

The last sum vanishes where angles are affine in the weights; the bounds then hold at all parameters alike.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from qlazy.base.errors import UnsupportedModelError, refuse
from qlazy.quantum.backends.angles import AngleMap, Layout
from qlazy.quantum.backends.lowered import Lowering
from qlazy.quantum.circuit import Circuit
from qlazy.quantum.program.expression import Constant, Expression
from qlazy.quantum.program.partial_derivative import derivative
from qlazy.simulator.observables import Hermitian, Observable, PauliSum, Probabilities, Projector


class PauliBounds(NamedTuple):
    """Upper bounds on ||Dh|| and ||D^2h||, in the Euclidean norm of the outputs of all samples.

    ``everywhere`` tells whether they hold at all parameters or only at those given.
    """

    first: float
    second: float
    everywhere: bool


def pauli_bounds(circuit: Circuit, params: Tensor, x: Tensor) -> PauliBounds:
    """Bounds for the inputs x (n, ...). Raises UnsupportedModelError for a circuit that has no lowered form."""
    circuit.check(params, x)
    lowering = circuit.lowering(x)
    rows = x.flatten(1).double()
    reach = _column_sums(lowering, params.detach().double(), rows).square().sum(1)  # ||c||^2 a sample
    bend = _bending(lowering, params.detach().double(), rows)
    size = sum(half_width(observable) ** 2 for observable in lowering.observables)
    first = float((size * reach.sum()).sqrt())
    second = float((size * (reach + bend).square().sum()).sqrt())
    return PauliBounds(first, second, not _curved(lowering))


def half_width(observable: Observable) -> float:
    """(max - min) / 2 of the spectrum, or a bound on it: sum |c| for a sum of Pauli words.

    Probabilities are 2^k projectors; theirs is the root of the sum of the squares.
    """
    match observable:
        case PauliSum(words):
            return sum(abs(word.coefficient) for word in words if word.word.strip("I"))
        case Hermitian(matrix):
            values = np.linalg.eigvalsh(matrix)
            return float(values[-1] - values[0]) / 2
        case Projector():
            return 0.5
        case Probabilities(wires):
            return 0.5 * 2 ** (len(wires) / 2)
    raise TypeError(f"unknown observable {type(observable).__name__}")


def _formulas(lowering: Lowering) -> list[Expression]:
    return [f for f in lowering.formulas if f is not None and not isinstance(f, Constant)]


def _partials(formula: Expression, layout: Layout) -> list[tuple[int, Expression]]:
    """(parameter, derivative) for every weight in a formula."""
    places = [element for element in sorted(formula.elements) if not layout.is_data(element[0])]
    return [(layout.place(*element)[1], derivative(formula, element)) for element in places]


def _column_sums(lowering: Lowering, params: Tensor, x: Tensor) -> Tensor:
    """c (n, p): the sum of |d angle / d parameter| over all angles."""
    pairs = [pair for formula in _formulas(lowering) for pair in _partials(formula, lowering.layout)]
    sums = params.new_zeros(len(x), len(params))
    if pairs:
        columns = torch.tensor([column for column, _ in pairs])
        sums.index_add_(1, columns, _values([f for _, f in pairs], lowering.layout, params, x).abs())
    return sums


def _bending(lowering: Lowering, params: Tensor, x: Tensor) -> Tensor:
    """A bound (n,) on the sum over angles of ||D^2 angle||: each by its Frobenius norm."""
    total = x.new_zeros(len(x))
    for formula in _curved(lowering):
        seconds = [
            second
            for _, first in _partials(formula, lowering.layout)
            for _, second in _partials(first, lowering.layout)
        ]
        total = total + _values(seconds, lowering.layout, params, x).square().sum(1).sqrt()
    return total


def _curved(lowering: Lowering) -> list[Expression]:
    """The angles whose partials depend on weights themselves."""
    layout = lowering.layout
    return [
        formula
        for formula in _formulas(lowering)
        if any(_partials(first, layout) for _, first in _partials(formula, layout))
    ]


def _values(formulas: list[Expression], layout: Layout, params: Tensor, x: Tensor) -> Tensor:
    """(n, k), every formula in its place."""
    angles = AngleMap(formulas, layout)
    values = params.new_empty(len(x), len(formulas))
    sampled = torch.tensor(angles.sampled)
    values[:, ~sampled] = angles.shared_values(params, x)
    values[:, sampled] = angles.sampled_values(params, x)
    return values


def output_edges(circuit: Circuit, x: Tensor) -> tuple[Tensor, Tensor]:
    """The lower and the upper value, (c,) each, float64, of observables with two eigenvalues.

    Pauli words with a factor and an offset, projectors, probabilities. Raises UnsupportedModelError for any other
    observable, for programs that measure on their way and for circuits without a lowered form. ``x`` (n, ...)
    only shows the shape of a sample.
    """
    pairs = [pair for o in circuit.lowering(x).observables for pair in _edges(o)]
    low, high = torch.tensor(pairs, dtype=torch.float64).T
    return low, high


def _edges(observable: Observable) -> list[tuple[float, float]]:
    match observable:
        case PauliSum(words):
            moving = [word.coefficient for word in words if word.word.strip("I")]
            offset = sum(word.coefficient for word in words if not word.word.strip("I"))
            if len(moving) == 1:
                return [(offset - abs(moving[0]), offset + abs(moving[0]))]
        case Hermitian(matrix):
            values = np.linalg.eigvalsh(matrix)
            ends = values[[0, -1]]
            if np.abs(values[:, None] - ends).min(1).max() <= 1e-10 * max(1.0, float(np.abs(ends).max())):
                return [(float(ends[0]), float(ends[1]))]
        case Projector():
            return [(0.0, 1.0)]
        case Probabilities(wires):
            return [(0.0, 1.0)] * 2 ** len(wires)
    return refuse("observable", "have two eigenvalues", str(observable), UnsupportedModelError)

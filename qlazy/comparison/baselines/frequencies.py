"""The frequencies that the encoding of a circuit reaches, read from the formulas of its angles.

An output of a circuit is a trigonometric polynomial of the angles of its gates: exp(-i theta P / 2) takes part with
the differences of its generator's eigenvalues, -1, 0 and 1, and with halves of them too where it is controlled. An
angle theta_g = sum_k c_gk phi_k(x) + (weights), with coordinates phi_k such as x_k itself, makes frequencies
omega = sum_g d_g c_g of them. Schuld, Sweke, Meyer 2021 (arXiv 2008.08605).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from qlazy.base.errors import UnsupportedModelError, require
from qlazy.quantum.backends.angles import AngleMap, Layout
from qlazy.quantum.backends.lowered import Lowering
from qlazy.quantum.program.expression import Binary, Constant, Entry, Expression, Negative, Stopped
from qlazy.simulator.operations import PauliRotation

DIGITS = 9
"""Frequencies that agree to so many decimals are one."""

DRAWS = 8
"""So many times as many are drawn as are wanted at random, as some are drawn twice."""

_PREPARATIONS = ("AmplitudeEmbedding", "StatePrep", "MottonenStatePreparation")

Floats = NDArray[np.float64]


class Spectrum(NamedTuple):
    """Frequencies (f, k) by the coordinates phi (k,), one of each pair omega, -omega, without 0; or a part of them."""

    values: Floats
    complete: bool


class Encoding(NamedTuple):
    """The gates that depend on data: g of them, whose angles are sums of k coordinates, up to what weights add."""

    coordinates: tuple[Expression, ...]
    coefficients: Floats  # (g, k)
    controlled: tuple[bool, ...]  # (g,)
    layout: Layout

    def values(self, x: Tensor) -> Tensor:
        """The coordinates (n, k) of inputs (n, ...), float64."""
        rows = x.double().flatten(1)
        return AngleMap(self.coordinates, self.layout).sampled_values(rows.new_zeros(0), rows)

    def spectrum(self, most: int, seed: int) -> Spectrum:
        """All frequencies, where they are at most ``most``; otherwise so many or fewer, drawn from ``seed``.

        They are drawn as the encoding reaches them: of every gate a pair of eigenvalues, all alike, whose difference
        counts, so that what many gates make in many ways comes first (arXiv 2210.13200, 2309.11647).
        """
        whole = self._lattice(2 * most + 1)
        if whole is not None:
            return Spectrum(_half(whole), True)
        return Spectrum(_half(self._drawn(DRAWS * most, seed))[:most], False)

    def _lattice(self, most: int) -> Floats | None:
        """Every frequency, 0 and both of a pair among them; None where they are more than ``most``."""
        found = np.zeros((1, len(self.coordinates)))
        for row, controlled in zip(self.coefficients, self.controlled, strict=True):
            steps = np.unique(_differences(controlled))
            found = _distinct((found[:, None] + steps[:, None] * row).reshape(-1, len(row)))
            if len(found) > most:
                return None
        return found

    def _drawn(self, count: int, seed: int) -> Floats:
        generator, total = np.random.default_rng(seed), np.zeros((count, len(self.coordinates)))
        for row, controlled in zip(self.coefficients, self.controlled, strict=True):
            total += generator.choice(_differences(controlled), count)[:, None] * row
        return total


def encoding_of(lowering: Lowering) -> Encoding:
    """How data enter the gates of a circuit.

    Angles that are no sums of inputs are sums of functions of them, tanh(x_0) or x_0 x_1, which then are coordinates.
    Raises UnsupportedModelError where an angle multiplies data with weights, where data are amplitudes, and for a
    circuit without data.
    """
    rows, controlled = [], []
    for operation, formula in zip(lowering.operations, lowering.formulas, strict=True):
        found = {} if formula is None else _of_data(formula, lowering.layout)
        if found:
            assert isinstance(operation, PauliRotation)
            rows.append(found)
            controlled.append(bool(operation.controls))
    require(rows, "circuit", "have gates that depend on its data", "one without any", UnsupportedModelError)
    coordinates = tuple(dict.fromkeys(term for row in rows for term in row))
    coefficients = np.array([[row.get(term, 0.0) for term in coordinates] for row in rows])
    return Encoding(coordinates, coefficients, tuple(controlled), lowering.layout)


def _of_data(formula: Expression, layout: Layout) -> dict[Expression, float]:
    """Coordinates and their coefficients in an angle, without those that cancel and what weights add."""
    total: dict[Expression, float] = {}
    for term, coefficient in _terms(formula, 1.0):
        kinds = {layout.is_data(name) for name, _ in term.elements}
        must = (
            "have angles that are sums of data and weights for a Fourier model, whose frequencies are fixed"
        )
        require(len(kinds) < 2, "circuit", must, f"one with {term}", UnsupportedModelError)
        if kinds == {True}:
            _require_no_amplitudes(term)
            total[term] = total.get(term, 0.0) + coefficient
    return {term: coefficient for term, coefficient in total.items() if coefficient}


def _require_no_amplitudes(term: Expression) -> None:
    is_state = isinstance(term, Entry) and term.block.name in _PREPARATIONS
    must = "encode its data in angles for a Fourier model, not in amplitudes (its fidelity kernel is quadratic in them)"
    require(not is_state, "circuit", must, "one with AmplitudeEmbedding", UnsupportedModelError)


def _terms(formula: Expression, factor: float) -> Iterator[tuple[Expression, float]]:
    """A formula as a sum of others with constant factors; constants are left out."""
    match formula:
        case Constant():
            return
        case Negative(operand):
            yield from _terms(operand, -factor)
        case Stopped(operand):
            yield from _terms(operand, factor)
        case Binary("+", left, right):
            yield from _terms(left, factor)
            yield from _terms(right, factor)
        case Binary("-", left, right):
            yield from _terms(left, factor)
            yield from _terms(right, -factor)
        case Binary("*", Constant(value), other) | Binary("*", other, Constant(value)):
            yield from _terms(other, factor * value)
        case Binary("/", other, Constant(value)) if value:
            yield from _terms(other, factor / value)
        case _:
            yield formula, factor


def _differences(controlled: bool) -> Floats:
    """Of the eigenvalues -1/2 and 1/2 of a rotation's generator, and 0 where it is controlled: each pair once."""
    eigenvalues = np.array([-0.5, 0.0, 0.5] if controlled else [-0.5, 0.5])
    return (eigenvalues[:, None] - eigenvalues).ravel()


def _distinct(values: Floats) -> Floats:
    """Each frequency once, unrounded, in order of first appearance."""
    rounded = np.round(values, DIGITS) + 0.0  # -0 is 0
    return values[np.sort(np.unique(rounded, axis=0, return_index=True)[1])]


def _half(values: Floats) -> Floats:
    """One of each pair, that whose first component other than 0 is positive; 0 is left out."""
    is_zero = np.round(values, DIGITS) == 0
    nonzero = values[~is_zero.all(1)]
    first = nonzero[np.arange(len(nonzero)), is_zero[~is_zero.all(1)].argmin(1)]
    return _distinct(nonzero * np.sign(first)[:, None])

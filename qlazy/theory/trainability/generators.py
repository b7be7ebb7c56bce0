"""The generators of a circuit: what its parameters turn, with all fixed gates carried to the front.

U(w) = V_L R_L ... V_1 R_1 V_0 with rotations R_k = exp(-i s_k H_k) is a fixed gate times rotations about

    H'_k = (V_(k-1) ... V_0)^dagger H_k (V_(k-1) ... V_0)

so that the group that the circuit moves in has the Lie algebra of the H'_k. Rotations in a row by multiples of one
parameter that commute are one generator, their sum, as in QAOA; any other rotation is one of its own, even where it
shares its parameter, which can make the algebra larger, never smaller. Data on wires that no parameter has touched is
part of the state that is turned; data that comes later turns as parameters do, so that the algebra serves every input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from qlazy.quantum.circuit import Circuit
from qlazy.quantum.program.expression import Constant, Element, Expression
from qlazy.quantum.program.partial_derivative import derivative
from qlazy.simulator.operations import Operation, PauliRotation, controls_of
from qlazy.theory.encodings import as_fixed, leading_gates
from qlazy.theory.trainability.words import Sum, commute, conjugated, word_of


@dataclass(frozen=True)
class Generators:
    """Distinct sums of Pauli words on n wires, without identities."""

    num_wires: int
    sums: tuple[Sum, ...]


def generators_of(circuit: Circuit, x: Tensor) -> Generators:
    """Of a circuit for rows like those of x.

    Raises UnsupportedModelError for a circuit that measures on its way, and for fixed gates on more than 5 wires.
    """
    lowering = circuit.lowering(x)
    gates = list(zip(lowering.operations, lowering.formulas, strict=True))
    _, rest = leading_gates(gates, lowering, products=False)
    found: list[tuple[Element | None, dict[int, float]]] = []
    before: list[Operation] = []
    for operation, formula in rest:
        if formula is None or isinstance(formula, Constant):
            before.append(as_fixed(operation, formula))
            continue
        assert isinstance(operation, PauliRotation)
        terms: Mapping[int, float] = _generator(operation, lowering.num_wires)
        for fixed in reversed(before):
            terms = conjugated(fixed, terms, lowering.num_wires)
        _add(found, formula, dict(terms), lowering.num_wires)
    return Generators(lowering.num_wires, _distinct([terms for _, terms in found]))


def _generator(rotation: PauliRotation, num_wires: int) -> dict[int, float]:
    """The word times a projector (I -+ Z) / 2 for every control."""
    terms = {word_of(rotation.word, rotation.wires, num_wires): 1.0}
    for wire, value in controls_of(rotation):
        z = word_of("Z", (wire,), num_wires)
        sign = -1.0 if value else 1.0
        terms = {**{w: c / 2 for w, c in terms.items()}, **{w ^ z: sign * c / 2 for w, c in terms.items()}}
    return terms


def _add(
    found: list[tuple[Element | None, dict[int, float]]],
    formula: Expression,
    terms: dict[int, float],
    num_wires: int,
) -> None:
    """Put a rotation behind the others, or into the last where both are by one parameter and commute."""
    element, slope = _multiple(formula)
    terms = {word: slope * value for word, value in terms.items()}
    if found and element is not None and found[-1][0] == element and commute(found[-1][1], terms, num_wires):
        last = found[-1][1]
        for word, value in terms.items():
            last[word] = last.get(word, 0.0) + value
    else:
        found.append((element, terms))


def _multiple(formula: Expression) -> tuple[Element | None, float]:
    """The parameter and the factor of a formula that is a multiple of one, without a constant; None, 1 otherwise."""
    if len(formula.elements) == 1 and formula.is_explicit:
        [element] = formula.elements
        slope = derivative(formula, element)
        if isinstance(slope, Constant) and _at_zero(formula, element) == 0:
            return element, slope.value
    return None, 1.0


def _at_zero(formula: Expression, element: Element) -> float:
    import torch

    name, index = element
    return float(formula.evaluate({name: torch.zeros(index + 1, dtype=torch.float64)}))


def _distinct(sums: list[dict[int, float]]) -> tuple[Sum, ...]:
    """Without identities and zeros, each once up to a factor."""
    found: dict[tuple[tuple[int, float], ...], Sum] = {}
    for terms in sums:
        kept = {word: value for word, value in sorted(terms.items()) if word and abs(value) > 1e-9}
        if kept:
            first = next(iter(kept.values()))
            scaled = {word: value / first for word, value in kept.items()}
            found.setdefault(tuple((word, round(value, 9)) for word, value in scaled.items()), scaled)
    return tuple(found.values())

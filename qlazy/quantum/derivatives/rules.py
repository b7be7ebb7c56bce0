"""What stands for the derivative of a rotation in a program that can be run.

With one ancilla and one run, the gadget

    h a; R(t) q; ctrl @ V a, q; sdg a; h a;      d/dt <O> = <Z_a O>,

or with two runs and no ancilla, the shift rule

    d/dt f = 1/2 [f(t + pi/2) - f(t - pi/2)].

A controlled rotation has two frequencies, 1/2 and 1, and so four runs:

    d/dt f = (sqrt(2) + 1)/(4 sqrt(2)) [f(t + pi/2) - f(t - pi/2)]
           - (sqrt(2) - 1)/(4 sqrt(2)) [f(t + 3 pi/2) - f(t - 3 pi/2)].

Both hold through measurement and branches, since both are linear in the state behind the gate.

Gadget: Zhu, Hung, Chakrabarti, Wu, PLDI 2020 (arXiv 2004.01122), with a fixed controlled gate in place of a
controlled rotation. Shifts: Mitarai et al. 2018 (arXiv 1803.00745); four terms: Anselmetti et al. 2021
(arXiv 2104.05695).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from qlazy.quantum.derivatives.sites import Site, generator, is_controlled_rotation
from qlazy.quantum.derivatives.tangents import product
from qlazy.quantum.program.classical import Variable
from qlazy.quantum.program.expression import Constant
from qlazy.quantum.program.partial_derivative import ZERO
from qlazy.quantum.program.statements import Assign, Block, Gate

_ROOT = math.sqrt(2)
_TWO_TERMS = ((0.5, math.pi / 2), (-0.5, -math.pi / 2))
_NEAR, _FAR = (_ROOT + 1) / (4 * _ROOT), (_ROOT - 1) / (4 * _ROOT)
_FOUR_TERMS = (
    (_NEAR, math.pi / 2),
    (-_NEAR, -math.pi / 2),
    (-_FAR, 3 * math.pi / 2),
    (_FAR, -3 * math.pi / 2),
)


def shifts(gate: Gate) -> tuple[tuple[float, float], ...]:
    """Pairs (c, s) with df/dt = sum c f(t + s)."""
    return _FOUR_TERMS if is_controlled_rotation(gate) else _TWO_TERMS


@dataclass(frozen=True)
class Gadget:
    """The site with the ancilla ``wire``; its weight goes into the variable ``weight``, if there is one."""

    wire: int
    weight: Variable | None

    def __call__(self, site: Site) -> Block:
        ancilla, inner = (self.wire,), generator(site.gate)
        controlled = replace(
            inner, controls=(self.wire, *inner.controls), control_values=(1, *inner.control_values)
        )
        return (
            Gate("h", (), ancilla),
            site.gate,
            controlled,
            Gate("sdg", (), ancilla),
            Gate("h", (), ancilla),
            *_noted(self.weight, site, 1.0),
        )


@dataclass(frozen=True)
class Shift:
    """The site with term ``term`` of its shift rule; one that has fewer terms adds nothing to this run."""

    term: int
    weight: Variable | None

    def __call__(self, site: Site) -> Block:
        rule = shifts(site.gate)
        if self.term >= len(rule):
            return (site.gate,)
        coefficient, shift = rule[self.term]
        (angle,) = site.gate.angles
        return replace(site.gate, angles=(angle + shift,)), *_noted(self.weight, site, coefficient)


def _noted(weight: Variable | None, site: Site, coefficient: float) -> Block:
    return () if weight is None else (Assign(weight, product(site.weight, Constant(coefficient))),)


def unreached(weight: Variable) -> Assign:
    """What the weight is where no site is reached."""
    return Assign(weight, ZERO)

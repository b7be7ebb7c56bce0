"""What stands for the derivative of a rotation in a program that can be run.

With one ancilla and one run, the gadget

    h a; R(t) q; ctrl @ V a, q; sdg a; h a;      d/dt <O> = <Z_a O>,

or with more runs and no ancilla, a shift rule: see :mod:`qlazy.quantum.program.shift_rules`. Both hold through
measurement and branches, since both are linear in the state behind the gate.

Gadget: Zhu, Hung, Chakrabarti, Wu, PLDI 2020 (arXiv 2004.01122), with a fixed controlled gate in place of a
controlled rotation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from qlazy.quantum.derivatives.sites import Site, generator, is_controlled_rotation
from qlazy.quantum.derivatives.tangents import product
from qlazy.quantum.program.classical import Variable
from qlazy.quantum.program.expression import Constant
from qlazy.quantum.program.partial_derivative import ZERO
from qlazy.quantum.program.shift_rules import Term, shift_rule
from qlazy.quantum.program.statements import Assign, Block, Gate


def shifts(gate: Gate) -> tuple[Term, ...]:
    """The shift rule of a rotation."""
    return shift_rule(is_controlled_rotation(gate))


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

"""Where a derivative takes hold: rotations whose generator is half an involution.

For V^2 = 1 and R(t) = exp(-i t V / 2), up to a phase that nothing sees,

    d/dt R rho R^+ = -i/2 [V, R rho R^+].

rx, ry, rz are such, and p under any number of controls, where V is a Z under the same controls. A controlled
rotation is not: its generator has eigenvalues -1/2, 0, 1/2. It is two rotations by half the angle,

    C R(t) = R(t/2) . C Q . R(-t/2) . C Q    for Q anticommuting with V,

and so counts twice. U is rz ry rz, and its phase counts on the controls.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from qlazy.quantum.derivatives.tangents import Tangents
from qlazy.quantum.program.expression import Expression
from qlazy.quantum.program.program import Gate
from qlazy.quantum.program.statements import Block, Branch, Statement, While

_GENERATORS = {"rx": "x", "ry": "y", "rz": "z", "p": "z"}
_ANTICOMMUTING = {"rx": "z", "ry": "z", "rz": "x"}


@dataclass(frozen=True)
class Site:
    """One occurrence of a parameter: the derivative of ``gate`` in its angle, times ``weight``."""

    gate: Gate
    weight: Expression

    def __str__(self) -> str:
        return f"d({self.gate}) * ({self.weight})"


def generator(gate: Gate) -> Gate:
    """V, as a gate on the same wires and under the same controls."""
    return replace(gate, name=_GENERATORS[gate.name], angles=())


def is_controlled_rotation(gate: Gate) -> bool:
    return gate.name in _ANTICOMMUTING and bool(gate.controls)


def normal_form(block: Block, tangents: Tangents, split_controlled: bool) -> Block:
    """``block`` with every gate that depends on the parameter as gates of one angle.

    ``split_controlled`` also splits controlled rotations into two halves.
    """
    return tuple(new for statement in block for new in _normal(statement, tangents, split_controlled))


def _normal(statement: Statement, tangents: Tangents, split: bool) -> Block:
    match statement:
        case Gate() if tangents.reach(statement):
            return tuple(_simple(statement, split))
        case Branch(condition, then, otherwise, place):
            yes, no = (normal_form(part, tangents, split) for part in (then, otherwise))
            return (Branch(condition, yes, no, place),)
        case While(condition, body, bound, place):
            return (While(condition, normal_form(body, tangents, split), bound, place),)
    return (statement,)


def _simple(gate: Gate, split: bool) -> Iterator[Gate]:
    if gate.name == "U":
        theta, phi, lam = gate.angles
        for name, angle in (("rz", lam), ("ry", theta), ("rz", phi)):
            yield from _simple(replace(gate, name=name, angles=(angle,)), split)
        yield from _phase_of_controls(gate, (theta + phi + lam) / 2.0)
    elif split and is_controlled_rotation(gate):
        yield from _halves(gate)
    elif gate.wires:  # a phase of everything is seen by nothing
        yield gate


def _halves(gate: Gate) -> Iterator[Gate]:
    (angle,) = gate.angles
    flip = replace(gate, name=_ANTICOMMUTING[gate.name], angles=())
    yield flip
    yield Gate(gate.name, (-angle / 2.0,), gate.wires)
    yield flip
    yield Gate(gate.name, (angle / 2.0,), gate.wires)


def _phase_of_controls(gate: Gate, phase: Expression) -> Iterator[Gate]:
    """exp(i phase) where all controls have their values, as a phase of the last of them."""
    if not gate.controls:
        return
    *_, last = gate.controls
    flip = () if gate.control_values[-1] else (Gate("x", (), (last,)),)
    yield from flip
    yield Gate("p", (phase,), (last,), gate.controls[:-1], gate.control_values[:-1])
    yield from flip

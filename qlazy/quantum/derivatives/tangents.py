"""The chain rule from an input of a program to the angles of its gates, through its float variables.

A float variable v may hold a formula of inputs, and a different one on every path. Its tangent, a variable
dv, is assigned wherever v is, so that at every gate the derivative of the angle t is the formula

    dt/da + sum_v dt/dv dv

of inputs and variables, right on the path that the program has taken: forward accumulation (Wengert 1964).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce

from qlazy.quantum.program.classical import Kind, Local, Variable, variables_of
from qlazy.quantum.program.expression import (
    Binary,
    Call,
    Element,
    Expression,
    Input,
    Negative,
    apply_binary,
    call,
)
from qlazy.quantum.program.partial_derivative import ZERO, derivative
from qlazy.quantum.program.statements import Assign, Block, Branch, Gate, Statement, While, walk

FLOAT = Kind("float")
_HELD = "value of "  # no input of a program has a name with a space


@dataclass(frozen=True)
class Tangents:
    """Derivatives with respect to ``element``; ``held`` gives the tangent of every variable that has one."""

    element: Element
    held: Mapping[Variable, Variable]

    def of(self, expression: Expression) -> Expression:
        """The derivative of ``expression``: a formula of inputs and variables."""
        total = derivative(expression, self.element)
        for variable in sorted(variables_of(expression) & self.held.keys(), key=lambda v: v.name):
            slope = _by_variable(expression, variable)
            if slope != ZERO:
                term = slope * Local(self.held[variable])
                total = term if total == ZERO else total + term
        return total

    def reach(self, gate: Gate) -> bool:
        """Whether an angle of ``gate`` changes with the element."""
        return any(self.depends(angle) for angle in gate.angles)

    def depends(self, expression: Expression) -> bool:
        return self.element in expression.elements or bool(variables_of(expression) & self.held.keys())

    def along(self, block: Block) -> Block:
        """``block`` with every assignment to a variable preceded by that to its tangent."""
        return tuple(new for statement in block for new in self._beside(statement))

    def _beside(self, statement: Statement) -> Block:
        match statement:
            case Assign(target, Expression() as value, place) if target in self.held:
                return Assign(self.held[target], self.of(value), place), statement
            case Branch(condition, then, otherwise, place):
                return (Branch(condition, self.along(then), self.along(otherwise), place),)
            case While(condition, body, bound, place):
                return (While(condition, self.along(body), bound, place),)
        return (statement,)


def tangents_of(block: Block, element: Element) -> Tangents:
    """The tangents of all float variables of ``block`` that may depend on ``element``."""
    assignments = [s for s in walk(block) if isinstance(s, Assign) and isinstance(s.value, Expression)]
    found: set[Variable] = set()
    before = -1
    while len(found) > before:
        before = len(found)
        for target, value in ((s.target, s.value) for s in assignments):
            assert isinstance(value, Expression)
            if element in value.elements or variables_of(value) & found:
                found.add(target)
    taken = _names(block)
    held = {
        v: Variable(fresh(f"d_{_plain(v.name)}", taken), FLOAT) for v in sorted(found, key=lambda v: v.name)
    }
    return Tangents(element, held)


def fresh(name: str, taken: set[str]) -> str:
    """``name``, numbered if it is taken; taken from now on."""
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        candidate = f"{name}_{number}"
    taken.add(candidate)
    return candidate


def _names(block: Iterable[Statement]) -> set[str]:
    from qlazy.quantum.program.statements import variables

    return {variable.name for variable in variables(block)}


def _plain(name: str) -> str:
    return name.replace("[", "_").replace("]", "")


def _by_variable(expression: Expression, variable: Variable) -> Expression:
    """The partial derivative in a variable: put an input in its place, differentiate, put it back."""
    place = Input(_HELD + variable.name)
    found = derivative(_replaced(expression, Local(variable), place), (place.name, 0))
    return _replaced(found, place, Local(variable))


def _replaced(expression: Expression, old: Expression, new: Expression) -> Expression:
    match expression:
        case _ if expression == old:
            return new
        case Negative(operand):
            return -_replaced(operand, old, new)
        case Binary(symbol, left, right):
            return apply_binary(symbol, _replaced(left, old, new), _replaced(right, old, new))
        case Call(function, argument):
            return call(function, _replaced(argument, old, new))
    return expression


def product(*factors: Expression) -> Expression:
    """The product of formulas, zero where one is."""
    return ZERO if ZERO in factors else reduce(lambda left, right: left * right, factors)

"""Derivatives of angle formulas, as formulas."""

from __future__ import annotations

import math
from functools import singledispatch

from qlazy.base.errors import UnsupportedModelError, refuse
from qlazy.quantum.program.expression import (
    Binary,
    Call,
    Choose,
    Constant,
    Element,
    Entry,
    Expression,
    Input,
    Negative,
    Stopped,
    apply_binary,
    call,
)

ZERO = Constant(0.0)
ONE = Constant(1.0)


def derivative(expression: Expression, element: Element) -> Expression:
    """The partial derivative with respect to one input element, simplified where a factor is 0 or 1."""
    return _derivative(expression, element) if element in expression.elements else ZERO


@singledispatch
def _derivative(expression: Expression, element: Element) -> Expression:
    raise TypeError(f"no derivative of {type(expression).__name__}")


@_derivative.register
def _(expression: Input, element: Element) -> Expression:
    return ONE


@_derivative.register
def _(expression: Negative, element: Element) -> Expression:
    return -derivative(expression.operand, element)


@_derivative.register
def _(expression: Stopped, element: Element) -> Expression:
    return ZERO


@_derivative.register
def _(expression: Call, element: Element) -> Expression:
    return _times(_OUTER[expression.function](expression.argument), derivative(expression.argument, element))


@_derivative.register
def _(expression: Binary, element: Element) -> Expression:
    left, right = expression.left, expression.right
    dl, dr = derivative(left, element), derivative(right, element)
    match expression.operator:
        case "+":
            return dl + dr
        case "-":
            return _minus(dl, dr)
        case "*":
            return _times(dl, right) + _times(left, dr)
        case "/":
            return _minus(_over(dl, right), _over(_times(left, dr), right * right))
        case "**":
            return _power(left, right, dl, dr)
        case "%":
            # left - right trunc(left / right), where the quotient is constant between its jumps
            return dl if dr == ZERO else _minus(dl, _times((left - left % right) / right, dr))
        case "atan2":
            radius = left * left + right * right
            return _minus(_over(_times(dl, right), radius), _over(_times(left, dr), radius))
        case "maximum":
            return _larger(left, right, dl, dr)
        case "minimum":
            return _larger(right, left, dl, dr)
        case "gt" | "ge" | "eq":
            return ZERO
    raise TypeError(f"no derivative of {expression.operator}")


@_derivative.register
def _(expression: Entry, element: Element) -> Expression:
    must = "have angles whose derivatives are formulas"
    refuse("circuit", must, f"one with an angle by torch's {expression.block.name}", UnsupportedModelError)


@_derivative.register
def _(expression: Choose, element: Element) -> Expression:
    chosen, other = (derivative(e, element) for e in (expression.chosen, expression.other))
    return ZERO if ZERO == chosen == other else Choose(expression.condition, chosen, other)


def _larger(first: Expression, second: Expression, by_first: Expression, by_second: Expression) -> Expression:
    """``by_first`` where ``first`` is the larger; where both are equal the mean of both, as in torch."""
    if ZERO == by_first == by_second:
        return ZERO
    equal = Choose(apply_binary("eq", first, second), 0.5 * (by_first + by_second), by_second)
    return Choose(apply_binary("gt", first, second), by_first, equal)


def _power(base: Expression, exponent: Expression, db: Expression, de: Expression) -> Expression:
    by_base = _times(exponent * base ** (exponent - 1.0), db) if db != ZERO else ZERO
    by_exponent = _times(base**exponent * call("log", base), de) if de != ZERO else ZERO
    return by_base + by_exponent


def _times(left: Expression, right: Expression) -> Expression:
    return ZERO if ZERO in (left, right) else left * right


def _minus(left: Expression, right: Expression) -> Expression:
    return -right if left == ZERO else left - right


def _over(left: Expression, right: Expression) -> Expression:
    return ZERO if left == ZERO else left / right


_OUTER = {
    "abs": lambda a: call("sign", a),
    "sign": lambda a: ZERO,
    "sin": lambda a: call("cos", a),
    "cos": lambda a: -call("sin", a),
    "tan": lambda a: 1.0 / call("cos", a) ** 2.0,
    "arcsin": lambda a: 1.0 / call("sqrt", 1.0 - a * a),
    "arccos": lambda a: -1.0 / call("sqrt", 1.0 - a * a),
    "arctan": lambda a: 1.0 / (1.0 + a * a),
    "exp": lambda a: call("exp", a),
    "log": lambda a: 1.0 / a,
    "sqrt": lambda a: 0.5 / call("sqrt", a),
    "tanh": lambda a: 1.0 - call("tanh", a) ** 2.0,
    "sinh": lambda a: call("cosh", a),
    "cosh": lambda a: call("sinh", a),
    "arcsinh": lambda a: 1.0 / call("sqrt", 1.0 + a * a),
    "sigmoid": lambda a: call("sigmoid", a) * call("sigmoid", -a),
    "log1p": lambda a: 1.0 / (1.0 + a),
    "expm1": lambda a: call("exp", a),
    "erf": lambda a: 2.0 / math.sqrt(math.pi) * call("exp", -(a * a)),
    "floor": lambda a: ZERO,
}
"""The derivative of each function, at its argument."""

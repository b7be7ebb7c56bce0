"""Derivatives of angle formulas, as formulas."""

from __future__ import annotations

from functools import singledispatch

from qlazy.quantum.program.expression import (
    Binary,
    Call,
    Constant,
    Element,
    Expression,
    Input,
    Negative,
    Stopped,
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
    raise TypeError(f"no derivative of {expression.operator}")


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
}
"""The derivative of each standard function, at its argument."""
